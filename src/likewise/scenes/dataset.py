"""Scenes as a data set that is never written down."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from likewise.data.counting.sample import CountSample
from likewise.scenes.config import SceneConfig
from likewise.scenes.scene import Scene, make_scene


class SyntheticScenes(Dataset[CountSample]):
    """Scenes ``start`` to ``start + count - 1`` of a config, made when asked for.

    Args:
        config: what scenes to make.
        count: how many.
        start: index of the first.
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
    """
    things = [scene.objects[i] for i in scene.of_kind(kind)]
    boxes = torch.tensor([t.box for t in things], dtype=torch.float32).reshape(-1, 4)
    exemplars = torch.tensor([scene.objects[i].box for i in scene.exemplars(kind)], dtype=torch.float32)
    return CountSample(
        image=torch.from_numpy(np.ascontiguousarray(scene.image.transpose(2, 0, 1))),
        points=torch.tensor([t.point for t in things], dtype=torch.float32).reshape(-1, 2),
        boxes=boxes,
        exemplars=exemplars.reshape(-1, 4),
        name=name,
        prompt=kind,
        visible=torch.tensor([t.visible for t in things], dtype=torch.float32),
    )
