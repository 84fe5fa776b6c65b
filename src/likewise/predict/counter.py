"""Counting: a picture of any size and a prompt in, a result in the caller's pixels out.

Convention
----------
The caller's pixels and the network's differ by the picture's rescaling (`likewise.preprocess.scaled_view`). Boxes and
points are the caller's on both sides of `Counter.count`; network pixels are seen from outside only as
`CountResult.grid`.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import torch

from likewise.boxes import mean_side, mean_width_height
from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.predict.densities import Answer, Densities, ReferenceExemplars, ScaledImage
from likewise.predict.localize import Peaks, best_points, find_peaks, snap_peaks
from likewise.predict.prepared_image import Picture, PreparedImage
from likewise.predict.prompts import Effort, Like, PromptedCounter, check_prompt, exemplars_inside, in_order, mirrored
from likewise.predict.protocols import ExemplarCounter, ExemplarFeatures, TextCounter
from likewise.predict.uncertainty import ZOOM, CountDiagnostics, signs_of, warnings_of, whole_interval
from likewise.preprocess.rules import Preprocess
from likewise.registry import load_model
from likewise.results import CountResult
from likewise.types import Box, Prompt

#: Object size in network pixels where neither exemplars nor the model say one.
USUAL_SIZE = 32.0


class Reading(NamedTuple):
    """A picture's answer and the peaks of its density.

    ``alike_count`` is what the density summed to before what goes by other names was taken out, where there is a name.
    """

    answer: Answer
    peaks: Peaks
    alike_count: float | None = None


class Reader(Protocol):
    """How a picture at a scale is read; ``side`` of things is in cells of its density."""

    def read(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> Reading:
        """The density and its peaks."""

    def count(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> float:
        """The density's sum."""

    def mirrored(self) -> Reader:
        """How the picture's mirror image is read."""


class Counter(PromptedCounter):
    """Counts, in pictures of any size, what a prompt shows.

    Args:
        model: a network that meets `likewise.predict.protocols.ExemplarCounter` or `TextCounter`, as its ``prompts``
            say; it is put in eval mode and on the device.
        name: for results.
        device: None: a GPU where there is one, else the CPU.
        inference: how the weights are used; None: as their config says.
        scale_steps: pictures are rescaled by the exemplars' size in so many steps an octave, so that other boxes of
            about that size find the picture prepared (`likewise.predict.Session`); 0: exactly, which is what scores
            are measured with.

    Example:
        >>> counter = Counter.load("spdcn-lite")
        >>> counter.prompts
        ('exemplars', 'negatives')
    """

    def __init__(
        self,
        model: ExemplarCounter | TextCounter,
        name: str,
        *,
        device: str | torch.device | None = None,
        inference: InferenceConfig | None = None,
        scale_steps: int = 0,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).eval()
        self.name = name
        self.inference = inference or model.config.inference
        self.scale_steps = scale_steps
        self.densities = Densities(self.model, name, self.device, self.inference, scale_steps)

    @classmethod
    def load(cls, name_or_path: str | Path, *, device: str | torch.device | None = None) -> Counter:
        """A network that counts by itself, by name or file.

        Raises:
            LikewiseError: as `likewise.load` does; or weights that count through another counter, which `likewise.load`
                joins to one.
        """
        name, model = load_model(name_or_path, task="count")
        if model.config.inference.counted_by:
            raise LikewiseError(
                f"{name} counts what it finds by {model.config.inference.counted_by}; load it with likewise.load"
            )
        return cls(model, name, device=device)

    @property
    def prompts(self) -> tuple[str, ...]:
        """The kinds of prompt it takes."""
        return self.model.prompts

    @property
    def preprocess(self) -> Preprocess:
        """How pictures become the model's input."""
        return self.inference.preprocess

    def summed(self) -> Counter:
        """The same, but that its counts are plain sums of the density: no peak of about one is snapped to one.

        Example:
            >>> Counter.load("spdcn-lite").summed().inference.snap_peaks is None
            True
        """
        return self.using(replace(self.inference, snap_peaks=None))

    def using(self, inference: InferenceConfig) -> Counter:
        """The same network, its weights used in another way."""
        return Counter(self.model, self.name, device=self.device, inference=inference, scale_steps=self.scale_steps)

    def answer(
        self, image: PreparedImage, prompt: Prompt, references: ReferenceExemplars, trust: Effort
    ) -> CountResult:
        """What the network's density says of a checked prompt."""
        return self.count_prepared(image, prompt, references, trust, PlainReader(self.densities), self.inference)

    def count_prepared(
        self,
        image: PreparedImage,
        prompt: Prompt,
        references: ReferenceExemplars,
        trust: Effort,
        reader: Reader,
        calibrated: InferenceConfig,
    ) -> CountResult:
        """`count`, of a checked prompt, with the picture read in a way of its own.

        Args:
            image: the picture.
            prompt: that lies in it.
            references: exemplars in other pictures.
            trust: as in `count`.
            reader: turns the picture at a scale into a density and its peaks.
            calibrated: whose records of errors give the interval.
        """
        asked = in_order(prompt).tightened(self.inference.margin)
        boxes = asked.exemplars or references.exemplars
        scaled = self.densities.scaled(image, boxes)
        usual = self.preprocess.object_size or USUAL_SIZE
        side = (mean_side(boxes) * scaled.view.scale if boxes else usual) / scaled.cell
        reading = reader.read(scaled, asked, references, side)
        whole, answer, between = reading.answer.whole, reading.answer, self.inference.snap_peaks
        grid = answer.inside(snap_peaks(whole, reading.peaks, between) if between else whole)
        found = best_points(reading.peaks, grid.sum(dtype=torch.float64).item(), answer.corners)
        to_pixels = torch.tensor([image.width / grid.shape[1], image.height / grid.shape[0]])
        result = CountResult(
            grid=grid.numpy(),
            size=(image.width, image.height),
            points=(found.points * to_pixels).numpy(),
            scores=found.scores.numpy(),
            prompt=prompt,
            model=self.name,
            seconds=0.0,
            image=image.preview(),
            source=image.source,
            object_size=mean_width_height(prompt.exemplars or boxes) if boxes else None,
        )
        goal, drawn = self.preprocess.object_size, prompt.exemplars or boxes
        diagnostics = CountDiagnostics(
            count=result.count,
            grid=answer.inside(answer.whole).numpy(),
            size=result.size,
            exemplars=exemplars_inside(prompt),
            sides=tuple(mean_side([box]) for box in drawn),
            scores=result.scores,
            peaks=found.peaks,
            clear=found.clear,
            apart=None if found.apart is None else found.apart / side,
            mean_cosine=answer.mean_cosine,
            scale=scaled.view.scale,
            wanted=None if goal is None or not boxes else goal / (mean_side(boxes) + self.inference.margin),
            again=self._again(image, asked, references, side, reader) if trust == "full" else {},
            alike_count=reading.alike_count,
        )
        return _with_interval(result, diagnostics, calibrated)

    @torch.inference_mode()
    def encode_exemplars(self, like: Sequence[tuple[Picture, Box]]) -> ReferenceExemplars:
        """Look at exemplars in other pictures once, to count in many: pass the result as ``like``.

        Each picture is rescaled by the size of its own exemplars.

        Args:
            like: (picture, box) pairs; a picture may come more than once.

        Raises:
            LikewiseError: no pairs, an unreadable picture, or a box that does not fit its picture.

        Example:
            >>> from skimage import data
            >>> coins, counter = data.coins(), Counter.load("spdcn-lite")
            >>> boxes = [(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73)]
            >>> coin = counter.encode_exemplars([(coins, box) for box in boxes])
            >>> round(counter.count(coins[:, ::-1], like=coin).count)  # of the mirror image
            24
        """
        if len(like) == 0:
            raise LikewiseError("nothing to go by; expected like=[(picture, (x0, y0, x1, y1)), ...]")
        features: list[ExemplarFeatures] = []
        exemplars: list[Box] = []
        for picture, boxes in _by_picture(like):
            image = PreparedImage(picture)
            try:
                drawn = Prompt(boxes).inside(image.width, image.height)
            except LikewiseError as error:
                raise LikewiseError(f"like: {image.source or 'picture'}: {error}") from error
            prompt = in_order(drawn).tightened(self.inference.margin)
            scaled = self.densities.scaled(image, prompt.exemplars)
            features += self.densities.encode_exemplars(scaled, prompt, prompt.exemplars)
            exemplars += prompt.exemplars
        return ReferenceExemplars(tuple(features), tuple(exemplars))

    def references(self, like: Like) -> ReferenceExemplars:
        """What ``like`` gives, looked at where it was not."""
        if isinstance(like, ReferenceExemplars):
            return like
        return self.encode_exemplars(like) if len(like) else ReferenceExemplars()

    def check(self, prompt: Prompt, references: ReferenceExemplars) -> None:
        """See that the model takes what it is given, and that it is told what to count.

        Raises:
            LikewiseError: names what the model takes, or the names it knows.
        """
        check_prompt(self.name, self.prompts, prompt, references)
        if prompt.text is not None:
            self._by_text().check(prompt.text)

    def _by_text(self) -> TextCounter:
        return self.model  # type: ignore[return-value]  # a model that takes text is one, as `check_prompt` has seen

    def _again(
        self, image: PreparedImage, prompt: Prompt, references: ReferenceExemplars, side: float, reader: Reader
    ) -> dict[str, float]:
        """Counts of the picture mirrored, and at another scale; ``side`` of things is in cells of the first look."""
        boxes = prompt.exemplars or references.exemplars
        turned = self.densities.scaled(image.mirrored(), boxes)
        smaller = self.densities.scaled(image, boxes, ZOOM)
        return {
            "mirror": reader.mirrored().count(turned, mirrored(prompt, image.width), references, side),
            "zoom": reader.count(smaller, prompt, references, ZOOM * side),
        }


@dataclass(frozen=True)
class PlainReader:
    """The density as a network gives it, and its peaks."""

    densities: Densities

    def read(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> Reading:
        """The density and its peaks."""
        answer = self.densities.answer(scaled, prompt, references)
        return Reading(answer, find_peaks(answer.whole, side, scaled.on_grid(prompt.exemplars)))

    def count(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, side: float) -> float:
        """The density's sum, for which no peaks are looked for."""
        return self.densities.answer(scaled, prompt, references).count

    def mirrored(self) -> PlainReader:
        """The same: a network reads every picture alike."""
        return self


def _with_interval(result: CountResult, diagnostics: CountDiagnostics, calibrated: InferenceConfig) -> CountResult:
    """The result with what its signs, and the record of errors of some weights, make of it."""
    signs = signs_of(diagnostics)
    known = calibrated.calibration_full if diagnostics.again else calibrated.calibration
    interval = None if known is None else whole_interval(known, result.count, signs)
    return replace(result, interval=interval, warnings=warnings_of(diagnostics, signs, known), signs=signs)


def _by_picture(like: Sequence[tuple[Picture, Box]]) -> list[tuple[Picture, tuple[Box, ...]]]:
    """The pairs joined by picture: the same path or the same object is the same picture."""
    groups: dict[Hashable, tuple[Picture, tuple[Box, ...]]] = {}
    for picture, box in like:
        key = str(picture) if isinstance(picture, (str, os.PathLike)) else id(picture)
        groups[key] = (picture, (*groups.get(key, (picture, ()))[1], box))
    return list(groups.values())
