"""One run a table: a file beside the table that the run holds locked while it lasts, however it ends."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from likewise.cli.terminal import tell
from likewise.errors import LikewiseError
from likewise.plain_text import printable

#: Where the lock's byte is on Windows, which lets nobody read what is locked: far behind who holds it.
_BYTE = 1 << 30


@contextmanager
def locked(table: Path) -> Iterator[None]:
    """Hold the lock of a table; its folder is made, and taken away again where nothing has come into it.

    The system lets go of the lock when the process ends, killed or not. Where a file system knows no locks, that is
    said on stderr and the run goes on without.

    Raises:
        LikewiseError: another run holds it, or the folder cannot be written to.
    """
    table = Path(os.path.realpath(table))
    made = _missing(table.parent)
    try:
        table.parent.mkdir(parents=True, exist_ok=True)
        path = table.with_name(f".{table.name}.lock")
        held = _take(path, table)
    except OSError as error:
        raise LikewiseError(f"{printable(table)} cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        _let_go(path, held)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def _missing(folder: Path) -> list[Path]:
    """Folders that are not there yet, the innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def _take(path: Path, table: Path) -> int:
    while True:
        held = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        try:
            _lock(held)
        except BlockingIOError:
            who = printable(os.read(held, 200).decode("utf-8", "replace").strip()) or "another process"
            os.close(held)
            raise LikewiseError(
                f"{printable(table)} is being written by another run ({who}); wait for it, or name another file"
            ) from None
        except OSError as error:
            reason = error.strerror or error
            tell(f"{table} cannot be locked ({reason}): start no second run on it")
        if _is(path, held):
            break
        os.close(held)  # the run before took its file away between our opening it and locking it
    with suppress(OSError):  # on a full disk the lock still holds
        os.ftruncate(held, 0)
        os.write(held, f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%H:%M:%S}\n".encode())
    return held


def _let_go(path: Path, held: int) -> None:
    if sys.platform == "win32":  # what is open cannot be taken away there
        os.close(held)
        with suppress(OSError):
            path.unlink(missing_ok=True)
    else:
        path.unlink(missing_ok=True)  # while it is held: who waits for it sees that it is no longer the one
        os.close(held)


def _is(path: Path, held: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(held))
    except FileNotFoundError:
        return False


def _lock(held: int) -> None:
    """Lock an open file for this process.

    Raises:
        BlockingIOError: another process has it.
        OSError: there are no locks here.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(held, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(held, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None
        finally:
            os.lseek(held, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
