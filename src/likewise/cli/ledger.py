"""A CSV file that remembers which pictures are done, so that a long run can be stopped and taken up again.

A row belongs to a picture's file, as seen from the table's folder, and to what that file held: the same name in
another folder is another picture, and a picture that was replaced is done anew. A row is one line, whatever is in it,
written at once and whole: a line that is not whole, which a kill or a full disk left, is known by its form and cut
off. Whatever changes more than the end is written beside the table and takes its place.

Of a row nothing is held but where it begins, so that a table of millions takes a few dozen bytes a row.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import os
import re
import time
import weakref
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from likewise.digests import DigestMap
from likewise.drawings import place_of
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.plain_text import BOM, csv_field, name_cell, name_of_cell, printable, text_cell

_END = b"\r\n"
_STAMP = re.compile("sha256:[0-9a-f]{16}")
#: Columns behind a table's own: those of every version, and those that this one added.
_BEHIND = ("seconds", "model", "settings")
_ADDED = ("weights", "prompt", "file", "stamp")
#: Rows of so many seconds may be lost when the power fails; a kill loses none.
_SYNC_AFTER = 5.0
#: A prompt of thousands of boxes is not told to its end: readers of CSV files have their limits.
_LONGEST = 10_000
#: Where a row begins that is no longer one.
_NOWHERE = (1 << 64) - 1


def fingerprint(settings: dict[str, Any]) -> str:
    """Twelve hexadecimal digits that change with anything in the settings."""
    return hashlib.sha256(json_text(settings, what="the prompt", sort_keys=True).encode()).hexdigest()[:12]


def stamp_of(picture: Path) -> str:
    """What a picture's file holds, as ``sha256:`` and 16 hexadecimal digits; "" where there is no such file.

    Of a folder that is a picture, a Zarr store, the names, sizes and times of its files.
    """
    if picture.is_dir():
        inside = sorted(path for path in picture.rglob("*") if path.is_file())
        told = [(str(path.relative_to(picture)), path.stat().st_size, path.stat().st_mtime_ns) for path in inside]
        return f"sha256:{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}"
    if not picture.is_file():
        return ""
    with picture.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


@dataclass(frozen=True)
class _Row:
    """A line of the table: which file it is of, what that held, and how it was done."""

    file: str
    stamp: str
    settings: str
    line: bytes


class Ledger:
    """One row a picture that is done; a row is on disk as soon as it is added.

    Args:
        path: the CSV file; it and its folder are made when the first row is added.
        columns: between image and seconds, model, settings, weights, prompt, file, stamp.
        settings: `fingerprint` of everything the results depend on.
        overwrite: forget what the file holds, as soon as there is a row to take its place.
        weights: the model's file, as the table is to name it.
        prompt: what was asked, as the table is to tell it.

    Attributes:
        damaged: lines that were not whole and count for nothing.
        changed: pictures that have a row of what they held before.

    Raises:
        LikewiseError: the file holds something else, or results made with other settings or by an earlier version.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        settings: str,
        *,
        overwrite: bool = False,
        weights: str = "",
        prompt: str = "",
    ) -> None:
        self._path = Path(os.path.realpath(path))
        self._columns = ("image", *columns, *_BEHIND, *_ADDED)
        self._settings = settings
        self._how = (text_cell(weights), text_cell(prompt[:_LONGEST]))
        self._overwrite = overwrite
        self.damaged = 0
        self.changed: set[Path] = set()
        self._bom = False
        self._as_it_is = False  # whether the file holds these rows and nothing else
        self._synced = 0.0
        self._ascii = True  # whether all that was read is
        self._numbers = DigestMap()  # file -> which of the begins is of its row
        self._begins = array("Q")
        self._held = 0
        self._lines: IO[bytes] | None = None  # the file, as it was opened: it can be read when its name is gone
        self._folders: dict[Path, Path] = {}
        self._read()

    def __contains__(self, picture: Path) -> bool:
        file = self._file(picture)
        row = self._row(file)
        if row is None:
            return False
        stamp = stamp_of(picture)
        if row.stamp != stamp and stamp:  # a row of something else counts for nothing
            self._begins[self._numbers.get(file) or 0] = _NOWHERE
            self._held -= 1
            self.changed.add(picture)
            self._as_it_is = False
        return row.stamp == stamp

    def __len__(self) -> int:
        return self._held

    def add(self, picture: Path, values: Sequence[object], result: Any, *, stamp: str | None = None) -> None:
        """Append a row, unless the picture has one.

        Args:
            picture: as it was named.
            values: of the table's own columns.
            result: tells ``seconds`` and ``model``.
            stamp: what the picture held before it was looked at; None: what it holds now.

        Raises:
            OSError: there is no room for it; the table is as it was.
        """
        file = self._file(picture)
        if self._row(file) is not None:
            return
        stamp = stamp_of(picture) if stamp is None else stamp
        told = [text_cell(value) for value in (*values, f"{result.seconds:.3f}", result.model, self._settings)]
        cells = (name_cell(picture.as_posix()), *told, *self._how, name_cell(file), stamp)
        line = ",".join(map(csv_field, cells)).encode()
        in_place = self._as_it_is and (self._bom or line.isascii())
        self._enter(file, self._append(line) if in_place else self._replace(line))

    def finish(self) -> None:
        """Take lines that count for nothing out of the file, and see it on the disk."""
        if not self._as_it_is and not self._overwrite and self._path.exists():
            self._replace()
        elif self._synced:
            with suppress(OSError), self._path.open("rb") as file:
                os.fsync(file.fileno())

    def _file(self, picture: Path) -> str:
        folder = self._folders.get(picture.parent)
        if folder is None:  # pictures of one folder come one after another
            place = place_of(picture).parent
            try:
                folder = Path(os.path.relpath(place, self._path.parent))
            except ValueError:  # on another drive
                folder = place
            self._folders = {picture.parent: folder}
        return (folder / picture.name).as_posix()

    def _row(self, file: str) -> _Row | None:
        """A file's row, read from the table; None: it has none."""
        number = self._numbers.get(file)
        if number is None or self._begins[number] == _NOWHERE:
            return None
        row = self._parse(self._line(self._begins[number]), last=False)
        return row if row is not None and row.file == file else None

    def _line(self, begin: int) -> bytes:
        """The line that begins there, without its end."""
        assert self._lines is not None  # noqa: S101  # rows were read from it, or written to it
        self._lines.seek(begin)
        return self._lines.readline().rstrip(b"\r\n")

    def _enter(self, file: str, begin: int) -> None:
        """Remember where a file's row begins; of two rows the last counts, in the place of the first."""
        number = self._numbers.get(file)
        if number is not None and self._begins[number] != _NOWHERE:
            self._begins[number] = begin
            return
        self._numbers[file] = len(self._begins)
        self._begins.append(begin)
        self._held += 1

    def _open(self) -> None:
        self._close()
        self._lines = self._path.open("rb")
        weakref.finalize(self, self._lines.close)

    def _close(self) -> None:
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def _read(self) -> None:
        """Take in the rows there are; nothing is written yet."""
        if not self._path.exists():
            return
        if not self._path.is_file():
            raise LikewiseError(f"{printable(self._path)} is no file; expected one for the table")
        self._open()
        assert self._lines is not None  # noqa: S101  # that is what it is opened for
        first = self._lines.readline()
        self._bom = first.startswith(BOM)
        if not self._is_ours(first.removeprefix(BOM)) or self._overwrite:
            return
        begin, read, last = len(first), 0, first
        for last in self._lines:
            if last.strip():
                read += 1
                self._take_in(last, begin)
            begin += len(last)
        self._as_it_is = last.endswith(b"\n") and self._held == read

    def _take_in(self, line: bytes, begin: int) -> None:
        """A line of the file that begins there."""
        row = self._parse(line.rstrip(b"\r\n"), last=not line.endswith(b"\n"))
        self._ascii = self._ascii and line.isascii()
        if row is None:
            self.damaged += 1
            return
        if row.settings != self._settings:
            raise LikewiseError(
                f"{printable(self._path)} holds results of another prompt, model or version; "
                "name another file, or start it anew with --overwrite"
            )
        self._enter(row.file, begin)

    def _is_ours(self, line: bytes) -> bool:
        """Whether there are rows to read below the first line.

        Raises:
            LikewiseError: the header is another one.
        """
        first, header = line.rstrip(b"\r\n"), ",".join(self._columns).encode()
        if not line.endswith(b"\n") and header.startswith(first):
            return False  # a kill left no more than a part of it
        if first == header:
            return True
        if first == ",".join(self._columns[: -len(_ADDED)]).encode():
            if self._overwrite:
                return True
            raise LikewiseError(
                f"{printable(self._path)} was written by an earlier version, whose rows do not tell which file they "
                "are of; name another file, or start it anew with --overwrite"
            )
        raise LikewiseError(f"{printable(self._path)} is another table; expected columns {','.join(self._columns)}")

    def _parse(self, line: bytes, *, last: bool) -> _Row | None:
        """A line as a row; None where it is not whole, which the last is also if it has no end and no whole stamp."""
        try:
            [cells] = csv.reader(io.StringIO(line.decode(), newline=""), strict=True)
        except (ValueError, csv.Error):
            return None
        if len(cells) != len(self._columns):
            return None
        held = dict(zip(self._columns, cells, strict=True))
        whole = _STAMP.fullmatch(held["stamp"]) or (held["stamp"] == "" and not last)
        return _Row(name_of_cell(held["file"]), held["stamp"], held["settings"], line) if whole else None

    def _append(self, line: bytes) -> int:
        """Write a line at the end, all of it or nothing; where it begins."""
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:  # somebody took the table away
            return self._replace(line)
        try:
            size = os.fstat(file).st_size
            try:
                written = os.write(file, line + _END)
                if written < len(line + _END):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            except OSError:
                self._as_it_is = False  # until the next line is written, beside the table
                os.ftruncate(file, size)
                self._as_it_is = True
                raise
            if time.monotonic() - self._synced > _SYNC_AFTER:
                with suppress(OSError):  # the row is there
                    os.fsync(file)
                self._synced = time.monotonic()
        finally:
            os.close(file)
        return size

    def _rows(self) -> Iterator[tuple[int, bytes]]:
        """Every row's number and line."""
        for number, begin in enumerate(self._begins):
            if begin != _NOWHERE:
                yield number, self._line(begin)

    def _replace(self, line: bytes = b"") -> int:
        """Write the whole table beside the old one, and put it in its place when it is on the disk.

        Args:
            line: one more, at the end; nothing: none.

        Returns:
            where that begins.
        """
        bom = self._bom or not (self._ascii and line.isascii())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f".{self._path.name}.part")
        begins = array("Q", [_NOWHERE]) * len(self._begins)
        try:
            with part.open("wb") as file:
                file.write(BOM * bom + ",".join(self._columns).encode() + _END)
                for number, each in self._rows():
                    begins[number] = file.tell()
                    file.write(each + _END)
                begin = file.tell()
                file.write(line + _END if line else b"")
                file.flush()
                os.fsync(file.fileno())
            if self._path.exists():
                part.chmod(self._path.stat().st_mode & 0o777)
            self._close()  # Windows replaces nothing that is open
            part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)
            if self._path.exists():
                self._open()
        self._begins, self._bom, self._as_it_is, self._overwrite = begins, bom, True, False
        self._synced = time.monotonic()
        return begin
