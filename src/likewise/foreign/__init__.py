"""Tensors out of files that ``torch.save`` wrote with other things beside them, without executing any of it.

Both forms of file are read: the zip archive (``data.pkl`` beside ``data/0``, ``data/1``, ...) and the older stream of
pickles with the storages behind them. Memory follows from the file's size: an archive is read where it is not
compressed only, a storage is as large as the bytes there are, and a pickle has so many steps at most.
"""

from __future__ import annotations

import io
import math
import mmap
import re
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.foreign.inert_pickle import Machine, Storage, View

#: What an older file begins with.
MAGIC = 0x1950A86A20F9469CFC6C
#: Keys under which training scripts put a network's weights.
WRAPPINGS = ("model", "state_dict")
#: Bytes of the number of elements before each storage of an older file.
_COUNT = 8


@dataclass(frozen=True)
class Foreign:
    """What was read from a file.

    Attributes:
        state: the tensors by name.
        refused: names of the classes and functions that were not looked at, in the order of the file.
    """

    state: dict[str, Tensor]
    refused: tuple[str, ...] = ()


def read_inert(path: Path) -> Foreign:
    """The tensors by name in a file of ``torch.save``, bare or under one of `WRAPPINGS`; all else is left alone.

    Raises:
        LikewiseError: the file is none of ``torch.save``, is damaged, is compressed, or claims more than it has.
    """
    try:
        return _from_zip(path) if zipfile.is_zipfile(path) else _from_stream(path)
    except LikewiseError:
        raise
    except Exception as error:  # a damaged file fails in any way it likes
        raise LikewiseError(f"it is damaged ({type(error).__name__})") from error


def check_archive(path: Path) -> None:
    """See that a zip archive holds no more than its own size; any other file is left alone.

    Raises:
        LikewiseError: it is compressed, or its parts claim more bytes than there are.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise LikewiseError("it is a compressed archive; expected one as torch.save writes it, uncompressed")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise LikewiseError("its parts claim more bytes than the file has")


def unwrapped(held: Any) -> Any:
    """What stands in one of `WRAPPINGS`, or in one in the other; the thing itself where there is none."""
    for key in WRAPPINGS:
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    return held


def _from_zip(path: Path) -> Foreign:
    check_archive(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        roots = [name.removesuffix("data.pkl") for name in names if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(roots) != 1:
            raise LikewiseError("it is an archive, but none of torch.save: it has no data.pkl")
        if f"{roots[0]}byteorder" in names and archive.read(f"{roots[0]}byteorder") != b"little":
            raise LikewiseError("its numbers are big endian; expected little endian ones")
        machine = Machine()
        content = machine.run(io.BytesIO(archive.read(f"{roots[0]}data.pkl")))
        state = _Filling(lambda key: archive.read(f"{roots[0]}data/{key}")).fill(content)
    return Foreign(state, tuple(machine.refused))


def _from_stream(path: Path) -> Foreign:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        if Machine().run(held) != MAGIC:
            raise LikewiseError("it is no file of torch.save")
        Machine().run(held)  # version of the format
        Machine().run(held)  # the writing machine's sizes
        machine = Machine()
        content = machine.run(held)
        places = dict(_places(held, Machine().run(held), machine.storages))
        state = _Filling(lambda key: held[places[key]]).fill(content)
    return Foreign(state, tuple(machine.refused))


def _places(held: mmap.mmap, keys: Iterable[str], claimed: Mapping[str, Storage]) -> Iterator[tuple[str, slice]]:
    """Where each storage of an older file lies, in their order."""
    at = held.tell()
    for key in keys:
        storage = claimed[key]
        (numel,) = struct.unpack("<q", held[at : at + _COUNT])
        if numel != storage.numel:
            raise LikewiseError(f"storage {key} has {numel} numbers where {storage.numel} are claimed")
        at += _COUNT
        yield key, slice(at, at + numel * storage.dtype.itemsize)
        at += numel * storage.dtype.itemsize


@dataclass
class _Filling:
    """Makes tensors of what a pickle describes, each storage read once and shared by its tensors.

    Attributes:
        read: the bytes of a storage by its name.
    """

    read: Callable[[str], bytes]
    storages: dict[str, Tensor] = field(default_factory=dict)

    def fill(self, content: Any) -> dict[str, Tensor]:
        """The tensors of a state dict, out of its wrapping."""
        held = unwrapped(content)
        found = held.items() if isinstance(held, dict) else ()
        return {name: self._tensor(view) for name, view in found if isinstance(view, View)}

    def _tensor(self, view: View) -> Tensor:
        values = self._storage(view.storage)
        reach = view.offset + sum((n - 1) * step for n, step in zip(view.size, view.stride, strict=True)) + 1
        count = math.prod(view.size)
        if not count:
            return torch.empty(view.size, dtype=values.dtype)
        if max(reach, count) > values.numel():
            raise LikewiseError(f"a tensor of shape {view.size} claims more numbers than its storage has")
        return torch.as_strided(values, view.size, view.stride, view.offset)

    def _storage(self, storage: Storage) -> Tensor:
        if storage.key not in self.storages:
            held = self.read(storage.key)
            if len(held) != storage.numel * storage.dtype.itemsize:
                raise LikewiseError(f"storage {storage.key} has {len(held)} bytes, not {storage.numel} numbers")
            whole = torch.frombuffer(bytearray(held), dtype=storage.dtype) if held else torch.empty(0)
            self.storages[storage.key] = whole.to(storage.dtype)
        return self.storages[storage.key]
