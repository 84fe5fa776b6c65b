"""Three steps of VLCounter's and CounTX's training beside the published steps, written down again in plain torch.

Nothing of the package is shared but the weights that both begin with: CLIP's blocks, prompts, decoders, targets,
losses, the optimiser and the rates are stated here a second time, in float64, from the papers' formulas.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

pytest.importorskip("lightning", reason="the recipes need the [train] extra")

from likewise.methods.countx import Config as CounTXConfig
from likewise.methods.countx import CounTX
from likewise.methods.vlcounter import Config, VLCounter
from likewise.nn.clip import ClipConfig
from likewise.recipes.countx_fsc147 import CountxFsc147
from likewise.recipes.vlcounter_fsc147 import VlcounterFsc147
from likewise.types import CountBatch, PromptBatch

Weights = dict[str, Tensor]
SIDE, WIDTH, HEADS = 48, 16, 2
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
#: Dots on the picture's border, on a pixel's, and two in one pixel.
DOTS = (torch.tensor([[3.2, 5.9], [47.9, 0.0], [20.0, 20.0], [30.1, 33.3], [30.7, 33.9]]), torch.tensor([[16.5, 16.2]]))
SENTENCES = (
    "a photo of a number of {}.",
    "a photo of a number of small {}.",
    "a photo of a number of medium {}.",
    "a photo of a number of large {}.",
    "there are a photo of a number of {}.",
    "there are a photo of a number of small {}.",
    "there are a photo of a number of medium {}.",
    "there are a photo of a number of large {}.",
    "a number of {} in the scene.",
    "a photo of a number of {} in the scene.",
    "there are a number of {} in the scene.",
)


def layer_norm(x: Tensor, p: Weights, name: str, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"], eps)


def linear(x: Tensor, p: Weights, name: str) -> Tensor:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def attention(x: Tensor, weight: Tensor, bias: Tensor, *, causal: bool = False) -> Tensor:
    """Softmax attention of every token to all, or to those before it, head by head."""
    q, k, v = (x @ weight.T + bias).chunk(3, dim=-1)
    size, out = x.shape[-1] // HEADS, []
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(size)
        if causal:
            scores = scores + torch.full_like(scores, -torch.inf).triu(1)
        out.append(scores.softmax(-1) @ v[..., part])
    return torch.cat(out, dim=-1)


def clip_block(x: Tensor, p: Weights, name: str, *, quick: bool, causal: bool = False) -> Tensor:
    weight, bias = p[f"{name}.attn.in_proj_weight"], p[f"{name}.attn.in_proj_bias"]
    mixed = attention(layer_norm(x, p, f"{name}.ln_1"), weight, bias, causal=causal)
    x = x + linear(mixed, p, f"{name}.attn.out_proj")
    hidden = linear(layer_norm(x, p, f"{name}.ln_2"), p, f"{name}.mlp.c_fc")
    hidden = hidden * torch.sigmoid(1.702 * hidden) if quick else F.gelu(hidden)
    return x + linear(hidden, p, f"{name}.mlp.c_proj")


def clip_text(text: str, p: Weights, *, quick: bool) -> Tensor:
    ids = open_clip.tokenize([text])[0]
    end = int(ids.argmax())
    x = (p["clip.text.token_embedding.weight"][ids] + p["clip.text.positional_embedding"])[None]
    for block in range(2):
        x = clip_block(x, p, f"clip.text.transformer.resblocks.{block}", quick=quick, causal=True)
    return layer_norm(x[0, end], p, "clip.text.ln_final") @ p["clip.text.text_projection"]


def clip_tokens(image: Tensor, p: Weights, classes: int) -> Tensor:
    patches = F.conv2d(image, p["clip.image.conv1.weight"], stride=16).flatten(2).transpose(1, 2)
    first = (classes * p["clip.image.class_embedding"]).expand(len(image), 1, -1)
    tokens = torch.cat([first, patches], dim=1) + p["clip.image.positional_embedding"]
    return layer_norm(tokens, p, "clip.image.ln_pre")


def normalised(image: Tensor) -> Tensor:
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (MEAN, STD))
    return (image - mean) / std


def target(dots: Tensor, sigma: float) -> Tensor:
    """A bump of one object round the centre of the pixel that holds each dot."""
    row, column = torch.meshgrid(torch.arange(SIDE).double(), torch.arange(SIDE).double(), indexing="ij")
    out = torch.zeros(SIDE, SIDE, dtype=torch.float64)
    for x, y in dots.tolist():
        bump = torch.exp(-((row - math.floor(y)) ** 2 + (column - math.floor(x)) ** 2) / (2 * sigma**2))
        out += bump / bump.sum()
    return out


def as_map(tokens: Tensor) -> Tensor:
    side = math.isqrt(tokens.shape[1])
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)


def stage(x: Tensor, p: Weights, name: str) -> Tensor:
    """Convolution and GroupNorm of VLCounter's decoder."""
    weight = p[f"{name}.conv.weight"]
    x = F.conv2d(x, weight, p[f"{name}.conv.bias"], padding=weight.shape[-1] // 2)
    return F.gelu(F.group_norm(x, 8, p[f"{name}.gn.weight"], p[f"{name}.gn.bias"]))


def larger(x: Tensor, scale: int, *, corners: bool) -> Tensor:
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=corners)


def vlcounter_step(p: Weights, image: Tensor, names: tuple[str, ...], rank_weight: float, dropout: float) -> Tensor:
    """The published loss of one batch; masks of dropout are drawn as they come."""
    said = [torch.stack([clip_text(s.format(n), p, quick=True) for s in SENTENCES]) for n in names]
    text = F.normalize(torch.stack([F.normalize(each, dim=1).mean(0) for each in said]), dim=1)
    prompts = linear(p["tuning.tokens"], p, "tuning.prompt_proj")[:, None].expand(-1, len(text), -1, -1)
    name = linear(text, p, "tuning.text_proj").expand(len(prompts), -1, -1)
    kept = [F.dropout(torch.ones_like(each), dropout) for each in (prompts, name)]  # a mask for each
    prompts = prompts * kept[0] + (name * kept[1])[:, :, None]
    x, maps = clip_tokens(normalised(image), p, classes=2), []
    for block in range(3):
        x = torch.cat([x[:, :1], prompts[block], x[:, -9:]], dim=1)
        x = clip_block(x, p, f"clip.image.transformer.resblocks.{block}", quick=True)
        maps.append(as_map(F.normalize(x[:, -9:], dim=2)))
    x, last = x[:, -9:], "clip.image.transformer.resblocks.3"
    value = layer_norm(x, p, f"{last}.ln_1") @ p[f"{last}.attn.in_proj_weight"][-WIDTH:].T
    x = x + linear(value + p[f"{last}.attn.in_proj_bias"][-WIDTH:], p, f"{last}.attn.out_proj")
    x = layer_norm(layer_norm(x, p, "tuning.prompt_norm"), p, "clip.image.ln_post") @ p["clip.image.proj"]
    seen = linear(F.normalize(x, dim=2), p, "v_proj")
    similarity = as_map((seen * linear(text, p, "t_proj")[:, None]).sum(2, keepdim=True))
    similarity = p["affine_weight"] * similarity + p["affine_bias"]
    x = larger(stage(torch.cat([as_map(seen), similarity], dim=1), p, "decoder.stages.0"), 2, corners=True)
    for k in range(3):
        skip = larger(stage(maps[2 - k], p, f"decoder.skips.{k}"), 2 ** (k + 1), corners=True)
        x = x + skip * F.interpolate(similarity, scale_factor=2 ** (k + 1), mode="nearest")
        x = larger(stage(x, p, f"decoder.stages.{k + 1}"), 2, corners=True)
    density = F.conv2d(x, p["decoder.last.weight"], p["decoder.last.bias"])
    truth = torch.stack([target(dots, 3.0) for dots in DOTS])
    return (density[:, 0] - 60 * truth).square().mean() + rank_weight * rank_term(similarity, truth)


def rank_term(similarity: Tensor, truth: Tensor) -> Tensor:
    cells, scores = truth[:, ::16, ::16].flatten(1), similarity.flatten(1)
    cells = (cells - cells.min()) / (cells.max() - cells.min())
    total = torch.zeros(len(cells), dtype=torch.float64)
    for upper, lower in ((1.0, 0.8), (0.8, 0.6), (0.6, 0.4)):
        above = (scores * ((cells < upper) & (cells > lower))).exp().sum(1)
        below = (scores * (cells < lower)).exp().sum(1)
        total = total - (above / (above + below)).log()
    return total.mean()


def countx_step(p: Weights, image: Tensor, names: tuple[str, ...], share: float) -> Tensor:
    """The published loss of one batch; the pixels that are compared are drawn."""
    text = torch.stack([clip_text(name, p, quick=False) for name in names])
    small = F.interpolate(image, (32, 32), mode="bicubic", antialias=True)
    x = clip_tokens(normalised(small), p, classes=1)
    for block in range(3):
        x = clip_block(x, p, f"clip.image.transformer.resblocks.{block}", quick=False)
    x = x[:, 1:] @ p["clip.image.proj"] + sines(2)
    for k in range(2):
        name = f"interaction.{k}"
        normed = layer_norm(x, p, f"{name}.norm_mix", 1e-6)
        mixed = attention(normed, p[f"{name}.mix.qkv.weight"], p[f"{name}.mix.qkv.bias"])
        x = x + linear(mixed, p, f"{name}.mix.proj")
        alone = torch.ones(len(x), x.shape[1], 1, dtype=x.dtype)  # the softmax over one text token
        x = x + linear(alone * linear(text, p, f"{name}.value")[:, None], p, f"{name}.proj")
        hidden = F.gelu(linear(layer_norm(x, p, f"{name}.norm_mlp", 1e-6), p, f"{name}.fc1"))
        x = x + linear(hidden, p, f"{name}.fc2")
    x = F.interpolate(as_map(layer_norm(x, p, "norm", 1e-6)), (3, 3), mode="bilinear", align_corners=False)
    for k in range(4):
        x = F.conv2d(x, p[f"decoder.convs.{k}.weight"], p[f"decoder.convs.{k}.bias"], padding=1)
        x = F.group_norm(x, 8, p[f"decoder.norms.{k}.weight"], p[f"decoder.norms.{k}.bias"]).relu()
        x = F.conv2d(x, p["decoder.last.weight"], p["decoder.last.bias"]) if k == 3 else x
        x = larger(x, 2, corners=False)
    truth = torch.stack([target(dots, 1.0) for dots in DOTS])
    compared = torch.rand(SIDE, SIDE) < share
    return ((x[:, 0] - 60 * truth).square() * compared).mean()


def sines(side: int) -> Tensor:
    """Positions of a square grid, in the precision of the published table."""
    rate = 1 / 10000 ** (np.arange(WIDTH // 4) / (WIDTH / 4))
    rows = [
        np.concatenate([f(at * rate) for at in (x, y) for f in (np.sin, np.cos)]) for y, x in np.ndindex(side, side)
    ]
    return torch.from_numpy(np.array(rows, np.float32)).double()


class PlainAdamW:
    """AdamW as in its paper, on named tensors."""

    def __init__(self, weights: Weights, beta2: float) -> None:
        self.weights, self.beta2, self.steps = weights, beta2, 0
        self.first = {name: torch.zeros_like(p) for name, p in weights.items()}
        self.second = {name: torch.zeros_like(p) for name, p in weights.items()}

    def step(self, loss: Tensor, lr: float, decay: dict[str, float]) -> None:
        self.steps += 1
        gradients = torch.autograd.grad(loss, list(self.weights.values()))
        for (name, p), g in zip(self.weights.items(), gradients, strict=True):
            self.first[name] = 0.9 * self.first[name] + 0.1 * g
            self.second[name] = self.beta2 * self.second[name] + (1 - self.beta2) * g.square()
            mean = self.first[name] / (1 - 0.9**self.steps)
            spread = (self.second[name] / (1 - self.beta2**self.steps)).sqrt()
            p.data -= lr * decay[name] * p.data + lr * mean / (spread + 1e-8)


def weights_of(model: torch.nn.Module) -> tuple[Weights, Weights]:
    """Copies of all weights by name, and those of them that are trained."""
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    weights = {n: p.detach().clone().requires_grad_(n in trained) for n, p in model.named_parameters()}
    return weights, {n: weights[n] for n in weights if n in trained}


def assert_moved_alike(model: torch.nn.Module, plain: Weights, start: Weights) -> None:
    for name, p in model.named_parameters():
        moved, wanted = p.detach() - start[name], plain[name].detach() - start[name]
        scale = float(wanted.abs().max())
        torch.testing.assert_close(moved, wanted, rtol=1e-5, atol=1e-5 * scale, msg=name)


def batch_of(names: tuple[str, ...]) -> CountBatch:
    coarse = torch.rand(2, 3, 6, 6).double()
    image = F.interpolate(coarse, (SIDE, SIDE), mode="bilinear")
    return CountBatch(image, PromptBatch(text=names), DOTS, tuple(torch.full((len(d),), 8.0) for d in DOTS))


@pytest.mark.parametrize(("rank_weight", "dropout"), [(1e-6, 0.0), (0.5, 0.1)])
def test_three_steps_of_vlcounter_are_the_published_ones(rank_weight: float, dropout: float):
    torch.manual_seed(3)
    towers = ClipConfig(SIDE, 16, WIDTH, 4, HEADS, WIDTH, 2, HEADS, WIDTH, quick_gelu=True)
    config = Config(
        towers, skip_blocks=(2, 1, 0), channels=16, stride=16, rank_weight=rank_weight, prompt_dropout=dropout
    )
    model = VLCounter(config).double().train()
    start = {n: p.detach().clone() for n, p in model.named_parameters()}
    plain, trained = weights_of(model)
    batch = batch_of(("fishes", "strawberry"))
    settings = VlcounterFsc147(data=Path())
    optimizer = settings.optimizer_for(model.parameter_groups(settings.lr))
    schedule, by_hand = LambdaLR(optimizer, settings.rate), PlainAdamW(trained, 0.999)
    for step in range(3):
        torch.manual_seed(step)
        loss = model.loss(model(batch.image, batch.prompt), batch)["total"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        torch.manual_seed(step)
        expected = vlcounter_step(plain, batch.image, ("fishes", "strawberries"), rank_weight, dropout)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
        by_hand.step(expected, 1e-4, dict.fromkeys(trained, 1e-2))
        assert_moved_alike(model, plain, start)
    assert all(bool((plain[n] != start[n]).any()) for n in trained)
    assert all(torch.equal(plain[n], start[n]) for n in plain if n not in trained)


def test_three_steps_of_countx_are_the_published_ones():
    torch.manual_seed(4)
    towers = ClipConfig(32, 16, WIDTH, 3, HEADS, WIDTH, 2, HEADS, WIDTH)
    config = CounTXConfig(towers, width=WIDTH, heads=HEADS, decoder=(16,) * 4, window=SIDE, decoder_grid=3, stride=16)
    model = CounTX(config).double().train()
    start = {n: p.detach().clone() for n, p in model.named_parameters()}
    plain, trained = weights_of(model)
    batch = batch_of(("the fishes", "the ripe strawberries"))
    settings = CountxFsc147(data=Path(), steps=20, warmup=1)
    optimizer = settings.optimizer_for(model.parameter_groups(settings.lr))
    schedule, by_hand = LambdaLR(optimizer, settings.rate), PlainAdamW(trained, 0.95)
    decay = {n: 0.05 if p.ndim > 1 else 0.0 for n, p in trained.items()}
    # of 20 epochs of one step, the first warms up
    rates = [0.0, *(6.25e-6 * (1 + math.cos(math.pi * (epoch - 1) / 19)) / 2 for epoch in (1, 2, 3))]
    for step, rate in enumerate(rates):
        torch.manual_seed(step)
        loss = model.loss(model(batch.image, batch.prompt), batch)["total"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        torch.manual_seed(step)
        expected = countx_step(plain, batch.image, batch.prompt.text, 0.8)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
        by_hand.step(expected, rate, decay)
        assert_moved_alike(model, plain, start)
    assert all(bool((plain[n] != start[n]).any()) for n in trained)
    assert all(torch.equal(plain[n], start[n]) for n in plain if n not in trained)
