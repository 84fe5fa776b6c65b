"""What was found in one window of a picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from likewise.sources import Window

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class WindowCount:
    """What was found in the core of a window.

    Attributes:
        window: the core, (x0, y0, x1, y1) in blocks.
        sums: (h, w), the density of each of its blocks.
        points: (N, 2) x y.
        scores: (N,) density round each.
        colours: (N, 3) of each, or (0, 3) where nobody asks (`likewise.predict.colour_groups`) ...
        held: ... and (N,) how much of the counted density belongs to it, or (0,).
        peaks: number of peaks of the density, and of clear ones.
        apart: median distance of a clear peak to the nearest other, in object sizes; None: there are not two.
        mass: of the density in the boxes of those examples whose middle lies in the core.
        raw: the density's sum, rim included, before any peak was taken for one ...
        again: ... and of further looks.
        flat: nothing but ground, which was not looked at.
    """

    window: Window
    sums: Floats
    points: Floats
    scores: Floats
    colours: Floats = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    held: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    peaks: tuple[int, int] = (0, 0)
    apart: float | None = None
    mass: tuple[float, ...] = ()
    raw: float = 0.0
    again: tuple[tuple[str, float], ...] = ()
    flat: bool = False
