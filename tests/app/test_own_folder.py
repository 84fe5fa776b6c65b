"""The workbench's own folder: nobody else's while it lives, gone when its process is, however that ended."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from likewise.app import own_folder
from likewise.app.own_folder import PREFIX, OwnFolder, remove_abandoned

pytest.importorskip("fcntl", reason="without it nobody can tell which folders are in use")

HOLD = "from likewise.app.own_folder import OwnFolder; print(OwnFolder().path, flush=True); input()"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield
    tempfile.tempdir = None


def held_by_another() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdin=-1, stdout=-1, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_is_private_and_goes_when_it_is_done() -> None:
    own = OwnFolder()
    assert own.path.stat().st_mode & 0o077 == 0
    (own.path / "x").write_text("x")
    own.remove()
    assert not own.path.exists()


def test_what_a_killed_process_left_goes_at_the_next_start() -> None:
    process, left = held_by_another()
    (left / "uploads").mkdir()
    (left / "uploads" / "picture").write_bytes(b"x")
    first = OwnFolder()
    assert left.exists()  # it lives
    process.kill()
    process.communicate()
    assert left.exists()
    second = OwnFolder()
    assert not left.exists()
    assert first.path.exists()
    first.remove()
    second.remove()


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "x").write_text("x")
    (tmp_path / f"{PREFIX}link").symlink_to(kept)
    (tmp_path / f"{PREFIX}file").write_text("x")
    (tmp_path / "likewise-other").mkdir()
    remove_abandoned(tmp_path)
    assert (kept / "x").exists()
    assert {p.name for p in tmp_path.iterdir()} == {"kept", f"{PREFIX}link", f"{PREFIX}file", "likewise-other"}


def test_a_folder_of_somebody_else_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{PREFIX}x").mkdir()
    monkeypatch.setattr(own_folder.os, "getuid", lambda: -1)
    remove_abandoned(tmp_path)
    assert (tmp_path / f"{PREFIX}x").exists()


def test_one_that_is_taken_away_before_it_is_locked_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    made, kept = [], tempfile.mkdtemp

    def taken(prefix: str) -> str:
        made.append(kept(prefix=prefix))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", taken)
    own = OwnFolder()
    assert own.path == Path(made[1])
    own.remove()
