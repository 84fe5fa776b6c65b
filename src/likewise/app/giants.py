"""Counting in pictures that are too large to be held in memory: window by window, of which the pages are told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from likewise.app.events import Events
from likewise.app.opened import opened
from likewise.app.picture_store import Picture
from likewise.predict import Counter, ReferenceExemplars
from likewise.results import CountResult
from likewise.types import Prompt


def count_giant(
    counter: Counter,
    picture: Picture,
    prompt: Prompt,
    like: ReferenceExemplars,
    progress: Callable[[int, int], None],
) -> CountResult:
    """As `Counter.count`, of a picture of which only windows are ever in memory.

    Args:
        counter: by example.
        picture: which.
        prompt: what is shown in it.
        like: what examples in other pictures look like.
        progress: told how many windows are done, and of how many.

    Raises:
        LikewiseError: as `Counter.count`.
        CancelledQuestionError: nobody waits for it any more.
    """
    start = time.perf_counter()
    with opened(picture) as source:
        if counter.preprocess.fit is not None:  # it is shown all of the picture at once, made smaller
            return counter.count(source, prompt, like=like)
        asked = prompt.inside(source.width, source.height)
        counter.check(asked, like)
        found = counter.plan_windows(source, asked, like).run(progress=progress)
        return replace(found, seconds=time.perf_counter() - start, placement=source.placement)


def teller(events: Events, picture: Picture) -> Callable[[int, int], None]:
    """What tells the pages how many windows of a picture are done, and of how many."""

    def tell(done: int, windows: int) -> None:
        events.tell("tiles", picture.id, {"picture": picture.id, "done": done, "tiles": windows})

    return tell
