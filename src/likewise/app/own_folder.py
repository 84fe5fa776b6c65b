"""The workbench's own folder for uploads and exports: gone when it stops, or at the next start where it was killed.

Whoever uses such a folder holds a lock on it, which the system lets go with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

fcntl: Any = None
with contextlib.suppress(ImportError):  # on Windows, where folders of those killed stay
    fcntl = importlib.import_module("fcntl")

PREFIX = "likewise-app-"


class OwnFolder:
    """A new folder that nobody else may read; those that killed workbenches left are removed first.

    Attributes:
        path: where it is.
    """

    def __init__(self) -> None:
        remove_abandoned(Path(tempfile.gettempdir()))
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._lock = _locked(self.path)
            if fcntl is None or (self._lock is not None and self.path.exists()):
                return
            _let_go(self._lock)  # another's start took it for abandoned in between

    def remove(self) -> None:
        """Delete it, with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        _let_go(self._lock)
        self._lock = None


def remove_abandoned(place: Path) -> None:
    """Remove the folders in ``place`` that this user's workbenches left when they were killed."""
    if fcntl is None:
        return
    for path in place.glob(f"{PREFIX}*"):
        lock = _locked(path) if _is_own(path) else None
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            _let_go(lock)


def _is_own(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.is_dir() and not path.is_symlink() and path.lstat().st_uid == os.getuid()
    return False


def _locked(path: Path) -> int | None:
    """A lock on a folder; None where another process holds it, or there is no such folder or lock."""
    if fcntl is None:
        return None
    held = None
    try:
        held = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _let_go(held)
        return None
    return held


def _let_go(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
