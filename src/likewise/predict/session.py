"""One picture, many prompts: what no prompt changes is worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from likewise.predict.counter import Like
from likewise.predict.prepared_image import KEPT_BYTES, Picture, PreparedImage
from likewise.predict.prompts import Effort
from likewise.results import CountResult
from likewise.types import Box, Point, Prompt


class CountsPrepared(Protocol):
    """What answers: `likewise.predict.Counter` and `likewise.predict.NamedCounter` do."""

    def count(
        self,
        image: Picture | PreparedImage,
        exemplars: Sequence[Box] | Prompt = (),
        *,
        negatives: Sequence[Box] = (),
        text: str | None = None,
        region: Sequence[Point] | None = None,
        like: Like = (),
        trust: Effort = "fast",
    ) -> CountResult:
        """As `likewise.predict.Counter.count`."""


class Session:
    """A picture that is asked about again and again.

    Every answer is exactly the one that ``counter.count(image, ...)`` gives. What the networks work out of the picture
    whatever the prompt is kept for every scale at which it was seen, up to `KEPT_BYTES`; a counter made with
    ``scale_steps`` sees other boxes of about one size at one scale.

    Args:
        counter: what answers.
        image: as in `likewise.predict.Counter.count`.

    Raises:
        LikewiseError: an unreadable picture.

    Example:
        >>> import likewise as lw
        >>> from skimage import data
        >>> session = lw.Session(lw.load("spdcn-lite"), data.coins())
        >>> round(session.count([(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73)]).count)
        24
    """

    def __init__(self, counter: CountsPrepared, image: Picture) -> None:
        self.counter = counter
        self.image = PreparedImage(image, KEPT_BYTES)

    @property
    def width(self) -> int:
        """Of the picture, pixels."""
        return self.image.width

    @property
    def height(self) -> int:
        """Of the picture, pixels."""
        return self.image.height

    def count(
        self,
        exemplars: Sequence[Box] | Prompt = (),
        *,
        negatives: Sequence[Box] = (),
        text: str | None = None,
        region: Sequence[Point] | None = None,
        like: Like = (),
        trust: Effort = "fast",
    ) -> CountResult:
        """What the counter makes of the picture; arguments and errors are those of `likewise.predict.Counter.count`."""
        return self.counter.count(
            self.image, exemplars, negatives=negatives, text=text, region=region, like=like, trust=trust
        )
