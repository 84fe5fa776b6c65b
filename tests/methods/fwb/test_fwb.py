"""The contract of every segmenter in the registry, and what weighting and boosting promise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from likewise import registry
from likewise.errors import LikewiseError
from likewise.methods.fwb import FWB, Config
from likewise.methods.fwb.support import Prototype
from likewise.types import SegmentBatch, SupportBatch
from likewise.weights import config_from, read_checkpoint

SEGMENTERS = [name for name in registry.model_names() if registry.preset(name).task == "segment"]
#: The published network and the lite one, on one small trunk: what differs between them is what stands on it.
SMALL = {"fwb": {"trunk": "mobilenetv2", "hidden": 16}, "fwb-lite": {"hidden": 16, "projection": 32}}


def built(name, **changes):
    torch.manual_seed(1)
    preset = registry.preset(name)
    return preset.model(replace(preset.config, **changes)).eval()


@pytest.fixture(scope="module", params=SMALL)
def segmenter(request):
    return built(request.param, **SMALL[request.param], boosting=2, vote="soft")  # untrained masks are often empty


@pytest.fixture
def lite():
    return built("fwb-lite")


def box(size, x0, y0, x1, y1):
    mask = torch.zeros(size, dtype=torch.bool)
    mask[y0:y1, x0:x1] = True
    return mask


def scene(size, seed=0):
    """A picture (3, H, W) with a coarse pattern: pure noise looks the same everywhere."""
    generator = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.rand(1, 3, 4, 5, generator=generator), size, mode="bilinear")[0]


def shots(*sizes):
    """One query's support: pictures of these sizes, each with a box in it."""
    images = tuple(scene(size, seed) for seed, size in enumerate(sizes))
    masks = tuple(box(size, 4, 6, size[1] // 2, size[0] // 2) for size in sizes)
    return images, masks


def support(*rows):
    images, masks = zip(*rows, strict=True)
    return SupportBatch(images, masks)


@pytest.mark.parametrize("size", [(64, 80), (80, 64), (57, 75), (20, 33)])
def test_logits_have_the_querys_size_at_any_size(segmenter, size):
    with torch.inference_mode():
        logits = segmenter(scene(size)[None], support(shots((48, 56))))
    assert logits.shape == (1, 2, *size)
    assert bool(logits.isfinite().all())
    assert float(logits[:, 1].std()) > 0


@pytest.mark.parametrize("name", SEGMENTERS)
def test_every_preset_segments_and_its_trunk_learns(name):
    """Its own trunk, once: all else is tested on a small one."""
    model = built(name).train()
    logits = model(scene((33, 41))[None], support(shots((40, 32))))
    assert logits.shape == (1, 2, 33, 41)
    logits[:, 1].square().sum().backward()
    for part, parameter in model.trunk.named_parameters():
        assert float(parameter.grad.abs().sum()) > 0, part


def test_any_number_of_shots_of_any_size_in_any_order(segmenter):
    query, rows = scene((48, 64), 9)[None], shots((48, 56), (40, 40), (33, 61))
    turned = tuple(part[::-1] for part in rows)
    with torch.inference_mode():
        one, other = (segmenter(query, support(each)) for each in (rows, turned))
    torch.testing.assert_close(one.softmax(1), other.softmax(1), rtol=0, atol=1e-3)


def test_a_batch_is_the_same_as_one_by_one(segmenter):
    rows = (shots((48, 56)), shots((48, 56), (40, 48)))
    queries = torch.stack([scene((48, 64), 5), scene((48, 64), 6)])
    with torch.inference_mode():
        together = segmenter(queries, support(*rows)).softmax(1)
        alone = torch.cat([segmenter(queries[i : i + 1], support(rows[i])) for i in range(2)]).softmax(1)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-3)


def test_another_mask_gives_another_segmentation(segmenter):
    query, (images, _) = scene((48, 64), 3)[None], shots((48, 56))
    masks = box((48, 56), 2, 2, 20, 20), box((48, 56), 34, 26, 54, 46)
    with torch.inference_mode():
        (seen,) = segmenter.look(query)
        prototypes = [segmenter.describe(SupportBatch((images,), ((mask,),)))[0] for mask in masks]
        one, other = (segmenter.similarity(seen, prototype) for prototype in prototypes)
    assert float((one - other).abs().max()) > 1e-2


def test_segmenting_by_a_guide_is_segmenting_by_its_support(segmenter):
    rows, query = shots((48, 56)), scene((48, 64), 4)[None]
    with torch.inference_mode():
        (prototype,), (seen,) = segmenter.describe(support(rows)), segmenter.look(query)
        torch.testing.assert_close(segmenter.answer(seen, prototype)[None], segmenter(query, support(rows)))


def test_every_parameter_has_a_gradient_and_the_loss_names_its_terms(segmenter):
    queries = torch.stack([scene((48, 56), 5), scene((48, 56), 6)])
    mask = torch.stack([box((48, 56), 5, 5, 30, 30), box((48, 56), 20, 10, 50, 40)]).long()
    mask[:, :3] = 255
    batch = SegmentBatch(queries, support(shots((48, 56)), shots((48, 56))), mask)
    segmenter.zero_grad()
    terms = segmenter.train().loss(segmenter(batch.image, batch.support), batch)
    segmenter.eval()
    assert all(term.shape == (2,) for term in terms.values())
    terms["total"].sum().backward()
    for name, parameter in segmenter.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        if parameter.grad is not None:
            assert bool(parameter.grad.isfinite().all()), name
            assert float(parameter.grad.abs().sum()) > 0, name
    held = [id(p) for group in segmenter.parameter_groups(1e-3) for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in segmenter.parameters() if p.requires_grad)


def test_fixed_norms_keep_their_statistics_in_training():
    model = FWB(replace(registry.preset("fwb-vgg16").config, norms="fixed")).train()
    before = {name: b.clone() for name, b in model.named_buffers()}
    model(scene((48, 56))[None], support(shots((48, 56))))
    assert before
    assert all(torch.equal(before[name], b) for name, b in model.named_buffers())


@pytest.mark.parametrize(("name", "share"), [("fwb-vgg16", 0.1), ("fwb", 0.05)])
def test_norms_follow_the_queries_and_read_the_support_with_what_they_have_then(name, share):
    model = built(name).train()
    query, examples = scene((48, 56))[None], support(shots((48, 56)))
    first, inner = (model.trunk.early[0], model.trunk.early[1]) if name == "fwb-vgg16" else (
        model.trunk.early.conv1, model.trunk.early.bn1)  # fmt: skip
    before = inner.running_mean.clone()
    seen = first(model.config.preprocess.normalised(query)).detach().mean((0, 2, 3))
    output = model(query, examples)
    torch.testing.assert_close(inner.running_mean, (1 - share) * before + share * seen)
    assert int(inner.num_batches_tracked) == 1  # the support leaves nothing behind
    (again,) = model.describe(examples)
    (steady,) = model.eval().trunk(model.config.preprocess.normalised(torch.stack(examples.images[0])))[1].split(1)
    mask = F.interpolate(examples.masks[0][0][None, None].float(), steady.shape[2:]).bool()[0, 0]
    inside = steady[0][:, mask].mean(1)
    weights = F.normalize(inside - steady[0][:, ~mask].mean(1), dim=0)
    torch.testing.assert_close(next(again.parts())[0][0], (inside * weights).detach(), rtol=1e-4, atol=1e-5)
    assert bool(output.isfinite().all())


def test_the_loss_passes_over_unlabelled_pixels(lite):
    logits = torch.randn(1, 2, 6, 8)
    truth = torch.randint(0, 2, (1, 6, 8))
    hidden = truth.clone()
    hidden[:, 2:5] = 255
    batches = [SegmentBatch(torch.zeros(1, 3, 6, 8), SupportBatch((), ()), mask) for mask in (hidden, truth)]
    kept = torch.tensor([0, 1, 5])
    cut = SegmentBatch(batches[1].image, batches[1].support, truth[:, kept])
    for name, value in lite.loss(logits[:, :, kept], cut).items():
        torch.testing.assert_close(lite.loss(logits, batches[0])[name], value)


def test_boosting_lowers_the_supports_own_error(lite):
    images, masks = shots((64, 72), (48, 56))
    with torch.inference_mode():
        (prototype,) = lite.describe(support((images, masks)))
        errors = []
        for expert in prototype.experts[[0, -1]]:
            one = Prototype(expert[None], torch.ones(1), prototype.relevance)
            scores = [lite.votes(seen, one).clamp(1e-6, 1 - 1e-6) for seen in lite.look(images)]
            errors.append(sum(F.binary_cross_entropy(s, m.float()) for s, m in zip(scores, masks, strict=True)).item())
    assert len(prototype.experts) == lite.config.boosting + 1
    assert errors[1] < errors[0]


def test_boosting_is_the_slow_loop(lite):
    """Every expert by gradients through the whole network, in both of its logits, and votes added up one by one."""
    (image,), (mask,) = shots((64, 72))
    query = scene((56, 64), 8)
    lite.config = replace(lite.config, boosting=3, vote="hard")

    def logits(picture, vector, weights):
        (seen,) = lite.look(picture[None])
        late = lite.projection(seen.late[None]) * weights[:, None, None]
        alike = F.cosine_similarity(late, vector[:, None, None], dim=1).relu()[None]
        alike = F.interpolate(alike, seen.early.shape[1:], mode="bilinear", align_corners=True)
        alike = alike / alike.max()
        features = torch.cat([seen.early, torch.ones_like(seen.early[:1])])[None]
        return F.interpolate(lite.head(features * alike), seen.size, mode="bilinear", align_corners=True)

    with torch.inference_mode():
        (prototype,) = lite.describe(support(((image,), (mask,))))
        ours = lite.votes(lite.look(query[None])[0], prototype)
    weights, vector = prototype.relevance.clone(), prototype.experts[0].clone().requires_grad_()
    rate = lite.config.boosting_lr * float(vector.detach().square().mean().sqrt())
    adam, votes = torch.optim.Adam([vector], lr=rate), torch.zeros(56, 64)
    for _ in range(4):
        own = logits(image, vector, weights)
        found = own.argmax(1)[0] == 1
        votes += (found & mask).sum() / (found | mask).sum() * (logits(query, vector, weights).argmax(1)[0] == 1)
        adam.zero_grad()
        F.cross_entropy(own, mask[None].long()).backward()
        adam.step()
    assert float(votes.max()) > 0
    assert float(((ours - votes).abs() <= 1e-3).float().mean()) > 0.995


def test_a_mask_without_background_leaves_every_channel_as_relevant(lite):
    image = scene((48, 56))
    whole = SupportBatch(((image,),), ((torch.ones(48, 56, dtype=torch.bool),),))
    with torch.inference_mode():
        (prototype,) = lite.describe(whole)
        logits = lite(image[None], whole)
    assert prototype.relevance.unique().numel() == 1
    assert bool(logits.isfinite().all())


def test_a_thing_of_one_pixel_is_found_on_the_grid(lite):
    image = scene((48, 56))
    with torch.inference_mode():
        (prototype,) = lite.describe(SupportBatch(((image,),), ((box((48, 56), 30, 21, 31, 22),),)))
        late = lite.projection(lite.look(image[None])[0].late)[None]
    assert float(prototype.experts[0].abs().sum()) > 0
    torch.testing.assert_close(
        prototype.experts[0] / prototype.relevance, late[0, :, 21 * 6 // 48, 30 * 7 // 56], rtol=1e-2, atol=1e-3
    )


def gradient(model, queries, support, mask, *, detached=False):
    """Of the trunk's deep layers, through the whole network or with the support made into a guide beforehand."""
    model.zero_grad()
    if detached:
        with torch.no_grad():
            prototypes = model.describe(support)
        logits = torch.stack([model.answer(s, g) for s, g in zip(model.look(queries), prototypes, strict=True)])
    else:
        logits = model(queries, support)
    model.loss(logits, SegmentBatch(queries, support, mask))["total"].mean().backward()
    return torch.cat([p.grad.flatten() for p in model.trunk.late.parameters()])


@pytest.mark.parametrize("wanted", [False, True])
def test_the_trunk_learns_by_way_of_the_support_only_where_that_is_wanted(wanted):
    model = built("fwb", **SMALL["fwb"], support_gradient=wanted).train()
    queries, mask = scene((48, 64), 5)[None], box((48, 64), 8, 8, 30, 40)[None].long()
    examples = support(shots((48, 56), (40, 48)))
    whole = gradient(model, queries, examples, mask)
    query = gradient(model, queries, examples, mask, detached=True)
    cosine = float(F.cosine_similarity(whole.double(), query.double(), dim=0))
    assert cosine == pytest.approx(1, abs=1e-5) if not wanted else cosine < 0.99
    assert model.trunk.training
    assert model.describe(examples)[0].experts.requires_grad == wanted


def test_pixels_that_nobody_labels_are_background_as_published():
    model = built("fwb", **SMALL["fwb"])
    logits, truth = torch.randn(1, 2, 6, 8), torch.randint(0, 2, (1, 6, 8))
    truth[:, 2:5] = 255
    batch = SegmentBatch(torch.zeros(1, 3, 6, 8), SupportBatch((), ()), truth)
    expected = F.cross_entropy(logits, torch.where(truth == 255, 0, truth))
    torch.testing.assert_close(model.loss(logits, batch)["total"], expected[None])


def with_shots(name, way, **changes):
    return built(name, **SMALL[name], shots=way, vote="soft", **changes)


def test_a_mean_of_class_vectors_is_their_sum_divided():
    rows, query = shots((48, 56), (40, 48), (33, 61)), scene((48, 64), 4)[None]
    plain, boosted = ([with_shots("fwb", way, boosting=steps) for way in ("sum", "mean")] for steps in (0, 3))
    with torch.inference_mode():
        summed, mean = (model.describe(support(rows))[0] for model in plain)
        torch.testing.assert_close(mean.experts * 3, summed.experts)
        torch.testing.assert_close(mean.relevance, summed.relevance)
        one, other = (model(query, support(rows)) for model in plain)
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)  # a cosine knows no length ...
        one, other = (model(query, support(rows)).softmax(1) for model in boosted)
        assert float((one - other).abs().max()) > 1e-6  # ... but steps of one length do


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("boosting", [0, 3])
def test_masks_of_single_examples_are_averaged(name, boosting):
    model = with_shots(name, "masks", boosting=boosting)
    images, masks = shots((48, 56), (40, 48), (33, 61))
    query = scene((48, 64), 4)[None]
    alone = [support(((image,), (mask,))) for image, mask in zip(images, masks, strict=True)]
    with torch.inference_mode():
        scores = [model(query, each).softmax(1) for each in alone]
        together = model(query, support((images, masks))).softmax(1)
        similar = [model.similarity(model.look(query)[0], model.describe(each)[0]) for each in alone]
        joint = model.similarity(model.look(query)[0], model.describe(support((images, masks)))[0])
    torch.testing.assert_close(together, torch.stack(scores).mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(joint, torch.stack(similar).mean(0))
    model.train()
    trained = [model(query, each).softmax(1) for each in alone]
    torch.testing.assert_close(model(query, support((images, masks))).softmax(1), torch.stack(trained).mean(0))


def test_the_bundled_file_says_or_implies_what_it_was_trained_with():
    preset = registry.preset("fwb-lite")
    held = config_from(Config, read_checkpoint(preset.card.path).config)
    assert (held.support_gradient, held.unlabelled, held.shots) == (True, "ignored", "sum")
    assert replace(held, head_std=0.0) == preset.config


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (SupportBatch(((scene((48, 56)),),), ((torch.zeros(48, 56, dtype=torch.bool),),)), "mask is empty"),
        (SupportBatch(((scene((48, 56)),),), ((torch.ones(48, 50, dtype=torch.bool),),)), r"\(48, 50\)"),
        (SupportBatch(((),), ((),)), "one or more of each"),
        (SupportBatch((), ()), "1 queries came with 0 supports"),
    ],
)
def test_what_cannot_be_segmented_by_is_refused(lite, rows, message):
    with pytest.raises(LikewiseError, match=message):
        lite(scene((48, 64))[None], rows)
