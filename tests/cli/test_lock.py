"""The lock of a table as it is held on Windows, whose module is played here: bytes locked by one open file each."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from likewise.cli import lock
from likewise.errors import LikewiseError


class Msvcrt:
    """Locks the byte at the file's position, for as long as the file is open; another file's lock is an error."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.held: dict[tuple[int, int], int] = {}

    def locking(self, file: int, mode: int, number: int) -> None:
        assert (mode, number) == (self.LK_NBLCK, 1)
        place = (os.fstat(file).st_ino, os.lseek(file, 0, os.SEEK_CUR))
        if place in self.held and self.held[place] != file and self._is_open(self.held[place], place[0]):
            raise PermissionError(13, "Permission denied")
        self.held[place] = file

    @staticmethod
    def _is_open(file: int, inode: int) -> bool:
        try:
            return os.fstat(file).st_ino == inode
        except OSError:
            return False


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Msvcrt:
    played = Msvcrt()
    monkeypatch.setitem(sys.modules, "msvcrt", played)
    monkeypatch.setattr(lock, "sys", SimpleNamespace(platform="win32"))
    return played


def test_a_table_is_locked_once_and_let_go_of(windows: Msvcrt, tmp_path: Path) -> None:
    table = tmp_path / "new" / "t.csv"
    with lock.locked(table):
        [(_, position)] = windows.held
        held = (table.parent / ".t.csv.lock").read_text()
        assert held.startswith(f"process {os.getpid()} on ")  # written at the file's beginning
        assert position > len(held)  # what is locked nobody can read there
        with pytest.raises(LikewiseError, match=rf"t\.csv is being written by another run \(process {os.getpid()} on "):
            lock.locked(table).__enter__()
        with lock.locked(tmp_path / "new" / "other.csv"):
            pass
    assert list(tmp_path.iterdir()) == []
    with lock.locked(table):
        table.touch()
    assert [path.name for path in table.parent.iterdir()] == ["t.csv"]


def test_a_lock_file_that_somebody_left_is_taken_over(windows: Msvcrt, tmp_path: Path) -> None:
    (tmp_path / ".t.csv.lock").write_text("process 1 on a machine that is no more, since yesterday, and long ago\n")
    with lock.locked(tmp_path / "t.csv"):
        assert (tmp_path / ".t.csv.lock").read_text().startswith(f"process {os.getpid()} on ")
        assert "no more" not in (tmp_path / ".t.csv.lock").read_text()
    assert not (tmp_path / ".t.csv.lock").exists()
