"""``python -m likewise.lab.speed THREADS NAME [quick]``: what `bench` runs; one JSON object a row."""

from __future__ import annotations

import sys

import torch

from likewise.lab.speed.registry import load, to_json


def main(threads: int, name: str, mode: str = "") -> None:
    """Write the rows of one benchmark, each as soon as it is measured."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    for row in load(name)(threads, quick=mode == "quick"):
        sys.stdout.write(to_json(row) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
