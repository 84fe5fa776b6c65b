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
from dataclasses import replace
from pathlib import Path

import torch

from likewise.boxes import mean_side, mean_width_height
from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.predict.densities import Densities, ReferenceExemplars
from likewise.predict.prepared_image import Picture, PreparedImage
from likewise.predict.prompts import Effort, Like, PromptedCounter, check_prompt, exemplars_inside, in_order
from likewise.predict.protocols import ExemplarCounter, ExemplarFeatures, TextCounter
from likewise.predict.reading import PlainReader, Reader, look, look_again, wanted_scale, with_interval
from likewise.predict.uncertainty import CountDiagnostics
from likewise.predict.windows import WindowPlan
from likewise.preprocess.rules import Preprocess
from likewise.registry import load_model
from likewise.results import CountResult
from likewise.sources import PictureSource
from likewise.types import Box, Prompt


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

    def answer_giant(
        self, source: PictureSource, prompt: Prompt, references: ReferenceExemplars, trust: Effort
    ) -> CountResult:
        """What the network says of a picture that is too large to be seen at once."""
        if self.preprocess.fit is not None:  # it is shown the whole picture, made smaller
            return self.answer(PreparedImage(source, lazy=True), prompt, references, trust)
        return self.plan_windows(source, prompt, references, trust).run()

    def plan_windows(
        self, source: PictureSource, prompt: Prompt, references: ReferenceExemplars, trust: Effort = "fast"
    ) -> WindowPlan:
        """How a large picture is counted, window by window: for those who want to see it done, or stop and go on."""
        return WindowPlan.of(self.densities, source, prompt, references, trust)

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
        boxes, drawn = asked.exemplars or references.exemplars, prompt.exemplars or references.exemplars
        seen = look(self.densities, image, asked, references, reader)
        result = CountResult(
            grid=seen.grid.numpy(),
            size=(image.width, image.height),
            points=(seen.found.points * seen.to_pixels).numpy(),
            scores=seen.found.scores.numpy(),
            prompt=prompt,
            model=self.name,
            seconds=0.0,
            image=image.preview(),
            source=image.source,
            object_size=mean_width_height(drawn) if drawn else None,
        )
        diagnostics = CountDiagnostics(
            count=result.count,
            grid=seen.reading.answer.inside(seen.reading.answer.whole).numpy(),
            size=result.size,
            exemplars=exemplars_inside(prompt),
            sides=tuple(mean_side([box]) for box in drawn),
            scores=result.scores,
            peaks=seen.found.peaks,
            clear=seen.found.clear,
            apart=None if seen.found.apart is None else seen.found.apart / seen.side,
            mean_cosine=seen.reading.answer.mean_cosine,
            scale=seen.scaled.view.scale,
            wanted=wanted_scale(self.inference, boxes),
            again=look_again(self.densities, image, asked, references, seen.side, reader) if trust == "full" else {},
            alike_count=seen.reading.alike_count,
        )
        return with_interval(result, diagnostics, calibrated)

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


def _by_picture(like: Sequence[tuple[Picture, Box]]) -> list[tuple[Picture, tuple[Box, ...]]]:
    """The pairs joined by picture: the same path or the same object is the same picture."""
    groups: dict[Hashable, tuple[Picture, tuple[Box, ...]]] = {}
    for picture, box in like:
        key = str(picture) if isinstance(picture, (str, os.PathLike)) else id(picture)
        groups[key] = (picture, (*groups.get(key, (picture, ()))[1], box))
    return list(groups.values())
