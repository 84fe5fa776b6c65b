"""The benchmarks by name, and their rows, measured in processes of their own."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from likewise.errors import LikewiseError, nearest
from likewise.json_text import json_text
from likewise.lab.speed.process import lines_of
from likewise.lab.speed.timing import Comparison
from likewise.lazy import resolve

#: Benchmark -> its function ``compare(threads, *, quick)``, and its line in the list.
BENCHMARKS = {
    "deform_conv": (
        "likewise.lab.speed.deform_conv:compare",
        "deform_conv2d against torchvision and plain convolution",
    ),
    "deform_grouped": (
        "likewise.lab.speed.deform_grouped:compare",
        "DCNv3's and DCNv4's operators against grid_sample in plain torch",
    ),
    "memory": ("likewise.lab.speed.memory:compare", "peak memory of deform_conv2d against torchvision's"),
    "spdcn": (
        "likewise.lab.speed.spdcn:compare",
        "a whole picture through spdcn against spdcn on torchvision's operator",
    ),
    "transport": ("likewise.lab.speed.transport:compare", "optimal transport against geomloss and POT"),
    "vlcounter": ("likewise.lab.speed.vlcounter:compare", "a picture through vlcounter against windows one by one"),
    "countx": (
        "likewise.lab.speed.countx:compare",
        "a whole picture through countx against the way its authors run it",
    ),
    "s3n": (
        "likewise.lab.speed.s3n:compare",
        "peaks and saliency sampling of s3n against a loop over pictures and peaks",
    ),
    "fwb": ("likewise.lab.speed.fwb:compare", "boosting in fwb against the loop that the paper describes"),
    "lite": (
        "likewise.lab.speed.lite:compare",
        "a photograph counted by spdcn-lite against one look of a plain MobileNetV2",
    ),
    "outlines": (
        "likewise.lab.speed.outlines:compare",
        "a photograph counted and outlined against the count alone",
    ),
    "folder": ("likewise.lab.speed.folder:compare", "a folder of pictures on two cores against one"),
    "giant": (
        "likewise.lab.speed.giant:compare",
        "a giant counted window by window against a plain loop over crops",
    ),
    "app": ("likewise.lab.speed.app:compare", "another prompt about a picture that was looked at, against the first"),
}
#: Several benchmarks under one name.
GROUPS = {
    "ops": (
        ("deform_conv", "deform_grouped", "memory", "spdcn", "transport", "s3n"),
        "the operators, and spdcn, which rests on them",
    ),
    "names": (("vlcounter", "countx"), "the counters by name"),
}


def listed() -> dict[str, str]:
    """Every name that can be run, and what it measures."""
    return {**{name: line for name, (_, line) in BENCHMARKS.items()}, **{n: line for n, (_, line) in GROUPS.items()}}


def chosen(name: str) -> tuple[str, ...]:
    """The benchmarks that a name stands for.

    Raises:
        LikewiseError: there is none of that name; the nearest is given.
    """
    if name in BENCHMARKS:
        return (name,)
    if name in GROUPS:
        return GROUPS[name][0]
    raise LikewiseError(f"no benchmark is called {name!r}{nearest(name, listed())}")


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: Sequence[int]) -> None:
    """Make sure that every thread can have a core.

    Raises:
        LikewiseError: there are too few cores.
    """
    cores = usable_cores()
    for number in threads:
        if not 1 <= number <= cores:
            raise LikewiseError(f"threads = {number}: expected 1 to {cores}, the cores that can be used here")


def measure(benchmark: str, threads: Sequence[int], *, quick: bool) -> Iterator[Comparison]:
    """The rows of one benchmark, each number of threads in a process of its own.

    Args:
        benchmark: a key of `BENCHMARKS`.
        threads: numbers of threads.
        quick: small shapes and few turns, to see that everything works; its ratios mean little.

    Raises:
        LikewiseError: a process failed.
    """
    for number in threads:
        words = [benchmark, *(["quick"] if quick else [])]
        for line in lines_of("likewise.lab.speed", words, number):
            yield from_json(line)


def load(benchmark: str) -> Callable[..., Iterator[Comparison]]:
    """The function of a benchmark."""
    found: Callable[..., Iterator[Comparison]] = resolve(BENCHMARKS[benchmark][0])
    return found


def to_json(row: Comparison) -> str:
    """A row as one line; null where a number is missing."""
    fields = dataclasses.asdict(row)
    missing = {key: None for key, value in fields.items() if isinstance(value, float) and not math.isfinite(value)}
    return json_text({**fields, **missing, "met": row.met}, ascii_only=False)


def from_json(line: str) -> Comparison:
    """The row that `to_json` wrote."""
    fields: dict[str, Any] = json.loads(line)
    del fields["met"]
    return Comparison(**{**fields, "ratio": math.nan if fields["ratio"] is None else fields["ratio"]})
