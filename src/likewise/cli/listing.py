"""The files that an argument names, however many: what does not fit into a fixed piece of memory goes to the disk.

Files stand in natural order. Up to `IN_MEMORY` of them are sorted where they are; more are sorted piece by piece, the
pieces are written to a temporary file and merged. A listing is gone through as often as needed.
"""

from __future__ import annotations

import fnmatch
import glob
import heapq
import os
import re
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import IO, Any

#: Names that are held at a time.
IN_MEMORY = 50_000
_BLOCK = 1 << 16
_END = b"\0"


class SortedTexts:
    """Texts without a null character in order, each once.

    Args:
        texts: in any order; taken in at once.
        key: what they are sorted by.
        in_memory: how many are held at a time.
    """

    def __init__(self, texts: Iterable[str], key: Callable[[str], Any], *, in_memory: int = IN_MEMORY) -> None:
        self._key = key
        self._texts: list[str] = []
        self._file: IO[bytes] | None = None
        self._length = 0
        runs: list[tuple[int, int]] = []
        with tempfile.SpooledTemporaryFile(_BLOCK) as spilled:
            for text in texts:
                self._texts.append(text)
                if len(self._texts) >= in_memory:
                    runs.append(self._spill(spilled))
            if runs:
                runs.append(self._spill(spilled))
                self._merge(spilled, runs)
                return
        self._texts = sorted(set(self._texts), key=self._key)
        self._length = len(self._texts)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[str]:
        yield from self._texts if self._file is None else _read(self._file, 0, self._size)

    def _spill(self, file: IO[bytes]) -> tuple[int, int]:
        """Append the texts that are held, sorted, to a file, and let go of them; where they begin and end."""
        start = file.tell()
        file.writelines(os.fsencode(name) + _END for name in sorted(set(self._texts), key=self._key))
        self._texts.clear()
        return start, file.tell()

    def _merge(self, spilled: IO[bytes], runs: list[tuple[int, int]]) -> None:
        self._file = tempfile.SpooledTemporaryFile(_BLOCK)  # noqa: SIM115  # it goes with the listing
        weakref.finalize(self, self._file.close)
        merged = heapq.merge(*(_read(spilled, *run) for run in runs), key=self._key)
        for name, _ in groupby(merged):
            self._file.write(os.fsencode(name) + _END)
            self._length += 1
        self._size = self._file.tell()


class Listing:
    """Files by name, in natural order and each once.

    Args:
        names: of the files, in any order; taken in at once.
        in_memory: names that are held at a time.
    """

    def __init__(self, names: Iterable[str], *, in_memory: int = IN_MEMORY) -> None:
        self._names = SortedTexts(names, _natural, in_memory=in_memory)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Path]:
        return map(Path, self._names)


def _natural(name: str) -> list[tuple[int, str]]:
    from likewise.data.images import natural

    return natural(name)


def _read(file: IO[bytes], start: int, end: int) -> Iterator[str]:
    """Names from a part of a file that others read at the same time."""
    rest = b""
    while start < end:
        file.seek(start)
        held = file.read(min(_BLOCK, end - start))
        start += len(held)
        *whole, rest = (rest + held).split(_END)
        yield from map(os.fsdecode, whole)


def matching(pattern: str) -> Iterator[str]:
    """What `glob.glob` gives for a recursive pattern: files and links to nothing, one folder's names after another's.

    Unlike there, no folder's names are held together.
    """
    folder, last = os.path.split(pattern)
    if not glob.has_magic(last) or last == "**":
        names = glob.iglob(pattern, recursive=True)  # noqa: PTH207  # Path.glob needs a root
        yield from (name for name in names if is_there(Path(name)))
        return
    fits = re.compile(fnmatch.translate(os.path.normcase(last))).match
    hidden = last.startswith(".")
    for each in _folders(folder):
        for entry in _entries(each):
            if (hidden or not entry.name.startswith(".")) and fits(os.path.normcase(entry.name)) and _is_file(entry):
                yield os.path.join(each, entry.name)  # noqa: PTH118  # a name as glob gives it


def files_in(folder: Path, wanted: Callable[[Path], bool], left_out: Callable[[Path], None]) -> Iterator[str]:
    """Names of files directly in a folder, hidden ones aside; ``left_out`` is told the others."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = folder / entry.name
            if wanted(path) and _is_file(entry):
                yield str(path)
            else:
                left_out(path)


def is_there(path: Path) -> bool:
    """Whether it is a file, or a link to nothing, which is an error of its own when it is read."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:
        return False


def _folders(pattern: str) -> Iterator[str]:
    """Folders that match the beginning of a pattern."""
    if not glob.has_magic(pattern):
        return iter((pattern,))
    matches = glob.iglob(os.path.join(pattern, ""), recursive=True)  # noqa: PTH118, PTH207  # only folders end in a slash
    here = ("",) if set(Path(pattern).parts) == {"**"} else ()
    return chain(here, matches)


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """What is in a folder; nothing where it cannot be looked into."""
    try:
        with os.scandir(folder or os.curdir) as entries:
            yield from entries
    except OSError:
        return
