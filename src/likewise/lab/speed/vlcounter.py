"""A picture through ``vlcounter`` (paper size, random weights) against the way its authors run it.

Their way: the picture is cut into windows, and each alone goes through CLIP, in float32, with all eleven sentences
about the name encoded again, each padded to 77 tokens; every token is taken through every block, the last block
projects to queries and keys that nobody asks for, and the density is interpolated in 64 channels before it is one. It
is written here on open_clip's blocks, that is on `torch.nn.MultiheadAttention`, without its "fast path", which measured
slower here. Ours starts without the name's
features each time: a second picture with the same name is cheaper still.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.lab.speed.named_counters import compare_precisions, without_fast_path
from likewise.lab.speed.timing import Comparison
from likewise.methods.vlcounter import Config, VLCounter, mean_feature
from likewise.methods.vlcounter.prompts import sentences
from likewise.nn.clip import ClipConfig
from likewise.nn.clip_text import CONTEXT, tokenize
from likewise.ops.density.windows import blend_windows, cut_windows

SIZE = (384, 576)
NAME = "strawberry"
QUICK = ClipConfig(
    image_size=64,
    image_width=32,
    image_layers=10,
    image_heads=2,
    text_width=32,
    text_layers=2,
    text_heads=2,
    quick_gelu=True,
)
AIMS = {"float32": 1.7, "bfloat16": 3.0}


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """One row a precision: one picture, its name new."""
    config = Config(blend="paper")
    if quick:
        config = replace(config, clip=QUICK, channels=16, stride=32)
    height, width = (64, 96) if quick else SIZE
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    model = VLCounter(config).eval()
    published = functools.partial(published_way, model, image, NAME)
    yield from compare_precisions(model, published, image, NAME, AIMS, threads, quick=quick)


@without_fast_path()
@torch.inference_mode()
def published_way(model: VLCounter, image: Tensor, name: str) -> Tensor:
    """The density (1, 1, H, W) of a picture (1, 3, H, W) with a shorter side of one window, as said above."""
    config = model.config
    windows = cut_windows(config.inference.preprocess.normalised(image), model.window, config.stride)[0]
    seen = [_window(model, window[None], sentences(name, plural=config.plural)) for window in windows]
    densities = torch.stack(seen, dim=1) / config.density_factor
    return blend_windows(densities, (image.shape[2], image.shape[3]), config.stride, "paper")


def _window(model: VLCounter, window: Tensor, lines: tuple[str, ...]) -> Tensor:
    text = mean_feature(_text(model.clip.text, lines)[None])
    visual, tuning = model.clip.image, model.tuning
    tokens, maps = visual.embed(window, mode="bilinear", class_twice=model.config.class_twice), []
    count = tokens.shape[1] - 1
    blocks = list(visual.transformer.resblocks)
    for block, prompt in zip(blocks[:-1], tuning(text) if tuning else (), strict=True):
        tokens = block(torch.cat([tokens[:, :1], prompt, tokens[:, -count:]], dim=1))
        maps.append(tokens[:, -count:])
    features = visual.ln_post(_norm(tuning)(tokens + _value(blocks[-1], tokens)))[:, -count:] @ visual.proj
    seen = model.v_proj(F.normalize(features, dim=-1))
    side = model.window // model.config.clip.patch
    similarity = _map(seen @ model.t_proj(text)[:, :, None], side)
    if model.config.affine:
        similarity = model.affine_weight * similarity + model.affine_bias
    kept = [_map(F.normalize(maps[block], dim=-1), side) for block in model.config.skip_blocks]
    return _decode(model.decoder, torch.cat([_map(seen, side), similarity], dim=1), similarity, kept)


def _text(tower: nn.Module, lines: tuple[str, ...]) -> Tensor:
    """Every sentence padded to 77 tokens, every token through every block."""
    ids = tokenize(lines)
    mask = torch.full((CONTEXT, CONTEXT), float("-inf")).triu(1)
    x = tower.token_embedding(ids) + tower.positional_embedding  # type: ignore[operator]  # parts by name
    for block in tower.transformer.resblocks:  # type: ignore[union-attr]
        x = block(x, attn_mask=mask)
    x = tower.ln_final(x)  # type: ignore[operator]
    ended: Tensor = x[torch.arange(len(x)), ids.argmax(1)] @ tower.text_projection
    return ended


def _value(block: nn.Module, tokens: Tensor) -> Tensor:
    """The last block's value path, cut out of the projection to queries, keys and values."""
    attn = block.attn
    value = F.linear(block.ln_1(tokens), attn.in_proj_weight, attn.in_proj_bias).chunk(3, -1)[2]  # type: ignore[operator, union-attr, arg-type]
    out: Tensor = attn.out_proj(value)  # type: ignore[operator, union-attr]
    return out


def _decode(decoder: nn.Module, x: Tensor, similarity: Tensor, maps: list[Tensor]) -> Tensor:
    """Stage after stage, the last convolution after the last interpolation."""
    first, *rest = decoder.stages  # type: ignore[misc]
    x = first(x)
    for k, stage in enumerate(rest):
        if len(decoder.skips):  # type: ignore[arg-type]
            skip = decoder.skips[k](maps[k])  # type: ignore[index, operator]
            x = x + skip * F.interpolate(similarity, skip.shape[-2:], mode="nearest")
        x = stage(x)
    density: Tensor = decoder.last(x)  # type: ignore[operator]
    return density


def _norm(tuning: nn.Module | None) -> Callable[[Tensor], Tensor]:
    return nn.Identity() if tuning is None else tuning.prompt_norm  # type: ignore[return-value]


def _map(tokens: Tensor, side: int) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, (side, side))
