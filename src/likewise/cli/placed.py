"""Where pictures lie, and prompts typed in micrometres or coordinates in pixels of each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from likewise.placement import Placement, Unit
    from likewise.sources import PictureSource
    from likewise.types import Box, Point, Prompt

#: What places are made of in each unit.
WHAT = {"px": "pixels", "um": "micrometres", "crs": "coordinates"}


def box_in_pixels(box: Box, picture: PictureSource, unit: Unit, option: str = "--like") -> Box:
    """A box of a picture that lies somewhere; of one in pixels nothing is checked yet.

    Raises:
        LikewiseError: the picture has no such unit; the box is not all in it.
    """
    if unit == "px":
        return box
    found = _placed(picture, unit).box_in_pixels(box, unit)
    _check_inside(found, box, picture, unit, option)
    return found


def prompt_in_pixels(prompt: Prompt, picture: PictureSource, unit: Unit) -> Prompt:
    """A prompt in pixels of a picture that lies somewhere; of one in pixels nothing is checked yet.

    Raises:
        LikewiseError: the picture has no such unit; a box is not all in it, or the region not at all.
    """
    if unit == "px":
        return prompt
    boxes, others = (
        tuple(box_in_pixels(box, picture, unit, option) for box in marked)
        for option, marked in (("--box", prompt.exemplars), ("--negative", prompt.negatives))
    )
    region = None if prompt.region is None else _region_in_pixels(prompt.region, picture, unit)
    return replace(prompt, exemplars=boxes, negatives=others, region=region)


def _region_in_pixels(region: Sequence[Point], picture: PictureSource, unit: Unit) -> tuple[Point, ...]:
    corners = _placed(picture, unit).pixels(region, unit)
    if (corners.max(0) <= 0).any() or (corners.min(0) >= (picture.width, picture.height)).any():
        typed = ",".join(f"{x:.10g},{y:.10g}" for x, y in region)
        raise LikewiseError(f"--region {typed}: it lies outside {picture.name}, {_extent(picture, unit)}")
    return tuple((x, y) for x, y in corners.tolist())


def _check_inside(found: Box, typed: Box, picture: PictureSource, unit: Unit, option: str) -> None:
    """Say in the unit of a box what would be said in pixels."""
    from likewise.types import Prompt

    try:
        Prompt((found,)).inside(picture.width, picture.height)
    except LikewiseError as error:
        told = ",".join(f"{number:.10g}" for number in typed)
        outside = found[0] >= picture.width or found[1] >= picture.height or found[2] <= 0 or found[3] <= 0
        where = "lies outside" if outside else "reaches outside"
        raise LikewiseError(f"{option} {told}: it {where} {picture.name}, {_extent(picture, unit)}") from error


def _extent(picture: PictureSource, unit: Unit) -> str:
    """Between which places of a unit a picture lies."""
    width, height = picture.width, picture.height
    corners = _placed(picture, unit).places([(0, 0), (width, 0), (width, height), (0, height)], unit)
    (left, low), (right, high) = corners.min(0).tolist(), corners.max(0).tolist()
    return f"which goes from {left:.10g},{low:.10g} to {right:.10g},{high:.10g} in {WHAT[unit]}"


def _placed(picture: PictureSource, unit: Unit) -> Placement:
    from likewise.placement import UNPLACED

    placement = picture.placement or UNPLACED
    if not placement.knows(unit):
        tells = " or ".join(f"--unit {each}" for each in ("um", "crs", "px") if placement.knows(each))
        what = "how large its pixels are in micrometres" if unit == "um" else "which coordinates it has"
        raise LikewiseError(f"--unit {unit}: {picture.name} does not tell {what}; give places with {tells}")
    return placement
