"""What classes are called: which classes of a classifier a name asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from likewise.vocabulary import ADJECTIVES, spellings, words_of

#: Words that say nothing of what a thing is: nobody who says "objects" means what WordNet calls natural ones, and a
#: disc is seldom a puck.
ANYTHING = frozenset({"object", "part", "structure", "thing", "bar", "circle", "disc", "disk", "form", "rod", "shape"})
#: A label that gives a name in two languages, such as "Cyanocitta cristata (Blue Jay)".
_TWICE = re.compile(r"(.+?) \((.+)\)")


class ClassNames:
    """The names of a classifier's classes, and of several of them together, such as "bird".

    A name is compared by its words, as `likewise.vocabulary.words_of` has them. It asks for the classes that are called
    just so, or, where none is, for those whose name ends in its last word and has all others: "jay" for every jay.
    Words before a name are passed over ("ripe strawberries"), but not such as tell kinds apart ("blue strawberries").

    Args:
        labels: one a class, other names behind commas, or in brackets behind the first.
        kinds: (name, classes) of what several classes are called together.

    Example:
        >>> names = ClassNames(("blue jay, Cyanocitta cristata", "jay", "strawberry"), (("bird", (0, 1)),))
        >>> names.classes("birds"), names.classes("Cyanocitta cristata"), names.classes("ripe strawberries")
        ((0, 1), (0,), (2,))
        >>> names.classes("violins")
        ()
    """

    def __init__(self, labels: Sequence[str], kinds: Sequence[tuple[str, Sequence[int]]] = ()) -> None:
        self.names = tuple(dict.fromkeys([*(n for label in labels for n in own_names(label)), *(n for n, _ in kinds)]))
        self.size = len(labels)
        self._labels = tuple(labels)
        self._exact: dict[tuple[str, ...], set[int]] = {}
        for index, label in enumerate(labels):
            for name in own_names(label):
                self._exact.setdefault(words_of(name), set()).add(index)
        for name, classes in kinds:
            self._exact.setdefault(words_of(name), set()).update(classes)

    def classes(self, text: str) -> tuple[int, ...]:
        """The classes that a text asks for, in order; none: it is not known."""
        for form in spellings(text.lower()):
            words = words_of(form)
            for start in range(len(words)):
                if ADJECTIVES.intersection(words[:start]):
                    break
                if found := self._exact.get(words[start:]):
                    return tuple(sorted(found))
        words = words_of(text)
        return () if ANYTHING.issuperset(words) else self._ending(words)

    def sharing(self, index: int) -> tuple[int, ...]:
        """The classes that share a name with one, itself among them."""
        shared = [self._exact[words_of(name)] for name in own_names(self._labels[index])]
        return tuple(sorted(set().union(*shared)))

    def _ending(self, words: tuple[str, ...]) -> tuple[int, ...]:
        """The classes of every name that ends in the last word and has the others."""
        held = [found for name, found in self._exact.items() if name[-1] == words[-1] and {*words} <= {*name}]
        return tuple(sorted(set().union(*held)))


def own_names(label: str) -> Iterator[str]:
    """The names in a label: those between its commas, or the one in brackets and the one before them."""
    twice = _TWICE.fullmatch(label)
    yield from twice.groups() if twice else label.split(", ")
