"""Photographs as material: backgrounds, textures of shapes, and cut-outs that become kinds of their own.

A folder may carry an ``index.json`` (``images``: records with ``file_name`` or ``image`` and ``split``) or a
COCO-style ``annotations.json`` with run-length masks; otherwise every picture under it is used.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label

from likewise.boxes import mask_box
from likewise.data.decoders import open_image
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.ops.run_lengths import decode_rle
from likewise.scenes.kinds.textures import Floats, random_colour, smooth_noise
from likewise.types import Box

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_MIN_CUTOUT = 14
#: Stands for every labelled class together.
_ANY = -1
#: A class is a kind where it makes up this share of each of at least so many photographs.
_MIN_FRACTION, _MIN_INSTANCES = 0.01, 12
#: Classes without a shape of their own.
_SHAPELESS = frozenset({"skin", "hair", "null"})


@dataclass(frozen=True)
class PhotoBank:
    """Photographs by path; with none, procedural noise stands in.

    Attributes:
        paths: picture files, in a fixed order.
    """

    paths: tuple[str, ...] = ()

    def crop(self, rng: Generator, height: int, width: int) -> Image.Image:
        """A random part of a random photograph, filling (height, width), perhaps mirrored."""
        image = _open(self.paths[int(rng.integers(len(self.paths)))])
        share = float(rng.uniform(0.45, 1.0))
        box = _crop_box(image.size, width / height, share, rng.random(), rng.random())
        part = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
        return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part

    def patch(self, rng: Generator, height: int, width: int, *, where: float, wander: float) -> Floats:
        """A small patch (height, width, 3) in [0, 1], always near the same place of the same photograph.

        Args:
            rng: source of randomness (the wandering only).
            height: rows.
            width: columns.
            where: in [0, 1), names photograph and place.
            wander: spread of the place, as a share of the photograph.
        """
        if not self.paths:
            base, fine = (
                random_colour(np.random.default_rng(int(where * 2**32))),
                smooth_noise(rng, height, width, 20, 3),
            )
            return np.clip(base * (1 + 0.25 * fine)[..., None], 0, 1).astype(np.float32)
        image = _open(self.paths[int(where * len(self.paths))])
        place = np.random.default_rng(int(where * 2**32)).random(3)
        share = 0.06 + 0.2 * float(place[2])
        x, y = np.clip(place[:2] + rng.normal(0, wander, 2), 0, 1)
        box = _crop_box(image.size, width / height, share, float(x), float(y))
        part = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
        return np.asarray(part, dtype=np.float32) / np.float32(255)


@dataclass(frozen=True)
class CutoutKind:
    """A thing cut out of photographs.

    Attributes:
        name: what it is.
        files: RGBA pictures of it.
        parts: (picture, run-length mask as JSON) of each instance.
        regions: (picture, label picture, value): its largest region of that value is an instance.
    """

    name: str
    files: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    regions: tuple[tuple[str, str, int], ...] = ()

    source = "cutout"

    def portraits(self, rng: Generator, count: int, variety: float, photos: PhotoBank) -> list[Image.Image]:
        """``count`` RGBA cut-outs, repeated where the kind has fewer; ``variety`` limits how many differ."""
        total = len(self.files) + len(self.parts) + len(self.regions)
        chosen = rng.permutation(total)[: max(1, round(count * max(variety, 0.3)))]
        pictures = [self._load(int(i)) for i in chosen]
        return [pictures[i % len(pictures)] for i in range(count)]

    def _load(self, index: int) -> Image.Image:
        if index < len(self.files):
            return _open_cutout(self.files[index])
        index -= len(self.files)
        if index < len(self.parts):
            path, segmentation = self.parts[index]
            return _masked_part(path, decode_rle(json.loads(segmentation)))
        return _region(*self.regions[index - len(self.parts)])


def photo_bank(folders: Sequence[str], split: str) -> PhotoBank:
    """Every photograph of the folders that belongs to ``split`` ("train", "val"); without an index, all of them.

    Raises:
        LikewiseError: a folder that does not exist or holds no picture.
    """
    return PhotoBank(tuple(p for folder in folders for p in _pictures(Path(folder), split)))


def cutout_kinds(folders: Sequence[str]) -> tuple[CutoutKind, ...]:
    """The kinds of cut-outs in the folders.

    A folder is a set with ``index.json`` of cut-outs (records with ``cutout``, ``text`` or ``name``,
    ``single_object``) or of label pictures (records with ``image``, ``label``, ``class_fraction``, and
    ``classes.json``), a COCO-style set with masks, or any folder of RGBA PNGs. One kind a category; of sets with
    splits, the train pictures only.

    Raises:
        LikewiseError: a folder that does not exist or holds no cut-out.
    """
    return tuple(kind for folder in folders for kind in _folder_kinds(_existing(Path(folder))))


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise LikewiseError(f"{folder} is not a folder; expected a folder of pictures")
    return folder


def _pictures(folder: Path, split: str) -> list[str]:
    index = _existing(folder) / "index.json"
    if index.is_file():
        records = json.loads(index.read_text(encoding="utf-8"))["images"]
        names = [r.get("file_name") or r["image"] for r in records if r.get("split", split) == split]
        found = [str(folder / name) for name in names]
    else:
        found = sorted(str(p) for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not found:
        raise LikewiseError(f"{folder} holds no {split} picture; expected files ending in {', '.join(_SUFFIXES)}")
    return found


def _folder_kinds(folder: Path) -> list[CutoutKind]:
    if (folder / "annotations.json").is_file():
        kinds = _coco_kinds(folder)
    elif (folder / "index.json").is_file():
        records = json.loads((folder / "index.json").read_text(encoding="utf-8"))["images"]
        usable = [r for r in records if "cutout" in r and r.get("single_object", True)]
        kinds = [CutoutKind(str(r.get("text") or r["name"]), (str(folder / r["cutout"]),)) for r in usable]
        kinds += _label_kinds(folder, [r for r in records if "label" in r and r.get("split", "train") == "train"])
    else:
        files = sorted(folder.rglob("*.png"))
        kinds = [CutoutKind(p.stem.lstrip("0123456789_- ").replace("_", " "), (str(p),)) for p in files]
    if not kinds:
        raise LikewiseError(f"{folder} holds no cut-outs; expected RGBA PNGs or annotations.json with masks")
    return kinds


def _coco_kinds(folder: Path) -> list[CutoutKind]:
    data = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    files = {i["id"]: str(folder / i["file_name"]) for i in data["images"] if i.get("split", "train") == "train"}
    parts: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for record in data["annotations"]:
        if "segmentation" in record and record["image_id"] in files and min(record["bbox"][2:]) >= _MIN_CUTOUT:
            parts[record["category_id"]].append(
                (files[record["image_id"]], json_text(record["segmentation"], what="annotations.json"))
            )
    return [CutoutKind(c["name"], (), tuple(parts[c["id"]])) for c in data["categories"] if parts[c["id"]]]


def _label_kinds(folder: Path, records: list[dict[str, Any]]) -> list[CutoutKind]:
    """One kind for each class that makes up a fair part of enough photographs, and one for all classes together."""
    if not records:
        return []
    classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))["classes"]
    kinds = []
    for value, name in [(_ANY, "figure"), *((int(c["id"]), str(c["name"])) for c in classes)]:
        regions = [
            (str(folder / r["image"]), str(folder / r["label"]), value)
            for r in records
            if value == _ANY or r["class_fraction"].get(str(value), 0) >= _MIN_FRACTION
        ]
        if value and name not in _SHAPELESS and len(regions) >= _MIN_INSTANCES:
            kinds.append(CutoutKind(name, regions=tuple(regions)))
    return kinds


def _crop_box(size: tuple[int, int], aspect: float, share: float, x: float, y: float) -> Box:
    """The crop of a given width / height that is ``share`` of the largest one that fits, at (x, y) in [0, 1]."""
    width, height = size
    w = share * min(width, height * aspect)
    h = w / aspect
    left, top = x * (width - w), y * (height - h)
    return left, top, left + w, top + h


@lru_cache(maxsize=64)
def _open(path: str) -> Image.Image:
    with open_image(path) as image:
        return image.convert("RGB")


@lru_cache(maxsize=256)
def _open_cutout(path: str) -> Image.Image:
    with open_image(path) as image:
        rgba = image.convert("RGBA")
    box = rgba.getchannel("A").point(lambda a: 255 if a >= 128 else 0).getbbox()
    if box is None:
        raise LikewiseError(f"{path} is fully transparent; expected a cut-out with an opaque object")
    return rgba.crop(box)


@lru_cache(maxsize=512)
def _region(path: str, labels: str, value: int) -> Image.Image:
    """The largest connected region of a value (any but 0 for `_ANY`) in a label picture, cut from its photograph."""
    with open_image(labels) as image:
        values = np.asarray(image)
    numbered, found = label(values > 0 if value == _ANY else values == value)
    largest = int(np.bincount(numbered.ravel())[1:].argmax()) + 1 if found else 0
    return _masked_part(path, numbered == largest)


def _masked_part(path: str, mask: NDArray[np.bool_]) -> Image.Image:
    box = mask_box(mask)
    if box is None:
        raise LikewiseError(f"{path}: its mask is empty; expected at least one pixel to cut out")
    alpha = Image.fromarray(mask.astype(np.uint8) * 255).crop(box)
    part = _open(path).crop(box)
    part.putalpha(alpha)
    return part
