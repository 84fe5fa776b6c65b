"""The contract of every counter in the registry; a new counter is tested by being registered."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from likewise import registry
from likewise.errors import LikewiseError
from likewise.methods.spdcn import ExemplarFeatures
from likewise.types import CountBatch, PromptBatch

COUNTERS = [name for name in registry.model_names() if registry.preset(name).task == "count"]
SHOWN = [name for name in COUNTERS if "exemplars" in registry.preset(name).model.prompts]
NAMED = [name for name in COUNTERS if registry.preset(name).model.prompts == ("text",)]
#: CLIP's towers, small: the published ones take seconds a picture.
TOWERS = {"image_width": 32, "image_layers": 10, "image_heads": 2, "text_width": 32, "text_layers": 2, "text_heads": 2}
#: What else is small in the counters that are built on CLIP.
SMALL = {
    "vlcounter": {"channels": 16, "stride": 32},
    "countx": {"width": 32, "heads": 4, "window": 64, "decoder": (16, 16, 16, 16), "decoder_grid": 4, "stride": 32},
}
BOXES = torch.tensor([[8.0, 10, 30, 28], [40, 33, 70, 60], [20, 50, 44, 66], [50, 5, 61, 19], [3, 40, 17, 72.0]])


@pytest.fixture(scope="module", params=SHOWN)
def counter(request):
    torch.manual_seed(1)
    return registry.preset(request.param).build().eval()


@pytest.fixture(scope="module", params=NAMED)
def named(request):
    """A counter by name, small, and names that it tells apart."""
    torch.manual_seed(1)
    found = registry.preset(request.param)
    config, names = found.config, ("apples", "buttons", "candies")
    if request.param in SMALL:
        clip = replace(config.clip, image_size=64, features=32, **TOWERS)
        config = replace(config, clip=clip, **SMALL[request.param])
    else:
        names = config.vocabulary[:3]
    return found.model(config).eval(), names


def boxes(k):
    return BOXES[torch.arange(k) % len(BOXES)]


def by_name(counter, image, names):
    """The density of what a counter by name gives; some give more."""
    found = counter(image, PromptBatch(text=names))
    return found if isinstance(found, torch.Tensor) else found.density


def assert_constant_in_cells(density, cell):
    def spread(side):
        squares = F.pixel_unshuffle(density, side)
        return float((squares.amax(1) - squares.amin(1)).max())

    assert spread(cell) == 0
    assert spread(2 * cell) > 0


@pytest.mark.parametrize("size", [(96, 128), (128, 96), (97, 131), (75, 80)])
def test_density_has_the_pictures_size_at_any_size(counter, size):
    with torch.inference_mode():
        density = counter(torch.rand(1, 3, *size), PromptBatch((boxes(2),)))
    assert density.shape == (1, 1, *size)
    assert bool((density >= 0).all())
    assert bool(density.isfinite().all())


def test_the_density_is_constant_in_its_cells_and_in_no_larger_squares(counter):
    with torch.inference_mode():
        density = counter(torch.rand(1, 3, 96, 128), PromptBatch((boxes(2),)))
    assert_constant_in_cells(density, counter.cell)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 20])
def test_any_number_of_exemplars_in_any_order(counter, count):
    image = torch.rand(1, 3, 80, 96)
    with torch.inference_mode():
        density = counter(image, PromptBatch((boxes(count),)))
        turned = counter(image, PromptBatch((boxes(count).flip(0),)))
    torch.testing.assert_close(density, turned, rtol=1e-4, atol=1e-6)


def test_a_batch_is_the_same_as_one_by_one_whatever_the_number_of_exemplars(counter):
    image = torch.rand(3, 3, 80, 96)
    prompts = (boxes(1), boxes(5), boxes(3))
    with torch.inference_mode():
        together = counter(image, PromptBatch(prompts))
        alone = torch.cat([counter(image[i : i + 1], PromptBatch((prompts[i],))) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-6)


def test_other_exemplars_give_another_density(counter):
    image = torch.rand(1, 3, 80, 96)
    image[:, :, 20:, :50] *= 0.2
    with torch.inference_mode():
        one, other = (counter(image, PromptBatch((b[None],))) for b in (BOXES[2], BOXES[3]))
    assert float((one - other).abs().max()) > 1e-3 * float(one.abs().max())


def test_counting_like_a_description_is_counting_with_the_exemplars(counter):
    image, prompt = torch.rand(2, 3, 80, 96), PromptBatch((boxes(3), boxes(1)))
    with torch.inference_mode():
        described = counter.encode_exemplars(image, prompt)
        torch.testing.assert_close(counter.count_like(image, described), counter(image, prompt))
        size = torch.stack([BOXES[:3, 3] - BOXES[:3, 1], BOXES[:3, 2] - BOXES[:3, 0]], 1).mean(0, keepdim=True)
        parts = [counter.encode_exemplars(image[:1], PromptBatch((b[None],)), size)[0] for b in BOXES[:3]]
        merged = counter.count_like(image[:1], [ExemplarFeatures.merge(parts)])
        torch.testing.assert_close(merged, counter(image[:1], PromptBatch((boxes(3),))), rtol=1e-4, atol=1e-6)


def test_every_parameter_has_a_gradient_and_the_loss_names_its_terms(counter):
    image = torch.rand(2, 3, 64, 80)
    points = (torch.rand(7, 2) * 60, torch.rand(3, 2) * 60)
    prompt = PromptBatch((boxes(2).clamp(max=60), boxes(3).clamp(max=60)))
    batch = CountBatch(image, prompt, points, tuple(torch.full((len(p),), 12.0) for p in points))
    terms = counter.loss(counter(image, prompt), batch)
    assert all(t.shape == (2,) for t in terms.values())
    counter.zero_grad()
    terms["total"].sum().backward()
    for name, parameter in counter.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_a_picture_without_exemplars_is_refused(counter):
    with pytest.raises(LikewiseError, match="at least one exemplar"):
        counter(torch.rand(2, 3, 64, 64), PromptBatch((boxes(1), torch.zeros(0, 4))))


def test_optimiser_groups_hold_every_parameter_once(counter):
    groups = counter.parameter_groups(1e-3)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in counter.parameters())


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (97, 131), (20, 33), (150, 40), (8, 90)])
def test_counting_by_name_sees_pictures_of_any_size_and_shape(named, size):
    counter, names = named
    image = torch.rand(1, 3, *size)
    with torch.inference_mode():
        density = by_name(counter, image, names[:1])
    assert density.shape == (1, 1, *size)
    assert bool(density.isfinite().all())
    assert abs(float(density.sum())) > 0  # a portrait is looked at like any other
    turned = image.flip(3)
    with torch.inference_mode():
        assert not torch.equal(by_name(counter, turned, names[:1]), density)


def test_by_name_the_density_is_constant_in_its_cells_and_in_no_larger_squares(named):
    counter, names = named
    with torch.inference_mode():
        density = by_name(counter, torch.rand(1, 3, 64, 96), names[:1])
    assert_constant_in_cells(density, counter.cell)


def test_by_name_a_batch_is_the_same_as_one_by_one(named):
    counter, names = named
    image = torch.rand(3, 3, 80, 112)
    with torch.inference_mode():
        together = by_name(counter, image, names)
        alone = torch.cat([by_name(counter, image[i : i + 1], names[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-5 * float(alone.abs().max()))


def test_other_names_give_another_density(named):
    counter, names = named
    image = torch.rand(1, 3, 80, 112)
    with torch.inference_mode():
        one, other = (by_name(counter, image, (name,)) for name in names[:2])
        again = by_name(counter, image, names[:1])
    assert torch.equal(one, again)
    assert float((one - other).abs().max()) > 1e-3 * float(one.abs().max())


def test_by_name_counting_in_steps_gives_the_same_density(named):
    """Check, encode, prepare, count: to the last bit, for pictures as they are and prepared ones."""
    counter, names = named
    image = torch.rand(2, 3, 70, 112)
    with torch.inference_mode():
        for name in names[:2]:
            counter.check(name)
        density, text, stem = by_name(counter, image, names[:2]), counter.encode(names[:2]), counter.prepare(image)
        assert all(torch.equal(counter.count(seen, text), density) for seen in (image, stem))
        assert torch.equal(by_name(counter, stem, names[:2]), density)


def test_by_name_a_text_that_cannot_be_counted_by_is_refused_at_once(named):
    counter, _ = named
    with pytest.raises(LikewiseError, match=r"no word of .* is known|text has \d+ tokens: expected at most 75"):
        counter.check("zeppelin " * 80)


def test_by_name_every_trained_parameter_has_a_gradient(named):
    counter, names = named
    points = (torch.rand(7, 2) * 60, torch.rand(3, 2) * 60)
    prompt = PromptBatch(text=names[:2])
    image = torch.rand(2, 3, 64, 64)
    sizes = tuple(torch.full((len(p),), 12.0) for p in points)
    around = tuple(torch.cat([p - 6, p + 6], dim=1) for p in points)
    batch = CountBatch(image, prompt, points, sizes, boxes=around)
    counter.zero_grad()
    terms = counter.train().loss(counter(image, prompt), batch)
    counter.eval()
    assert all(t.shape == (2,) for t in terms.values())
    terms["total"].sum().backward()
    for name, parameter in counter.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        if parameter.grad is not None:
            assert bool(parameter.grad.isfinite().all()), name
            assert float(parameter.grad.abs().sum()) > 0, name
    held = [id(p) for group in counter.parameter_groups(1e-3) for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in counter.parameters() if p.requires_grad)


def test_a_picture_without_a_name_is_refused(named):
    counter, names = named
    for prompt in (PromptBatch(), PromptBatch((boxes(1), boxes(1))), PromptBatch(text=names[:1])):
        with pytest.raises(LikewiseError, match="every picture needs a text"):
            counter(torch.rand(2, 3, 64, 64), prompt)


@pytest.mark.parametrize("loss", ["generalized", "l2", "bayesian"])
def test_every_loss_can_be_chosen_and_is_lower_for_the_truth(loss):
    preset = registry.preset("spdcn-lite")
    config = replace(preset.config, loss=loss, loss_solver="log", count_weight=0.0, block_weight=0.0)
    counter = preset.model(config)
    points = (torch.tensor([[20.0, 20], [50, 44]]),)
    batch = CountBatch(torch.rand(1, 3, 64, 64), PromptBatch((BOXES[:1],)), points, (torch.tensor([16.0, 16.0]),))
    truth = torch.zeros(1, 1, 64, 64)
    for x, y in points[0].long().tolist():
        truth[0, 0, y - 1 : y + 1, x - 1 : x + 1] = 0.25
    elsewhere = truth.flip(3)
    right, wrong = (counter.loss(d, batch)["total"].item() for d in (truth, elsewhere))
    assert right < wrong
