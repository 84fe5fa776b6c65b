"""Counters by name against the way their authors run them: what their benchmarks share."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from likewise.lab.speed.timing import Comparison, aimed, interleave

#: Largest error of the density in float32, relative to its largest value.
TOLERANCE = 1e-4


def compare_precisions(
    model: Any,
    published: Callable[[], Tensor],
    image: Tensor,
    text: str,
    aims: Mapping[str, float],
    threads: int,
    *,
    quick: bool,
) -> Iterator[Comparison]:
    """One row a precision: one picture, its text new every time.

    Args:
        model: a counter in eval mode, with CLIP's text tower.
        published: the density of the picture, the authors' way, with the same weights.
        image: (1, 3, H, W) RGB in [0, 1].
        text: what to count.
        aims: precision -> the ratio asked for.
        threads: for the row, and for its aim.
        quick: one turn instead of five.
    """
    truth = published()
    for precision, aim in aims.items():
        ours = copy.deepcopy(model).to(getattr(torch, precision))

        def mine(ours: Any = ours) -> Tensor:
            return _count(ours, image, text)

        seconds = interleave(mine, published, 1 if quick else 5)
        density = mine()
        count = float((density.sum() - truth.sum()) / truth.sum().abs())
        yield Comparison(
            what=f"{model.method} ({precision}), one picture",
            shape=f"{image.shape[2]} × {image.shape[3]}",
            against="windows one by one, text encoded in each",
            threads=threads,
            ratio=seconds[1] / seconds[0],
            error=float((density - truth).abs().max() / truth.abs().max()),
            note=f"count {100 * count:+.2g} %",
            aim=aimed(aim, threads, quick=quick),
            tolerance=TOLERANCE if precision == "float32" else None,
        )


@contextlib.contextmanager
def without_fast_path() -> Iterator[None]:
    """Within it torch's "fast path" for attention is off, afterwards things are as they were.

    With it `torch.nn.MultiheadAttention` runs as one fused call, which on CPUs measured slower than the plain one:
    a peer is to be compared at its best.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=before)


@torch.inference_mode()
def _count(model: Any, image: Tensor, text: str) -> Tensor:
    model.clip.text.forget()
    density: Tensor = model.count(image, model.encode((text,)))
    return density
