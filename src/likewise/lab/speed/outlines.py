"""A photograph counted and outlined, against the count alone."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from likewise.lab.speed.timing import Comparison, aimed, interleave
from likewise.lab.suite.photographs import many_coins
from likewise.predict import Counter

#: (width, height) of the photograph, and how many times as large its coins are: there are about a hundred.
SIZE, FACTOR = (1000, 700), 1.15
QUICK_SIZE = (400, 310)
ROUNDS = 5
#: Outlines may take half as long as the count.
AIM = 1 / 1.5


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """One row; a ratio of 0.8 means that the count with outlines takes a quarter longer than the count."""
    counter = Counter.load("spdcn-lite", device="cpu")
    width, height = QUICK_SIZE if quick else SIZE
    pixels, boxes = many_coins(width, height, FACTOR)
    count = functools.partial(counter.count, pixels, boxes)
    found = len(count().points)
    ours, theirs = interleave(functools.partial(count, outlines=True), count, 1 if quick else ROUNDS)
    yield Comparison(
        what=f"count and outline {found} things",
        shape=f"{height} × {width}",
        against="the count alone",
        threads=threads,
        ratio=theirs / ours,
        error=None,
        aim=aimed(AIM, threads, quick=quick),
    )
