"""One picture, many prompts: what no prompt changes is worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack, overload

from likewise.predict.kind_prompts import KindPrompts
from likewise.predict.prepared_image import KEPT_BYTES, Picture, PreparedImage
from likewise.predict.prompts import KindWords, PromptedCounter, PromptWords
from likewise.results import CountResult, KindsResult
from likewise.types import Box, Prompt


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

    def __init__(self, counter: PromptedCounter, image: Picture) -> None:
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

    @overload
    def count(self, exemplars: Sequence[Box] | Prompt = (), **words: Unpack[PromptWords]) -> CountResult: ...

    @overload
    def count(
        self, exemplars: Mapping[str, Sequence[Box]] | KindPrompts, **words: Unpack[KindWords]
    ) -> KindsResult: ...

    def count(
        self, exemplars: Sequence[Box] | Prompt | Mapping[str, Sequence[Box]] | KindPrompts = (), **words: Any
    ) -> CountResult | KindsResult:
        """What the counter makes of the picture; words and errors are those of `likewise.predict.Counter.count`."""
        return self.counter.count(self.image, exemplars, **words)
