"""A folder counted on two cores against one, and against one picture at a time on two.

Each figure is of a process of its own, the command as people run it, on cores that it cannot leave. Its speed is that
of the lines it prints, from the first on: how long it takes to load is not in it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

from PIL import Image

from likewise.errors import LikewiseError
from likewise.lab.speed.timing import Comparison
from likewise.lab.suite.photographs import many_coins

#: Pictures, turns, and the size of each picture.
PICTURES, ROUNDS, SIZE = 40, 3, (640, 480)
QUICK_PICTURES, QUICK_ROUNDS, QUICK_SIZE = 6, 1, (400, 310)
AIM = 1.7


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """Two rows for counting alone, two for counting and drawing; none on one core, or where cores cannot be chosen."""
    if threads < 2 or not hasattr(os, "sched_setaffinity"):
        return
    number, rounds, (width, height) = (QUICK_PICTURES, QUICK_ROUNDS, QUICK_SIZE) if quick else (PICTURES, ROUNDS, SIZE)
    cores = sorted(os.sched_getaffinity(0))[:threads]
    with tempfile.TemporaryDirectory() as folder:
        boxes = _write(Path(folder) / "pictures", number, width, height)
        for doing, drawn in (("counted", False), ("counted and drawn", True)):
            words = ["pictures", *boxes, *(["-o", "out", "--overwrite"] if drawn else [])]
            ways = {
                "many": (cores, [*words, "--workers", str(threads)]),
                "one core": (cores[:1], [*words, "--workers", "1"]),
                "one picture at a time": (cores, [*words, "--workers", "1"]),
            }
            speeds = _speeds(Path(folder), ways, rounds)
            for against in ("one core", "one picture at a time"):
                yield Comparison(
                    what=f"a folder {doing}, {threads} pictures at a time",
                    shape=f"{number} × {height} × {width}",
                    against=against,
                    threads=threads,
                    ratio=speeds["many"] / speeds[against],
                    error=None,
                    note=f"{speeds['many']:.2f} a second against {speeds[against]:.2f}",
                    aim=AIM if against == "one core" and not quick else None,
                )


def _write(folder: Path, number: int, width: int, height: int) -> list[str]:
    """Photographs of coins; the options that show three of the coins."""
    folder.mkdir()
    pixels, boxes = many_coins(width, height, 1.0)
    for each in range(number):
        Image.fromarray(pixels).save(folder / f"{each}.jpg", quality=95)
    return [word for box in boxes for word in ("--box", ",".join(f"{side:g}" for side in box))]


def _speeds(folder: Path, ways: dict[str, tuple[list[int], list[str]]], rounds: int) -> dict[str, float]:
    """Median pictures a second of each way, which take turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (cores, words) in ways.items():
            taken[name].append(_speed(folder, cores, words))
    return {name: median(each) for name, each in taken.items()}


def _speed(folder: Path, cores: list[int], words: Sequence[str]) -> float:
    """Pictures a second of ``likewise count words...`` on these cores."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # a process begins on the cores of the one that starts it
    try:
        process = subprocess.Popen(  # noqa: S603  # this very interpreter, with words of our own
            [sys.executable, "-m", "likewise", "count", *words],
            cwd=folder,
            env={
                name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
    finally:
        os.sched_setaffinity(0, own)
    with process:
        lines = (line for line in process.stdout or () if ": " in line and not line.startswith("  "))
        next(islice(lines, 0, 1), None)
        start, number = time.perf_counter(), 0
        for _ in lines:
            number += 1
        seconds = time.perf_counter() - start
        if process.wait() or not number:
            said = (process.stderr.read() if process.stderr else "").strip().splitlines() or ["nothing"]
            raise LikewiseError(f"likewise count {' '.join(words)} failed: {said[-1]}")
    return number / seconds
