"""The checkpoint that a run goes on from: written in one move, checked before it is used, and kept one generation.

A checkpoint is a zip archive, in which every part has its CRC-32; those are what is checked.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path

from likewise.errors import LikewiseError

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"


def keep(partial: Path, folder: Path) -> None:
    """Make a file that was just written the folder's last checkpoint, and what was the last the one before."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())  # its bytes are there before its name is
    last = folder / LAST
    if last.exists():
        last.replace(folder / PREVIOUS)
    partial.replace(last)


def usable(folder: Path) -> Path | None:
    """The folder's last checkpoint; where that is damaged or missing the one before takes its place, with a warning.

    Raises:
        LikewiseError: both are damaged, or the only one is.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    if is_whole(last):
        return last
    if is_whole(previous):
        state = "damaged" if last.exists() else "missing"
        warnings.warn(f"{last} is {state}; the run goes on from the checkpoint before it", stacklevel=2)
        previous.replace(last)
        return last
    if last.exists() or previous.exists():
        raise LikewiseError(
            f"{last} is damaged, and there is no whole one before it; start anew without resuming, or in another folder"
        )
    return None


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is there and every part of it has the checksum it was written with."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, EOFError):
        return False


def forget(folder: Path) -> None:
    """Remove both."""
    for name in (LAST, PREVIOUS):
        (folder / name).unlink(missing_ok=True)
