"""``likewise app``: what it says before there is a page."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from likewise import cli


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["app", *words])
    return int(stopped.value.code or 0)


def test_a_folder_is_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path / "none"), "--no-browser") == 2
    assert "is not a folder" in capsys.readouterr().err


def test_what_it_waits_for_is_said_before_anything_that_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    server = ModuleType("likewise.app.server")
    server.serve = lambda *_, **__: told.append(capsys.readouterr().err)  # type: ignore[attr-defined]  # in its place
    monkeypatch.setitem(sys.modules, "likewise.app.server", server)
    with pytest.raises(SystemExit):
        cli.main(["app", "--no-browser"])
    assert "Loading PyTorch" in told[0]


def test_a_model_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", str(tmp_path / "none.safetensors"), "--no-browser") == 2
    assert "there is no file" in capsys.readouterr().err


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "likewise.app.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run("--no-browser") == 2
    assert "pip install '.[app]'" in capsys.readouterr().err
