"""How long a question will take, reckoned beforehand from the picture's size and that of the boxes.

A small thing is looked at enlarged, and all of the picture with it: what takes long is a large picture asked about
small things. The number of pixels that the network is shown tells the time, by what earlier answers took.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from likewise.app.requests import CountRequest
from likewise.boxes import mean_side
from likewise.predict import Counter
from likewise.preprocess.scaled_view import network_scale
from likewise.types import Box

#: Seconds a million pixels, until the first answer has shown it.
USUAL_PACE = 2.0
#: Answers that took less say little of the pace.
LEAST_SECONDS = 0.5
#: A coarser look is offered that takes about so many seconds, but never at less than this part of the scale.
COARSE_SECONDS, COARSEST = 20.0, 0.25


@dataclass(frozen=True)
class Forecast:
    """What a question will take.

    Attributes:
        seconds: about.
        tiles: in which the picture is looked at.
        coarse: the part of the scale at which it would be quicker.
        coarse_seconds: what that takes.
    """

    seconds: float
    tiles: int
    coarse: float
    coarse_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return vars(self)


class Pace:
    """How fast this computer is, as far as answers have shown it."""

    def __init__(self) -> None:
        self.seconds = USUAL_PACE

    def learn(self, counter: Counter, size: tuple[int, int], asked: CountRequest, took: float) -> None:
        """From the answer to a question about a picture that was not prepared."""
        shown = network_pixels(counter, size, asked)
        if took >= LEAST_SECONDS and shown:
            self.seconds = 0.5 * self.seconds + 0.5 * took / (shown / 1e6)

    def forecast(self, counter: Counter, size: tuple[int, int], asked: CountRequest) -> Forecast:
        """What a question about a picture of (width, height) will take."""
        shown = network_pixels(counter, size, asked)
        seconds = self.seconds * shown / 1e6
        coarse = min(1.0, max(COARSEST, math.sqrt(COARSE_SECONDS / max(seconds, 1e-9)))) * asked.coarse
        tile = counter.preprocess.tile or 1 << 16
        return Forecast(
            seconds=seconds,
            tiles=max(1, math.ceil(shown / tile**2)),
            coarse=round(max(0.1, coarse), 2),
            coarse_seconds=seconds * (coarse / asked.coarse) ** 2,
        )


def network_pixels(counter: Counter, size: tuple[int, int], asked: CountRequest) -> float:
    """Pixels that the network is shown of a picture of (width, height); in a region, of the box round it.

    Of several kinds each is looked for at its own scale.
    """
    width, height = size
    scales = [
        network_scale(counter.preprocess, side, width, height, counter.scale_steps) * asked.coarse
        for side in _sides(asked)
    ]
    if asked.region and counter.preprocess.fit is None:
        xs, ys = zip(*asked.region, strict=True)
        width = max(0.0, min(max(xs), width) - max(min(xs), 0))
        height = max(0.0, min(max(ys), height) - max(min(ys), 0))
    return width * height * sum(scale**2 for scale in scales)


def coarser(counter: Counter, size: tuple[int, int], asked: CountRequest) -> Counter:
    """The counter, looking at a picture of (width, height) at a part of the scale that the boxes ask for."""
    rules = counter.preprocess
    scale = max(network_scale(rules, side, *size, counter.scale_steps) for side in _sides(asked)) * asked.coarse
    return counter.at_most(max(scale, rules.scale_range[0]))


def _sides(asked: CountRequest) -> list[float | None]:
    """How large a thing is, of each kind, in pixels; None: nothing says so."""
    found: list[float | None] = []
    for each in asked.kinds or (asked,):
        boxes: Sequence[Box] = each.exemplars or tuple(box for like in each.like for box in like.exemplars)
        found.append(mean_side(boxes) if boxes else None)
    return found
