"""Peak memory of the listing and the table of so many files: ``python many_files.py NUMBER [FOLDER]``.

A line a step, with the peak of the process so far in megabytes and the seconds that the step took.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from likewise.cli.inputs import find_pictures
from likewise.cli.ledger import Ledger

T = TypeVar("T")

COLUMNS = ("count", "low", "high", "points", "warnings")
PROMPT = '{"exemplars": [[81, 39, 120, 74], [189, 170, 237, 217], [305, 16, 364, 73]]}'


class Result:
    seconds, model = 0.125, "scales"


def main(number: int, folder: Path) -> None:
    pictures = folder / "pictures"
    pictures.mkdir()
    for each in range(number):
        (pictures / f"IMG_{each * 7919 % number}.jpg").touch()
    step("started", lambda: None)
    found = step("listed", lambda: find_pictures([str(pictures)], "count"))
    assert len(found) == number

    def add() -> None:
        table = opened(folder)
        for picture in found:
            assert picture not in table
            table.add(picture, (31.4159, "", "", 31, ""), Result)

    step("added", add)
    table = step("opened", lambda: opened(folder))
    assert len(table) == number
    assert step("found", lambda: all(picture in table for picture in found))


def opened(folder: Path) -> Ledger:
    return Ledger(folder / "counts.csv", COLUMNS, "0123456789ab", weights="spdcn-lite.safetensors", prompt=PROMPT)


def step(name: str, do: Callable[[], T]) -> T:
    start = time.perf_counter()
    done = do()
    sys.stdout.write(f"{name:8} {peak():4d} MB {time.perf_counter() - start:7.1f} s\n")
    sys.stdout.flush()
    return done


def peak() -> int:
    """Megabytes; on Linux, where getrusage passes on the parent's, from the process's own status."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main(int(sys.argv[1]), Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(int(sys.argv[1]), Path(made))
