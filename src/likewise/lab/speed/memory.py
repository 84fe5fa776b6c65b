"""Peak memory of deformable convolution against torchvision's operator.

Every figure is of a fresh process, which has run the same code on a tiny problem first, so that libraries, threads
and tables are there: the most it then held at once, less what it held just before.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from likewise.lab.speed import deform_conv
from likewise.lab.speed.process import lines_of
from likewise.lab.speed.timing import Comparison
from likewise.ops.deform.conv2d import active_backend

OPERATORS: dict[str, deform_conv.Operator] = {"ours": deform_conv.ours, "torchvision": deform_conv.torchvisions}
#: Memory comes in pages: less cannot be seen.
PAGE = 4096
#: glibc otherwise keeps what is freed, to fill it again: then a second use of it would not show.
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """One row a shape and pass; none where the system does not tell a process its peak (Windows)."""
    if importlib.util.find_spec("resource") is None:
        return
    for shape in deform_conv.QUICK_SHAPES if quick else deform_conv.SHAPES:
        for name in deform_conv.PASSES:
            mine, theirs = (_peak_of(operator, name, shape, threads) for operator in OPERATORS)
            yield Comparison(
                what=f"deform_conv2d ({active_backend()}), {name}, peak memory",
                shape=str(shape),
                against="torchvision",
                threads=threads,
                ratio=theirs / mine,
                error=None,
                note=f"{mine / 2**20:.1f} MiB against {theirs / 2**20:.1f} MiB",
                aim=None if quick else 1.0,
            )


def peak_above(function: Callable[[], object]) -> int:
    """Bytes of memory that a call held at its peak on top of what the process held before, at least a page."""
    with contextlib.suppress(OSError):  # Linux: the peak so far is forgotten, where that is allowed
        _RESET.write_text("5")
    before = _peak()
    function()
    return max(_peak() - before, PAGE)


def _peak() -> int:
    """The most bytes this process has held; on Linux, where getrusage passes on the parent's, from its own status."""
    import resource

    if _STATUS.exists():
        (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _peak_of(operator: str, name: str, shape: deform_conv.Shape, threads: int) -> int:
    words = [operator, name, str(shape.channels), str(shape.side)]
    return int("".join(lines_of("likewise.lab.speed.memory", words, threads, GIVEN_BACK)))


def _measure(operator: str, name: str, channels: str, side: str) -> int:
    run, _ = deform_conv.PASSES[name]
    run(OPERATORS[operator], deform_conv.Problem.draw(deform_conv.QUICK_SHAPES[0]))
    problem = deform_conv.Problem.draw(deform_conv.Shape(int(channels), int(side), 0, 0))
    return peak_above(lambda: run(OPERATORS[operator], problem))


if __name__ == "__main__":
    import torch

    torch.set_num_threads(int(sys.argv[1]))
    sys.stdout.write(f"{_measure(*sys.argv[2:])}\n")
