"""Episodes of few-shot segmentation: a query, and K other pictures of the same class with their masks.

Every draw depends on the seed and the episode's number alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from likewise.data.fewshot.labelled import Labelled
from likewise.data.infinite import ENDLESS
from likewise.errors import LikewiseError


@dataclass(frozen=True)
class Drawn:
    """What an episode is made of: a class, and the numbers of its pictures."""

    kind: int
    query: int
    support: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Episode:
    """A query and the examples it is to be segmented by.

    Attributes:
        image: (3, H, W) uint8 RGB, the query.
        mask: (H, W) uint8: 1 where the thing is, 0 elsewhere, 255 where nobody says.
        support: (picture, mask) of each shot; sizes may differ.
        kind: the class's number.
        class_name: its name.
        names: of the query and of the support's pictures.
    """

    image: Tensor
    mask: Tensor
    support: tuple[tuple[Tensor, Tensor], ...]
    kind: int
    class_name: str
    names: tuple[str, ...]


class Episodes(Dataset[Episode]):
    """Episodes of labelled pictures; episode i is the same every time.

    Classes take turns, so that each comes as often as any other. An episode's pictures are all different ones; where a
    class has too few for that, examples (never the query) come more than once.

    Args:
        labelled: where the pictures are; a class with fewer than two of them gives no episodes.
        shots: how many examples an episode has.
        seed: of every draw.
        length: how many episodes; None: endless.

    Raises:
        LikewiseError: no class has two pictures; ``shots`` below 1.

    Example:
        >>> from likewise.scenes import SceneConfig
        >>> from likewise.scenes.episodes import SceneMasks
        >>> scenes = SceneMasks(SceneConfig(side=(96, 128), objects=(6, 12), settings=("paper",), emoji=False), 1)
        >>> episode = Episodes(scenes, shots=1, length=10)[0]
        >>> episode.image.shape[1:] == episode.mask.shape, len(episode.support)
        (True, 1)
    """

    def __init__(self, labelled: Labelled, shots: int = 1, seed: int = 0, length: int | None = None) -> None:
        if shots < 1:
            raise LikewiseError(f"shots = {shots}: expected at least 1")
        self.labelled, self.shots, self.seed = labelled, shots, seed
        self.length = ENDLESS if length is None else length
        self.kinds = tuple(kind for kind in labelled.classes if len(labelled.pictures[kind]) > 1)
        if not self.kinds:
            raise LikewiseError("no class is shown by two pictures; an episode needs a query and an example")

    def __len__(self) -> int:
        return self.length

    def drawn(self, index: int) -> Drawn:
        """What episode ``index`` is made of, without reading a picture."""
        rng = np.random.default_rng((self.seed, index))
        kind = self.kinds[index % len(self.kinds)]
        there = self.labelled.pictures[kind]
        query, *others = (there[i] for i in rng.permutation(len(there))[: self.shots + 1])
        while len(others) < self.shots:
            others.append(others[int(rng.integers(len(others)))])
        return Drawn(kind, query, tuple(others))

    def __getitem__(self, index: int) -> Episode:
        drawn = self.drawn(index)
        (image, mask), *support = (self.labelled.read(i, drawn.kind) for i in (drawn.query, *drawn.support))
        names = tuple(self.labelled.name(i) for i in (drawn.query, *drawn.support))
        return Episode(image, mask, tuple(support), drawn.kind, self.labelled.classes[drawn.kind], names)
