"""What the files of instruments have in common: planes in depth, of which one is seen, or all as one."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from likewise.sources.base import PictureSource, Values, Window
from likewise.sources.choice import Projection, projected

#: What microscopes' files call units of length, in micrometres.
MICROMETRES = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "\\u00B5m", "micrometer"), 1.0),
    **dict.fromkeys(("nm", "nanometer"), 1e-3),
    **dict.fromkeys(("mm", "millimeter"), 1e3),
}


class StackSource(PictureSource):
    """A picture of which there may be several planes."""

    _z: int | Projection | None

    @abstractmethod
    def plane(self, level: int, window: Window, z: int) -> Values | np.ma.MaskedArray:
        """What is stored of a window of one plane, as of `stored`."""

    def stored(self, level: int, window: Window) -> Values | np.ma.MaskedArray:
        """What is stored of a window, of the plane that is chosen or of all."""
        if self._z in ("max", "mean"):
            planes = [np.ma.getdata(self.plane(level, window, z)) for z in range(self.axes.planes)]
            return projected(planes, self._z)
        return self.plane(level, window, self._z)  # type: ignore[arg-type]  # a number
