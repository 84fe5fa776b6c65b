"""``likewise eval --suite``: every set in a table, the peer beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset

from likewise import cli
from likewise.data.counting.sample import CountSample
from likewise.lab.suite import generalisation
from likewise.lab.suite.template_matching import Matched


class One(Dataset[CountSample]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> CountSample:
        image = torch.zeros(3, 48, 64, dtype=torch.uint8)
        return CountSample(
            image, torch.zeros(0, 2), torch.zeros(0, 4), torch.tensor([[4.0, 4, 20, 20]]), name="one", truth=4.0
        )


class Two:
    def count(self, image, exemplars=(), *, text=None, trust=None):
        return Matched(2.0, 0.0)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["eval", "spdcn-lite", *words])
    return int(stopped.value.code or 0)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generalisation, "sets", lambda data: {"a set": One})
    monkeypatch.setattr(generalisation, "the_peer", Two)


def test_every_set_has_its_line_with_the_peer_beside_it(tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run("--data", str(tmp_path), "--suite", "generalisation") == 0
    shown = capsys.readouterr().out
    for part in (
        "a set",
        "mean of the sets",
        "all pictures",
        "1 pictures of 4",
        "bias -100%",
        "template matching 50.0% (50.0%), 2",
    ):
        assert part in " ".join(shown.split())


def test_json_holds_every_set_every_count_and_the_peer(tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run("--data", str(tmp_path), "--suite", "generalisation", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [s["name"] for s in found["sets"]] == ["a set", "mean of the sets", "all pictures"]
    assert found["peer"][0]["relative"] == 0.5
    assert found["reports"]["a set"]["per_image"][0]["truth"] == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--category", "cells"), "--category is not for the suite 'generalisation'"),
        (("--split", "val"), "the suite 'generalisation' has splits of its own"),
    ],
)
def test_what_a_suite_does_not_take_is_told(words, message, tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run("--data", str(tmp_path), "--suite", "generalisation", *words) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_the_sets_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run("--data", str(tmp_path), "--suite", "generalisation") == 2
    assert "lacks marrow, adipocytes" in capsys.readouterr().err
