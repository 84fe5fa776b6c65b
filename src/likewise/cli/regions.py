"""Regions that are asked for on the command line, and their tables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.errors import LikewiseError
from likewise.plain_text import BOM

if TYPE_CHECKING:
    from likewise.placement import Unit
    from likewise.results import CountResult
    from likewise.results.by_region import RegionCount
    from likewise.sources import PictureSource

#: Ends of the names of pictures' tables, and the name of the one that holds all of a folder.
SUFFIX, TABLE = "_regions.csv", "regions.csv"


@dataclass(frozen=True)
class RegionsAsked:
    """Regions of every picture: a file's, or a grid's.

    Attributes:
        file: of regions.
        grid: rows and columns, over the picture or the box round its ``region``.
        unit: of places in the file, as of `likewise.data.regions.read_regions`.

    Raises:
        LikewiseError: both a file and a grid; no such file, or one of another kind.
    """

    file: Path | None = None
    grid: tuple[int, int] | None = None
    unit: Unit | None = None

    def __post_init__(self) -> None:
        if self.file is not None and self.grid is not None:
            raise LikewiseError("--regions and --grid both say which regions; expected one of them")
        if self.file is not None:
            from likewise.data.regions import check_region_file

            check_region_file(self.file)

    def __bool__(self) -> bool:
        return self.file is not None or self.grid is not None

    def check(self, picture: PictureSource) -> None:
        """See, before a picture is counted, that the file's regions are of it.

        Raises:
            LikewiseError: the file cannot be read, or does not fit the picture.
        """
        if self.file is not None:
            from likewise.data.regions import read_regions

            read_regions(self.file, picture.placement, size=(picture.width, picture.height), unit=self.unit)

    def counted(self, result: CountResult) -> list[RegionCount]:
        """How many there are in each region.

        Raises:
            LikewiseError: the file cannot be read, or does not fit the picture.
        """
        return _counted(self, result)

    def table(self, result: CountResult) -> bytes:
        """A picture's table as a CSV file."""
        from likewise.results.by_region import regions_table

        return regions_table([(result.source or "", each) for each in self.counted(result)]).encode()

    def settings(self) -> dict[str, Any]:
        """What the tables depend on, as JSON values."""
        if self.file is None:
            return {"grid": self.grid} if self.grid else {}
        from likewise.weights import file_sha256

        return {"regions": file_sha256(self.file), "unit": self.unit}

    def asked(self) -> dict[str, Any]:
        """The same for people."""
        return {"grid": list(self.grid)} if self.grid else {"regions": str(self.file)} if self.file else {}


#: Where none are asked for.
NO_REGIONS = RegionsAsked()


@lru_cache(maxsize=4)  # a result is told, written and printed
def _counted(asked: RegionsAsked, result: CountResult) -> list[RegionCount]:
    from likewise.data.regions import read_regions
    from likewise.regions import Region, grid_regions

    if asked.file is not None:
        regions = read_regions(asked.file, result.placement, size=result.size, unit=asked.unit)
    else:
        part = result.prompt.region
        box = (0.0, 0.0, float(result.size[0]), float(result.size[1]))
        if part is not None:
            box = Region("part", ((part,),)).box
        regions = grid_regions(box, *(asked.grid or (1, 1)))
    return result.by_region(regions)


def gather(folder: Path) -> None:
    """Put all tables of regions in a folder, and in those inside it, into one; nothing where there are none.

    What is put together appears at once, whoever else does the same.
    """
    from likewise.data.images import natural

    paths = sorted(folder.rglob(f"*{SUFFIX}"), key=lambda path: natural(str(path)))
    if not paths:
        return
    # twice through the files, and never more than one of them in memory
    plain = all(path.read_bytes().isascii() for path in paths)
    part = folder / f".{os.getpid()}.{TABLE}"
    try:
        with part.open("wb") as table:
            for number, path in enumerate(paths):
                head, *rows = path.read_bytes().removeprefix(BOM).splitlines(keepends=True)
                table.writelines([b"" if plain else BOM, head, *rows] if number == 0 else rows)
        part.replace(folder / TABLE)
    finally:
        part.unlink(missing_ok=True)


def region_line(each: RegionCount) -> str:
    """A region's count in a few words."""
    density = next(
        (f", {value:.4g} {unit}" for value, unit in ((each.per_mm2, "per mm2"), (each.per_m2, "per m2")) if value), ""
    )
    return f"{' '.join(each.name.split())}: {each.count:.1f}{density}"
