"""What lies in the folders of recognition sets: published layouts, and folders of named pictures.

A reader for each layout that `likewise.data.open_dataset` knows: CUB-200-2011, FGVC-Aircraft and Stanford Cars as
published, ``index.json`` with ``classes.json``, and a folder a class (``apple/1.jpg``), in folders ``train``, ``val``
and ``test`` or not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from likewise.data.classification.dataset import NamedPictures
from likewise.data.decoders import is_read
from likewise.errors import LikewiseError, nearest

#: Share of a plain folder's pictures that are its split "val".
HELD_OUT = 0.2
SPLITS = ("train", "val", "test")

#: (file below the root, label, split) of a picture; a picture may be in several splits, each a record.
Record = tuple[str, str, str]
#: Reads a folder's labels and records.
Reader = Callable[[Path], tuple[list[str], list[Record]]]


def pictures_of(root: Path, labels: list[str], records: list[Record], split: str | None) -> NamedPictures:
    """The pictures of a split, or of all splits, each once.

    Args:
        root: the folder.
        labels: all names.
        records: of all pictures.
        split: None: all.

    Raises:
        LikewiseError: an unknown split (the known are named), or no picture.
    """
    if split is not None:
        splits = {s for _, _, s in records}
        if split not in splits:
            raise LikewiseError(f"{root} has no split {split!r}{nearest(split, splits)}")
        records = [r for r in records if r[2] == split]
    chosen = {file: label for file, label, _ in records}
    place = {label: i for i, label in enumerate(labels)}
    return NamedPictures(root, list(chosen), [place[label] for label in chosen.values()], labels)


def read_cub(root: Path) -> tuple[list[str], list[Record]]:
    """Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset"."""
    classes = dict(_pairs(root / "classes.txt"))
    labels = {number: _bird(name) for number, name in classes.items()}
    given = dict(_pairs(root / "image_class_labels.txt"))
    training = dict(_pairs(root / "train_test_split.txt"))
    files = _pairs(root / "images.txt")
    records = [
        (f"images/{file}", labels[given[image]], "train" if training[image] == "1" else "test") for image, file in files
    ]
    return list(labels.values()), records


def _bird(name: str) -> str:
    """``001.Black_footed_Albatross`` -> ``Black footed Albatross``."""
    return name.partition(".")[2].replace("_", " ") or name


def read_aircraft(root: Path) -> tuple[list[str], list[Record]]:
    """Maji et al., "Fine-Grained Visual Classification of Aircraft", arXiv 1306.5151; the 100 variants."""
    data = next(root.glob("**/variants.txt")).parent
    below = data.relative_to(root)
    records = [
        ((below / "images" / f"{image}.jpg").as_posix(), label, split)
        for split in ("train", "val", "trainval", "test")
        if (data / f"images_variant_{split}.txt").is_file()
        for image, label in _pairs(data / f"images_variant_{split}.txt")
    ]
    return [line.strip() for line in _lines(data / "variants.txt")], records


def read_cars(root: Path) -> tuple[list[str], list[Record]]:
    """Krause et al., "3D Object Representations for Fine-Grained Categorization", ICCV workshops 2013."""
    if (root / "cars_annos.mat").is_file():
        held = _matlab(root / "cars_annos.mat")
        labels = [str(name) for name in held["class_names"]]
        records = [
            (str(note.relative_im_path), labels[int(getattr(note, "class")) - 1], "test" if note.test else "train")
            for note in held["annotations"]
        ]
        return labels, records
    labels = [str(name) for name in _matlab(root / "devkit" / "cars_meta.mat")["class_names"]]
    records = []
    for split, names in (("train", ("cars_train_annos",)), ("test", ("cars_test_annos_withlabels",))):
        for path in (folder / f"{name}.mat" for name in names for folder in (root / "devkit", root)):
            if path.is_file():
                notes = _matlab(path)["annotations"]
                records += [
                    (f"cars_{split}/{note.fname}", labels[int(getattr(note, "class")) - 1], split) for note in notes
                ]
                break
    return labels, records


def read_index(root: Path) -> tuple[list[str], list[Record]]:
    """``index.json`` (images: file_name, fine, split) and ``classes.json`` (fine: id, name and, if known, text)."""
    classes, images = _json(root / "classes.json"), _json(root / "index.json")
    try:
        labels = {c["id"]: str(c.get("text") or c["name"]) for c in classes["fine"]}
        records = [(i["file_name"], labels[i["fine"]], str(i.get("split", "train"))) for i in images["images"]]
    except (KeyError, TypeError) as error:
        raise LikewiseError(
            f"{root}: index.json or classes.json lacks {error}; expected images with file_name, fine and split, and "
            "fine classes with id and name"
        ) from error
    return [labels[i] for i in sorted(labels)], records


def read_class_folders(root: Path) -> tuple[list[str], list[Record]]:
    """A folder a class, perhaps in folders train, val and test."""
    parts = [s for s in SPLITS if (root / s).is_dir() and _subfolders(root / s)]
    records = [(f"{s}/{file}", label, s) for s in parts for file, label in _class_folders(root / s)]
    if not parts:
        records = [(file, label, "val" if _held_out(file) else "train") for file, label in _class_folders(root)]
    if not records:
        raise LikewiseError(f"{root} has no named pictures; expected a folder a class, such as {root.name}/apple/1.jpg")
    return sorted({label for _, label, _ in records}), records


def _class_folders(root: Path) -> Iterable[tuple[str, str]]:
    """(file below the root, name of the folder at the top of it) of every picture."""
    for folder in _subfolders(root):
        for path in sorted(folder.rglob("*")):
            if is_read(path) and path.is_file():
                yield path.relative_to(root).as_posix(), folder.name


def _subfolders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _held_out(file: str) -> bool:
    """Depends on the picture's name alone: a picture that is added moves no other."""
    return int(hashlib.sha256(file.encode()).hexdigest()[:8], 16) < HELD_OUT * 16**8


def _pairs(path: Path) -> list[tuple[str, str]]:
    """The first word and the rest of every line."""
    split = (line.partition(" ") for line in _lines(path))
    return [(first, rest.strip()) for first, _, rest in split]


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise LikewiseError(f"{path.parent} has no {path.name}{nearest(path.name, there)}")
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _json(path: Path) -> Any:
    try:
        return json.loads("\n".join(_lines(path)))
    except ValueError as error:
        raise LikewiseError(f"{path} is not JSON: {error}") from error


def _matlab(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    if not path.is_file():
        raise LikewiseError(f"{path.parent} has no {path.name}, which Stanford Cars comes with")
    try:
        held: dict[str, Any] = loadmat(path, squeeze_me=True, struct_as_record=False)
    except Exception as error:  # a damaged file fails in any way it likes
        raise LikewiseError(f"{path} cannot be read as a MATLAB file: {error}") from error
    return held
