"""A picture that is asked about more than once: what no prompt changes is worked out once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from likewise.ops.density.tiling import TileBox
from likewise.predict.pictures import Picture, pixels_of, source_of
from likewise.preprocess.scaled_view import View
from likewise.results import CountResult
from likewise.types import Box, Point

if TYPE_CHECKING:
    from likewise.predict.counter import Counter
    from likewise.predict.densities import Likeness

#: Longest side of the copy of the picture that a result carries to draw on.
PREVIEW = 1600
#: Bytes of prepared features that `Counter.look` lets a picture keep.
KEPT_BYTES = 1 << 28


class Seen:
    """A picture as a counter has seen it, made by `Counter.look`.

    Args:
        counter: what looks.
        image: as in `Counter.count`.
        kept_bytes: prepared features are kept up to here; 0: none are, and nothing is prepared.

    Attributes:
        pixels: (H, W, 3) uint8.
        source: the picture's file name, where it has one.
    """

    def __init__(self, counter: Counter, image: Picture, kept_bytes: int = 0) -> None:
        self.pixels: np.ndarray = pixels_of(image)
        self.source = source_of(image)
        self._counter = counter
        self._most = kept_bytes
        self._preview: np.ndarray | None = None
        self._others: dict[int, Seen] = {}
        self._prepared: OrderedDict[tuple[int, int, TileBox], Any] = OrderedDict()

    @property
    def width(self) -> int:
        """Of the picture, pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Of the picture, pixels."""
        return int(self.pixels.shape[0])

    def count(
        self,
        exemplars: Sequence[Box] = (),
        *,
        negatives: Sequence[Box] = (),
        text: str | None = None,
        region: Sequence[Point] | None = None,
        like: Sequence[tuple[Picture, Box]] | Likeness = (),
        trust: Literal["fast", "full"] = "fast",
    ) -> CountResult:
        """What `Counter.count` gives for this picture, exactly; sooner where it was asked about at this scale before.

        Args and errors are those of `Counter.count`.
        """
        return self._counter.count(
            self, exemplars, negatives=negatives, text=text, region=region, like=like, trust=trust
        )

    def shown_to(self, counter: Counter) -> Seen:
        """This picture as another counter sees it, which is kept: it may be asked twice."""
        if id(counter) not in self._others:
            self._others[id(counter)] = Seen(counter, self.pixels, KEPT_BYTES)
        return self._others[id(counter)]

    def preview(self) -> np.ndarray:
        """(h, w, 3) uint8, the picture or a reduced copy of it, to draw on."""
        if self._preview is None:
            scale = min(1.0, PREVIEW / max(self.width, self.height))
            self._preview = View.of(self.pixels, scale).cut()
        return self._preview

    def tile(self, view: View, box: TileBox) -> Any:
        """What the network is shown of a view of this picture: pixels, or what it has prepared of them."""
        if self._most == 0:
            return view.tensor(box).to(self._counter.device)
        key = (view.width, view.height, box)
        if key not in self._prepared:
            self._prepared[key] = self._counter.prepare(view.tensor(box).to(self._counter.device))
        self._prepared.move_to_end(key)
        while len(self._prepared) > 1 and sum(map(_size, self._prepared.values())) > self._most:
            self._prepared.popitem(last=False)
        return self._prepared[key]


def _size(prepared: Any) -> int:
    """Bytes of a tensor, or of all those in a tuple."""
    return sum(map(_size, prepared)) if isinstance(prepared, tuple) else int(getattr(prepared, "nbytes", 0))
