"""Another prompt of a `likewise.predict.Session`, against the first about a fresh picture.

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
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from likewise.data.decoders import open_image
from likewise.lab.speed.deform_conv import relative_error
from likewise.lab.speed.timing import Comparison, aimed, interleave
from likewise.lab.suite.photographs import many_coins
from likewise.predict import Counter, NamedCounter, Session, load_counter
from likewise.types import Box

#: The words of a question, as `Counter.count` takes them.
Prompting = dict[str, Any]

#: (width, height) of the pictures of coins, and how many times enlarged they are.
PICTURES = ((1152, 909, 1.0), (3802, 3000, 3.3))
QUICK_PICTURES = ((192, 152, 0.5),)
SCALE_STEPS = 4
#: Asked in turn; what is there is no matter.
NAMES: tuple[Prompting, ...] = tuple({"text": name} for name in ("coin", "button", "orange", "disc"))
AIM = 2.0
#: Both compute the same.
TOLERANCE = 0.0
ROUNDS = 5


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """Two rows a picture, a JPEG file of many coins: three boxes, and a name."""
    by_box, by_name = (
        load_counter(name, device="cpu", scale_steps=SCALE_STEPS) for name in ("spdcn-lite", "countx-lite")
    )
    for width, height, factor in QUICK_PICTURES if quick else PICTURES:
        pixels, coins = many_coins(width, height, factor)
        file = _jpeg(pixels)
        boxes = [{"exemplars": [_grown(box, factor * turn) for box in coins]} for turn in range(4)]
        yield _compared("another prompt, spdcn-lite", by_box, file, boxes, threads, quick=quick)
        yield _compared("another name, countx-lite", by_name, file, NAMES, threads, quick=quick)


def _compared(
    what: str,
    counter: Counter | NamedCounter,
    file: io.BytesIO,
    prompts: Sequence[Prompting],
    threads: int,
    *,
    quick: bool,
) -> Comparison:
    session = Session(counter, open_image(file))
    for prompt in prompts:
        _later(session, prompt)  # a name is read once, whatever picture it is asked about
    ours = map(functools.partial(_later, session), itertools.cycle(prompts))
    theirs = map(functools.partial(_first, counter, file), itertools.cycle(prompts))
    seconds = interleave(functools.partial(next, ours), functools.partial(next, theirs), 1 if quick else ROUNDS)
    return Comparison(
        what=what,
        shape=f"{session.height} × {session.width}",
        against="the first",
        threads=threads,
        ratio=seconds[1] / seconds[0],
        error=relative_error([_later(session, prompts[0])], [_first(counter, file, prompts[0])]),
        aim=aimed(AIM, threads, quick=quick),
        tolerance=TOLERANCE,
    )


def _first(counter: Counter | NamedCounter, file: io.BytesIO, prompt: Prompting) -> Tensor:
    return torch.from_numpy(counter.count(open_image(file), **prompt).grid)


def _later(session: Session, prompt: Prompting) -> Tensor:
    return torch.from_numpy(session.count(**prompt).grid)


def _grown(box: Box, by: float) -> Box:
    """A box drawn so much wider."""
    x0, y0, x1, y1 = box
    return x0, y0, x1 + by, y1


def _jpeg(pixels: NDArray[np.uint8]) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file
