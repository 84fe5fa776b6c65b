"""``likewise app``: what it says before there is a page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from likewise import cli


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["app", *words])
    return int(stopped.value.code or 0)


def test_a_folder_is_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path / "none"), "--no-browser") == 2
    assert "is not a folder" in capsys.readouterr().err


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "likewise.app.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run("--no-browser") == 2
    assert "pip install '.[app]'" in capsys.readouterr().err
