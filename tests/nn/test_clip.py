"""CLIP's towers against open_clip's own way of running them, and what they keep and refuse."""

from __future__ import annotations

import open_clip
import pytest
import torch
import torch.nn.functional as F

from likewise.errors import LikewiseError
from likewise.nn import clip as clip_module
from likewise.nn.clip import Clip, ClipConfig, clip_state, load_published, resize_positions
from likewise.nn.clip_text import tokenize

SMALL = ClipConfig(
    image_size=64,
    image_width=32,
    image_layers=3,
    image_heads=2,
    text_width=32,
    text_heads=2,
    text_layers=3,
    features=24,
)
TEXTS = ["a photo of a number of red apples.", "cats", "the sea shells on a beach, seen from above"]


def theirs(quick_gelu=False):
    torch.manual_seed(0)
    vision = open_clip.CLIPVisionCfg(layers=3, width=32, head_width=16, patch_size=16, image_size=64)
    text = open_clip.CLIPTextCfg(width=32, heads=2, layers=3)
    return open_clip.CLIP(24, vision, text, quick_gelu=quick_gelu).eval()


def pair(quick_gelu=False):
    their = theirs(quick_gelu)
    ours = Clip(ClipConfig(**{**vars(SMALL), "quick_gelu": quick_gelu})).eval().requires_grad_(requires_grad=False)
    ours.load_state_dict(clip_state(their.state_dict()))
    return ours, their


@pytest.mark.parametrize("quick_gelu", [True, False])
@pytest.mark.parametrize("grad", [True, False])
def test_texts_have_open_clips_features(quick_gelu, grad):
    ours, their = pair(quick_gelu)
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(ours.text(TEXTS), their.encode_text(open_clip.tokenize(TEXTS)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("quick_gelu", [True, False])
@pytest.mark.parametrize("grad", [True, False])
def test_patches_are_open_clips_tokens(quick_gelu, grad):
    ours, their = pair(quick_gelu)
    image = torch.randn(2, 3, 64, 64)
    with torch.set_grad_enabled(grad):
        expected = their.visual.ln_pre(_embedded(their.visual, image))
        maps = []
        for block in their.visual.transformer.resblocks:
            expected = block(expected)
            maps.append(expected[:, 1:])
        patches, kept = ours.image.run(ours.image.embed(image), keep=(0, 1))
        torch.testing.assert_close(patches, maps[2], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(kept, {0: maps[0], 1: maps[1]}, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.image.patch_features(image), maps[2] @ their.visual.proj, rtol=1e-4, atol=1e-5)
        normed = their.visual.ln_post(maps[2]) @ their.visual.proj
        torch.testing.assert_close(ours.image.patch_features(image, norm=True), normed, rtol=1e-4, atol=1e-5)


def _embedded(visual, image):
    patches = F.conv2d(image, visual.conv1.weight, stride=16).flatten(2).transpose(1, 2)
    tokens = torch.cat([visual.class_embedding.expand(len(image), 1, -1), patches], dim=1)
    return tokens + visual.positional_embedding


def test_prompts_stand_after_the_class_token_and_a_dense_last_block_sees_each_patch_alone():
    ours, their = pair()
    image, prompts = torch.randn(2, 3, 64, 64), torch.randn(2, 2, 5, 32)
    tokens = ours.image.embed(image)
    patches, _ = ours.image.run(tokens, prompts=list(prompts), dense=True)
    x, blocks = tokens, their.visual.transformer.resblocks
    for block, prompt in zip(blocks, prompts, strict=False):
        x = block(torch.cat([x[:, :1], prompt, x[:, -16:]], dim=1))
    each = x[:, -16:].reshape(-1, 1, 32)  # attending to itself alone
    normed = blocks[2].ln_1(each)
    alone = each + blocks[2].attn(normed, normed, normed, need_weights=False)[0]
    torch.testing.assert_close(patches.flatten(0, 1), alone[:, 0], rtol=1e-4, atol=1e-5)
    with pytest.raises(LikewiseError, match="1 prompts for 2 blocks"):
        ours.image.run(tokens, prompts=list(prompts[:1]), dense=True)


def test_gradients_are_open_clips():
    ours, their = pair(quick_gelu=True)
    ours.image.requires_grad_(requires_grad=True)
    image = torch.randn(1, 3, 64, 64)
    ours.image.patch_features(image).square().sum().backward()
    tokens = their.visual.ln_pre(_embedded(their.visual, image))
    for block in their.visual.transformer.resblocks:
        tokens = block(tokens)
    (tokens[:, 1:] @ their.visual.proj).square().sum().backward()
    for name in (
        "conv1.weight",
        "transformer.resblocks.1.attn.in_proj_weight",
        "transformer.resblocks.2.mlp.c_fc.bias",
    ):
        mine, other = (v.get_parameter(name).grad for v in (ours.image, their.visual))
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_positions_fit_any_grid(mode):
    table = torch.randn(1 + 16, 8)
    assert resize_positions(table, (4, 4), mode) is table
    resized = resize_positions(table, (3, 7), mode)
    square = table[1:].T.view(1, 8, 4, 4)
    expected = F.interpolate(square, (3, 7), mode=mode)[0].permute(1, 2, 0).reshape(21, 8)
    torch.testing.assert_close(resized, torch.cat([table[:1], expected]))
    ours, _ = pair()
    assert ours.image.patch_features(torch.randn(1, 3, 32, 112), mode=mode).shape == (1, 14, 24)
    with pytest.raises(LikewiseError, match="multiples of 16"):
        ours.image.embed(torch.randn(1, 3, 60, 64))


def test_tokens_are_open_clips_and_a_text_that_would_be_cut_is_refused():
    assert torch.equal(tokenize(TEXTS), open_clip.tokenize(TEXTS))
    with pytest.raises(LikewiseError, match="200 tokens: expected at most 75"):
        tokenize(["cat " * 200])


class Counted:
    """How many texts were encoded."""

    def __init__(self, tower, monkeypatch):
        self.texts, self.encode = 0, tower.encode_ids
        monkeypatch.setattr(tower, "encode_ids", self)

    def __call__(self, ids):
        self.texts += len(ids)
        return self.encode(ids)


def test_a_frozen_tower_encodes_a_text_once_until_its_weights_change(monkeypatch):
    ours, _ = pair()
    encoded = Counted(ours.text, monkeypatch)
    with torch.inference_mode():
        first = ours.text(["cats", "dogs", "cats"])
    assert encoded.texts == 2
    assert torch.equal(first[0], first[2])
    assert torch.equal(ours.text(["dogs"])[0], first[1])
    assert encoded.texts == 2
    assert not ours.text(["dogs"]).is_inference()  # kept features can be trained on
    ours.load_state_dict(clip_state(theirs().state_dict()))
    ours.text(["dogs"])
    assert encoded.texts == 3
    ours.double()
    ours.text(["dogs"])
    assert encoded.texts == 4


def test_a_tower_in_training_keeps_nothing():
    ours, _ = pair()
    ours.text.requires_grad_(requires_grad=True)
    ours.text(["cats"]).sum().backward()
    assert ours.text.text_projection.grad is not None
    with torch.no_grad():
        ours.text.text_projection.zero_()
    assert not bool(ours.text(["cats"]).any())


def test_features_kept_on_disk_are_found_by_the_same_weights_only(tmp_path, monkeypatch):
    ours, _ = pair()
    ours.text.folder = tmp_path / "texts"
    first = ours.text(["cats"])
    again, _ = pair()
    again.text.folder = tmp_path / "texts"
    encoded = Counted(again.text, monkeypatch)
    assert torch.equal(again.text(["cats"]), first)
    assert encoded.texts == 0
    with torch.no_grad():
        again.text.text_projection.mul_(2)
    again.text.forget()
    assert not torch.equal(again.text(["cats"]), first)
    assert encoded.texts == 1
    assert len(list((tmp_path / "texts").iterdir())) == 2


def test_published_weights_come_with_their_positions_resized(monkeypatch):
    their = theirs(quick_gelu=True)
    monkeypatch.setattr(clip_module, "_downloaded", lambda weights: their.state_dict())
    ours = Clip(ClipConfig(**{**vars(SMALL), "image_size": 96, "quick_gelu": True}))
    load_published(ours, "openai", mode="bilinear")
    expected = resize_positions(their.visual.positional_embedding, (6, 6), "bilinear")
    assert torch.equal(ours.image.positional_embedding, expected)
    assert torch.equal(ours.text.text_projection, their.text_projection)
    with pytest.raises(LikewiseError, match="need quick_gelu=True"):
        load_published(Clip(SMALL), "openai")


def test_offline_the_message_says_what_was_wanted_and_what_helps(monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("Name or service not known.\nmore")

    monkeypatch.setattr(open_clip, "create_model", unreachable)
    with pytest.raises(
        LikewiseError, match=r"'laion2b_s34b_b88k'.*could not be downloaded: .*known\. Expected.*HF_HOME"
    ):
        load_published(Clip(SMALL), "laion2b_s34b_b88k")


def test_bfloat16_changes_features_a_little():
    ours, _ = pair()
    image = torch.randn(1, 3, 64, 64)
    exact, texts = ours.image.patch_features(image), ours.text(TEXTS)
    ours.bfloat16()
    assert ours.image.patch_features(image).dtype == torch.bfloat16
    near = F.cosine_similarity(ours.image.patch_features(image).float(), exact, dim=-1)
    assert float(near.min()) > 0.999
    assert ours.text(TEXTS).dtype == torch.float32
    assert float(F.cosine_similarity(ours.text(TEXTS), texts).min()) > 0.999
