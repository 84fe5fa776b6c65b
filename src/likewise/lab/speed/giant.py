"""A giant counted window by window against a plain loop over crops, each a picture of its own.

Crops cut what lies on their edges, see ground that windows pass over, and forget everything when they are stopped.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from likewise.lab.giant import TILE, Giant, write_giant
from likewise.lab.speed.timing import Comparison
from likewise.predict import Counter, ReferenceExemplars
from likewise.sources import PictureSource, open_source
from likewise.types import Prompt

#: Side of the giant, and of the crops, pixels.
SIDE, QUICK_SIDE, CROP = 8192, 1536, 1024


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """One row; how many pixels a second each takes, and how far off each is, stand in the note."""
    counter = Counter.load("spdcn-lite", device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        giant = write_giant(Path(folder) / "giant.tif", QUICK_SIDE if quick else SIDE)
        with open_source(giant.path) as source:
            windows, found = _timed(lambda: _by_windows(counter, source, giant))
            crops, cut = _timed(lambda: _by_crops(counter, source, giant))
    pixels = giant.side**2 / 1e6
    yield Comparison(
        what="a giant, window by window",
        shape=f"{giant.side} × {giant.side}, {giant.count} cells",
        against=f"a loop over crops of {CROP}",
        threads=threads,
        ratio=crops / windows,
        error=abs(found - giant.count) / giant.count,
        note=f"{pixels / windows:.2f} and {pixels / crops:.2f} megapixels a second; counted {found:.0f} and {cut:.0f}",
    )


def _by_windows(counter: Counter, source: PictureSource, giant: Giant) -> float:
    return counter.plan_windows(source, Prompt(giant.exemplars), ReferenceExemplars()).run().count


def _by_crops(counter: Counter, source: PictureSource, giant: Giant) -> float:
    left, top = (int(low) // TILE * TILE for low in giant.exemplars[0][:2])  # the tile that all three lie in
    tile = source.read((left, top, left + TILE, top + TILE))
    boxes = [(x0 - left, y0 - top, x1 - left, y1 - top) for x0, y0, x1, y1 in giant.exemplars]
    shown = counter.encode_exemplars([(tile, box) for box in boxes])
    starts = range(0, giant.side, CROP)
    return sum(
        counter.count(source.read((x, y, min(x + CROP, giant.side), min(y + CROP, giant.side))), like=shown).count
        for y in starts
        for x in starts
    )


def _timed(work: Callable[[], float]) -> tuple[float, float]:
    """Seconds, and what came out."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found
