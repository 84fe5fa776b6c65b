"""Synthetic counting scenes: unlimited pictures with exact boxes, points, masks and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likewise.scenes.config import SceneConfig, kind_split
from likewise.scenes.preview import contact_sheet
from likewise.scenes.scene import Scene, SceneObject, make_scene
from likewise.scenes.write import write_scenes

if TYPE_CHECKING:
    from likewise.scenes.dataset import SyntheticScenes, scene_sample

__all__ = [
    "Scene",
    "SceneConfig",
    "SceneObject",
    "SyntheticScenes",
    "contact_sheet",
    "kind_split",
    "make_scene",
    "scene_sample",
    "write_scenes",
]


def __getattr__(name: str) -> Any:
    # tensors come from here only, so that the processes that write scenes need not import torch
    if name not in ("SyntheticScenes", "scene_sample"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from likewise.scenes import dataset

    return getattr(dataset, name)
