"""Counting a whole data set and comparing with the truth, and how the engine trains and validates counters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from likewise.data.counting.canvas import first_in_pixel
from likewise.data.counting.collate import collate
from likewise.data.counting.geometry import to_bytes
from likewise.data.counting.sample import CountSample
from likewise.errors import LikewiseError
from likewise.inference import EvalProtocol, InferenceConfig
from likewise.metrics import CountErrors, IntervalErrors
from likewise.predict.counter import Counter
from likewise.predict.published_protocol import find_protocol
from likewise.preprocess.rules import Preprocess
from likewise.preprocess.scaled_view import View
from likewise.types import CountBatch


class Counts(Protocol):
    """What `evaluate` needs of a counter: `likewise.predict.Counter` has it."""

    def count(self, image: Any, exemplars: Any = ..., *, text: str | None = ..., trust: Any = ...) -> Any:
        """A result with ``count`` and ``seconds``."""


@dataclass(frozen=True)
class Counted:
    """One picture: its name, what was to be counted, how many there are and how many were found.

    Beside the count stand the interval that should hold the truth, where there is one, the warnings, the signs, and
    whether there is none because the count cannot be trusted.
    """

    image: str
    prompt: str | None
    truth: float
    count: float
    seconds: float
    low: float | None = None
    high: float | None = None
    warnings: tuple[str, ...] = ()
    signs: Mapping[str, float] = field(default_factory=dict)
    untrusted: bool = False


@dataclass(frozen=True)
class CountReport:
    """How well a counter counts a data set.

    Attributes:
        per_image: what was counted, in the data set's order.
        errors: (picture, reason) of what could not be.
    """

    per_image: tuple[Counted, ...]
    errors: tuple[tuple[str, str], ...] = ()

    @property
    def empty(self) -> int:
        """Pictures without an object, which NAE and SRE leave out."""
        return sum(p.truth == 0 for p in self.per_image)

    @property
    def seconds_per_image(self) -> float:
        """Mean time of one count; NaN where there is none."""
        return sum(p.seconds for p in self.per_image) / len(self.per_image) if self.per_image else math.nan

    def summary(self) -> dict[str, float]:
        """``images``, ``mae``, ``rmse``, ``nae``, ``sre`` and ``seconds_per_image``; NaN where there is nothing."""
        errors = CountErrors([p.count for p in self.per_image], [p.truth for p in self.per_image])
        return {"images": len(errors), **errors.summary(), "seconds_per_image": self.seconds_per_image}

    def trust(self) -> dict[str, float]:
        """Whether intervals and warnings can be relied on; empty where there are no intervals.

        ``coverage``, ``width`` and ``interval_score`` of the intervals that there are: see
        `likewise.metrics.IntervalErrors`. ``untrusted``: the share without one. ``nae_doubtful`` and ``nae_rest``:
        the mean relative error of the third with the widest intervals, those that are not known before all, and of the
        others. ``warned``: the share with a warning, ``nae_warned`` and ``nae_unwarned`` their errors and those of the
        others.
        """
        held = IntervalErrors()
        for p in self.per_image:
            if p.low is not None and p.high is not None:
                held.add(p.low, p.high, p.truth)
        if not len(held):
            return {}
        widest = sorted(self.per_image, key=_width, reverse=True)
        third = round(len(widest) / 3)
        warned = [p for p in self.per_image if p.warnings]
        return {
            **held.summary(),
            "untrusted": 1 - len(held) / len(self.per_image),
            "nae_doubtful": _nae(widest[:third]),
            "nae_rest": _nae(widest[third:]),
            "warned": len(warned) / len(self.per_image),
            "nae_warned": _nae(warned),
            "nae_unwarned": _nae([p for p in self.per_image if not p.warnings]),
        }

    def to_dict(self) -> dict[str, Any]:
        """Summary, `trust`, ``per_image``, ``empty`` and ``errors`` as JSON values; None for what is not finite."""
        return {
            **{k: v if math.isfinite(v) else None for k, v in (self.summary() | self.trust()).items()},
            "empty": self.empty,
            "per_image": [vars(p) for p in self.per_image],
            "errors": [{"image": image, "error": error} for image, error in self.errors],
        }


def _width(counted: Counted) -> float:
    """Of an interval, in the measure in which it is symmetric; endless where it is not known."""
    if counted.low is None or counted.high is None:
        return math.inf
    return math.log((counted.high + 0.5) / (counted.low + 0.5))


def _nae(pictures: Sequence[Counted]) -> float:
    return CountErrors([p.count for p in pictures], [p.truth for p in pictures]).summary()["nae"]


def evaluate(
    counter: Counts,
    dataset: Dataset[CountSample],
    limit: int | None = None,
    *,
    exemplars: int | None = None,
    both: bool = False,
    trust: Literal["fast", "full"] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CountReport:
    """Count every sample of a data set.

    A sample is prompted with its exemplars; where it has none, or the counter takes none, with its name. A counter that
    was taught examples (`likewise.adapt`) needs neither.
    A picture that cannot be read or counted is reported, not fatal. A counter whose published numbers were measured
    in a way of its own (`protocol_of`) is measured in that way.

    Args:
        counter: what counts.
        dataset: samples in the caller's pixels, such as a `CountingFolder`.
        limit: only this many samples, the first ones.
        exemplars: at most this many of a sample's exemplars, the first ones; None: as many as the counter's published
            numbers are of, or all.
        both: give exemplars and name, to a counter that takes both.
        trust: how hard the counter looks for signs that a count is off; None: as it does anyway.
        progress: called after each sample with how many are done and how many there are.

    Returns:
        The counts, the truths and their differences.

    Raises:
        LikewiseError: a limit or a number of exemplars below 1, or both kinds of prompt for a counter of one.

    Example:
        >>> import likewise as lw
        >>> from likewise.scenes import SceneConfig, SyntheticScenes
        >>> scenes = SyntheticScenes(SceneConfig(side=(96, 128), objects=(6, 12), settings=("paper",), emoji=False), 2)
        >>> report = evaluate(lw.load("spdcn-lite"), scenes)
        >>> report.summary()["images"], report.errors
        (2, ())
    """
    for name, value in (("limit", limit), ("exemplars", exemplars)):
        if value is not None and value < 1:
            raise LikewiseError(f"{name} = {value}: expected at least 1")
    if both and not {"exemplars", "text"} <= set(takes(counter)):
        raise LikewiseError(f"both: this counter takes {', '.join(takes(counter))} only")
    exemplars = exemplars or protocol_of(counter).exemplars or None
    total = len(dataset)  # type: ignore[arg-type]  # map-style sets have a length
    total = total if limit is None else min(limit, total)
    counted: list[Counted] = []
    errors: list[tuple[str, str]] = []
    for index in range(total):
        try:
            counted.append(_counted(counter, dataset[index], exemplars, both=both, trust=trust))
        except LikewiseError as error:
            errors.append((_name(dataset, index), str(error)))
        if progress is not None:
            progress(index + 1, total)
    return CountReport(tuple(counted), tuple(errors))


def _counted(
    counter: Counts, sample: CountSample, exemplars: int | None, *, both: bool, trust: Literal["fast", "full"] | None
) -> Counted:
    image = sample.image.permute(1, 2, 0).numpy()
    boxes = [tuple(box) for box in sample.exemplars[:exemplars].tolist()]
    shown = boxes if "exemplars" in takes(counter) else []
    how: dict[str, Any] = {} if trust is None else {"trust": trust}
    by_name = both or (not shown and ("text" in takes(counter) or not _knows_examples(counter)))
    result = counter.count(image, exemplars=shown, text=sample.prompt if by_name else None, **how)
    low, high = getattr(result, "interval", None) or (None, None)
    return Counted(
        sample.name,
        sample.prompt,
        true_count(counter, sample),
        float(result.count),
        float(result.seconds),
        low,
        high,
        tuple(getattr(result, "warnings", ())),
        dict(getattr(result, "signs", {})),
        bool(getattr(result, "untrusted", False)),
    )


def true_count(counter: Counts, sample: CountSample) -> float:
    """The objects of a sample, as the counter's published numbers were measured."""
    if not protocol_of(counter).merge_points or sample.truth is not None or not len(sample.points):
        return sample.count
    seen = rules_of(counter).preprocess
    if not seen.canvas or seen.fit is None:
        return float(len(first_in_pixel(sample.points, sample.size)))
    view = View.on_canvas(to_bytes(sample.image), seen.fit, seen.multiple)
    return float(len(first_in_pixel(view.to_view(sample.points.tolist()), (view.height, view.width))))


def protocol_of(counter: Counts) -> EvalProtocol:
    """How a counter is measured: by the protocol that its weights name, or that it was put under; else plainly."""
    named = rules_of(counter).protocol
    return find_protocol(counter, named) if named and isinstance(counter, Counter) else EvalProtocol()


def rules_of(counter: Counts) -> InferenceConfig:
    """How a counter's weights are used; nothing out of the ordinary where it does not say."""
    rules = getattr(counter, "inference", None)
    return rules if isinstance(rules, InferenceConfig) else InferenceConfig(Preprocess())


def takes(counter: Counts) -> tuple[str, ...]:
    """The kinds of prompt that a counter takes; all of them where it does not say."""
    found: tuple[str, ...] = getattr(getattr(counter, "model", None), "prompts", ("exemplars", "text"))
    return found


def _knows_examples(counter: Counts) -> bool:
    """Whether it was shown examples before (`likewise.adapt`), and needs none in a picture."""
    return bool(getattr(getattr(counter, "examples", None), "exemplars", ()))


def _name(dataset: Dataset[CountSample], index: int) -> str:
    names = getattr(dataset, "names", None)
    return str(index) if names is None else str(names[index])


class Counting:
    """The contract of counters: ``model(image, prompt)`` gives densities (B, 1, H, W), or a tuple with ``density``.

    Args:
        model: what its class says it can be prompted with decides whether batches carry names and negatives.
    """

    def __init__(self, model: nn.Module) -> None:
        takes = getattr(model, "prompts", ())
        self.text, self.negatives = "text" in takes, "negatives" in takes

    def collate(self, samples: Sequence[CountSample]) -> CountBatch:
        """`likewise.data.counting.collate.collate`."""
        return collate(samples, text=self.text, negatives=self.negatives)

    def output(self, model: nn.Module, batch: CountBatch, layout: torch.memory_format) -> Any:
        """Densities (B, 1, H, W), or a tuple with ``density`` and what else the loss is worked out from."""
        return model(batch.image.contiguous(memory_format=layout), batch.prompt)

    def meter(self) -> CountMeter:
        """A new one."""
        return CountMeter()


class CountMeter:
    """Errors of the counts."""

    def __init__(self) -> None:
        self.errors = CountErrors()

    def add(self, output: Any, batch: CountBatch) -> None:
        """Densities (B, 1, H, W), or a tuple that has them, and the batch they are of."""
        density = output if isinstance(output, Tensor) else output.density
        for count, points in zip(density.double().sum(dim=(1, 2, 3)).tolist(), batch.points, strict=True):
            self.errors.add(count, len(points))

    def summary(self) -> dict[str, float]:
        """MAE first, then the others."""
        return self.errors.summary()
