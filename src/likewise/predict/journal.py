"""A file that remembers what was found in the windows of a picture, so that a long count can be stopped and taken up.

A line is a window, written whole and at once: what a kill or a full disk left of one is known by its form, and cut off.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.predict.window_count import WindowCount
from likewise.sources import Window

#: What the first line says the file is.
KIND = "likewise windows 2"
_ARRAYS = ("sums", "points", "scores", "colours", "held")


class WindowJournal:
    """The windows of one question that are done.

    Args:
        path: of the file, made where it is missing.
        question: everything that the counts depend on, as JSON values.

    Raises:
        LikewiseError: the file is of another question, or of another kind.
    """

    def __init__(self, path: Path, question: dict[str, Any]) -> None:
        self._path = path
        self._done: dict[Window, WindowCount] = {}
        head = {"kind": KIND, "question": _stamp(question)}
        lines = list(_whole_lines(path))
        if lines and lines[0].get("kind") != KIND:
            raise LikewiseError(f"{path} is no journal of windows; name another file")
        if lines and lines[0] != head:
            raise LikewiseError(
                f"{path} remembers another question, weights or picture; remove it to count anew, or name another file"
            )
        self._done = {each.window: each for each in map(_count_of, lines[1:])}
        if not lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_line(head))

    def __len__(self) -> int:
        return len(self._done)

    def find(self, window: Window) -> WindowCount | None:
        """What was found in a window; None: it is not done."""
        return self._done.get(window)

    def add(self, found: WindowCount) -> None:
        """Remember a window: on the disk when this returns."""
        record = asdict(found) | {name: _packed(getattr(found, name)) for name in _ARRAYS}
        with self._path.open("ab") as file:
            start = file.tell()
            try:
                file.write(_line(record))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(start)
                raise
        self._done[found.window] = found


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file that are whole; what is left of a broken last one is cut off."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        good = 0
        for line in file:
            try:
                record = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                record = None
            if not isinstance(record, dict):
                break
            good += len(line)
            yield record
        file.truncate(good)


def _count_of(record: dict[str, Any]) -> WindowCount:
    arrays = {name: _unpacked(record[name]) for name in _ARRAYS}
    x0, y0, x1, y1 = record["window"]
    return WindowCount(
        **record
        | arrays
        | {
            "window": (x0, y0, x1, y1),
            "peaks": tuple(record["peaks"]),
            "mass": tuple(record["mass"]),
            "again": tuple((name, value) for name, value in record["again"]),
        }
    )


def _line(record: dict[str, Any]) -> bytes:
    return json_text(record).encode() + b"\n"


def _packed(array: NDArray[np.float32]) -> list[Any]:
    return [*array.shape, base64.b64encode(zlib.compress(array.astype("<f4").tobytes(), 1)).decode()]


def _unpacked(packed: list[Any]) -> NDArray[np.float32]:
    *shape, text = packed
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4").reshape(shape).copy()


def digest(thing: object) -> str:
    """Hexadecimal digits that change with any tensor, number or text in something: arrays, containers, dataclasses."""
    known = hashlib.sha256()
    for part in _parts(thing):
        known.update(part)
    return known.hexdigest()[:16]


def _parts(thing: object) -> Iterator[bytes]:
    if isinstance(thing, Tensor):
        yield repr(tuple(thing.shape)).encode()
        yield thing.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    elif isinstance(thing, np.ndarray):
        yield repr((thing.shape, thing.dtype.str)).encode()
        yield thing.tobytes()
    elif is_dataclass(thing):
        yield from _parts({field.name: getattr(thing, field.name) for field in fields(thing)})
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield str(key).encode()
            yield from _parts(value)
    elif isinstance(thing, (tuple, list)):
        for value in thing:
            yield from _parts(value)
    else:
        yield repr(thing).encode()


def _stamp(question: dict[str, Any]) -> str:
    return hashlib.sha256(json_text(question, sort_keys=True).encode()).hexdigest()
