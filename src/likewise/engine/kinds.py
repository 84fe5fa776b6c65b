"""Which kinds of thing the pictures of a data set show, and how a counter is told one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset

from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.fsc147 import FSC147
from likewise.data.counting.sample import CountSample
from likewise.data.open_dataset import open_counting
from likewise.engine.count_eval import Counts, takes
from likewise.errors import LikewiseError
from likewise.predict.prepared_image import KEPT_BYTES, PreparedImage
from likewise.types import Box

#: Of a kind that is told by example, at most so many are shown: as PairTally does, and FSC-147 has.
EXEMPLARS = 3


@dataclass(frozen=True)
class KindShown:
    """A kind of thing in a picture.

    Attributes:
        index: of the sample that counts it.
        picture: the picture's name.
        kind: its own name.
        by_example: whether the picture has exemplars of it, or known boxes.
    """

    index: int
    picture: str
    kind: str
    by_example: bool


class Kinds:
    """The named kinds of a data set, picture by picture.

    Args:
        dataset: a `CountingFolder`, in which a picture may show several, or `FSC147`, in which it shows one.

    Attributes:
        shown: every kind in every picture, in the data set's order; what has no name takes no part.
        names: of all kinds, sorted.

    Raises:
        LikewiseError: another data set, or one whose kinds have no names.
    """

    def __init__(self, dataset: Dataset[CountSample]) -> None:
        self.dataset = dataset
        self.shown = tuple(_shown(dataset))
        if not self.shown:
            raise LikewiseError("nothing in these pictures has a name; expected one for every kind of thing")
        self.names = tuple(sorted({each.kind for each in self.shown}))
        self._in: dict[str, set[str]] = defaultdict(set)
        for each in self.shown:
            self._in[each.picture].add(each.kind)

    def in_picture(self, picture: str) -> frozenset[str]:
        """The kinds that a picture shows."""
        return frozenset(self._in[picture])

    def absent(self, picture: str) -> tuple[str, ...]:
        """The kinds of the data set that a picture does not show, sorted."""
        return tuple(name for name in self.names if name not in self._in[picture])

    def of(self, kind: str, without: str) -> tuple[KindShown, ...]:
        """Where a kind is shown in pictures that do not show another one."""
        return tuple(each for each in self.shown if each.kind == kind and without not in self._in[each.picture])


class PromptByKind:
    """Tells a counter what to count: by name where it takes names, else by example.

    A kind that a picture does not show has no examples in it: they are then those of the first picture that does.

    Args:
        counter: what counts.
        kinds: of the data set.
    """

    def __init__(self, counter: Counts, kinds: Kinds) -> None:
        self.counter, self.kinds = counter, kinds
        self.by_name = "text" in takes(counter)
        self._references: dict[str, Any] = {}

    def can_ask(self, each: KindShown) -> bool:
        """Whether the counter can be told this kind in its own picture."""
        return self.by_name or each.by_example

    def count(self, image: PreparedImage, kind: str, exemplars: Sequence[Box]) -> Any:
        """The result for a kind that the picture shows; exemplars are in its pixels.

        Raises:
            LikewiseError: a name that the counter refuses, or no example for one that needs them.
        """
        return self.counter.count(image, text=kind) if self.by_name else self.counter.count(image, exemplars=exemplars)

    def count_absent(self, image: PreparedImage, kind: str) -> float:
        """What is counted for a kind that the picture does not show; nothing where its name is refused as unknown."""
        if not self.by_name:
            return float(self.counter.count(image, like=self._reference(kind)).count)  # type: ignore[call-arg]
        try:
            return float(self.counter.count(image, text=kind).count)
        except LikewiseError:
            return 0.0

    def _reference(self, kind: str) -> Any:
        if kind not in self._references:
            self._references[kind] = self._encoded(kind)
        return self._references[kind]

    def _encoded(self, kind: str) -> Any:
        first = next((each for each in self.kinds.shown if each.kind == kind and each.by_example), None)
        if first is None:
            raise LikewiseError(f"no picture has an exemplar of {kind}, by which it could be asked for elsewhere")
        sample = self.kinds.dataset[first.index]
        picture = sample.image.permute(1, 2, 0).numpy()
        return self.counter.encode_exemplars([(picture, box) for box in first_exemplars(sample)])  # type: ignore[attr-defined]


def first_exemplars(sample: CountSample) -> list[Box]:
    """The first `EXEMPLARS` of a sample; where it has none, boxes of its things: those that are best to be seen."""
    boxes = sample.exemplars
    if not len(boxes):
        visible = torch.ones(len(sample.boxes)) if sample.visible is None else sample.visible
        order = visible[sample.known].argsort(descending=True, stable=True)
        boxes = sample.boxes[sample.known][order]
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in boxes[:EXEMPLARS].tolist()]


def prepared(sample: CountSample) -> PreparedImage:
    """A sample's picture, of which what no prompt changes is worked out once."""
    return PreparedImage(sample.image, KEPT_BYTES)


def each_of(
    chosen: Sequence[KindShown], ask: Callable[[KindShown], None], progress: Callable[[int, int], None] | None
) -> tuple[tuple[str, str], ...]:
    """Ask of each; (picture, reason) of those that could not be."""
    errors: list[tuple[str, str]] = []
    for done, each in enumerate(chosen, 1):
        try:
            ask(each)
        except LikewiseError as error:
            errors.append((each.picture, str(error)))
        if progress is not None:
            progress(done, len(chosen))
    return tuple(errors)


def open_kinds(root: Path, split: str | None = None, *, prompts: Literal["classes", "texts"] | None = None) -> Kinds:
    """The kinds in a folder, in pictures that show several each of them, whether or not it has exemplars.

    Args:
        root: the folder.
        split: of its splits; None: all pictures.
        prompts: of FSC-147: see `likewise.data.open_dataset.open_counting`.

    Raises:
        LikewiseError: as `open_counting` and `Kinds` do.
    """
    dataset = open_counting(root, split, prompts=prompts)
    if isinstance(dataset, CountingFolder) and dataset.categories:
        dataset = CountingFolder(root, split, targets="all")
    return Kinds(dataset)


def _shown(dataset: Dataset[CountSample]) -> Iterator[KindShown]:
    if isinstance(dataset, CountingFolder):
        for index, target in enumerate(dataset.targets):
            if target.prompt:
                boxes = len(target.exemplars) > 0 or bool(np.isfinite(target.boxes).all(axis=1).any())
                yield KindShown(index, target.file_name, target.prompt, boxes)
        return
    if isinstance(dataset, FSC147):
        for index, name in enumerate(dataset.names):
            if name in dataset.prompts:
                yield KindShown(index, name, dataset.prompts[name], by_example=True)
        return
    raise LikewiseError(
        f"{type(dataset).__name__} does not name what its pictures show; expected a counting folder or FSC-147"
    )
