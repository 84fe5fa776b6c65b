"""S3N by its contract: any size, alone as in a batch, nothing random in use, every parameter learns; and its stages."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from likewise import registry
from likewise.errors import LikewiseError
from likewise.methods.s3n import S3N, Config, S3NOutput, config_for, convert_keys
from likewise.types import ClassBatch
from likewise.weights import config_from, read_checkpoint

#: The presets with fewer classes, and ResNet-50 without most of its layers.
SMALL = {"s3n": {"classes": 7, "trunk": "resnet18"}, "s3n-lite": {"classes": 7, "labels": ()}}


def build(name="s3n-lite", **changes) -> S3N:
    torch.manual_seed(3)
    model = S3N(replace(registry.preset(name).config, **{**SMALL[name], **changes})).eval()
    for branch in model.branches.values():  # a norm that was never trained would pass what is not normal at all
        branch.norm.running_mean.normal_()
    return model


@pytest.fixture(scope="module", params=list(SMALL))
def model(request):
    return build(request.param)


@pytest.fixture
def lite():
    return build()


@pytest.mark.parametrize("size", [(64, 64), (80, 100), (97, 33), (32, 32), (8, 5)])
def test_any_size_gives_finite_logits(model, size):
    with torch.inference_mode():
        look = model(torch.rand(2, 3, *size))
    for logits in (look.logits, look.origin, look.discriminative, look.complementary):
        assert logits.shape == (2, 7)
        assert bool(logits.isfinite().all())
    assert look.response.shape == look.peaks.shape == (2, 31, 31)
    assert {name: tuple(each.shape) for name, each in look.sampled.items()} == dict.fromkeys(
        ("discriminative", "complementary"), (2, 3, *size)
    )


def test_a_batch_is_the_same_as_one_by_one(model):
    image = torch.rand(3, 3, 70, 90)
    with torch.inference_mode():
        together = model(image)
        alone = [model(image[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(together.logits, torch.cat([a.logits for a in alone]), rtol=1e-3, atol=1e-4)
    assert torch.equal(together.peaks, torch.cat([a.peaks for a in alone]))


def test_in_use_nothing_is_random(model):
    image = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        first = model(image)
        torch.rand(17)  # another state of the generator
        assert torch.equal(model(image).logits, first.logits)
        again = torch.get_rng_state()
        model(image)
    assert torch.equal(torch.get_rng_state(), again)


@pytest.mark.parametrize("branches", ["none", "discriminative", "complementary", "both"])
def test_every_parameter_has_a_gradient_and_the_loss_names_its_terms(branches):
    model = build(branches=branches).train()
    batch = ClassBatch(torch.rand(3, 3, 64, 64), torch.tensor([0, 6, 2]))
    terms = model.loss(model(batch.image), batch)
    expected = {"none": {"origin"}, "both": {"origin", "discriminative", "complementary", "joined"}}
    assert set(terms) - {"total"} == expected.get(branches, {"origin", branches, "joined"})
    assert all(t.shape == (3,) for t in terms.values())
    torch.testing.assert_close(terms["total"], sum(t for name, t in terms.items() if name != "total"))
    terms["total"].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_the_losses_are_cross_entropies_and_two_of_them_smoothed(lite):
    target = torch.tensor([1, 6])
    batch = ClassBatch(torch.rand(2, 3, 64, 64), target)
    look = S3NOutput(
        *(torch.randn(2, 7) for _ in range(4)),
        torch.zeros(2, 31, 31),
        torch.zeros(2, 31, 31).bool(),
        {},
        torch.zeros(2, 5),
    )
    terms = lite.loss(look, batch)
    smooth = torch.full((2, 7), 0.15 / 6)
    smooth[torch.arange(2), target] = 0.85
    for name, logits, truth in (
        ("origin", look.origin, smooth),
        ("complementary", look.complementary, smooth),
        ("discriminative", look.discriminative, F.one_hot(target, 7).float()),
        ("joined", look.logits, F.one_hot(target, 7).float()),
    ):
        torch.testing.assert_close(terms[name], F.cross_entropy(logits, truth, reduction="none"))


def test_optimiser_groups_hold_every_parameter_once_and_the_trunk_is_slow(model):
    groups = model.parameter_groups(1e-2)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    config, rates = model.config, {id(p): group["lr"] for group in groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        rate = 1.0
        if name.startswith("trunk.") or name.endswith(".radius"):
            rate = config.trunk_rate / (config.radius_slowdown if name.endswith(".radius") else 1)
        elif ".conv." in name or ".norm." in name:
            rate = config.branch_rate
        assert rates[id(parameter)] == pytest.approx(rate * 1e-2), name
    decayed = [group.get("weight_decay") for group in groups]
    assert decayed == [None, None, None, None if config.radius_decay else 0.0]


def test_the_published_rates_are_those_of_the_authors():
    config = registry.preset("s3n").config
    assert (1e-2 * config.branch_rate, 1e-2 * config.trunk_rate) == (1e-3, 1e-3)
    assert 1e-2 * config.trunk_rate / config.radius_slowdown == 1e-7


def test_an_early_validation_is_as_training_was_and_nothing_of_it_stays(monkeypatch):
    image = torch.rand(2, 3, 64, 64)
    response = torch.zeros(2, 31, 31)
    response[:, 5::7, 3::9] = 0.5
    response[:, 12, 12] = 1.0
    for early in (True, False):
        model = build(early_validation=early)
        monkeypatch.setattr(model, "_respond", lambda *_: (response, response > 0))
        with torch.inference_mode():
            used, every = model(image).logits, model.look(model.config.preprocess.normalised(image), "every").logits
            assert not torch.equal(used, every)
            for fraction in (0.0, model.config.first_stage - 0.01, model.config.first_stage):
                model.begin_validation(fraction)
                seen = model(image).logits
                assert torch.equal(seen, every if early and fraction < model.config.first_stage else used)
                model.end_validation()
                assert torch.equal(model(image).logits, used)


def test_classes_are_ranked_by_what_the_config_says():
    """A place at the border that the pooled features see and the maps' means hardly do."""
    features = torch.zeros(1, 2, 4, 4)
    features[0, 0, 0, 0], features[0, 1, 1, 1] = 1.0, 0.8
    for ranking, place in (("maps", (10, 10)), ("pooled", (0, 0))):
        model = build("s3n", classes=2, ranking=ranking, top=1)
        model.origin.weight.data, model.origin.bias.data = torch.eye(2), torch.zeros(2)
        logits = features.mean((2, 3))
        response, _ = model._respond(features, logits)
        assert tuple(divmod(int(response[0].argmax()), 31)) == place


def test_the_bundled_file_says_or_implies_what_it_was_trained_with():
    preset = registry.preset("s3n-lite")
    held = config_from(Config, read_checkpoint(preset.card.path).config)
    kept = ("ranking", "aligned", "first_stage", "early_validation", "view", "centred", "trunk_rate")
    assert [getattr(held, name) for name in kept] == [getattr(preset.config, name) for name in kept]
    assert (held.ranking, held.early_validation, held.view.squeezed) == ("pooled", False, False)
    published = registry.preset("s3n").config
    assert (published.ranking, published.aligned, published.view.squeezed) == ("maps", True, True)


def test_early_every_peak_makes_both_maps_and_later_chance_decides(lite, monkeypatch):
    image = torch.rand(2, 3, 64, 64)
    response = torch.zeros(2, 31, 31)
    response[:, 5::7, 3::9] = 0.5
    monkeypatch.setattr(lite, "_respond", lambda *_: (response, response > 0))
    lite.train()
    seen = {}
    for fraction in (0.0, 0.33, 0.34, 0.99):
        lite.begin_step(fraction)
        torch.manual_seed(0)
        first = lite(image).sampled["discriminative"]
        torch.manual_seed(1)
        seen[fraction] = bool(torch.equal(first, lite(image).sampled["discriminative"]))
    assert seen == {0.0: True, 0.33: True, 0.34: False, 0.99: False}
    lite.begin_step(0.9)
    monkeypatch.setattr(torch, "rand_like", torch.zeros_like)  # below every response: all are discriminative
    with torch.no_grad():
        look = lite(image)
    torch.testing.assert_close(
        look.sampled["complementary"], lite.config.preprocess.normalised(image), rtol=0, atol=1e-3
    )
    assert float((look.sampled["discriminative"] - lite.config.preprocess.normalised(image)).abs().max()) > 0.05


def test_a_picture_without_peaks_is_left_as_it_is(model, monkeypatch):
    image = torch.rand(2, 3, 64, 64)
    flat = torch.zeros(2, 31, 31)
    flat[1, 10, 20] = 1.0
    monkeypatch.setattr(model, "_respond", lambda *_: (flat, flat > 0))
    for training in (False, True):
        model.train(training)
        with torch.no_grad():
            look = model(image)
        for sampled in look.sampled.values():
            given = model.config.preprocess.normalised(image)
            assert torch.equal(sampled[0], given[0])
            assert not torch.equal(sampled[1], given[1])
        assert bool(look.logits.isfinite().all())
    model.eval()


def test_a_constant_picture_is_answered(model):
    with torch.inference_mode():
        for level in (0.0, 0.5, 1.0):
            assert bool(model(torch.full((1, 3, 64, 64), level)).logits.isfinite().all())


def test_magnified_is_the_place_that_speaks_for_the_answer(lite, monkeypatch):
    ramp = torch.linspace(0, 1, 96).expand(1, 3, 96, 96).clone()
    response = torch.zeros(1, 31, 31)
    response[0, 15, 24] = 1.0
    response[0, 15, 6] = 0.4
    monkeypatch.setattr(lite, "_respond", lambda *_: (response, response > 0))
    with torch.inference_mode():
        sampled = lite(ramp).sampled
    rows = {name: lite.config.preprocess.denormalised(each)[0, 0, 48] for name, each in sampled.items()}

    def share(name: str, place: float) -> float:
        return float(((rows[name] - place).abs() < 0.1).float().mean())

    assert share("discriminative", 24 / 30) > 1.5 * 0.2
    assert share("complementary", 6 / 30) > share("discriminative", 6 / 30)


def test_what_no_answer_depends_on_changes_a_centred_response_not():
    image = torch.rand(2, 3, 96, 96)
    moved = {}
    for centred in (True, False):
        model = build(centred=centred)
        with torch.no_grad():
            before = model(image)
            model.origin.weight += 3 * torch.randn(1, model.origin.weight.shape[1])  # the same for every class
            after = model(image)
        torch.testing.assert_close(after.origin.softmax(1), before.origin.softmax(1), rtol=1e-3, atol=1e-4)
        moved[centred] = float((after.response - before.response).abs().max())
    assert moved[True] < 1e-2
    assert moved[False] > 0.1


def test_labels_are_one_a_class():
    with pytest.raises(LikewiseError, match="2 labels for 3 classes"):
        Config(classes=3, labels=("a", "b"))


def test_a_checkpoint_of_another_number_of_classes_is_taken_as_it_is():
    config = config_for(registry.preset("s3n").config, {"origin.bias": torch.zeros(196)})
    assert (config.classes, config.trunk) == (196, "resnet50")
    assert config_for(config, {}) == config


def test_published_names_are_mapped_and_learned_radii_are_kept():
    names = ("raw_classifier.weight", "filter.weight", "map_origin.weight")
    state = {name: torch.zeros(2, 2) for name in names}
    state |= {"radius.scale": torch.tensor([0.2]), "radius_inv.scale": torch.tensor([0.4])}
    mapped = convert_keys(state)
    assert {name: t.tolist() for name, t in mapped.items() if "radius" in name} == {
        "branches.discriminative.radius": pytest.approx(0.2),
        "branches.complementary.radius": pytest.approx(0.4),
    }
    assert set(mapped) == {"origin.weight", "branches.discriminative.radius", "branches.complementary.radius"}
    assert convert_keys({})["branches.complementary.radius"].item() == pytest.approx(0.3)


def test_dropout_is_for_training_alone():
    torch.manual_seed(0)
    model = build(dropout=0.5)
    image = torch.rand(2, 3, 64, 64)
    model.eval()
    assert torch.equal(model(image).logits, model(image).logits)
    trained = model(image).origin
    model.train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()
    assert not torch.equal(model(image).origin, trained)
