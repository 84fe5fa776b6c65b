"""A job without a model, for runs in processes of their own: ``python made_up_job.py SECONDS PICTURE... --OPTION ...``.

A picture's count is its size in bytes; each takes so many seconds, and is told on stdout when it is looked at.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from PIL import Image

from likewise import cli
from likewise.cli.folder_run import Job, Output, run_through
from likewise.cli.inputs import find_pictures
from likewise.cli.shard import parse_shard


@dataclass(frozen=True)
class Size:
    picture: Path
    count: int
    seconds: float = 0.25
    model: str = "scales"

    def to_dict(self) -> dict[str, Any]:
        return {"image": str(self.picture), "count": self.count}


@dataclass(frozen=True)
class Weigh(Job):
    pause: float = 0.0
    asked_for: str = "bytes"
    model: str = "scales"

    task = "count"
    doing = "weighing"
    done = "weighed"
    table = "sizes.csv"
    columns = ("count", "said")
    suffixes = ("_count.png",)

    def settings(self) -> dict[str, Any]:
        return {"asked_for": self.asked_for}

    def asked(self) -> dict[str, Any]:
        return {"what": self.asked_for}

    def weights_file(self) -> Path:
        return Path("scales.safetensors")

    def fingerprint(self) -> str:
        return f"made-up-{self.asked_for}"

    def load(self) -> Callable[[Path], Size]:
        def look(picture: Path) -> Size:
            time.sleep(self.pause)
            held = picture.read_bytes()
            if held.startswith(b"broken"):
                raise ValueError("it is broken\x1b[31m")
            return Size(picture, len(held))

        return look

    def row(self, result: Size) -> Sequence[object]:
        return result.count, "=much" if result.count > 100 else "little"

    def line(self, result: Size) -> str:
        return str(result.count)

    def drawings(self, result: Size) -> Sequence[Image.Image]:
        return (Image.new("L", (result.count % 50 + 1, 1)),)


def weigh(
    seconds: float,
    *pictures: str,
    csv: Path | None = None,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None,
    overwrite: bool = False,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    asked_for: str = "bytes",
    shard: str | None = None,
    workers: int | None = None,
) -> int:
    job = Weigh(seconds, asked_for)
    found = find_pictures(pictures, "weigh", None if shard is None else parse_shard(shard))
    return run_through(found, job, Output(as_json, csv, output, overwrite, workers))


def app() -> App:
    made_up = App(name="weigh")
    made_up.default(weigh)
    return made_up


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are told to ignore it
    cli.build_app = app
    cli.main(sys.argv[1:])
