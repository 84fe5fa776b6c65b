"""A photograph counted by spdcn-lite, from the open file to the points, against one look of a plain MobileNetV2 at it.

How much there is to do depends on the things' size: the network sees them 36 pixels large, and the picture accordingly.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from likewise.bench.timing import Comparison, interleave
from likewise.predict import Counter
from likewise.types import Box

#: (width, height) of the photograph, and sizes of the things in it, pixels.
SIZE, SIDES = (1000, 700), (36, 18)
QUICK_SIZE, QUICK_SIDES = (400, 310), (36,)
#: Three coins of scikit-image's photograph, and about how large they are there.
COINS = ((81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73))
COIN = 45.0
ROUNDS = 7


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """One row a size of things; a ratio of 0.25 means that counting takes as long as four looks."""
    counter = Counter.load("spdcn-lite", device="cpu")
    plain = timm.create_model("mobilenetv2_100", pretrained=False).eval()
    width, height = QUICK_SIZE if quick else SIZE
    look = functools.partial(_look, plain, torch.rand(1, 3, height, width))
    for side in QUICK_SIDES if quick else SIDES:
        pixels, boxes = _coins(width, height, side / COIN)
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


def _coins(width: int, height: int, factor: float) -> tuple[NDArray[np.uint8], list[Box]]:
    """As many coins as there is room for, and boxes of three of them."""
    once = Image.fromarray(data.coins())
    small = np.asarray(once.resize((round(once.width * factor), round(once.height * factor))))
    repeats = (-(-height // small.shape[0]), -(-width // small.shape[1]))
    pixels = np.tile(small, repeats)[:height, :width]
    x0, y0, x1, y1 = (factor * np.array(COINS)).T.tolist()
    return np.repeat(pixels[:, :, None], 3, axis=2), list(zip(x0, y0, x1, y1, strict=True))
