"""Scenes as a data set that is never written down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from likewise.data.counting.negatives import negative_weight
from likewise.data.counting.sample import CountSample, Others
from likewise.scenes.config import SceneConfig
from likewise.scenes.scene import Scene, SceneObject, make_scene


class SyntheticScenes(Dataset[CountSample]):
    """Scenes ``start`` to ``start + count - 1`` of a config, made when asked for.

    Args:
        config: what scenes to make.
        count: how many.
        start: index of the first.

    Example:
        >>> scenes = SyntheticScenes(SceneConfig(side=(64, 96), objects=(3, 9), emoji=False), 1)
        >>> scenes[0].image.dtype, scenes[0].count > 0
        (torch.uint8, True)
    """

    def __init__(self, config: SceneConfig, count: int, start: int = 0) -> None:
        self.config = config
        self.count = count
        self.start = start

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> CountSample:
        if not 0 <= index < self.count:
            raise IndexError(f"scene {index} of {self.count}")
        scene = make_scene(self.config, self.start + index)
        return scene_sample(scene, scene.target, f"scene {self.start + index}")


def scene_sample(scene: Scene, kind: str, name: str = "") -> CountSample:
    """A scene with the question "how many of this kind?".

    Args:
        scene: the scene.
        kind: one of its `names`; any of them can be asked for.
        name: the sample's name.

    Returns:
        The sample; its ``others`` are all objects of the scene's other kinds, as `CountingFolder` has them of a scene
        that was written.
    """
    things = [scene.objects[i] for i in scene.of_kind(kind)]
    rest = [thing for thing in scene.objects if thing.kind != kind]
    return CountSample(
        image=torch.from_numpy(np.ascontiguousarray(scene.image.transpose(2, 0, 1))),
        points=torch.tensor([t.point for t in things], dtype=torch.float32).reshape(-1, 2),
        boxes=_boxes(things),
        exemplars=_boxes([scene.objects[i] for i in scene.exemplars(kind)]),
        name=name,
        prompt=kind,
        visible=torch.tensor([t.visible for t in things], dtype=torch.float32),
        others=Others(_boxes(rest), torch.tensor([negative_weight(t.visible, kind, t.kind) for t in rest])),
    )


def _boxes(things: Sequence[SceneObject]) -> torch.Tensor:
    return torch.tensor([t.box for t in things], dtype=torch.float32).reshape(-1, 4)
