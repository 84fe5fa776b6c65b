"""A photograph counted by spdcn-lite, from the open file to the points, against one look of a plain MobileNetV2 at it.

How much there is to do depends on the things' size: the network sees them 36 pixels large, and the picture accordingly.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import timm
import torch

from likewise.lab.speed.timing import Comparison, interleave
from likewise.lab.suite.photographs import many_coins
from likewise.predict import Counter

#: (width, height) of the photograph, and sizes of the things in it, pixels.
SIZE, SIDES = (1000, 700), (36, 18)
QUICK_SIZE, QUICK_SIDES = (400, 310), (36,)
#: About how large the three coins are that are shown.
COIN = 45.0
ROUNDS = 7


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """One row a size of things; a ratio of 0.25 means that counting takes as long as four looks."""
    counter = Counter.load("spdcn-lite", device="cpu")
    plain = timm.create_model("mobilenetv2_100", pretrained=False).eval()
    width, height = QUICK_SIZE if quick else SIZE
    look = functools.partial(_look, plain, torch.rand(1, 3, height, width))
    for side in QUICK_SIDES if quick else SIDES:
        pixels, boxes = many_coins(width, height, side / COIN)
        count = functools.partial(counter.count, pixels, boxes)
        ours, theirs = interleave(count, look, 1 if quick else ROUNDS)
        yield Comparison(
            what=f"spdcn-lite, things of {side} pixels",
            shape=f"{height} × {width}",
            against="one look of MobileNetV2",
            threads=threads,
            ratio=theirs / ours,
            error=None,
        )


@torch.inference_mode()
def _look(plain: torch.nn.Module, image: torch.Tensor) -> None:
    plain(image)
