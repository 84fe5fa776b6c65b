"""CounTX: what its presets promise beyond the contract of every counter."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from likewise.errors import LikewiseError
from likewise.methods.countx import Config, CounTX, convert_keys
from likewise.methods.countx.interaction import InteractionLayer, sincos_positions
from likewise.methods.countx.lite import COUNTX_LITE_CONFIG, CounTXLite
from likewise.methods.countx.lite import Config as LiteConfig
from likewise.nn.clip import ClipConfig
from likewise.predict import Counter, Session
from likewise.registry import build
from likewise.types import CountBatch, PromptBatch
from likewise.weights import Checkpoint, config_from, load_strict, read_checkpoint, save_checkpoint

NAMES = ("red bean", "blue bean", "watch", "small")
ALONE = replace(COUNTX_LITE_CONFIG.inference, counted_by="", named_by="")
LITE = replace(COUNTX_LITE_CONFIG, vocabulary=NAMES, width=32, decoder=(16, 8))
#: CLIP's shape at a size that is quickly computed: 16 patches a window of 64 pixels, seen at 32.
PAPER = Config(
    clip=ClipConfig(32, 8, 32, 2, 2, 32, 2, 2, 32), width=32, heads=2, decoder=(16, 16), window=64, decoder_grid=16,
    stride=32,
)  # fmt: skip


@pytest.fixture(scope="module", params=[LITE, PAPER], ids=["lite", "paper"])
def counter(request):
    torch.manual_seed(1)
    return built(request.param)


def built(config):
    return (CounTXLite if isinstance(config, LiteConfig) else CounTX)(config).eval()


def ask(*texts):
    return PromptBatch(text=texts)


def density_of(output):
    return output if isinstance(output, torch.Tensor) else output.density


@pytest.mark.parametrize("size", [(96, 64), (70, 131), (40, 33), (1, 1), (200, 65)])
def test_any_size_and_shape(counter, size):
    with torch.inference_mode():
        density = density_of(counter(torch.rand(1, 3, *size), ask("red bean")))
    assert density.shape == (1, 1, *size)
    assert bool(density.isfinite().all())
    assert float(density.abs().sum()) > 0


def test_a_batch_is_the_same_as_one_by_one(counter):
    image, texts = torch.rand(3, 3, 64, 96), ("red bean", "the watches", "small blue beans")
    with torch.inference_mode():
        together = density_of(counter(image, ask(*texts)))
        alone = torch.cat([density_of(counter(image[i : i + 1], ask(texts[i]))) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-6)


def test_another_name_gives_another_density(counter):
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        one, other = (density_of(counter(image, ask(text))) for text in ("red bean", "watch"))
    assert float((one - other).abs().max()) > 1e-3 * float(one.abs().max())


def test_a_prepared_picture_has_the_same_density_under_any_name(counter):
    """To the last bit, and for a batch too: what is prepared holds nothing of a name."""
    image = torch.rand(2, 3, 70, 131)
    with torch.inference_mode():
        stem = counter.prepare(image)
        for texts in (("red bean", "watch"), ("watch", "small blue beans")):
            prepared, fresh = (density_of(counter(seen, ask(*texts))) for seen in (stem, image))
            assert torch.equal(prepared, fresh)
    with pytest.raises(LikewiseError, match="every picture needs a text"):
        counter(stem, ask("watch"))


def test_places_tell_boxes_and_how_well_they_fit_a_name():
    counter, image = built(LITE), torch.rand(2, 3, 70, 131)
    boxless = built(replace(LITE, boxes=False, inference=ALONE))
    with torch.inference_mode():
        text = counter.encode(("red bean", "watch"))
        with pytest.raises(LikewiseError, match="tells no boxes"):
            boxless.find(image, text)
        found, swapped = counter.find(image, text), counter.find(counter.prepare(image), text.flip(0))
    assert found.logits.shape == (2, 1, 12, 20)  # of 96 x 160 pixels, with the margin
    assert found.boxes.shape == (2, 12, 20, 4)
    assert bool((found.boxes[..., 2:] > found.boxes[..., :2]).all())
    torch.testing.assert_close(found.boxes, swapped.boxes)  # they do not depend on the name
    assert float((found.logits - swapped.logits).abs().max()) > 1e-3


def test_a_second_name_does_not_look_at_the_picture_again(counter, monkeypatch):
    seen = []
    tower, begin = (counter.clip.image, "embed") if isinstance(counter, CounTX) else (counter.tower, "stacked")
    known = getattr(tower, begin)
    monkeypatch.setattr(tower, begin, lambda x, **more: seen.append(1) or known(x, **more))
    looked = Session(Counter(counter, "small", device="cpu"), torch.rand(3, 70, 131))
    counts = [looked.count(text=text).count for text in ("red bean", "watch", "red bean")]
    assert counts[0] == counts[2] != counts[1]
    assert len(seen) == 1
    fresh = Counter(counter, "small", device="cpu").count(torch.rand(3, 40, 40), text="watch")
    assert len(seen) == 2
    assert np.isfinite(fresh.count)


def test_every_trained_parameter_has_a_gradient_and_stands_in_one_group(counter):
    counter.train()
    texts = ("red bean", "blue beans", "watch")
    image, points = torch.rand(3, 3, 64, 64), (torch.rand(7, 2) * 60, torch.rand(3, 2) * 60, torch.zeros(0, 2))
    sizes, boxes = zip(*[(torch.full((len(p),), 16.0), torch.cat([p - 8, p + 8], 1)) for p in points], strict=True)
    batch = CountBatch(image, ask(*texts), points, sizes, boxes=boxes)
    terms = counter.loss(counter(image, batch.prompt), batch)
    counter.eval()
    assert all(t.shape == (3,) for t in terms.values())
    matched = isinstance(counter, CounTXLite)
    assert all((name in terms) == matched for name in ("match", "second", "box"))
    terms["total"].sum().backward()
    trained = {n: p for n, p in counter.named_parameters() if p.requires_grad}
    for name, parameter in trained.items():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name
    held = [id(p) for group in counter.parameter_groups(1e-3) for p in group["params"]]
    assert sorted(held) == sorted(map(id, trained.values()))


def test_a_picture_without_a_text_is_refused(counter):
    with pytest.raises(LikewiseError, match="every picture needs a text"):
        counter(torch.rand(2, 3, 64, 64), PromptBatch())
    with pytest.raises(LikewiseError, match="every picture needs a text"):
        counter(torch.rand(2, 3, 64, 64), ask("watch"))


def test_a_checkpoint_brings_its_vocabulary(tmp_path):
    model = CounTXLite(LITE).eval()
    held = read_checkpoint(save_checkpoint(tmp_path / "lite.safetensors", model))
    assert held.method == "countx-lite"
    refined = CounTXLite(config_from(LiteConfig, held.config)).eval()
    assert refined.config == LITE
    load_strict(refined, held.state, "lite")
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        one, other = (network(image, ask("red beans")).density for network in (refined, model))
        assert torch.equal(one, other)


def test_an_unknown_name_is_refused_before_a_picture_is_looked_at():
    model = CounTXLite(LITE)
    assert model.knows("big beans")
    assert not model.knows("zeppelin")
    with pytest.raises(LikewiseError, match="nearest known names are 'watch'"):
        model.check("wacth")
    with pytest.raises(LikewiseError, match="no word of 'zeppelin' is known"):
        model(torch.rand(1, 3, 64, 64), ask("zeppelin"))
    CounTX(PAPER).check("zeppelin")


def test_the_lite_model_is_small():
    model = CounTXLite(replace(COUNTX_LITE_CONFIG, vocabulary=NAMES))
    assert sum(p.numel() for p in model.parameters()) < 2.5e6


def test_a_lite_density_is_nothing_where_nothing_matches():
    model = CounTXLite(LITE).eval()
    with torch.no_grad():
        model.similarity.bias.fill_(-60.0)
        assert float(model(torch.rand(1, 3, 64, 64), ask("watch")).density.sum()) < 1e-6


def test_windows_are_put_together_like_one_picture():
    model = CounTX(PAPER).eval()
    flat = torch.full((1, 3, 64, 160), 0.5)
    with torch.inference_mode():
        whole = model(flat, ask("watch"))
        one = model(flat[..., :64], ask("watch"))
    # every window sees the same, and over the first columns only the first is looked at
    assert torch.allclose(whole[..., :32], one[..., :32], atol=1e-6)


def test_a_larger_picture_of_the_same_has_the_same_density():
    model = CounTX(PAPER).eval()
    image = F.interpolate(torch.rand(1, 3, 3, 3), (64, 64), mode="bilinear")
    large = F.interpolate(image, (128, 128), mode="bilinear")
    with torch.inference_mode():
        once, twice = (model(x, ask("watch")) for x in (image, large))
    assert torch.allclose(F.avg_pool2d(twice, 2) * 4, once, atol=0.03 * float(once.abs().max()))


def test_positions_are_sines_and_cosines_of_column_and_row():
    table = sincos_positions(3, 5, 8)
    assert table.shape == (15, 8)
    row, column = 2, 4
    expected = [column, column / 100]
    value = table[row * 5 + column]
    assert value[:2].tolist() == pytest.approx(torch.tensor(expected).sin().tolist(), abs=1e-6)
    assert value[2:4].tolist() == pytest.approx(torch.tensor(expected).cos().tolist(), abs=1e-6)
    assert value[4:6].tolist() == pytest.approx(torch.tensor([row, row / 100]).sin().tolist(), abs=1e-6)


def test_the_interaction_is_attention_to_one_text_token():
    layer = InteractionLayer(8, 2).eval()
    other = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        other.in_proj_weight[16:], other.in_proj_bias[16:] = layer.value.weight, layer.value.bias
        other.out_proj.weight.copy_(layer.proj.weight)
        other.out_proj.bias.copy_(layer.proj.bias)
        x, text = torch.rand(2, 6, 8), torch.rand(2, 8)
        mixed = x + layer.mix(layer.norm_mix(x), (2, 3))
        conditioned = mixed + other(torch.rand(2, 6, 8), text[:, None], text[:, None])[0]
        expected = conditioned + layer.fc2(F.gelu(layer.fc1(layer.norm_mlp(conditioned))))
        assert torch.allclose(layer(x, text, (2, 3)), expected, atol=1e-6)


def test_published_names_find_their_place():
    state = {
        "fim_blocks.0.norm1.weight": 1,
        "fim_blocks.0.attn.wq.bias": 2,
        "fim_blocks.1.attn.wv.bias": 3,
        "fim_pos_embed": 4,
        "decode_head3.3.weight": 5,
        "clip_model.visual.proj": 6,
        "clip_model.logit_scale": 7,
    }
    assert convert_keys(state) == {"interaction.1.value.bias": 3, "decoder.last.weight": 5, "clip.image.proj": 6}


def test_examples_are_needed_by_a_counter_that_is_shown_them():
    with pytest.raises(LikewiseError, match="needs examples=True"):
        replace(COUNTX_LITE_CONFIG, examples=False)
    with pytest.raises(LikewiseError, match="counted_by='spdcn-lite' needs boxes=True"):
        replace(COUNTX_LITE_CONFIG, boxes=False)


def test_the_match_is_known_where_gradients_are():
    model, image = CounTXLite(LITE).eval(), torch.rand(1, 3, 64, 64)
    density, match = model(image, ask("watch"))
    assert match.logits().shape == (1, 1, 8, 8)
    assert match.boxes.shape == (1, 4, 8, 8)
    with torch.no_grad():
        without = model(image, ask("watch"))
    assert without.match is None
    torch.testing.assert_close(without.density, density)
    batch = CountBatch(image, ask("watch"), (torch.rand(3, 2) * 60,), (torch.full((3,), 16.0),))
    assert set(model.loss(without, batch)) == {"density", "total"}


def flat(config):
    """A config of today as versions wrote it that had one for both networks."""
    values = asdict(config)
    values |= values.pop("inference")
    for old, new in (("settle", "snap_peaks"), ("trust", "calibration"), ("trust_full", "calibration_full")):
        values[old] = values.pop(new)
    values["by_example"] = values.pop("counted_by")
    for later in ("whole_boxes", "protocol", "factor", "named_by", "colour_groups"):
        del values[later]
    if isinstance(config, LiteConfig):
        assert values.pop("boxes") == (values["by_example"] != "")
    return (OLD_LITE if isinstance(config, LiteConfig) else OLD_PAPER) | values


#: What such files said besides.
OLD_LITE = {
    "image_tower": "mobilenetv2", "text_tower": "words", "clip": asdict(ClipConfig()), "heads": 4,
    "mixing": "convolution", "gated": True, "similarity": True, "normed": False, "rectified": True, "window": 384,
    "decoder_grid": 24, "stride": 128, "blend": "average", "sigma_unit": "objects",
}  # fmt: skip
OLD_PAPER = {
    "image_tower": "clip", "text_tower": "clip", "vocabulary": [], "mixing": "attention", "gated": False,
    "similarity": False, "examples": False, "by_example": "", "normed": True, "rectified": False,
    "sigma_unit": "pixels", "least_sigma": 0.0, "loss_stride": 1, "match_weight": 0.0,
}  # fmt: skip


def test_files_of_versions_with_one_configuration_for_both_are_told_apart(counter):
    held = Checkpoint("countx", json.loads(json.dumps(flat(counter.config))), counter.state_dict())
    refined = build(held, "old")
    assert type(refined) is type(counter)
    assert refined.config == counter.config
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        old, new = (density_of(network(image, ask("watch"))) for network in (refined, counter))
    torch.testing.assert_close(old, new)


@pytest.mark.parametrize(("config", "field", "value"), [(LITE, "gated", False), (PAPER, "similarity", True)])
def test_a_network_that_is_no_longer_built_is_refused(config, field, value):
    with pytest.raises(LikewiseError, match=f"{field} = {value}: such a network is no longer built"):
        build(Checkpoint("countx", {**flat(config), field: value}, {}), "old")
