"""Counting: a picture of any size and a prompt in, a result in the caller's pixels out.

Convention
----------
The caller's pixels and the network's differ by the picture's rescaling (`likewise.preprocess.scaled_view`). Boxes and
points are the caller's on both sides of `Counter.count`; network pixels are seen from outside only as
`CountResult.grid`.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from likewise.boxes import mean_side, mean_width_height
from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.predict.adaptation_card import save_card
from likewise.predict.densities import NO_EXEMPLARS, Densities, ReferenceExemplars
from likewise.predict.kind_prompts import KindPrompts, KindReferences
from likewise.predict.kinds import KindQuestion, count_kinds
from likewise.predict.prepared_image import Picture, PreparedImage, is_giant
from likewise.predict.prompts import Effort, Like, PromptedCounter, check_prompt, exemplars_inside, in_order
from likewise.predict.protocols import ExemplarCounter, TextCounter
from likewise.predict.reading import PlainReader, Reader, look, look_again, wanted_scale, with_interval
from likewise.predict.taught import Taught
from likewise.predict.uncertainty import CountDiagnostics
from likewise.predict.windows import WindowPlan
from likewise.preprocess.rules import Preprocess
from likewise.registry import load_model
from likewise.results import CountResult, KindsResult
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
        examples: exemplars and negatives of other pictures. What is asked about without any is counted by them, and
            taken to be as large as they are; a prompt that shows its own is counted by its own alone.
        by_examples: how the weights are used where it counts by those; None: as otherwise.
        taught: what corrected pictures taught it (`likewise.adapt`); None: nothing did.

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
        examples: ReferenceExemplars = NO_EXEMPLARS,
        by_examples: InferenceConfig | None = None,
        taught: Taught | None = None,
    ) -> None:
        self.device = device_of(device)
        self.model = model.to(self.device).eval()
        self.name = name
        self.inference = inference or model.config.inference
        self.scale_steps = scale_steps
        self.examples, self.by_examples, self.taught = examples, by_examples, taught
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
        """The same, but that its counts are plain sums of the density: of peaks nothing is made.

        Example:
            >>> Counter.load("spdcn-lite").summed().inference.snap_peaks is None
            True
        """
        alone = None if self.by_examples is None else replace(self.by_examples, snap_peaks=None, colour_groups=False)
        return self.using(replace(self.inference, snap_peaks=None, colour_groups=False), alone)

    def using(self, inference: InferenceConfig, by_examples: InferenceConfig | None = None) -> Counter:
        """The same network, its weights used in another way."""
        return Counter(
            self.model,
            self.name,
            device=self.device,
            inference=inference,
            scale_steps=self.scale_steps,
            examples=self.examples,
            by_examples=by_examples,
            taught=self.taught,
        )

    def at_most(self, scale: float) -> Counter:
        """The same, but that no picture is rescaled by more than this: a coarser and quicker look at small things."""

        def bounded(inference: InferenceConfig) -> InferenceConfig:
            low, high = inference.preprocess.scale_range
            rules = replace(inference.preprocess, scale_range=(min(low, scale), min(high, scale)))
            return replace(inference, preprocess=rules)

        return self.using(bounded(self.inference), None if self.by_examples is None else bounded(self.by_examples))

    def save(self, path: str | Path) -> Path:
        """Write what it was taught as a small file, which is given wherever a model is named.

        Raises:
            LikewiseError: it was taught nothing (`likewise.adapt`), or a name that does not end in ``.safetensors``.
        """
        return save_card(Path(path), self.model, (self.inference, self.by_examples), self.taught, self.examples)

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
        shown = self._shown(prompt, references)
        densities = replace(self.densities, inference=self._used(shown))
        return WindowPlan.of(densities, source, prompt, shown, trust)

    def answer(
        self, image: PreparedImage, prompt: Prompt, references: ReferenceExemplars, trust: Effort
    ) -> CountResult:
        """What the network's density says of a checked prompt."""
        shown = self._shown(prompt, references)
        return self.count_prepared(image, prompt, shown, trust, PlainReader(self.densities), self._used(shown))

    def answer_kinds(
        self, image: PreparedImage, asked: KindPrompts, references: KindReferences, trust: Effort
    ) -> KindsResult:
        """What the densities of several kinds say together."""
        reader, told = PlainReader(self.densities), "negatives" in self.prompts
        questions = {
            name: (
                KindQuestion(prompt, references.of(name), reader),
                KindQuestion(asked.against(name) if told else prompt, references.of(name, against=told), reader),
            )
            for name, prompt in asked.prompts.items()
        }

        def finish(question: KindQuestion, reader: Reader) -> CountResult:
            return self.count_prepared(image, question.prompt, question.references, trust, reader, self.inference)

        results, confusions = count_kinds(self.densities, image, questions, finish)
        return KindsResult(
            {name: replace(each, prompt=asked.prompts[name]) for name, each in results.items()}, confusions
        )

    def _shown(self, prompt: Prompt, references: ReferenceExemplars) -> ReferenceExemplars:
        """Exemplars in other pictures: those that are shown or, where nothing is, those that the counter was taught."""
        shown = prompt.exemplars or prompt.text or references.features
        return references if shown else self.examples

    def _used(self, shown: ReferenceExemplars) -> InferenceConfig:
        """How the weights are used, for exemplars that `_shown` gave."""
        by_taught = shown is self.examples and bool(shown.features)
        return (self.by_examples or self.inference) if by_taught else self.inference

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
            calibrated: whose records of errors, and whose factor, make of the density a count and its interval.
        """
        asked = in_order(prompt).tightened(self.inference.margin)
        boxes, drawn = asked.exemplars or references.exemplars, prompt.exemplars or references.exemplars
        seen = look(self.densities, image, asked, references, reader, factor=calibrated.factor)
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
            factor=calibrated.factor,
            other_colours=seen.reading.other_colours,
        )
        return with_interval(result, diagnostics, calibrated)

    @torch.inference_mode()
    def encode_exemplars(
        self, like: Sequence[tuple[Picture, Box]], negatives: Sequence[tuple[Picture, Box]] = ()
    ) -> ReferenceExemplars:
        """Look at exemplars in other pictures once, to count in many: pass the result as ``like``.

        Each picture is rescaled by the size of its own exemplars.

        Args:
            like: (picture, box) pairs; a picture may come more than once.
            negatives: the same of look-alikes that are not to be counted, in the same pictures or in others.

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
        own, others = _by_picture(like), _by_picture(negatives)
        shown: list[tuple[PreparedImage, Prompt]] = []
        for key, (picture, _) in (own | {k: v for k, v in others.items() if k not in own}).items():
            image = PreparedImage(picture, lazy=is_giant(picture))
            boxes, against = (held[key][1] if key in held else () for held in (own, others))
            try:
                shown.append((image, Prompt(boxes, against).inside(image.width, image.height)))
            except LikewiseError as error:
                raise LikewiseError(f"like: {image.source or 'picture'}: {error}") from error
        sized_by = [box for _, prompt in shown for box in prompt.exemplars]
        parts = [self.encode_prompt(image, prompt, sized_by) for image, prompt in shown]
        features = tuple(each for part in parts for each in part.features)
        return ReferenceExemplars(features, tuple(box for part in parts for box in part.exemplars))

    @torch.inference_mode()
    def encode_prompt(self, image: PreparedImage, prompt: Prompt, sized_by: Sequence[Box] = ()) -> ReferenceExemplars:
        """`encode_exemplars` of the exemplars and the negatives of a prompt that lies in its picture.

        Args:
            image: the picture.
            prompt: its region is of no matter.
            sized_by: boxes as large as the thing, for a prompt without exemplars.
        """
        tight = in_order(prompt).tightened(self.inference.margin)
        boxes = tight.exemplars or Prompt(tuple(sized_by)).tightened(self.inference.margin).exemplars
        found = self.densities.encode_exemplars(self.densities.scaled(image, boxes), tight, boxes)
        return ReferenceExemplars(tuple(found), tight.exemplars)

    def references(self, like: Like) -> ReferenceExemplars:
        """What ``like`` gives, looked at where it was not."""
        if isinstance(like, ReferenceExemplars):
            return like
        return self.encode_exemplars(like) if len(like) else ReferenceExemplars()

    @torch.inference_mode()
    def kind_references(self, like: Mapping[str, Like]) -> KindReferences:
        """Look at exemplars of several kinds in other pictures once, to count in many: pass the result as ``like``.

        Args:
            like: (picture, box) pairs of each kind, or what was made of them, which then are no look-alikes of others.

        Raises:
            LikewiseError: as `encode_exemplars` does.
        """
        alone = {name: self.references(shown) for name, shown in like.items()}
        pairs = {name: () if isinstance(shown, ReferenceExemplars) else shown for name, shown in like.items()}
        told = "negatives" in self.prompts and len(like) > 1
        others = {name: [pair for each in pairs if each != name for pair in pairs[each]] for name in pairs}
        against = {name: self.encode_exemplars(pairs[name], others[name]) for name in pairs if told and pairs[name]}
        return KindReferences(alone, alone | against)

    def check(self, prompt: Prompt, references: ReferenceExemplars) -> None:
        """See that the model takes what it is given, and that it is told what to count.

        Raises:
            LikewiseError: names what the model takes, or the names it knows.
        """
        check_prompt(self.name, self.prompts, prompt, self._shown(prompt, references))
        if prompt.text is not None:
            self._by_text().check(prompt.text)

    def _by_text(self) -> TextCounter:
        return self.model  # type: ignore[return-value]  # a model that takes text is one, as `check_prompt` has seen


def device_of(device: str | torch.device | None) -> torch.device:
    """Where a network runs; None: on a GPU where there is one, else on the CPU."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def _by_picture(like: Sequence[tuple[Picture, Box]]) -> dict[Hashable, tuple[Picture, tuple[Box, ...]]]:
    """The pairs joined by picture: the same path or the same object is the same picture."""
    groups: dict[Hashable, tuple[Picture, tuple[Box, ...]]] = {}
    for picture, box in like:
        key = str(picture) if isinstance(picture, (str, os.PathLike)) else id(picture)
        groups[key] = (picture, (*groups.get(key, (picture, ()))[1], box))
    return groups
