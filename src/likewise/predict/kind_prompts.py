"""A question about several kinds of thing at once: what shows each of them, and what is the same for all."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from likewise.errors import LikewiseError
from likewise.predict.densities import NO_EXEMPLARS, ReferenceExemplars
from likewise.types import Box, Point, Prompt

#: A name of a kind is no longer than this: it is a column of a table and a line of a legend.
LONGEST = 80


@dataclass(frozen=True)
class KindPrompts:
    """What shows each of several kinds in one picture, in the caller's pixels.

    Attributes:
        prompts: names to prompts, in the order in which results tell them. Look-alikes and the region are in each of
            them alike.

    Raises:
        LikewiseError: there are none; two of one name, whatever its case; a name that is empty, too long, not one line
            or holds a "="; two kinds with the same example.

    Example:
        >>> asked = KindPrompts.of({"small": [(81, 39, 120, 74)], "large": [(305, 16, 364, 73)]})
        >>> asked.names, asked.prompts["large"].exemplars
        (('small', 'large'), ((305.0, 16.0, 364.0, 73.0),))
    """

    prompts: Mapping[str, Prompt]

    def __post_init__(self) -> None:
        check_names(self.prompts)
        owners: dict[Box, str] = {}
        for name, prompt in self.prompts.items():
            for box in prompt.exemplars:
                if owners.setdefault(box, name) != name:
                    raise LikewiseError(
                        f"the box {box} is an example of {owners[box]!r} and of {name!r}; expected it in one of them"
                    )

    @classmethod
    def of(
        cls,
        exemplars: Mapping[str, Sequence[Box]],
        *,
        names: Iterable[str] = (),
        negatives: Sequence[Box] = (),
        region: Sequence[Point] | None = None,
    ) -> KindPrompts:
        """Kinds that are shown by boxes.

        Args:
            exemplars: boxes of each kind.
            names: of kinds that are shown elsewhere.
            negatives: boxes of what is of none of the kinds.
            region: polygon in which is counted.

        Raises:
            LikewiseError: as the class and `Prompt` do, and names the kind.
        """
        every = dict.fromkeys((*exemplars, *names))
        check_names(every)
        corners = None if region is None else tuple(region)
        found: dict[str, Prompt] = {}
        for name in every:
            try:
                found[name] = Prompt(exemplars.get(name, ()), tuple(negatives), None, corners)  # type: ignore[arg-type]  # Prompt makes tuples of lists
            except LikewiseError as error:
                raise LikewiseError(f"{name}: {error}") from error
        return cls(found)

    @classmethod
    def named(
        cls, texts: Sequence[str], *, negatives: Sequence[Box] = (), region: Sequence[Point] | None = None
    ) -> KindPrompts:
        """Kinds that are told by their names.

        Raises:
            LikewiseError: as the class and `Prompt` do.
        """
        check_names(texts)
        corners = None if region is None else tuple(region)
        return cls({text: Prompt((), tuple(negatives), text, corners) for text in texts})

    @property
    def names(self) -> tuple[str, ...]:
        """Of the kinds, in their order."""
        return tuple(self.prompts)

    def inside(self, width: int, height: int) -> KindPrompts:
        """The same, its boxes checked against a picture's size: see `Prompt.inside`."""
        found: dict[str, Prompt] = {}
        for name, prompt in self.prompts.items():
            try:
                found[name] = prompt.inside(width, height)
            except LikewiseError as error:
                raise LikewiseError(f"{name}: {error}") from error
        return KindPrompts(found)

    def against(self, name: str) -> Prompt:
        """A kind's prompt, with the examples of all others as look-alikes."""
        others = (box for other, prompt in self.prompts.items() if other != name for box in prompt.exemplars)
        mine = self.prompts[name]
        return replace(mine, negatives=(*mine.negatives, *others))

    def to_dict(self) -> dict[str, Any]:
        """Names to prompts as plain JSON values."""
        return {name: prompt.to_dict() for name, prompt in self.prompts.items()}


@dataclass(frozen=True)
class KindReferences:
    """What examples of kinds in other pictures look like: made by `Counter.kind_references`.

    Attributes:
        alone: each kind's own.
        against: the same, with the examples of the other kinds in other pictures as look-alikes.
    """

    alone: Mapping[str, ReferenceExemplars] = field(default_factory=dict)
    against: Mapping[str, ReferenceExemplars] = field(default_factory=dict)

    def of(self, name: str, *, against: bool = False) -> ReferenceExemplars:
        """A kind's; nothing where no other picture shows it."""
        return (self.against if against else self.alone).get(name, NO_EXEMPLARS)


def check_names(names: Iterable[object]) -> None:
    """See that kinds can be told apart by their names, in tables and on the command line.

    Raises:
        LikewiseError: there are none, one is not a name, or two are the same but for their case.
    """
    taken: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or not name.strip() or name != name.strip():
            raise LikewiseError(f"{name!r} is no name of a kind; expected a word or two, such as 'red'")
        if (
            len(name) > LONGEST
            or "=" in name
            or any(unicodedata.category(letter)[0] in "CZ" for letter in _solid(name))
        ):
            raise LikewiseError(
                f"{name!r:.100} is no name of a kind; expected one line of at most {LONGEST} letters without '=', "
                "such as 'red'"
            )
        if name.casefold() in taken:
            raise LikewiseError(f"{taken[name.casefold()]!r} and {name!r} are one name; expected another for each kind")
        taken[name.casefold()] = name
    if not taken:
        raise LikewiseError("no kinds; expected boxes by name: exemplars={'red': [(x0, y0, x1, y1)], 'white': [...]}")


def _solid(name: str) -> str:
    """A name without the spaces between its words."""
    return name.replace(" ", "")
