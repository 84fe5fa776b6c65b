"""A job without a model for workers of a cluster: a picture's count is its size in bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likewise.cli.folder_run import Job


@dataclass(frozen=True)
class Size:
    count: int
    seconds: float = 0.25
    model: str = "scales"


@dataclass(frozen=True)
class Weigh(Job):
    pause: float
    pids: str
    model: str = "scales"

    task = "count"
    doing = "weighing"
    done = "weighed"
    table = "sizes.csv"
    columns = ("count",)
    suffixes = ("_count.png",)

    def settings(self) -> dict[str, Any]:
        return {}

    def weights_file(self) -> Path:
        return Path("scales.safetensors")

    def fingerprint(self) -> str:
        return "made-up"

    def load(self) -> Callable[[Path], Size]:
        (Path(self.pids) / str(os.getpid())).touch()

        def look(picture: Path) -> Size:
            time.sleep(self.pause)
            held = picture.read_bytes()
            if held.startswith(b"broken"):
                raise ValueError("it is broken")
            return Size(len(held))

        return look

    def row(self, result: Size) -> Sequence[object]:
        return (result.count,)

    def line(self, result: Size) -> str:
        return str(result.count)

    def drawings(self, result: Size) -> tuple[()]:
        return ()
