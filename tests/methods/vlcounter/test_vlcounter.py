"""VLCounter's parts: windows, ablation, key map, loss, precision."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from likewise.errors import LikewiseError
from likewise.inference import EvalProtocol, InferenceConfig
from likewise.methods import vlcounter
from likewise.methods.vlcounter import (
    ABLATION,
    VLCOUNTER,
    Config,
    PromptTuning,
    VLCounter,
    VLCounterOutput,
    ablated,
    convert_keys,
    mean_feature,
)
from likewise.methods.vlcounter.rank_loss import rank_loss
from likewise.nn.clip import ClipConfig
from likewise.predict import Counter
from likewise.types import CountBatch, PromptBatch
from likewise.weights import config_from, read_checkpoint, save_checkpoint

SMALL = Config(
    clip=ClipConfig(
        image_size=64,
        image_width=32,
        image_layers=10,
        image_heads=2,
        text_width=32,
        text_layers=2,
        text_heads=2,
        features=32,
        quick_gelu=True,
    ),
    channels=16,
    stride=32,
)


def built(config=SMALL):
    torch.manual_seed(1)
    return VLCounter(config).eval()


def batch_of(size=(64, 64)):
    points = (torch.rand(6, 2) * 60, torch.rand(0, 2))
    sizes = tuple(torch.full((len(p),), 12.0) for p in points)
    return CountBatch(torch.rand(2, 3, *size), PromptBatch(text=("apples", "cats")), points, sizes)


def test_the_published_numbers_are_the_defaults():
    config = VLCOUNTER.config
    assert (config.clip.image_size, config.clip.patch, config.clip.quick_gelu) == (384, 16, True)
    assert (config.prompt_tokens, config.prompt_dropout, config.channels) == (10, 0.1, 64)
    assert (config.density_factor, config.sigma, config.rank_weight, config.stride) == (60, 3, 1e-6, 128)
    assert config.skip_blocks == (8, 7, 6)
    with pytest.raises(LikewiseError, match=r"clip\.patch = 32: expected 16"):
        Config(clip=ClipConfig(patch=32))


@torch.inference_mode()
def test_a_larger_picture_is_the_blend_of_its_windows():
    model = built(replace(SMALL, blend="paper"))
    image, text = torch.rand(1, 3, 64, 96), model.encode(("apples",))
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in (SMALL.inference.preprocess.mean, SMALL.inference.preprocess.std)
    )
    left, right = (model.look((image[..., x : x + 64] - mean) / std, text)[0] / 60 for x in (0, 32))
    density = model.count(image, text)
    torch.testing.assert_close(density[..., :32], left[..., :32], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(density[..., 32:64], (left[..., 32:] + right[..., :32]) / 2, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(density[..., 64:], right[..., 32:], rtol=1e-4, atol=1e-6)


@torch.inference_mode()
def test_a_portrait_is_counted_like_the_landscape_it_would_be():
    model = built()
    text = model.encode(("apples",))
    tall = torch.rand(1, 3, 128, 64)
    density = model.count(tall, text)
    assert density.shape == (1, 1, 128, 64)
    assert abs(float(density.sum())) > 0
    # windows at 0, 32 and 64 down the picture: its top quarter is seen by the first alone
    alone = model.count(tall[:, :, :64], text)
    torch.testing.assert_close(density[:, :, :32], alone[:, :, :32], rtol=1e-4, atol=1e-6)


@torch.inference_mode()
def test_the_count_of_a_picture_at_another_scale_is_that_of_the_picture_brought_to_window_height():
    model = built()
    image, text = torch.rand(1, 3, 32, 48), model.encode(("apples",))
    enlarged = F.interpolate(image, (64, 96), mode="bilinear", antialias=True)
    assert float(model.count(image, text).sum()) == pytest.approx(float(model.count(enlarged, text).sum()), rel=1e-4)


@torch.inference_mode()
def test_a_thin_strip_stays_within_bounds_and_is_not_zero():
    model = built()
    density = model(torch.rand(1, 3, 2, 3000), PromptBatch(text=("apples",))).density
    assert density.shape == (1, 1, 2, 3000)
    assert abs(float(density.sum())) > 0


def test_names_are_said_in_the_plural_unless_asked_otherwise():
    plural, singular = built(), built(replace(SMALL, plural=False))
    one, many, the = (plural.encode((name,)) for name in ("strawberry", "strawberries", "the strawberries"))
    assert torch.equal(one, many)
    assert torch.equal(one, the)
    assert torch.equal(singular.encode(("strawberry",)), singular.encode(("strawberries",)))
    assert not torch.allclose(one, singular.encode(("strawberry",)))
    torch.testing.assert_close(one.norm(dim=1), torch.ones(1))


def test_the_mean_feature_does_not_depend_on_the_lengths_of_features():
    features = torch.randn(2, 11, 8)
    torch.testing.assert_close(mean_feature(features), mean_feature(features * torch.rand(2, 11, 1).add(0.1)))


@pytest.mark.parametrize("row", ABLATION)
def test_every_row_of_the_ablation_trains_what_it_has(row):
    config = ablated(row, SMALL)
    model, batch = built(config).train(), batch_of()
    terms = model.loss(model(batch.image, batch.prompt), batch)
    assert ("rank" in terms) == (config.rank_weight > 0)
    terms["total"].sum().backward()
    trained = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    expected = {"t_proj", "v_proj", "decoder"}
    expected |= {"tuning"} if row != "M1" else set()
    expected |= {"affine_weight", "affine_bias"} if row in ("M3", "M5", "M5 singular") else set()
    assert trained == expected
    assert len(model.decoder.skips) == (3 if row in ("M4", "M5", "M5 singular") else 0)
    assert (getattr(model.tuning, "text_proj", None) is None) == (row in ("M1", "VPT"))
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters() if p.requires_grad)


def test_an_unknown_row_of_the_ablation_is_refused():
    with pytest.raises(LikewiseError, match=r"no row 'M6'.*M1, VPT, M2"):
        ablated("M6")


@torch.inference_mode()
def test_without_text_in_the_prompts_the_image_does_not_see_the_name():
    text = F.normalize(torch.randn(2, 32), dim=-1)
    window = torch.randn(1, 3, 64, 64).expand(2, -1, -1, -1)
    features = {}
    for row in ("VPT", "M2"):
        model = built(ablated(row, SMALL))
        prompts = model.tuning(text)
        features[row] = model.clip.image.run(model.clip.image.embed(window), prompts=prompts, dense=True)[0]
    assert torch.equal(*features["VPT"])
    assert not torch.allclose(*features["M2"])


@pytest.mark.parametrize("dots", ["exact", "pixels"])
def test_the_loss_is_the_squared_error_and_the_rank_term_of_its_similarity(dots):
    rank = {"rank_weight": 0.5, "rank_form": "clean", "rank_temperature": 0.2}
    model, batch = built(replace(SMALL, dots=dots, **rank)).train(), batch_of()
    output = model(batch.image, batch.prompt)
    terms = model.loss(output, batch)
    places = [p if dots == "exact" else p.long() + 0.5 for p in batch.points]
    truth = torch.stack([vlcounter.gaussian_density(p, 3.0, (64, 64)) for p in places])[:, None]
    torch.testing.assert_close(terms["rank"], rank_loss(output.similarity, truth, "clean", 0.2))
    torch.testing.assert_close(terms["total"], terms["density"] + 0.5 * terms["rank"])
    right = model.loss(VLCounterOutput(truth, None), batch)["density"]
    assert bool((right < 1e-6).all())
    assert bool((terms["density"] > 1e-6).all())
    wide = batch_of((64, 96))
    assert "rank" not in model.loss(model(wide.image, wide.prompt), wide)
    assert "rank" not in model.eval().loss(model(batch.image, batch.prompt), batch)


def test_dropout_is_for_training_only():
    model, image, text = built(), torch.rand(1, 3, 64, 64), F.normalize(torch.randn(1, 32), dim=-1)
    with torch.inference_mode():
        assert torch.equal(model.count(image, text), model.count(image, text))
        model.train()
        assert not torch.equal(model.count(image, text), model.count(image, text))


def test_prompts_and_name_are_dropped_out_apart_each_token_of_a_block_losing_the_same_of_the_name():
    torch.manual_seed(2)
    tuning = PromptTuning(replace(SMALL, prompt_dropout=0.25)).double().train()
    text = torch.randn(3, 32).double()
    with torch.no_grad():
        prompt = tuning.prompt_proj(tuning.tokens)[:, None] / 0.75
        name = (tuning.text_proj(text)[None, :, None] / 0.75).expand(9, -1, 10, -1)
        seen = torch.stack(tuning(text))
        plain = torch.stack(tuning.eval()(text))
    torch.testing.assert_close(plain, 0.75 * (prompt + name))
    ways = {(a, b): ((seen - a * prompt - b * name).abs() < 1e-9).float() for a in (0, 1) for b in (0, 1)}
    for (a, b), there in ways.items():
        assert float(there.mean()) == pytest.approx((0.75 if a else 0.25) * (0.75 if b else 0.25), abs=0.03)
    named = ways[1, 1] + ways[0, 1]  # in all tokens of a block or in none
    assert torch.equal(named.amax(2), named.amin(2))
    assert not torch.equal(named[0], named[1])


def test_prompt_tokens_begin_as_published():
    tokens = PromptTuning(Config()).tokens
    assert 0.06 < float(tokens.detach().abs().max()) <= 0.0625
    assert float(tokens.detach().std()) == pytest.approx(0.0625 / 3**0.5, rel=0.02)
    old = config_from(Config, {})
    assert (old.prompt_init, old.dots) == (0.1, "exact")  # of files that were written before there were these


@torch.inference_mode()
def test_carpks_protocol_is_windows_of_one_size_less_the_squares_that_hold_too_much():
    """A loop over the windows of a picture squeezed to 384 x 683, the published blend, then a loop over its squares."""
    config = replace(SMALL, blend="paper", size=(64, 107), square_limit=1.224)
    model = built(config)
    model.decoder.last.weight.mul_(20)
    image, text = torch.rand(1, 3, 90, 120), model.encode(("cars",))
    seen = config.inference.preprocess.normalised(F.interpolate(image, (64, 107), mode="bilinear", antialias=True))
    whole = torch.zeros(64, 107)
    for start, before in ((0, 0), (32, 64), (43, 96)):
        density = model.look(seen[..., start : start + 64], text)[0][0, 0] / 60
        whole[:, before : start + 64] = density[:, before - start :]
        whole[:, start:before] = (whole[:, start:before] + density[:, : before - start]) / 2
    squares = [whole[y : y + 16, x : x + 16].sum() for y in range(0, 64, 16) for x in range(0, 107, 16)]
    double = sum(float(square) > 1.224 for square in squares)
    assert 0 < double < len(squares)
    assert float(model.count(image, text).sum()) == pytest.approx(float(whole.sum()) - double, rel=1e-3)
    assert VLCounter.protocols["carpk"] == EvalProtocol(
        config={"blend": "paper", "size": (384, 683), "square_limit": 1.224}
    )
    with pytest.raises(LikewiseError, match="at least a window"):
        replace(SMALL, size=(32, 100))


def test_keys_are_converted_without_touching_the_tensors():
    state = {
        "attn_weight": torch.rand(1),
        "proj1.0.weight": torch.rand(2),
        "proj.1.bias": torch.rand(2),
        "t_proj.weight": torch.rand(3),
        "decoder.2.gn.weight": torch.rand(4),
        "decoder.4.conv.bias": torch.rand(1),
        "decoder.4.gn.bias": torch.rand(1),
        "v_enc.attn.qkv.weight": torch.rand(5),
        "v_enc.transformer.resblocks.11.attn.qkv.weight": torch.rand(5),
        "v_enc.prompt_embeddings": torch.rand(1, 10, 8),
        "v_enc.deep_prompt_embeddings": torch.rand(11, 10, 8),
        "t_enc.ln_final.weight": torch.rand(6),
    }
    converted = convert_keys(state)
    tokens = converted.pop("tuning.tokens")
    assert torch.equal(tokens[:1], state["v_enc.prompt_embeddings"])
    assert torch.equal(tokens[1:], state["v_enc.deep_prompt_embeddings"][:10])
    names = {
        "affine_weight": "attn_weight",
        "decoder.skips.1.conv.weight": "proj1.0.weight",
        "decoder.skips.0.gn.bias": "proj.1.bias",
        "t_proj.weight": "t_proj.weight",
        "decoder.stages.2.gn.weight": "decoder.2.gn.weight",
        "decoder.last.bias": "decoder.4.conv.bias",
        "clip.image.transformer.resblocks.11.attn.in_proj_weight": "v_enc.attn.qkv.weight",
        "clip.text.ln_final.weight": "t_enc.ln_final.weight",
    }
    assert converted.keys() == names.keys()
    assert all(converted[new] is state[old] for new, old in names.items())


def test_a_counter_goes_through_a_file_and_takes_names_only(tmp_path):
    model = built(replace(SMALL, inference=InferenceConfig(replace(SMALL.inference.preprocess, fit=(256, 256)))))
    path = save_checkpoint(tmp_path / "small.safetensors", model)
    again = VLCounter(vlcounter_config(path))
    again.load_state_dict(read_checkpoint(path).state)
    picture = torch.randint(0, 256, (3, 100, 60), dtype=torch.uint8)
    counted, repeated = (Counter(m, "small", device="cpu").count(picture, text="apples") for m in (model, again))
    assert counted.count == repeated.count
    assert counted.density.shape == (100, 60)
    with pytest.raises(LikewiseError, match="takes no exemplars; it takes text"):
        Counter(model, "small", device="cpu").count(picture, [(1, 1, 9, 9)])


def vlcounter_config(path):
    return config_from(Config, read_checkpoint(path).config)


@torch.inference_mode()
def test_bfloat16_gives_nearly_the_same_density():
    model, image, prompt = built(), torch.rand(1, 3, 80, 112), PromptBatch(text=("apples",))
    exact = model(image, prompt).density
    density = model.bfloat16()(image, prompt).density
    assert density.dtype == torch.float32
    assert float((density - exact).abs().max()) < 0.05 * float(exact.abs().max())


def test_clip_is_loaded_as_published(monkeypatch):
    asked = []
    monkeypatch.setattr(vlcounter, "load_published", lambda clip, weights, mode: asked.append((clip, weights, mode)))
    model = built()
    model.load_clip()
    assert asked == [(model.clip, "openai", "bilinear")]
