"""Whether there is a place for what a verb is to write, seen before the work and not after it."""

from __future__ import annotations

import os
from pathlib import Path

from likewise.errors import LikewiseError
from likewise.plain_text import printable


def check_file(option: str, path: Path) -> None:
    """See that a file can be written, over one that is there or in a folder that may have to be made.

    Raises:
        LikewiseError: it is a folder, a folder of its path is a file, or the system does not allow it.
    """
    if path.is_dir():
        raise LikewiseError(f"{option} {printable(path)} is a folder; expected the name of a file")
    _check_parent(option, path)
    if path.exists() and not os.access(path, os.W_OK):
        raise LikewiseError(f"{option} {printable(path)}: there is such a file, and it may not be written to")


def check_folder(option: str, path: Path) -> None:
    """See that files can be written to a folder, which may have to be made.

    Raises:
        LikewiseError: it or a folder of its path is a file, or the system does not allow it.
    """
    if path.exists() and not path.is_dir():
        raise LikewiseError(f"{option} {printable(path)} is a file; expected a folder, which may be a new one")
    _check_parent(option, path / "file")


def _check_parent(option: str, path: Path) -> None:
    there = next(folder for folder in path.absolute().parents if folder.exists() or folder.is_symlink())
    if not there.is_dir():
        raise LikewiseError(f"{option} {printable(path)}: {printable(there)} is no folder; expected one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise LikewiseError(f"{option} {printable(path)}: nothing may be written to {printable(there)}")
