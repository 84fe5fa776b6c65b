"""SPDCN shown look-alikes: they change the density, none of them changes nothing, however they come."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from likewise import registry
from likewise.errors import LikewiseError
from likewise.methods.spdcn.similarity_features import ExemplarFeatures
from likewise.predict import Counter
from likewise.types import CountBatch, PromptBatch

LITE = registry.preset("spdcn-lite")
CONFIG = replace(LITE.config, negatives=True)
BOXES = torch.tensor([[8.0, 10, 30, 28], [40, 33, 70, 60], [20, 50, 44, 66]])
UNWANTED = torch.tensor([[50.0, 5, 61, 19], [3, 40, 17, 72]])
NONE = torch.zeros(0, 4)


@pytest.fixture(scope="module")
def counter():
    torch.manual_seed(1)
    return LITE.model(CONFIG).eval()


def density(counter, image, boxes=BOXES, negatives=None):
    prompt = PromptBatch((boxes,), None if negatives is None else (negatives,))
    with torch.inference_mode():
        return counter(image, prompt)


def test_a_network_takes_negatives_only_where_its_config_has_them(counter):
    assert counter.prompts == ("exemplars", "negatives")
    assert LITE.model.prompts == ("exemplars",)
    without = LITE.model(replace(CONFIG, negatives=False)).eval()
    assert without.prompts == ("exemplars",)
    with pytest.raises(LikewiseError, match="take no negatives"):
        density(without, torch.rand(1, 3, 80, 96), negatives=UNWANTED)
    with pytest.raises(LikewiseError, match="needs evidence"):
        LITE.model(replace(CONFIG, evidence=False))


def test_negatives_change_the_density_and_their_order_does_not_matter(counter):
    image = torch.rand(1, 3, 80, 80)
    image[:, :, 20:, :50] *= 0.2
    plain, shown = density(counter, image), density(counter, image, negatives=UNWANTED)
    assert float((plain - shown).abs().max()) > 1e-3 * float(plain.max())
    torch.testing.assert_close(density(counter, image, negatives=UNWANTED.flip(0)), shown)
    assert not torch.allclose(density(counter, image, negatives=UNWANTED[:1]), shown)


def test_no_negatives_is_the_network_without_them(counter):
    """Whatever the weights: those of the evidence against anything meet zeros."""
    image = torch.rand(1, 3, 80, 80)
    without = LITE.model(replace(CONFIG, negatives=False)).eval()
    state = counter.state_dict()
    first = without.state_dict()["decoder.0.0.weight"]
    state["decoder.0.0.weight"] = state["decoder.0.0.weight"][:, : first.shape[1]]
    without.load_state_dict(state)
    torch.testing.assert_close(density(counter, image), density(without, image))
    torch.testing.assert_close(density(counter, image, negatives=NONE), density(counter, image))


def test_a_batch_is_the_same_as_one_by_one_whatever_the_number_of_negatives(counter):
    image = torch.rand(3, 3, 80, 80)
    boxes, negatives = (BOXES[:1], BOXES, BOXES[1:]), (UNWANTED, NONE, UNWANTED[:1])
    with torch.inference_mode():
        together = counter(image, PromptBatch(boxes, negatives))
    alone = [density(counter, image[i : i + 1], boxes[i], negatives[i]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-3, atol=1e-6)


def test_descriptions_carry_negatives_also_from_a_window_that_shows_nothing_else(counter):
    image = torch.rand(1, 3, 80, 80)
    size = torch.stack([BOXES[:, 3] - BOXES[:, 1], BOXES[:, 2] - BOXES[:, 0]], 1).mean(0, keepdim=True)
    with torch.inference_mode():
        parts = [
            counter.encode_exemplars(image, PromptBatch((boxes,), (negatives,)), size)[0]
            for boxes, negatives in ((BOXES[:2], NONE), (NONE, UNWANTED[:1]), (BOXES[2:], UNWANTED[1:]))
        ]
        merged = counter.count_like(image, [ExemplarFeatures.merge(parts)])
    torch.testing.assert_close(merged, density(counter, image, negatives=UNWANTED), rtol=1e-4, atol=1e-6)


def test_negatives_in_the_picture_count_when_the_examples_are_elsewhere(counter):
    picture = (torch.rand(3, 5, 5).repeat_interleave(16, 1).repeat_interleave(16, 2) * 255).byte()
    boxes, unwanted = [(22, 20, 58, 56)], [(40, 40, 76, 76)]
    asked = Counter(counter, "lite", device="cpu")
    for negatives in ((), unwanted):
        same = asked.count(picture, boxes, negatives=negatives).count
        elsewhere = asked.count(picture, like=[(picture, boxes[0])], negatives=negatives).count
        assert elsewhere == pytest.approx(same, rel=1e-4)
    assert asked.count(picture, boxes, negatives=unwanted).count != asked.count(picture, boxes).count


def test_every_parameter_has_a_gradient(counter):
    image, prompt = torch.rand(2, 3, 64, 80), PromptBatch((BOXES[:1], BOXES[:1]), (UNWANTED[:1], NONE))
    points = (torch.rand(7, 2) * 60, torch.rand(3, 2) * 60)
    batch = CountBatch(image, prompt, points, tuple(torch.full((len(p),), 12.0) for p in points))
    counter.zero_grad()
    counter.loss(counter(image, prompt), batch)["total"].sum().backward()
    added = counter.decoder[0][0].weight.grad[:, -2 * (1 + len(counter.trunk.joined)) :]
    assert bool((added.abs().sum((0, 2, 3)) > 0).all())
    assert all(bool(p.grad.isfinite().all()) for p in counter.parameters())


def test_a_picture_in_tiles_is_counted_like_the_whole(counter):
    """The far negative is alone in its window; what windows and tiles cut off is far from every box."""
    picture = (torch.rand(3, 9, 26).repeat_interleave(24, 1).repeat_interleave(24, 2) * 255).byte()
    boxes, negatives = [(100, 100, 136, 136)], [(160, 150, 200, 180), (540, 130, 576, 166)]
    counts, state = [], {name: tensor.clone() for name, tensor in counter.state_dict().items()}
    state["decoder.0.0.weight"][:, -2 * (1 + len(counter.trunk.joined)) :] *= 10
    for tile in (1024, 400):
        network = LITE.model(CONFIG)
        network.load_state_dict(state)
        # which peaks of an untrained network's density count as one is a matter of chance
        tiled = replace(CONFIG.inference, preprocess=replace(CONFIG.inference.preprocess, tile=tile), snap_peaks=None)
        asked = Counter(network, "lite", device="cpu", inference=tiled)
        counts.append([asked.count(picture, boxes, negatives=n).count for n in (negatives, negatives[:1])])
    whole, tiled = counts
    assert tiled == pytest.approx(whole, rel=0.03)
    assert abs(whole[0] - whole[1]) > 1
    assert tiled[0] - tiled[1] == pytest.approx(whole[0] - whole[1], rel=0.2)
