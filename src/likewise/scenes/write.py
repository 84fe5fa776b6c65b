"""Scenes as a counting folder: ``images/*.jpg`` and one COCO-style ``annotations.json``.

Each finished scene leaves its picture and a record in ``scenes/``; a run that was stopped goes on from there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from likewise.boxes import xyxy_to_xywh
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.ops.run_lengths import encode_rle
from likewise.results.coco import CocoDataset, Record
from likewise.scenes.config import SceneConfig
from likewise.scenes.scene import Scene, make_scene

#: Changes whenever the same config and index no longer give the same bytes.
GENERATION = 2
_CONFIG = "config.json"


def write_scenes(
    config: SceneConfig,
    count: int,
    out: str | Path,
    workers: int = 1,
    *,
    masks: bool = False,
    on_done: Callable[[], None] | None = None,
) -> Path:
    """Write scenes 0 to ``count - 1`` as a counting folder; scenes already there are kept.

    Args:
        config: what scenes to make.
        count: how many.
        out: the folder; made where it is missing.
        workers: processes to share the work.
        masks: add each object's mask as ``segmentation`` (COCO run lengths, uncompressed).
        on_done: called after each scene.

    Returns:
        The path of ``annotations.json``.

    Raises:
        LikewiseError: ``count`` or ``workers`` below 1; the folder holds scenes of another config.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_scenes(SceneConfig(side=(64, 96), objects=(3, 9), emoji=False), 2, folder).name
        'annotations.json'
    """
    if count < 1 or workers < 1:
        raise LikewiseError(f"count = {count}, workers = {workers}: expected at least 1 of each")
    root = Path(out)
    _claim(root, config, masks=masks)
    missing = [i for i in range(count) if not _record_path(root, i).is_file()]
    for _ in range(count - len(missing)):
        _notify(on_done)
    for _ in _run(partial(write_scene, config, root, masks=masks), missing, workers):
        _notify(on_done)
    return _assemble(root, config, count)


def write_scene(config: SceneConfig, root: Path, index: int, *, masks: bool = False) -> None:
    """Write one scene's picture and record; the record is what marks it as finished."""
    scene = make_scene(config, index)
    Image.fromarray(scene.image).save(root / _image_name(index), "JPEG", quality=scene.quality)
    record = scene_record(scene, config, index, masks=masks)
    path = _record_path(root, index)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json_text(record, what="the scene", compact=True), encoding="utf-8")
    part.replace(path)


def scene_record(scene: Scene, config: SceneConfig, index: int, *, masks: bool = False) -> Record:
    """A scene as an image record with its annotations, categories still by name and ids local to the scene."""
    height, width = scene.image.shape[:2]
    return {
        "file_name": _image_name(index),
        "width": width,
        "height": height,
        "split": config.split,
        "prompt": scene.target,
        "layout": scene.layout,
        "count": len(scene.of_kind(scene.target)),
        "exemplars": list(scene.exemplars(scene.target)),
        "objects": [_object_record(scene, i, masks=masks) for i in range(len(scene.objects))],
    }


def _object_record(scene: Scene, index: int, *, masks: bool) -> Record:
    thing = scene.objects[index]
    record: Record = {
        "category": thing.kind,
        "bbox": list(xyxy_to_xywh(thing.box)),
        "point": [round(thing.point[0], 2), round(thing.point[1], 2)],
        "visible": round(thing.visible, 3),
        "area": thing.area,
    }
    return record | ({"segmentation": encode_rle(scene.mask(index))} if masks else {})


def _claim(root: Path, config: SceneConfig, *, masks: bool) -> None:
    """Make the folder, or check that what is in it was made by the same config."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "scenes").mkdir(exist_ok=True)
    wanted = json.loads(json_text(asdict(config) | {"generation": GENERATION, "masks": masks}, what="the config"))
    path = root / "scenes" / _CONFIG
    if path.is_file() and any((root / "scenes").glob("[0-9]*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        other = sorted(k for k in wanted if found.get(k) != wanted[k])
        if other:
            raise LikewiseError(
                f"{root} holds scenes made with another {', '.join(other)}; give another folder or empty this one"
            )
    path.write_text(json_text(wanted, indent=1), encoding="utf-8")


def _run(task: Callable[[int], None], indices: list[int], workers: int) -> Iterator[None]:
    if workers == 1 or len(indices) < 2:
        yield from map(task, indices)
        return
    # spawned, not forked: a fork of a process with torch's threads running can hang
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(task, indices, chunksize=4)


def _assemble(root: Path, config: SceneConfig, count: int) -> Path:
    records = [json.loads(_record_path(root, i).read_text(encoding="utf-8")) for i in range(count)]
    dataset = CocoDataset()
    for name in sorted({thing["category"] for record in records for thing in record["objects"]}):
        dataset.category(name)
    for record in records:
        objects, chosen = record.pop("objects"), record.pop("exemplars")
        image, notes = dataset.add(record, [(thing.pop("category"), thing | {"iscrowd": 0}) for thing in objects])
        image["exemplars"] = [_exemplar(notes[i]) for i in chosen]
    content = {
        "info": {"set": "synthetic", "point": "centroid of the visible part", "config": asdict(config)},
        "categories": [{"id": number, "name": name} for name, number in dataset.category_ids.items()],
        "images": dataset.images,
        "annotations": dataset.annotations,
    }
    path = root / "annotations.json"
    part = path.with_suffix(".part")
    part.write_text(json_text(content, what="the set", compact=True), encoding="utf-8")
    part.replace(path)
    return path


def _exemplar(note: Record) -> Record:
    return {
        "annotation_id": note["id"],
        "category_id": note["category_id"],
        "bbox": note["bbox"],
        "estimated": False,
    }


def _image_name(index: int) -> str:
    return f"images/{index:06d}.jpg"


def _record_path(root: Path, index: int) -> Path:
    return root / "scenes" / f"{index:06d}.json"


def _notify(on_done: Callable[[], None] | None) -> None:
    if on_done is not None:
        on_done()
