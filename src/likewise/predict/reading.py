"""What there is to see in a picture at the scale of a prompt: its density, its peaks, and the points among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.boxes import mean_side
from likewise.inference import InferenceConfig
from likewise.predict.colour_groups import CLEAR as CLEAR_COLOUR
from likewise.predict.colour_groups import colours_at, colours_of, of_another_colour
from likewise.predict.densities import Answer, Densities, ReferenceExemplars, ScaledImage
from likewise.predict.localize import Found, Peaks, best_points, find_peaks, snap_peaks
from likewise.predict.prepared_image import PreparedImage
from likewise.predict.prompts import mirrored
from likewise.predict.uncertainty import ZOOM, CountDiagnostics, signs_of, warnings_of, whole_interval
from likewise.results import CountResult
from likewise.types import Box, Prompt

#: Object size in network pixels where neither exemplars nor the model say one.
USUAL_SIZE = 32.0


class Reading(NamedTuple):
    """A picture's answer and the peaks of its density.

    ``alike_count`` is what the density summed to before what goes by other names was taken out, where there is a name;
    ``other_colours`` is how many things were left out for their colour.
    """

    answer: Answer
    peaks: Peaks
    alike_count: float | None = None
    other_colours: int = 0


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen in a picture at the scale of a prompt.

    Attributes:
        scaled: the picture.
        reading: its density and peaks.
        grid: (h, w), the density that is counted: peaks of about one are one, and what lies outside is none.
        found: the points, on the grid.
        side: of a thing, in cells.
    """

    scaled: ScaledImage
    reading: Reading
    grid: Tensor
    found: Found
    side: float

    @property
    def to_pixels(self) -> Tensor:
        """(2,): the picture's pixels that a cell is wide and high."""
        return torch.from_numpy(cell_of(self.grid, self.scaled.image))


class Reader(Protocol):
    """How a picture at a scale is read; ``side`` of things is in cells of its density."""

    def read(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> Reading:
        """The density and its peaks."""

    def count(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> float:
        """The density's sum."""

    def mirrored(self) -> Reader:
        """How the picture's mirror image is read."""


@dataclass(frozen=True)
class PlainReader:
    """The density as a network gives it, and its peaks; without what colours show to be of another kind."""

    densities: Densities

    def read(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> Reading:
        """The density and its peaks."""
        answer = self.densities.answer(scaled, prompt, references)
        peaks = find_peaks(answer.whole, side, scaled.on_grid(prompt.exemplars))
        if not self._tells_colours(prompt):
            return Reading(answer, peaks)
        pixels, boxes = scaled.image.pixels, prompt.exemplars
        places = peaks.points.numpy() * cell_of(answer.whole, scaled.image)
        colours, masses = colours_at(pixels, places, mean_side(boxes)), peaks.masses(answer.whole)[1:].numpy()
        other = of_another_colour(colours, masses, colours_of(pixels, boxes), peaks.shown.numpy())
        if not other.any():
            return Reading(answer, peaks)
        theirs = peaks.of(torch.from_numpy(other)).part(answer.whole)
        left_out = int((other & (masses > CLEAR_COLOUR)).sum())
        kept = peaks.of(torch.from_numpy(~other))
        return Reading(replace(answer, whole=answer.whole - theirs), kept, other_colours=left_out)

    def count(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> float:
        """The density's sum, for which peaks are looked for only where some may be of another colour."""
        if self._tells_colours(prompt):
            return self.read(scaled, prompt, references, side).answer.count
        return self.densities.answer(scaled, prompt, references).count

    def _tells_colours(self, prompt: Prompt) -> bool:
        """Whether things of another colour are left out: examples in other pictures stand in another light."""
        return self.densities.inference.colour_groups and bool(prompt.exemplars)

    def mirrored(self) -> PlainReader:
        """The same: a network reads every picture alike."""
        return self


def look(
    densities: Densities,
    image: PreparedImage,
    asked: Prompt,
    references: ReferenceExemplars,
    reader: Reader,
    *,
    every: bool = False,
    factor: float | None = None,
) -> Look:
    """What there is to see in a picture, for a prompt whose boxes are tight and in order.

    Args:
        densities: of the network.
        image: the picture.
        asked: the prompt.
        references: exemplars in other pictures.
        reader: turns the picture at a scale into a density and its peaks.
        every: all peaks are points, also those for which the count has no room.
        factor: what the density, peaks snapped, is multiplied by; None: as the network's weights are used.
    """
    boxes, inference = asked.exemplars or references.exemplars, densities.inference
    scaled = densities.scaled(image, boxes)
    usual = inference.preprocess.object_size or USUAL_SIZE
    side = (mean_side(boxes) * scaled.view.scale if boxes else usual) / scaled.cell
    reading = reader.read(scaled, asked, references, side)
    answer, between = reading.answer, inference.snap_peaks
    grid = answer.inside(snap_peaks(answer.whole, reading.peaks, between) if between else answer.whole)
    grid = grid * (inference.factor if factor is None else factor)
    room = len(reading.peaks.points) if every else grid.sum(dtype=torch.float64).item()
    found = best_points(reading.peaks, room, answer.corners)
    return Look(scaled, reading, grid, found, side)


def look_again(
    densities: Densities,
    image: PreparedImage,
    asked: Prompt,
    references: ReferenceExemplars,
    side: float,
    reader: Reader,
) -> dict[str, float]:
    """Counts of the picture mirrored, and at another scale; ``side`` of things is in cells of the first look."""
    boxes = asked.exemplars or references.exemplars
    turned, smaller = densities.scaled(image.mirrored(), boxes), densities.scaled(image, boxes, ZOOM)
    return {
        "mirror": reader.mirrored().count(turned, mirrored(asked, image.width), references, side),
        "zoom": reader.count(smaller, asked, references, ZOOM * side),
    }


def cell_of(grid: Tensor, image: PreparedImage) -> NDArray[np.float32]:
    """(2,): how many of a picture's pixels a cell of a density over all of it is wide and high."""
    return np.array([image.width / grid.shape[1], image.height / grid.shape[0]], np.float32)


def wanted_scale(inference: InferenceConfig, boxes: Sequence[Box]) -> float | None:
    """The scale that tight boxes ask for; None: they ask for none."""
    goal = inference.preprocess.object_size
    return None if goal is None or not boxes else goal / (mean_side(boxes) + inference.margin)


def with_interval(result: CountResult, diagnostics: CountDiagnostics, calibrated: InferenceConfig) -> CountResult:
    """The result with what its signs, and the record of errors of some weights, make of it."""
    signs = signs_of(diagnostics)
    known = calibrated.calibration_full if diagnostics.again else calibrated.calibration
    interval = None if known is None else whole_interval(known, result.count, signs)
    untrusted = known is not None and interval is None
    warnings = warnings_of(diagnostics, signs, known)
    return replace(result, interval=interval, untrusted=untrusted, warnings=warnings, signs=signs)
