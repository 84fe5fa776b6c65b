"""Where pictures lie, and prompts typed in micrometres or coordinates in pixels of each picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from likewise.placement import Placement, Unit
    from likewise.types import Box, Prompt

#: Tags by which a TIFF file says where it lies: pixel scale, transformation, keys.
_GEO_TAGS = (33550, 34264, 34735)
#: Micrometres in a unit of length.
_MICROMETRES = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}


def placement_of(picture: Path) -> Placement | None:
    """Where a TIFF file says that its picture lies; None: it does not, or is none."""
    from likewise.data.tiff import is_tiff

    if not (picture.is_file() and is_tiff(picture)):
        return None
    from tifffile import TiffFile

    try:
        with TiffFile(picture) as file:
            if any(tag in file.pages.first.tags for tag in _GEO_TAGS):
                return _on_map(picture)
            return _of_ome(file.ome_metadata or "")
    except Exception:  # noqa: BLE001  # decoders of damaged files raise nearly anything; reading it says what is wrong
        return None


def _on_map(picture: Path) -> Placement | None:
    from likewise.placement import Placement

    try:
        import rasterio
    except ModuleNotFoundError:
        return None
    with rasterio.open(picture) as raster:
        known = raster.crs is not None and not raster.transform.is_identity
        return Placement(crs=str(raster.crs), transform=tuple(raster.transform)[:6]) if known else None


def _of_ome(text: str) -> Placement | None:
    from likewise.placement import Placement

    sides = []
    for axis in "XY":
        size = re.search(rf'PhysicalSize{axis}="([^"]+)"', text)
        unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', text)
        factor = _MICROMETRES.get(unit[1] if unit else "um")
        if size is None or factor is None:
            return None
        sides.append(float(size[1]) * factor)
    return Placement(micrometres=(sides[0], sides[1]))


def box_in_pixels(box: Box, picture: Path, unit: Unit) -> Box:
    """A box of a picture.

    Raises:
        LikewiseError: the picture has no such unit.
    """
    return box if unit == "px" else _placed(picture, unit).box_in_pixels(box, unit)


def prompt_in_pixels(prompt: Prompt, picture: Path, unit: Unit) -> Prompt:
    """A prompt in pixels of a picture.

    Raises:
        LikewiseError: the picture has no such unit.
    """
    if unit == "px" or not (prompt.exemplars or prompt.negatives or prompt.region):
        return prompt
    placement = _placed(picture, unit)
    region = None if prompt.region is None else _pairs(placement.pixels(prompt.region, unit).tolist())
    return replace(
        prompt,
        exemplars=tuple(placement.box_in_pixels(box, unit) for box in prompt.exemplars),
        negatives=tuple(placement.box_in_pixels(box, unit) for box in prompt.negatives),
        region=region,
    )


def _pairs(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in rows)


def _placed(picture: Path, unit: Unit) -> Placement:
    from likewise.placement import UNPLACED

    placement = placement_of(picture) or UNPLACED
    if not placement.knows(unit):
        tells = " or ".join(f"--unit {each}" for each in ("um", "crs", "px") if placement.knows(each))
        what = "how large its pixels are in micrometres" if unit == "um" else "which coordinates it has"
        raise LikewiseError(f"--unit {unit}: {picture} does not tell {what}; give places with {tells}")
    return placement
