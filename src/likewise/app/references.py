"""What examples in other pictures look like, remembered for the pictures of a job."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from likewise.app.budget import check_examples
from likewise.app.opened import chosen, in_parts, opened
from likewise.app.picture_store import Picture, PictureStore
from likewise.app.requests import Kind, Like
from likewise.predict import Counter, NamedCounter, ReferenceExemplars
from likewise.predict.kind_prompts import KindReferences
from likewise.sources import PictureSource
from likewise.types import Box

#: Questions whose examples are remembered.
REMEMBERED = 4


class References:
    """Looks at examples in other pictures, once. For the worker's thread, but for `check`.

    Args:
        store: the pictures.
    """

    def __init__(self, store: PictureStore) -> None:
        self._store = store
        self._known: dict[str, Any] = {}

    def check(self, like: Sequence[Like], kinds: Sequence[Kind] = ()) -> None:
        """See that the pictures with examples are here, and not too large.

        Raises:
            RefusedError: they are not.
        """
        every = [*like, *(each for kind in kinds for each in kind.like)]
        found = {picture.id: picture for picture in (self._store.get(each.picture) for each in every)}
        check_examples((picture.width, picture.height) for picture in found.values() if not in_parts(picture))

    def of(self, counter: Counter | NamedCounter, like: Sequence[Like]) -> ReferenceExemplars:
        """Of one thing."""
        if not like:
            return ReferenceExemplars()
        key = counter.name + repr(like)
        if key not in self._known:
            self.check(like)
            with ExitStack() as held:
                self._remember(key, counter.references(self._pairs(like, {}, held)))
        found: ReferenceExemplars = self._known[key]
        return found

    def of_kinds(self, counter: Counter | NamedCounter, kinds: Sequence[Kind]) -> KindReferences:
        """Of each of several kinds, those of the others being look-alikes."""
        shown = {kind.name: kind.like for kind in kinds if kind.like}
        if not shown:
            return KindReferences()
        key = counter.name + repr(shown)
        if key not in self._known:
            self.check((), kinds)
            with ExitStack() as held:
                sources: dict[Picture, PictureSource] = {}
                pairs = {name: self._pairs(like, sources, held) for name, like in shown.items()}
                self._remember(key, counter.kind_references(pairs))
        found: KindReferences = self._known[key]
        return found

    def _pairs(
        self, like: Sequence[Like], sources: dict[Picture, PictureSource], held: ExitStack
    ) -> list[tuple[PictureSource, Box]]:
        """Source and box of each example; a picture is opened once, and is then one and the same."""
        found: list[tuple[PictureSource, Box]] = []
        for each in like:
            picture = chosen(self._store.get(each.picture), each.seen)
            if picture not in sources:
                sources[picture] = held.enter_context(opened(picture))
            found.extend((sources[picture], box) for box in each.exemplars)
        return found

    def _remember(self, key: str, found: Any) -> None:
        self._known = {**dict(list(self._known.items())[1 - REMEMBERED :]), key: found}
