"""What the bundled counters learn from how far off they may be: many sorts of pictures, none of them the suite's.

Rendered scenes show kinds of the val split, or, to be asked for by name, of the train split, whose names are known; on
other backgrounds and of other seeds than those of `likewise.lab.suite.generalisation`. Of nuclei and of blood's white
cells and platelets the train splits are taken, which the weights have seen, and that of red cells, which those that
ship have not. Left out are sets whose truth is not whole (orchard, blood's red cells) and, by example, scenes of forty
kinds.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch.utils.data import Dataset, Subset

from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.sample import CountSample
from likewise.errors import LikewiseError
from likewise.lab.suite.generalisation import Open
from likewise.scenes import SceneConfig, SyntheticScenes

#: Pictures a set, at most.
PICTURES = 30
#: Folders whose pictures are shown, or are backgrounds and cut-outs of scenes.
FOLDERS = ("red_cells", "nuclei", "blood", "grocery", "clothing", "grocery_iconic")
#: Rendered sets: their seed, and what they show; of kinds of the val split, to be counted by example ...
BY_EXAMPLE = {
    "default": (3001, SceneConfig.default()),
    "crowds": (3002, SceneConfig.crowds()),
    "cells": (3003, SceneConfig.cells()),
    "near-twins": (3004, SceneConfig.near_twins()),
    "two-kinds": (3005, SceneConfig.two_kind_scenes()),
    "wide-scale": (3006, SceneConfig.wide_scale()),
    "receding": (3007, SceneConfig(settings=("receding",))),
    "few": (3008, SceneConfig(objects=(1, 8), size=(12.0, 200.0))),
    "everyday": (3009, SceneConfig(objects=(1, 30), size=(20.0, 240.0))),
    "heaps": (3011, SceneConfig(objects=(30, 400), settings=("heap", "stack", "crowd", "stands", "lot", "sky"))),
    "plain": (3012, SceneConfig.plain()),
    "hidden": (3014, SceneConfig.hidden()),
    "slides": (3013, SceneConfig(objects=(10, 300), settings=("slide",))),
}
#: ... and of the train split, to be counted by name.
BY_NAME = {
    "two-kinds": (3021, replace(SceneConfig.two_kind_scenes(), side=(410, 512))),
    "default": (3022, SceneConfig(side=(410, 512))),
    "assortment": (3023, replace(SceneConfig.assortment(), side=(358, 448))),
    "near-twins": (3024, replace(SceneConfig.near_twins(), side=(410, 512))),
    "everyday": (3025, SceneConfig(objects=(1, 30), size=(20.0, 240.0), side=(410, 512))),
}


def sets(data: Path, *, by_name: bool = False) -> dict[str, Open]:
    """Every set by name, opened when it is called.

    Args:
        data: the folder with the sets `FOLDERS`.
        by_name: those for a counter that is told names, instead of shown examples.

    Raises:
        LikewiseError: one of the folders is missing.
    """
    missing = [name for name in FOLDERS if not (data / name).is_dir()]
    if missing:
        raise LikewiseError(f"{data} lacks {', '.join(missing)}; the calibration suite needs {', '.join(FOLDERS)}")

    def real(name: str, category: str | None = None) -> Open:
        return lambda: _first(CountingFolder(data / name, "train", category))

    if by_name:
        rendered = {name: _rendered(config, seed, "train", data) for name, (seed, config) in BY_NAME.items()}
        return {**rendered, "nuclei": real("nuclei")}
    return {
        **{name: _rendered(config, seed, "val", data) for name, (seed, config) in BY_EXAMPLE.items()},
        "red cells": real("red_cells"),
        "nuclei": real("nuclei"),
        "blood, white cells": real("blood", "white blood cells"),
        "blood, platelets": real("blood", "platelets"),
    }


def _first(pictures: CountingFolder) -> Dataset[CountSample]:
    return Subset(pictures, range(min(PICTURES, len(pictures))))


def _rendered(config: SceneConfig, seed: int, split: str, data: Path) -> Open:
    grounds, cutouts = ((str(data / first), str(data / "clothing")) for first in ("grocery", "grocery_iconic"))
    dressed = replace(config, seed=seed, split=split, backgrounds=grounds, cutouts=cutouts)
    return lambda: SyntheticScenes(dressed, PICTURES)
