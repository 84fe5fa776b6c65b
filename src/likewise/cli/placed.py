"""Where pictures lie, and prompts typed in micrometres or coordinates in pixels of each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from likewise.placement import Placement, Unit
    from likewise.types import Box, Prompt


def box_in_pixels(box: Box, picture: str | Path, placement: Placement | None, unit: Unit) -> Box:
    """A box of a picture that lies somewhere.

    Raises:
        LikewiseError: the picture has no such unit.
    """
    return box if unit == "px" else _placed(picture, placement, unit).box_in_pixels(box, unit)


def prompt_in_pixels(prompt: Prompt, picture: Path, known: Placement | None, unit: Unit) -> Prompt:
    """A prompt in pixels of a picture that lies somewhere.

    Raises:
        LikewiseError: the picture has no such unit.
    """
    if unit == "px" or not (prompt.exemplars or prompt.negatives or prompt.region):
        return prompt
    placement = _placed(picture, known, unit)
    region = None if prompt.region is None else _pairs(placement.pixels(prompt.region, unit).tolist())
    return replace(
        prompt,
        exemplars=tuple(placement.box_in_pixels(box, unit) for box in prompt.exemplars),
        negatives=tuple(placement.box_in_pixels(box, unit) for box in prompt.negatives),
        region=region,
    )


def _pairs(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in rows)


def _placed(picture: str | Path, known: Placement | None, unit: Unit) -> Placement:
    from likewise.placement import UNPLACED

    placement = known or UNPLACED
    if not placement.knows(unit):
        tells = " or ".join(f"--unit {each}" for each in ("um", "crs", "px") if placement.knows(each))
        what = "how large its pixels are in micrometres" if unit == "um" else "which coordinates it has"
        raise LikewiseError(f"--unit {unit}: {picture} does not tell {what}; give places with {tells}")
    return placement
