"""``likewise data giant``: a slide of any size whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likewise.cli.terminal import say
from likewise.cli.writable import check_file


def giant(
    file: Annotated[Path, Parameter(metavar="FILE.tif")],
    /,
    *,
    side: int = 60_000,
    seed: int = 0,
) -> None:
    """Write a slide of cells, JPEG-compressed in tiles, with smaller copies of itself; its truth is beside it as JSON.

    Args:
        file: Of the slide, a TIFF.
        side: Pixels wide and high, or a little more: whole tiles of 512.
        seed: Of where the cells are.
    """
    from likewise.lab.giant import write_giant

    check_file("FILE", file)
    made = write_giant(file, side, seed)
    boxes = " ".join("--box " + ",".join(f"{number:g}" for number in box) for box in made.exemplars)
    say(f"{made.path}: {made.side} x {made.side} pixels, {made.count} cells")
    say(f"likewise count {made.path} {boxes} -o out")
