"""A run over a folder and what befalls it: kills, a second run, full disks, closed pipes, terminals without letters."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from likewise import cli
from likewise.cli import folder_run
from likewise.cli.lock import locked
from likewise.errors import LikewiseError

from . import made_up_job

JOB = [sys.executable, made_up_job.__file__]
#: No test waits longer for a process.
PATIENCE = 120.0


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of six files of 1 to 6 bytes that are called pictures, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "build_app", made_up_job.app)
    folder = Path("pics")
    folder.mkdir()
    for size in range(1, 7):
        (folder / f"{size}.jpg").write_bytes(b"x" * size)
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["0", *map(str, words)])
    shown = capsys.readouterr()
    return int(stopped.value.code or 0), shown.out, shown.err


def rows(path: str = "t.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, strict=True))


def started(*words: object, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([*JOB, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def until_rows(running: subprocess.Popen[str], number: int) -> None:
    """Wait for a table of so many rows."""
    deadline = time.monotonic() + PATIENCE
    while not (Path("t.csv").exists() and Path("t.csv").read_bytes().count(b"\n") > number):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_table_holds_the_prompt_the_weights_and_no_formula(pictures: Path, capsys) -> None:
    (pictures / "7.jpg").write_bytes(b"x" * 101)
    assert run(capsys, pictures, "--csv", "t.csv")[0] == 0
    assert [int(row["count"]) for row in rows()] == [1, 2, 3, 4, 5, 6, 101]
    assert rows()[-1]["said"] == "'=much"
    assert (rows()[0]["weights"], json.loads(rows()[0]["prompt"])) == ("scales.safetensors", {"what": "bytes"})
    assert sorted(p.name for p in Path().iterdir()) == ["pics", "t.csv"]  # neither lock nor temporary file


def test_a_killed_run_goes_on_where_it_was(pictures: Path, capsys) -> None:
    running = started(0.2, pictures, "--csv", "t.csv", "-o", "out")
    until_rows(running, 2)
    running.kill()
    running.communicate(timeout=PATIENCE)
    left = len(rows())
    assert 2 <= left < 6
    assert Path(".t.csv.lock").exists()  # and nobody holds it
    code, _, err = run(capsys, pictures, "--csv", "t.csv", "-o", "out")
    assert code == 0
    assert f"{left} already weighed" in err
    assert [row["image"] for row in rows()] == [f"pics/{size}.jpg" for size in range(1, 7)]
    assert sorted(p.name for p in Path("out").iterdir()) == [f"{size}_count.png" for size in range(1, 7)]
    assert not Path(".t.csv.lock").exists()


def test_a_second_run_on_the_same_table_is_refused_at_once(pictures: Path, capsys) -> None:
    running = started(0.3, pictures, "--csv", "t.csv")
    until_rows(running, 1)
    Path("link.csv").symlink_to("t.csv")
    for name in ("t.csv", "pics/../t.csv", "link.csv"):
        code, out, err = run(capsys, pictures, "--csv", name)
        assert (code, out) == (2, "")
        assert f"t.csv is being written by another run (process {running.pid} on " in err
    assert run(capsys, pictures, "--csv", "other.csv")[0] == 0
    assert running.communicate(timeout=PATIENCE)[1] == ""
    assert running.returncode == 0
    assert len(rows()) == 6


def test_many_runs_at_once_never_share_a_table(pictures: Path) -> None:
    running = [started(0.02, pictures, "--csv", "t.csv") for _ in range(4)]
    codes = [each.wait(timeout=PATIENCE) for each in running]
    for each in running:
        each.communicate()
    assert set(codes) <= {0, 2}
    assert codes.count(0) >= 1
    assert [row["image"] for row in rows()] == [f"pics/{size}.jpg" for size in range(1, 7)]


def test_a_lock_is_let_go_of_and_leaves_nothing(tmp_path: Path) -> None:
    table = tmp_path / "new" / "folder" / "t.csv"
    with locked(table):
        assert table.parent.is_dir()
        with pytest.raises(LikewiseError, match="another run"), locked(table):
            pass
    assert list(tmp_path.iterdir()) == []
    with locked(table):
        table.touch()
    assert [p.name for p in table.parent.iterdir()] == ["t.csv"]


def test_where_there_are_no_locks_the_run_goes_on_and_says_so(tmp_path: Path, monkeypatch, capsys) -> None:
    def none(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("likewise.cli.lock._lock", none)
    with locked(tmp_path / "t.csv"):
        pass
    assert "cannot be locked (No locks available)" in capsys.readouterr().err


def test_a_stop_says_what_is_safe(pictures: Path) -> None:
    running = started(0.3, pictures, "--csv", "t.csv")
    until_rows(running, 2)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert err == f"stopped: {len(rows())} of 6 are in t.csv; run the same again to go on\n"


def test_a_closed_pipe_stops_the_run_and_nothing_is_called_a_failure(pictures: Path) -> None:
    running = started(0.1, pictures, "--csv", "t.csv")
    assert running.stdout is not None
    assert running.stdout.readline() == "pics/1.jpg: 1\n"
    running.stdout.close()
    assert running.stderr is not None
    assert running.stderr.read() == ""
    assert running.wait(timeout=PATIENCE) == 141
    running.stderr.close()
    assert 1 <= len(rows()) < 6


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_terminal_without_the_letters_fails_nothing(pictures: Path, encoding: str) -> None:
    names = [b"\xe6\x95\xb0.jpg", b"m\xfcnze.jpg", b"\x1b[31mred\n.jpg", b"=1+1.jpg"]
    for name in names:
        (pictures / os.fsdecode(name)).write_bytes(b"broken" if b"red" in name else b"x" * 9)
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [*JOB, "0", pictures, "--csv", "t.csv", "-o", "out"],
        capture_output=True,
        env=environment,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stderr.count(b"\n") == 2
    assert b"1 could not be weighed:\n  pics/\\u001b[31mred\\n.jpg: ValueError: it is broken\\u001b[31m" in done.stderr
    assert len(rows()) == 9
    again = subprocess.run(
        [*JOB, "0", pictures, "--csv", "t.csv", "-o", "out"],
        capture_output=True,
        env=environment,
        timeout=PATIENCE,
        check=False,
    )
    assert b"9 already weighed" in again.stderr


def test_overwriting_keeps_the_old_table_until_there_is_a_row(pictures: Path, capsys, monkeypatch) -> None:
    run(capsys, pictures, "--csv", "t.csv")
    before = Path("t.csv").read_bytes()

    def unable(_: object) -> None:
        raise LikewiseError("no such model")

    with monkeypatch.context() as patch:
        patch.setattr(made_up_job.Weigh, "load", unable)
        code, _, err = run(capsys, pictures, "--csv", "t.csv", "--overwrite", "--asked-for", "grams")
    assert (code, err) == (2, "error: no such model\n")
    assert Path("t.csv").read_bytes() == before
    assert run(capsys, "pics/none.jpg", "--csv", "t.csv", "--overwrite", "--asked-for", "grams")[0] == 2
    assert Path("t.csv").read_bytes() == before
    assert run(capsys, "pics/2.jpg", "--csv", "t.csv", "--overwrite", "--asked-for", "grams")[0] == 0
    assert [row["settings"] for row in rows()] == ["made-up-grams"]


def test_a_changed_picture_is_told_and_done_anew(pictures: Path, capsys) -> None:
    run(capsys, pictures, "-o", "out")
    (pictures / "3.jpg").write_bytes(b"x" * 30)
    code, out, err = run(capsys, pictures, "-o", "out")
    assert (code, out) == (0, "pics/3.jpg: 30  out/3_count.png\n")
    assert "1 changed since, weighed again" in err
    assert sorted(int(row["count"]) for row in rows("out/sizes.csv")) == [1, 2, 4, 5, 6, 30]


def test_half_a_row_is_told_and_done_again(pictures: Path, capsys) -> None:
    run(capsys, pictures, "--csv", "t.csv")
    Path("t.csv").write_bytes(Path("t.csv").read_bytes()[:-20])
    code, out, err = run(capsys, pictures, "--csv", "t.csv")
    assert (code, out) == (0, "pics/6.jpg: 6\n")
    assert err.startswith("t.csv: 1 line not whole, cut off; what is missing is weighed again\n5 already weighed")


def test_a_full_disk_stops_the_run_and_says_what_is_safe(pictures: Path, capsys, monkeypatch) -> None:
    honest = folder_run.save_drawing

    def full(drawing: Any, path: Path, picture: Path) -> None:
        if picture.name == "4.jpg":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        honest(drawing, path, picture)

    with monkeypatch.context() as patch:
        patch.setattr(folder_run, "save_drawing", full)
        code, _, err = run(capsys, pictures, "--csv", "t.csv", "-o", "out")
    assert (code, err) == (
        2,
        f"error: {os.strerror(errno.ENOSPC)}: 3 of 6 are in t.csv; run the same again to go on\n",
    )
    assert run(capsys, pictures, "--csv", "t.csv", "-o", "out")[0] == 0
    assert len(rows()) == 6


def test_folders_with_brackets_are_folders(pictures: Path, capsys) -> None:
    folder = Path("set [1]")
    pictures.rename(folder)
    code, out, _ = run(capsys, "set [1]/[12].jpg")
    assert (code, out) == (0, "set [1]/1.jpg: 1\nset [1]/2.jpg: 2\n")
    assert run(capsys, "set [1]/**/*.jpg")[1].count("\n") == 6
    assert run(capsys, folder)[1].count("\n") == 6


def test_drawings_of_any_name_beside_their_pictures_are_not_pictures(pictures: Path, capsys) -> None:
    (pictures / "1.png").write_bytes(b"another")
    assert run(capsys, pictures, "-o", pictures)[0] == 0
    assert (pictures / "1.jpg_count.png").exists()
    code, out, err = run(capsys, pictures, "-o", pictures)
    assert (code, out) == (0, "")
    assert "7 already weighed" in err
