"""Synthetic counting scenes: unlimited pictures with exact boxes, points, masks and names."""

from __future__ import annotations

from likewise.data.synthetic.config import SceneConfig, kind_split
from likewise.data.synthetic.dataset import SyntheticScenes, scene_sample
from likewise.data.synthetic.preview import contact_sheet
from likewise.data.synthetic.scene import Scene, SceneObject, make_scene
from likewise.data.synthetic.write import write_scenes

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
