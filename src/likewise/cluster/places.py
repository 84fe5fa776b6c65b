"""Files at addresses: in folders of this machine, or wherever pyarrow and fsspec reach (s3, gs, abfs, hdfs, ...)."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from likewise.errors import LikewiseError


@dataclass(frozen=True)
class Unit:
    """What is worked through by one worker at a time.

    Attributes:
        image: as it is called.
        file: as the table's folder sees it.
        address: a path of every machine, or a scheme and a path.
        bytes: of its file.
        modified: when that was written, nanoseconds since 1970.
    """

    image: str
    file: str
    address: str
    bytes: int
    modified: int


@dataclass(frozen=True)
class Place:
    """A file or folder on a file system.

    Attributes:
        system: of pyarrow.
        path: there.
        scheme: what stands before the path in an address; "" for a path of this machine.
    """

    system: Any
    path: str
    scheme: str

    @classmethod
    def of(cls, address: str) -> Place:
        """What an address names.

        Raises:
            LikewiseError: nothing that is installed reads such an address.
        """
        from pyarrow import ArrowException, fs

        if "://" not in address:
            return cls(fs.LocalFileSystem(), os.path.abspath(address), "")  # noqa: PTH100  # links stay
        scheme = address.partition("://")[0] + "://"
        try:
            system, path = fs.FileSystem.from_uri(address)
            return cls(system, path, scheme)
        except (ArrowException, ValueError, OSError) as refused:
            try:
                from fsspec.core import url_to_fs

                system, path = url_to_fs(address)
            except (ImportError, ValueError) as error:
                raise LikewiseError(f"{address} cannot be reached: {refused}; {error}") from error
            return cls(fs.PyFileSystem(fs.FSSpecHandler(system)), path, scheme)

    def below(self, path: str) -> Place:
        """Another file on the same file system."""
        return Place(self.system, path, self.scheme)

    @property
    def address(self) -> str:
        """As it would be typed."""
        return self.scheme + self.path

    def files(self, *, deep: bool = False) -> Iterator[Any]:
        """What is in this folder, as pyarrow's FileInfo, one folder's files after another's."""
        from pyarrow import fs

        for info in self.system.get_file_info(fs.FileSelector(self.path, allow_not_found=True)):
            if info.type == fs.FileType.Directory and deep:
                yield from self.below(info.path).files(deep=True)
            elif info.type == fs.FileType.File:
                yield info

    @contextmanager
    def here(self) -> Iterator[Path]:
        """The file as one on this machine, for as long as it is needed."""
        from pyarrow import fs

        if isinstance(self.system, fs.LocalFileSystem):
            yield Path(self.path)
            return
        with tempfile.TemporaryDirectory(prefix="likewise-") as folder:
            path = Path(folder) / PurePosixPath(self.path).name
            with self.system.open_input_stream(self.path) as source, path.open("wb") as target:
                while held := source.read(1 << 20):
                    target.write(held)
            yield path

    def write(self, table: Any) -> None:
        """Write a table of Arrow as a Parquet file, which is there when it is whole."""
        import pyarrow.parquet
        from pyarrow import fs

        if not isinstance(self.system, fs.LocalFileSystem):  # an object appears when it is closed
            pyarrow.parquet.write_table(table, self.path, filesystem=self.system, compression="zstd")
            return
        part = f"{self.path}.{os.getpid()}.part"
        pyarrow.parquet.write_table(table, part, compression="zstd")
        os.replace(part, self.path)  # noqa: PTH105


def units_at(address: str) -> Iterator[tuple[str, Unit]]:
    """The pictures that an address names, each with its name from there on.

    It names a file, the pictures directly in a folder, or what matches a pattern.

    Raises:
        LikewiseError: there are none.
    """
    from likewise.data.decoders import is_read

    place = Place.of(address) if not glob.has_magic(address) else Place.of(_head(address))
    patterns = [part for part in address[len(_head(address)) :].split("/") if part] or ["*"]
    if not glob.has_magic(address):
        [info] = place.system.get_file_info([place.path])
        if info.is_file:
            yield info.base_name, _unit(place, info)
            return
    number = 0
    for info in place.files(deep=len(patterns) > 1):
        name = info.path[len(place.path.rstrip("/")) + 1 :]
        picture = is_read(Path(info.base_name)) if not glob.has_magic(address) else True
        if picture and _fits(name.split("/"), patterns):
            number += 1
            yield name, _unit(place, info)
    if not number:
        raise LikewiseError(
            f"{address} holds no pictures" if not glob.has_magic(address) else f"{address} matches no file"
        )


def unit_of(path: Path, file: str) -> Unit:
    """A file of this machine; one that is not there is an error of its own when it is read."""
    address = os.path.abspath(path)  # noqa: PTH100  # links stay
    try:
        found = path.stat()
    except OSError:
        return Unit(path.as_posix(), file, address, 0, 0)
    return Unit(path.as_posix(), file, address, found.st_size, found.st_mtime_ns)


def _unit(place: Place, info: Any) -> Unit:
    address = place.below(info.path).address
    return Unit(address, address, address, info.size or 0, info.mtime_ns or 0)


def _head(address: str) -> str:
    """The folders at the beginning of a pattern; the address itself where it is none."""
    scheme, _, rest = address.partition("://")
    parts = rest.split("/")
    plain = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return f"{scheme}://{'/'.join(parts[:plain])}"


def _fits(parts: list[str], patterns: list[str]) -> bool:
    """Whether a path below a folder matches a pattern; ``**`` stands for any folders, and hidden ones are asked for."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_fits(parts[n:], patterns[1:] or ["*"]) for n in range(len(parts) + 1) if _shown(parts[:n]))
    first = bool(parts) and fnmatchcase(parts[0], patterns[0]) and (patterns[0].startswith(".") or _shown(parts[:1]))
    return first and _fits(parts[1:], patterns[1:])


def _shown(parts: list[str]) -> bool:
    return not any(part.startswith(".") for part in parts)
