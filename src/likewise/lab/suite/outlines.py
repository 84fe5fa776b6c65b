"""How well things are outlined: masks and boxes of sets that have true ones, three boxes a picture, and a peer.

Nuclei have true masks; blood and red cells true boxes (of red cells some are of the usual size, where cells touch);
rendered scenes exact masks, of val kinds. Crates have three boxes a picture: each is asked for in turn, the other two
are shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from likewise.boxes import mask_box
from likewise.data.counting.folder import ANNOTATIONS, CountingFolder
from likewise.data.counting.sample import CountSample
from likewise.data.images import read_image
from likewise.errors import LikewiseError
from likewise.lab.suite.generalisation import EXEMPLARS, RENDERED, SEED
from likewise.lab.suite.outline_scores import OutlineErrors, box_overlaps, mask_overlaps
from likewise.lab.suite.photographs import GROCERIES, Photographs
from likewise.ops.run_lengths import decode_rle
from likewise.predict.prompts import PromptedCounter
from likewise.results.outlines import Outlines
from likewise.scenes.scene import make_scene
from likewise.types import Box

Labels = NDArray[np.int32]
Pixels = NDArray[np.uint8]

#: Folders that are read.
FOLDERS = ("nuclei", "blood", "red_cells", "grocery", "grocery_iconic", "clothing", "backgrounds")
#: Scenes of each group.
SCENES = {"rendered, everyday": 24, "rendered, cells": 10}


@dataclass(frozen=True, eq=False)
class Asked:
    """A picture, what is shown in it, and what is to be found.

    Attributes:
        pixels: (H, W, 3) uint8.
        exemplars: boxes that are shown.
        boxes: (T, 4) of the true things.
        masks: (H, W), the number of the true thing at each pixel; None: only their boxes are known.
        partly: only some of the true things are known.
    """

    pixels: Pixels
    exemplars: tuple[Box, ...]
    boxes: NDArray[np.float64]
    masks: Labels | None = None
    partly: bool = False


@dataclass(frozen=True)
class Row:
    """One set.

    Attributes:
        name: of the set.
        pictures: how many questions were asked.
        masks: of outlines against true masks; None: there are none.
        boxes: of their boxes against true ones.
        area: mean of |median area / true median area - 1| over the pictures; None: there are no masks.
        peer: as ``masks``, of Otsu's threshold and a watershed; None: there are no masks.
    """

    name: str
    pictures: int
    masks: OutlineErrors | None
    boxes: OutlineErrors
    area: float | None
    peer: OutlineErrors | None


def sets(data: Path) -> dict[str, Callable[[], Iterator[Asked]]]:
    """Every set by name, read when it is called.

    Raises:
        LikewiseError: a folder is missing.
    """
    missing = [name for name in FOLDERS if not (data / name).is_dir()]
    if missing:
        raise LikewiseError(f"{data} lacks {', '.join(missing)}; outlines are measured on {', '.join(FOLDERS)}")
    blood = data / "blood"
    return {
        "nuclei (val)": lambda: _nuclei(data / "nuclei"),
        "white blood cells (val)": lambda: _boxed(CountingFolder(blood, "val", "white blood cells")),
        "platelets (val)": lambda: _boxed(CountingFolder(blood, "val", "platelets")),
        "red cells (val)": lambda: _boxed(CountingFolder(data / "red_cells", "val")),
        "crates of fruit": lambda: _held_back(Photographs(GROCERIES, data / "grocery")),
        **{name: partial(_scenes, name, data) for name in SCENES},
    }


def measure(
    counter: PromptedCounter, data: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Iterator[Row]:
    """A row a set."""
    opened = sets(data)
    for done, (name, questions) in enumerate(opened.items()):
        progress(done, len(opened))
        yield _row(counter, name, questions())


def _row(counter: PromptedCounter, name: str, questions: Iterator[Asked]) -> Row:
    masks, boxes, peer = OutlineErrors(), OutlineErrors(), OutlineErrors()
    off: list[float] = []
    asked_about = 0
    for asked in questions:
        asked_about += 1
        found = counter.count(asked.pixels, asked.exemplars, outlines=True).outlines
        assert found is not None  # noqa: S101  # they were asked for
        overlaps = box_overlaps(found.boxes.astype(np.float64), asked.boxes)
        boxes.add(overlaps, found.scores)
        if asked.partly:
            boxes.found += len(asked.boxes) - len(overlaps)  # what else was found may be true
        if asked.masks is not None:
            masks.add(mask_overlaps(found.labels, asked.masks), found.scores)
            theirs = otsu_watershed(asked.pixels)
            peer.add(mask_overlaps(theirs, asked.masks), np.ones(len(np.unique(theirs[theirs > 0]))))
            off += _off(found, asked.masks)
    area = float(np.mean(off)) if off else None
    return Row(name, asked_about, masks if masks.true else None, boxes, area, peer if peer.true else None)


def _off(found: Outlines, truth: Labels) -> list[float]:
    """How far off the median area is; nothing where nothing was found."""
    mine, theirs = (np.bincount(each.ravel())[1:] for each in (found.labels, truth))
    return [abs(float(np.median(mine[mine > 0]) / np.median(theirs[theirs > 0])) - 1)] if (mine > 0).any() else []


def otsu_watershed(pixels: Pixels) -> Labels:
    """The usual way without examples: Otsu's threshold, and a watershed from the peaks of the distance to the ground.

    The smaller of the two sides of the threshold is taken for the things. Peaks are seven pixels apart or more.
    """
    from skimage.color import rgb2gray
    from skimage.feature import peak_local_max
    from skimage.filters import threshold_otsu
    from skimage.segmentation import watershed

    grey = rgb2gray(pixels)
    if grey.min() == grey.max():
        return np.zeros(grey.shape, np.int32)
    things = grey > threshold_otsu(grey)
    things = things if things.mean() <= 0.5 else ~things
    depth = ndimage.distance_transform_edt(things)
    peaks = peak_local_max(depth, min_distance=7, labels=things.astype(np.int32))
    markers = np.zeros(grey.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    found: Labels = watershed(-depth, markers, mask=things)
    return found


def _nuclei(folder: Path) -> Iterator[Asked]:
    content: dict[str, Any] = json.loads((folder / ANNOTATIONS).read_text(encoding="utf-8"))
    notes: dict[int, list[dict[str, Any]]] = {}
    for note in content["annotations"]:
        notes.setdefault(note["image_id"], []).append(note)
    for image in content["images"]:
        if image["split"] != "val":
            continue
        masks = np.zeros((image["height"], image["width"]), np.int32)
        for number, note in enumerate(notes.get(image["id"], []), start=1):
            masks[decode_rle(note["segmentation"])] = number
        exemplars = tuple(
            (x, y, x + w, y + h) for x, y, w, h in (each["bbox"] for each in image["exemplars"][:EXEMPLARS])
        )
        yield Asked(read_image(folder / image["file_name"]), exemplars, _boxes_of(masks), masks)


def _boxed(folder: CountingFolder) -> Iterator[Asked]:
    for index in range(len(folder)):
        sample = folder[index]
        boxes = sample.boxes[sample.known].double().numpy()
        if len(sample.exemplars):
            yield Asked(_pixels(sample), _exemplars(sample), boxes)


def _held_back(photographs: Photographs) -> Iterator[Asked]:
    for index in range(len(photographs)):
        sample = photographs[index]
        shown = _exemplars(sample)
        for held in range(len(shown)):
            others = tuple(box for place, box in enumerate(shown) if place != held)
            yield Asked(_pixels(sample), others, np.array([shown[held]], np.float64), partly=True)


def _scenes(name: str, data: Path) -> Iterator[Asked]:
    cutouts = (str(data / "grocery_iconic"), str(data / "clothing"))
    config = replace(RENDERED[name], seed=SEED, split="val", backgrounds=(str(data / "backgrounds"),), cutouts=cutouts)
    for index in range(SCENES[name]):
        scene = make_scene(config, index)
        renumber = np.zeros(len(scene.objects) + 1, np.int32)
        things = scene.of_kind(scene.target)
        renumber[np.array(things) + 1] = np.arange(1, len(things) + 1)
        masks: Labels = renumber[scene.owner]
        exemplars = tuple(scene.objects[each].box for each in scene.exemplars(scene.target))[:EXEMPLARS]
        yield Asked(scene.image, exemplars, _boxes_of(masks), masks)


def _pixels(sample: CountSample) -> Pixels:
    return np.ascontiguousarray(sample.image.permute(1, 2, 0).numpy())


def _exemplars(sample: CountSample) -> tuple[Box, ...]:
    return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in sample.exemplars[:EXEMPLARS].tolist())


def _boxes_of(masks: Labels) -> NDArray[np.float64]:
    """(T, 4): round what is to be seen of each thing, by ascending number."""
    boxes = [mask_box(masks == number) for number in np.unique(masks[masks > 0])]
    return np.array([box for box in boxes if box is not None], np.float64).reshape(-1, 4)
