"""Another prompt about a picture the counter has looked at (`Counter.look`), against the first about a fresh one.

The first has to read the picture, rescale it and take it through the whole network; the others find all of it prepared
that no prompt changes. The boxes differ from turn to turn, as in the workbench, within one step of the scale.
"""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from likewise.bench.deform_conv import relative_error
from likewise.bench.timing import Comparison, aimed, interleave
from likewise.predict import Counter, Seen
from likewise.registry import load_model
from likewise.types import Box

#: The words of a question, as `Counter.count` takes them.
Prompting = dict[str, Any]

#: How often scikit-image's photograph of 24 coins stands side by side and in rows, and how many times enlarged.
PICTURES = ((3, 1.0), (3, 3.3))
QUICK_PICTURES = ((1, 0.5),)
#: Three coins of it.
COINS = ((81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73))
SCALE_STEPS = 4
#: Asked in turn; what is there is no matter.
NAMES: tuple[Prompting, ...] = tuple({"text": name} for name in ("coin", "button", "orange", "disc"))
AIM = 2.0
#: Both compute the same.
TOLERANCE = 0.0
ROUNDS = 5


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """Two rows a picture, a JPEG file of many coins: three boxes, and a name."""
    by_box = Counter(load_model("spdcn-lite")[1], "spdcn-lite", device="cpu", scale_steps=SCALE_STEPS)
    by_name = Counter.load("countx-lite", device="cpu")
    for repeats, factor in QUICK_PICTURES if quick else PICTURES:
        file = _jpeg(repeats, factor)
        boxes = [{"exemplars": [_grown(box, factor, turn) for box in COINS]} for turn in range(4)]
        yield _compared("another prompt, spdcn-lite", by_box, file, boxes, threads, quick=quick)
        yield _compared("another name, countx-lite", by_name, file, NAMES, threads, quick=quick)


def _compared(
    what: str, counter: Counter, file: io.BytesIO, prompts: Sequence[Prompting], threads: int, *, quick: bool
) -> Comparison:
    seen = counter.look(Image.open(file))
    for prompt in prompts:
        _later(seen, prompt)  # a name is read once, whatever picture it is asked about
    ours = map(functools.partial(_later, seen), itertools.cycle(prompts))
    theirs = map(functools.partial(_first, counter, file), itertools.cycle(prompts))
    seconds = interleave(functools.partial(next, ours), functools.partial(next, theirs), 1 if quick else ROUNDS)
    return Comparison(
        what=what,
        shape=f"{seen.height} × {seen.width}",
        against="the first",
        threads=threads,
        ratio=seconds[1] / seconds[0],
        error=relative_error([_later(seen, prompts[0])], [_first(counter, file, prompts[0])]),
        aim=aimed(AIM, threads, quick=quick),
        tolerance=TOLERANCE,
    )


def _first(counter: Counter, file: io.BytesIO, prompt: Prompting) -> Tensor:
    return torch.from_numpy(counter.count(Image.open(file), **prompt).grid)


def _later(seen: Seen, prompt: Prompting) -> Tensor:
    return torch.from_numpy(seen.count(**prompt).grid)


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
