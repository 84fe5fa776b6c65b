"""Pasting with exact bookkeeping: who covers which pixel, and how much of each thing can still be seen."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from likewise.boxes import mask_box

Bytes = NDArray[np.uint8]
#: Coverage (0 to 255) from which a pixel belongs to a thing.
SOLID = 80


@dataclass(frozen=True)
class Shadow:
    """A cast shadow: offset and blur as shares of a thing's side, darkness in [0, 1]."""

    dx: float
    dy: float
    blur: float
    darkness: float


@dataclass
class Canvas:
    """A picture that things are pasted into.

    Attributes:
        pixels: (H, W, 3) uint8, changed in place.
        owner: (H, W) int32, 1 + index of the thing seen at each pixel, 0 for none.
        area: whole area in pixels of each thing pasted, hidden and outside parts included.
        boxes: full extent (x0, y0, x1, y1) of each thing, not yet clipped to the picture.
    """

    pixels: Bytes
    owner: NDArray[np.int32] = field(init=False)
    area: list[int] = field(init=False, default_factory=list)
    _glow: Bytes | None = field(init=False, default=None)
    boxes: list[tuple[int, int, int, int]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.owner = np.zeros(self.pixels.shape[:2], dtype=np.int32)

    def paste(self, rgba: Bytes, left: int, top: int) -> int:
        """Paste a thing (h, w, 4) with its top left pixel at (left, top); it may stick out.

        Returns:
            Its index, which counts every thing pasted, even an invisible one.
        """
        self._enter(rgba, left, top)
        self.cover(rgba, left, top, len(self.area))
        return len(self.area) - 1

    def shine(self, rgba: Bytes, left: int, top: int) -> int:
        """Add the light of a thing (h, w, 4), as strong as its coverage, to what is there: nothing is hidden.

        A pixel belongs to the thing that covers it most.

        Returns:
            Its index, as `paste` does.
        """
        self._enter(rgba, left, top)
        window = self._window(rgba.shape[0], rgba.shape[1], left, top)
        if window is not None:
            here, there = window
            part = rgba[there]
            alpha = part[..., 3:].astype(np.uint16)
            lit = self.pixels[here] + (part[..., :3] * alpha + 127) // 255
            self.pixels[here] = np.minimum(lit, 255)
            self._glow = np.zeros(self.owner.shape, np.uint8) if self._glow is None else self._glow
            most = (part[..., 3] >= SOLID) & (part[..., 3] > self._glow[here])
            self._glow[here][most] = part[..., 3][most]
            self.owner[here][most] = len(self.area)
        return len(self.area) - 1

    def refract(self, alpha: Bytes, left: int, top: int, power: float) -> None:
        """Bend what lies behind a clear thing with coverage ``alpha`` (h, w) that will stand at (left, top).

        A pixel at an offset d from the thing's middle shows what is at (1 - power) d: enlarged for a power
        between 0 and 1, upside down above 1, as in a ball of glass.
        """
        window = self._window(alpha.shape[0], alpha.shape[1], left, top)
        if window is None:
            return
        here, there = window
        y, x = (np.arange(cut.start, cut.stop) for cut in here)
        middle = top + alpha.shape[0] / 2 - 0.5, left + alpha.shape[1] / 2 - 0.5
        sources = [
            np.clip(np.rint(m + (1 - power) * (v - m)), 0, limit - 1).astype(np.intp)
            for v, m, limit in zip((y, x), middle, self.pixels.shape, strict=False)
        ]
        inside = alpha[there] > SOLID // 2
        self.pixels[here][inside] = self.pixels[np.ix_(*sources)][inside]

    def _enter(self, rgba: Bytes, left: int, top: int) -> None:
        solid = rgba[..., 3] >= SOLID
        self.area.append(int(np.count_nonzero(solid)))
        x0, y0, x1, y1 = mask_box(solid) or (0, 0, 0, 0)
        self.boxes.append((left + x0, top + y0, left + x1, top + y1))

    def cover(self, rgba: Bytes, left: int, top: int, owner: int = 0) -> None:
        """Paint over the picture; the pixels covered now belong to ``owner`` (0: to nothing countable)."""
        window = self._window(rgba.shape[0], rgba.shape[1], left, top)
        if window is None:
            return
        here, there = window
        part = rgba[there]
        alpha = part[..., 3:].astype(np.uint16)
        under = self.pixels[here].astype(np.uint16)
        self.pixels[here] = (part[..., :3] * alpha + under * (255 - alpha) + 127) // 255
        self.owner[here][part[..., 3] >= SOLID] = owner

    def darken(self, alpha: Bytes, left: int, top: int, shadow: Shadow) -> None:
        """Cast the shadow of a thing with coverage ``alpha`` (h, w) that will stand at (left, top)."""
        side = float(np.sqrt(alpha.shape[0] * alpha.shape[1]))
        radius = shadow.blur * side
        pad = int(np.ceil(2 * radius))
        soft = Image.fromarray(np.pad(alpha, pad)).filter(ImageFilter.BoxBlur(radius))
        left, top = round(left - pad + shadow.dx * side), round(top - pad + shadow.dy * side)
        window = self._window(soft.height, soft.width, left, top)
        if window is None:
            return
        here, there = window
        keep = 255 - (np.asarray(soft)[there] * shadow.darkness).astype(np.uint16)
        self.pixels[here] = self.pixels[here] * keep[..., None] // 255

    def visible(self) -> NDArray[np.int64]:
        """Pixels seen of each thing pasted, (N,)."""
        return np.bincount(self.owner.ravel(), minlength=len(self.area) + 1)[1:]

    def _window(
        self, height: int, width: int, left: int, top: int
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
        y0, y1 = max(top, 0), min(top + height, self.pixels.shape[0])
        x0, x1 = max(left, 0), min(left + width, self.pixels.shape[1])
        if y0 >= y1 or x0 >= x1:
            return None
        return (slice(y0, y1), slice(x0, x1)), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
