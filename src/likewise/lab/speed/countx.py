"""A picture through ``countx`` (paper size, random weights) against the way its authors run it.

Their way: the picture is cut into windows, and each alone goes through CLIP, in float32, with the text, padded to 77
tokens, encoded again; every token is taken through every block, and attention to the one text token is computed in
full. It is written here on open_clip's blocks, that is on `torch.nn.MultiheadAttention`, without its "fast path", which
measured slower. Ours starts without the text's features each time: a second picture with the same
text is cheaper still.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.lab.speed.named_counters import compare_precisions, without_fast_path
from likewise.lab.speed.timing import Comparison
from likewise.methods.countx import Config, CounTX
from likewise.methods.countx.decoder import doubled
from likewise.methods.countx.interaction import SelfAttention, sincos_positions
from likewise.nn.clip import ClipConfig
from likewise.nn.clip_text import CONTEXT, tokenize
from likewise.ops.density.windows import blend_windows, cut_windows

SIZE = (384, 576)
TEXT = "the strawberries"
QUICK = ClipConfig(32, 8, 32, 2, 2, 32, 2, 2, 32)
AIMS = {"float32": 1.1, "bfloat16": 2.0}


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """One row a precision: one picture, its text new."""
    config = Config(blend="paper")
    if quick:
        small = {"width": 32, "heads": 2, "decoder": (16, 16), "window": 32, "decoder_grid": 8, "stride": 16}
        config = replace(config, clip=QUICK, **small)  # type: ignore[arg-type]  # fields by name
    height, width = (32, 64) if quick else SIZE
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    model = CounTX(config).eval()
    published = functools.partial(published_way, model, image, TEXT)
    yield from compare_precisions(model, published, image, TEXT, AIMS, threads, quick=quick)


@without_fast_path()
@torch.inference_mode()
def published_way(model: CounTX, image: Tensor, text: str) -> Tensor:
    """The density (1, 1, H, W) of a picture (1, 3, H, W) with a shorter side of one window, as said above."""
    config = model.config
    side, seen = config.clip.image_size, []
    for window in cut_windows(image, config.window, config.stride)[0]:
        small = F.interpolate(window[None], (side, side), mode="bicubic", antialias=True)
        seen.append(_window(model, config.inference.preprocess.normalised(small), text))
    densities = torch.stack(seen, dim=1) / config.density_factor
    return blend_windows(densities, (image.shape[2], image.shape[3]), config.stride, "paper")


def _window(model: CounTX, window: Tensor, text: str) -> Tensor:
    visual, config = model.clip.image, model.config
    tokens = visual.embed(window)
    for block in visual.transformer.resblocks:
        tokens = block(tokens)
    side = config.clip.image_size // config.clip.patch
    features = tokens[:, 1:] @ visual.proj
    told = _interact(model, features, _text(model.clip.text, text)[:, None], side)
    grid = (config.decoder_grid,) * 2
    x = F.interpolate(told.transpose(1, 2).unflatten(2, (side, side)), grid, mode="bilinear")
    density: Tensor = model.decoder(x)
    return doubled(density)


def _interact(model: CounTX, tokens: Tensor, text: Tensor, side: int) -> Tensor:
    """The interaction with attention written out, and the cross-attention's queries and keys computed."""
    x = tokens + sincos_positions(side, side, model.config.width)
    for layer in model.interaction:
        x = x + _self_attention(layer.mix, layer.norm_mix(x))  # type: ignore[operator, arg-type]  # parts by name
        query, key = (layer.proj(t) for t in (layer.norm_mix(x), text))  # type: ignore[operator]  # any weights cost alike
        share = (query @ key.transpose(1, 2) / key.shape[2] ** 0.5).softmax(-1)
        x = x + layer.proj(share @ layer.value(text))  # type: ignore[operator]
        x = x + layer.fc2(F.gelu(layer.fc1(layer.norm_mlp(x))))  # type: ignore[operator]
    normed: Tensor = model.norm(x)
    return normed


def _self_attention(layer: SelfAttention, x: Tensor) -> Tensor:
    query, key, value = layer.qkv(x).unflatten(2, (3, layer.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
    share = (query @ key.transpose(2, 3) / key.shape[3] ** 0.5).softmax(-1)
    out: Tensor = layer.proj((share @ value).transpose(1, 2).flatten(2))
    return out


def _text(tower: nn.Module, text: str) -> Tensor:
    """The text padded to 77 tokens, every token through every block: (1, F)."""
    ids = tokenize((text,))
    mask = torch.full((CONTEXT, CONTEXT), float("-inf")).triu(1)
    x = tower.token_embedding(ids) + tower.positional_embedding  # type: ignore[operator]  # parts by name
    for block in tower.transformer.resblocks:  # type: ignore[union-attr]
        x = block(x, attn_mask=mask)
    x = tower.ln_final(x)  # type: ignore[operator]
    ended: Tensor = x[torch.arange(len(x)), ids.argmax(1)] @ tower.text_projection
    return ended
