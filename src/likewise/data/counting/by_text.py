"""Counting pictures with the question put in words: one of the names present, in many ways, or one that is absent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.sample import CountSample, Things
from likewise.data.infinite import ENDLESS, Transform
from likewise.errors import LikewiseError
from likewise.vocabulary import answers, ways_to_ask, words_of

#: Names drawn before a picture is taken to hold everything that can be asked for.
_TRIES = 50


class TextPromptDataset(Dataset[CountSample]):
    """Pictures drawn with replacement, each with a question; position i is the same sample every time.

    What counts is everything in the picture that answers to the question's words (`likewise.vocabulary`): asked for
    "heart", red and blue ones together.

    Args:
        folders: sets with names, read with ``targets="all"``.
        shares: how often each is drawn, in any unit; None: by their sizes.
        seed: of every draw.
        absent: probability of asking for a name of which there is nothing in the picture; the count is then 0.
        alike: of the absent names, the share that has a word in common with something present.
        varied: whether adjectives are left out and synonyms used at random; False: names as they are.
        transform: what is done to a sample, with randomness of its own position.
        length: what `len` says; positions beyond it can be read all the same.

    Raises:
        LikewiseError: no folder, one with a kind of thing that has no name, or shares that do not fit.
    """

    def __init__(
        self,
        folders: Sequence[CountingFolder],
        shares: Sequence[float] | None = None,
        seed: int = 0,
        *,
        absent: float = 0.15,
        alike: float = 0.4,
        varied: bool = True,
        transform: Transform | None = None,
        length: int = ENDLESS,
    ) -> None:
        self.folders = tuple(folders)
        weights = np.array([len(f) for f in folders] if shares is None else shares, np.float64)
        if not len(folders) or weights.shape != (len(folders),) or not (weights >= 0).all() or not weights.sum() > 0:
            raise LikewiseError(f"shares = {shares!r}: expected {len(folders)} numbers >= 0, not all 0, at least one")
        self.shares = weights / weights.sum()
        self.seed, self.absent, self.alike, self.varied = seed, absent, alike, varied
        self.transform = transform
        self.length = length
        self.together = [_by_picture(folder) for folder in self.folders]
        self.kinds = sorted({name for folder in self.folders for name in _names(folder)})
        self.with_word: dict[str, list[str]] = defaultdict(list)
        for kind in self.kinds:
            for word in words_of(kind):
                self.with_word[word].append(kind)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> CountSample:
        rng = np.random.default_rng((self.seed, index))
        source = int(rng.choice(len(self.folders), p=self.shares))
        folder = self.folders[source]
        chosen = int(rng.integers(len(folder)))
        picture = self.together[source][folder.targets[chosen].file_name]
        everything, wanted, things = self._asked(folder, chosen, picture, rng)
        shown = everything if self.transform is None else self.transform(everything, rng)
        return _only(shown, wanted, things)

    def _asked(
        self, folder: CountingFolder, chosen: int, picture: list[int], rng: np.random.Generator
    ) -> tuple[CountSample, Tensor, tuple[tuple[str, ...], tuple[str, ...]]]:
        """The chosen target's picture with a question, which kinds answer to it, and what else could be asked."""
        names = tuple(str(folder.targets[i].prompt) for i in picture)
        question = self._missing(names, rng) if rng.random() < self.absent else None
        if question is None:
            question = self._question(str(folder.targets[chosen].prompt), rng)
        asked = tuple(self._question(name, rng) for name in names)
        wanted = torch.tensor([answers(name, question) for name in names])
        targets = [folder.targets[i] for i in picture]
        kinds = torch.arange(len(picture)).repeat_interleave(torch.tensor([len(t.points) for t in targets]))
        boxes = _joined([target.boxes for target in targets], 4)
        everything = replace(
            folder[chosen],
            points=_joined([target.points for target in targets], 2),
            boxes=boxes,
            # what a crop may be placed at
            exemplars=boxes[wanted[kinds] & boxes.isfinite().all(dim=1)],
            visible=None,
            others=None,
            kinds=kinds,
            prompt=question,
        )
        return everything, wanted, (names, asked)

    def _question(self, name: str, rng: np.random.Generator) -> str:
        return ways_to_ask(name, rng) if self.varied else name

    def _missing(self, names: Sequence[str], rng: np.random.Generator) -> str | None:
        """A name nothing in the picture answers to; None where none was found."""
        words = sorted({word for name in names for word in words_of(name)})
        for _ in range(_TRIES):
            near = rng.random() < self.alike
            pool = self.with_word[words[int(rng.integers(len(words)))]] if near else self.kinds
            name = pool[int(rng.integers(len(pool)))]
            question = self._question(name, rng)
            if not any(answers(present, question) for present in names):
                return question
        return None


def _only(shown: CountSample, wanted: Tensor, names: tuple[tuple[str, ...], tuple[str, ...]]) -> CountSample:
    """What was asked for as what counts, and everything there as things that have names."""
    kinds: Tensor = shown.kinds  # type: ignore[assignment]  # it was given some
    keep = wanted[kinds]
    return replace(
        shown,
        points=shown.points[keep],
        boxes=shown.boxes[keep],
        exemplars=torch.zeros(0, 4),
        kinds=None,
        things=Things(shown.points, kinds, *names),
    )


def _names(folder: CountingFolder) -> set[str]:
    nameless = [t.file_name for t in folder.targets if not t.prompt]
    if nameless:
        raise LikewiseError(f"{folder.root}: something in {nameless[0]} has no name; expected one for every category")
    return {str(t.prompt) for t in folder.targets}


def _by_picture(folder: CountingFolder) -> dict[str, list[int]]:
    together: dict[str, list[int]] = defaultdict(list)
    for index, target in enumerate(folder.targets):
        together[target.file_name].append(index)
    return dict(together)


def _joined(rows: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.float32]]], width: int) -> Tensor:
    return torch.from_numpy(np.concatenate([*rows, np.empty((0, width), np.float32)]))


def known_names(folders: Sequence[CountingFolder]) -> list[str]:
    """The names of everything in some folders, sorted."""
    return sorted({name for folder in folders for name in _names(folder)})
