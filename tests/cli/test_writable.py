"""What cannot be written is said before any work, by the option's name, in words; never as a Python error."""

from __future__ import annotations

from pathlib import Path

import pytest

from likewise import cli
from likewise.cli.writable import check_file, check_folder

#: Verbs that write, with the option that says where and whether that is a folder.
VERBS = [
    ("count x.png --box 1,2,3,4 --output", "FILE"),
    ("segment x.png --support x.png:1,2,3,4 --output", "FILE"),
    ("recognize x.png --output", "FILE/out"),
    ("sample counts.csv -n 3 -o", "FILE/sample.csv"),
    ("estimate counts.csv --hand sample.csv -o", "FILE/a.json"),
    ("estimate counts.csv --hand sample.csv --plot", "FILE/a.png"),
    ("estimate counts.csv --hand sample.csv --plot", "folder.png"),
    ("merge counts.csv -o", "FILE/all.csv"),
    ("convert spdcn weights.pth -o", "FILE/a.safetensors"),
    ("calibrate spdcn-lite --data . -o", "folder.png"),
    ("adapt spdcn-lite --data . -o", "FILE/a.safetensors"),
    ("data synth -n 1 -o", "FILE"),
    ("data giant", "FILE/a.tif"),
]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("kept")
    Path("folder.png").mkdir()


@pytest.mark.parametrize(("words", "path"), VERBS)
def test_a_place_that_is_taken_is_refused(words: str, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([*words.split(), path])
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert said.startswith(f"error: {'FILE' if words == 'data giant' else words.rsplit(maxsplit=1)[-1]} {path}")
    assert "expected" in said
    assert "Error" not in said
    assert Path("FILE").read_text() == "kept"


def test_a_table_whose_folder_is_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([*["count", "x.png", "--box", "1,2,3,4", "--csv", "FILE/counts.csv"]])
    assert "FILE/counts.csv cannot be written: " in capsys.readouterr().err


def test_what_the_system_refuses_after_all_is_said_in_its_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "there/a.json")

    monkeypatch.setattr("likewise.estimation.estimate", refused)
    with pytest.raises(SystemExit):
        cli.main(["estimate", "counts.csv", "--hand", "sample.csv"])
    assert capsys.readouterr().err == "error: there/a.json cannot be read or written: Permission denied\n"


def test_new_names_and_files_to_write_over_are_fine() -> None:
    for name in ("FILE", "new.csv", "new/folder/new.csv", "folder.png/new.csv"):
        check_file("-o", Path(name))
    for name in ("folder.png", "new", "new/folder"):
        check_folder("-o", Path(name))
