"""Another prompt about a picture the counter has looked at (`Counter.look`), against the first about a fresh one.

The first has to read the picture, rescale it and take it through the whole network; the others find all of it prepared
that no prompt changes. The boxes differ from turn to turn, as in the workbench, within one step of the scale.
"""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from likewise.bench.deform_conv import relative_error
from likewise.bench.timing import Comparison, aimed, interleave
from likewise.predict import Counter, Seen
from likewise.types import Box

#: How often scikit-image's photograph of 24 coins stands side by side and in rows, and how many times enlarged.
PICTURES = ((3, 1.0), (3, 3.3))
QUICK_PICTURES = ((1, 0.5),)
#: Three coins of it.
COINS = ((81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73))
SCALE_STEPS = 4
AIM = 2.0
#: Both compute the same.
TOLERANCE = 0.0
ROUNDS = 5


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """One row a picture: a JPEG file of many coins, three boxes."""
    bundled = Counter.load("spdcn-lite", device="cpu")
    counter = Counter(bundled.model, bundled.name, device="cpu", scale_steps=SCALE_STEPS)
    for repeats, factor in QUICK_PICTURES if quick else PICTURES:
        file = _jpeg(repeats, factor)
        seen = counter.look(Image.open(file))
        first = functools.partial(_first, counter, file)
        later = functools.partial(_later, seen)
        prompts = [[_grown(box, factor, turn) for box in COINS] for turn in range(4)]
        ours, theirs = (map(ask, itertools.cycle(prompts)) for ask in (later, first))
        seconds = interleave(functools.partial(next, ours), functools.partial(next, theirs), 1 if quick else ROUNDS)
        yield Comparison(
            what="another prompt, spdcn-lite",
            shape=f"{seen.height} × {seen.width}",
            against="the first",
            threads=threads,
            ratio=seconds[1] / seconds[0],
            error=relative_error([later(prompts[0])], [first(prompts[0])]),
            aim=aimed(AIM, threads, quick=quick),
            tolerance=TOLERANCE,
        )


def _first(counter: Counter, file: io.BytesIO, boxes: list[Box]) -> Tensor:
    return torch.from_numpy(counter.count(Image.open(file), boxes).grid)


def _later(seen: Seen, boxes: list[Box]) -> Tensor:
    return torch.from_numpy(seen.count(boxes).grid)


def _grown(box: Box, factor: float, turn: int) -> Box:
    """A box in the enlarged picture, drawn a little wider from turn to turn."""
    x0, y0, x1, y1 = (factor * value for value in box)
    return x0, y0, x1 + factor * turn, y1


def _jpeg(repeats: int, factor: float) -> io.BytesIO:
    picture = Image.fromarray(np.tile(data.coins(), (repeats, repeats))).convert("RGB")
    file = io.BytesIO()
    size = (round(picture.width * factor), round(picture.height * factor))
    picture.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file
