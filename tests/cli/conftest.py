"""A counter with random weights, and ``likewise count`` asked with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

from likewise import cli
from likewise.registry import preset
from likewise.weights import save_checkpoint


class Shown(NamedTuple):
    """What a run printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]


def run(*words: str) -> int:
    """``likewise count`` with the bundled weights; its exit code."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(["count", *words])
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    lite = preset("spdcn-lite")
    return str(save_checkpoint(path, lite.model(replace(lite.config, negatives=False))))


@pytest.fixture
def count(model: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., Shown]:
    def run(*words: object) -> Shown:
        with pytest.raises(SystemExit) as stopped:
            cli.main(["count", *map(str, words), *([] if "--model" in words else ["--model", model])])
        return Shown(int(stopped.value.code or 0), *capsys.readouterr())

    return run
