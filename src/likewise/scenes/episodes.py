"""Synthetic episodes: one half of a rendered scene is the query, the other the example.

A scene knows the exact mask of every object in it. Kinds of things seldom come in two scenes; but both halves of
one often show the same kind.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.scenes.config import SceneConfig
from likewise.scenes.scene import Scene, make_scene


class SceneMasks:
    """Halves of scenes as labelled pictures: every kind of every scene is a class, shown by its two halves.

    The scenes are made when asked for; the last few are kept.

    Args:
        config: what scenes to make.
        count: scenes 0 to ``count - 1``.
        least: a half shows a kind where it covers at least this share of it.
        most: ... and at most this one.

    Raises:
        LikewiseError: no scene has a kind that both halves show.
    """

    def __init__(self, config: SceneConfig, count: int, least: float = 0.01, most: float = 0.7) -> None:
        self.scene = lru_cache(maxsize=8)(lambda index: make_scene(config, index))
        self.classes: dict[int, str] = {}
        self.pictures: dict[int, tuple[int, ...]] = {}
        self._kinds: dict[int, str] = {}
        for index in range(count):
            scene = self.scene(index)
            for kind in scene.names:
                halves = [_cut(_mask(scene, kind), half) for half in (0, 1)]
                if all(least <= float(half.mean()) <= most for half in halves):
                    number = len(self.classes)
                    self.classes[number] = f"{kind} of scene {index}"
                    self._kinds[number] = kind
                    self.pictures[number] = (2 * index, 2 * index + 1)
        if not self.classes:
            raise LikewiseError(f"of {count} scenes none shows one kind in both of its halves")

    def name(self, index: int) -> str:
        """Which half of which scene."""
        return f"scene {index // 2}, half {index % 2}"

    def read(self, index: int, kind: int) -> tuple[Tensor, Tensor]:
        """Half a scene and where it shows a kind."""
        scene = self.scene(index // 2)
        image, mask = (_cut(part, index % 2) for part in (scene.image, _mask(scene, self._kinds[kind])))
        return torch.from_numpy(image.copy()).permute(2, 0, 1), torch.from_numpy(mask.astype(np.uint8))


def _mask(scene: Scene, kind: str) -> NDArray[np.bool_]:
    """(H, W): where any object of a kind is seen."""
    return np.isin(scene.owner, [i + 1 for i in scene.of_kind(kind)])


def _cut(part: NDArray[np.generic], half: int) -> NDArray[np.generic]:
    """One half of (H, W, ...), across its longer side."""
    axis = int(part.shape[1] > part.shape[0])
    return np.array_split(part, 2, axis)[half]
