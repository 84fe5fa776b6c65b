"""What examples in other pictures look like, remembered for the pictures of a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from likewise.app.budget import check_examples
from likewise.app.picture_store import PictureStore, pixels_of
from likewise.app.requests import Kind, Like
from likewise.predict import Counter, NamedCounter, ReferenceExemplars
from likewise.predict.kind_prompts import KindReferences

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
        check_examples((picture.width, picture.height) for picture in found.values())

    def of(self, counter: Counter | NamedCounter, like: Sequence[Like]) -> ReferenceExemplars:
        """Of one thing."""
        if not like:
            return ReferenceExemplars()
        key = counter.name + repr(like)
        if key not in self._known:
            self.check(like)
            self._remember(key, counter.references(self._pairs(like, {})))
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
            opened: dict[str, Any] = {}
            pairs = {name: self._pairs(like, opened) for name, like in shown.items()}
            self._remember(key, counter.kind_references(pairs))
        found: KindReferences = self._known[key]
        return found

    def _pairs(self, like: Sequence[Like], opened: dict[str, Any]) -> list[tuple[Any, Any]]:
        """Pixels and box of each example; a picture is read once, and is then one and the same."""
        for each in like:
            if each.picture not in opened:
                opened[each.picture] = pixels_of(self._store.get(each.picture))
        return [(opened[each.picture], box) for each in like for box in each.exemplars]

    def _remember(self, key: str, found: Any) -> None:
        self._known = {**dict(list(self._known.items())[1 - REMEMBERED :]), key: found}
