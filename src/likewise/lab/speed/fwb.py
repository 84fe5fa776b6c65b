"""A query segmented by boosted experts against the loop that the paper describes, and against no boosting at all.

The loop goes step by step: the support's pictures, as the class vector has them now, their gradient, and the query by
that expert, each time through the head's convolutions in full. Once with the features of all pictures computed again at
every step, and once kept. Ours computes features once, the products of the head's first convolution once (where there
are many channels), and only the difference of the two logits. Weights are random; a peer with a network of its own has
the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.lab.speed.deform_conv import relative_error
from likewise.lab.speed.timing import Comparison, aimed, interleave
from likewise.methods.fwb import FWB, FWB_LITE, FWB_PAPER, Config
from likewise.methods.fwb.boosting import overlap
from likewise.methods.fwb.support import Levels
from likewise.types import SupportBatch

#: Model -> its configuration, and the size (height, width) of all pictures.
PROBLEMS: dict[str, tuple[Config, tuple[int, int]]] = {
    "fwb": (FWB_PAPER.config, (256, 256)),
    "fwb-lite": (FWB_LITE.config, (320, 240)),
}
QUICK_SIZE = (48, 40)
SHOTS = (1, 5)
#: With boosting a query takes at most twice the time of one without.
AIM = 0.5
TOLERANCE = 1e-3


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """Three rows for each model and number of shots: boosting with ten steps, a new support and one query."""
    for name, (config, size) in PROBLEMS.items():
        if quick and name == "fwb":
            continue  # its trunk has no small form
        model = FWB(replace(config, vote="soft")).eval()
        for shots in SHOTS:
            yield from _rows(name, model, QUICK_SIZE if quick else size, shots, threads, quick=quick)


def _rows(
    name: str, model: FWB, size: tuple[int, int], shots: int, threads: int, *, quick: bool
) -> Iterator[Comparison]:
    query, support = problem(size, shots)
    rounds = 1 if quick or name == "fwb" else 3
    what, shape = f"{name}, K = {shots}, N = {model.config.boosting}", f"{size[0]} × {size[1]}"

    def ours() -> Tensor:
        return score(model, query, support)

    for against, again in (("features again each step", True), ("features once, experts one by one", False)):
        theirs = functools.partial(loop, model, query, support, again=again)
        seconds = interleave(ours, theirs, rounds)
        error = None if again else relative_error([ours()], [theirs()])
        ratio, tolerance = seconds[1] / seconds[0], None if again else TOLERANCE
        yield Comparison(what, shape, against, threads, ratio, error, tolerance=tolerance)
    plain = FWB(replace(model.config, boosting=0)).eval()
    plain.load_state_dict(model.state_dict())
    seconds = interleave(ours, lambda: score(plain, query, support), rounds)
    aim = aimed(AIM, threads, quick=quick)
    yield Comparison(what, shape, "no boosting", threads, seconds[1] / seconds[0], None, aim=aim)


def problem(size: tuple[int, int], shots: int) -> tuple[Tensor, SupportBatch]:
    """A query (1, 3, H, W) and its support: smooth random pictures with a rectangle masked."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(shots + 1, 3, 6, 6, generator=generator)
    query, *images = F.interpolate(coarse, size, mode="bilinear")
    mask = torch.zeros(size, dtype=torch.bool)
    mask[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = True
    return query[None], SupportBatch((tuple(images),), ((mask,) * shots,))


@torch.inference_mode()
def score(model: FWB, query: Tensor, support: SupportBatch) -> Tensor:
    """Our way: the score (H, W) of a query by a support that is new."""
    found: Tensor = model(query, support)
    return found.softmax(1)[0, 1]


def loop(model: FWB, query: Tensor, support: SupportBatch, *, again: bool) -> Tensor:
    """The straightforward way, experts voting with probabilities: the score (H, W)."""
    masks = torch.stack(support.masks[0])
    pictures = [*support.images[0], query[0]]
    seen = _look(model, pictures)
    with torch.no_grad():
        prototype = model.train().prototype(list(zip(seen[:-1], masks, strict=True)))
        model.eval()
    vector = prototype.experts[0].clone().requires_grad_()
    unit = float(vector.detach().square().mean().sqrt()) if model.config.boosting_relative else 1.0
    adam = torch.optim.Adam([vector], lr=model.config.boosting_lr * unit)
    votes, total = torch.zeros(query.shape[2:]), torch.zeros(())
    for _ in range(model.config.boosting + 1):
        seen = _look(model, pictures) if again else seen
        logits = _logits(model, seen[:-1], vector, prototype.relevance)
        weight = sum(overlap(m, t) for m, t in zip(logits.argmax(1) == 1, masks, strict=True)) / len(masks)
        with torch.no_grad():
            votes = votes + weight * _logits(model, seen[-1:], vector, prototype.relevance).softmax(1)[0, 1]
        total = total + weight
        adam.zero_grad()
        (F.cross_entropy(logits, masks.long()) * len(masks)).backward(inputs=[vector])
        adam.step()
    return votes / total


@torch.no_grad()
def _look(model: FWB, pictures: Sequence[Tensor]) -> list[Levels]:
    return model.look(pictures)


def _logits(model: FWB, seen: Sequence[Levels], vector: Tensor, relevance: Tensor) -> Tensor:
    """Both logits of several pictures (K, 2, H, W), by the network's own layers."""
    early, late = torch.stack([s.early for s in seen]), torch.stack([s.late for s in seen])
    if model.config.similarity_channel:
        early = torch.cat([early, torch.ones_like(early[:, :1])], dim=1)
    with torch.no_grad():
        late = (late if model.projection is None else model.projection(late)) * relevance[:, None, None]
    alike = F.cosine_similarity(late, vector[None, :, None, None], dim=1)[:, None].relu()
    alike = F.interpolate(alike, early.shape[2:], mode="bilinear", align_corners=True)
    logits: Tensor = model.head(early * (alike / alike.amax((2, 3), keepdim=True).clamp_min(1e-8)))
    return F.interpolate(logits, seen[0].size, mode="bilinear", align_corners=True)
