"""`adapt`: everything that a few corrected pictures can teach a counter, and no more than they can prove."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import cast

from torch import Tensor

from likewise.adaptation.corrections import Correction, read_corrections
from likewise.adaptation.frozen_features import DecoderCounter, FrozenFeatures
from likewise.adaptation.intervals import recalibrated, scaled
from likewise.adaptation.lessons import (
    Lesson,
    LessonTile,
    log_error,
    prepare_lessons,
    relative_error,
    tiles_of,
)
from likewise.adaptation.selection import LeftOut, choose, factors_left_out, groups
from likewise.adaptation.ways import WAYS, Way, best_factor, fit, put
from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.predict import Counter, NamedCounter, ReferenceExemplars
from likewise.predict.adaptation_card import tensors_sha256
from likewise.predict.taught import CandidateError, Taught, TaughtPicture
from likewise.results import CountResult

#: Fewer corrected pictures teach nothing that could be told from chance.
FEWEST = 3
#: Up to so many pictures are left out one at a time; of more, so many groups are.
MOST_FOLDS = 8
#: What is told of the work: what is being done, and the share of all of it that is.
Progress = Callable[[str, float], None]
FACTOR = "a factor"


class OutOfTimeError(Exception):
    """The time is over; what was found so far is kept."""


@dataclass(frozen=True)
class Found:
    """A way to adapt that was tried to its end.

    Attributes:
        left_out: how it did, each picture counted by what the others taught.
        signs: of those counts.
        learnt: tensors that all pictures together taught.
        factor: likewise.
    """

    left_out: LeftOut
    signs: tuple[Mapping[str, float], ...]
    learnt: Mapping[str, Tensor]
    factor: float


def adapt(
    counter: Counter | NamedCounter,
    corrected: Sequence[Correction] | str | Path,
    *,
    seconds: float = 60.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Counter | NamedCounter:
    """Teach a counter what a few corrected pictures show; what does not help other pictures is not kept.

    Tried are, the simplest first: to change nothing, a factor, the last layers of the decoder, and all of it; each of
    the last two with a factor or without. Each corrected picture is left out in turn, the others teach, and it is
    counted: of the ways within one standard error of the best the simplest is kept, and nothing where that is no
    better than nothing. Counters without a decoder of their own, those by name among them, learn the factor only.

    The counter that comes back counts pictures without any box by the examples of the corrected ones (boxes that are
    drawn join those), does not count what their negatives show, and has intervals as wide as the errors on pictures
    that were left out. What it was taught is in its ``taught``; its ``save`` writes that as a small file, which
    `likewise.load` takes.

    Args:
        counter: not changed.
        corrected: at least three pictures, or a folder of them (`likewise.adaptation.corrections.read_corrections`).
        seconds: after so long, what was found so far is kept; Ctrl-C does the same at once.
        seed: of what is drawn while learning; the same gives the same counter, where the time is enough.
        progress: told what is being done and the share of all that is.

    Raises:
        LikewiseError: fewer than three pictures; a counter that was taught before; a picture that cannot be read, or
            that the counter cannot be asked about; nothing that shows what to count.

    Example:
        >>> import likewise as lw
        >>> from skimage import data
        >>> coins, boxes = data.coins(), [(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73)]
        >>> parts = [(0, 0, 384, 150), (0, 150, 384, 303), (0, 0, 190, 303)]
        >>> corners = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in parts]
        >>> counts = [12, 12, 11]
        >>> mine = lw.adapt(
        ...     lw.load("spdcn-lite"),
        ...     [lw.Correction(coins, boxes, region=r, count=n) for r, n in zip(corners, counts)],
        ...     seconds=1,
        ... )
        >>> round(mine.count(coins[:, ::-1]).count)  # of the mirror image, without a box
        24
    """
    clock = _Clock(seconds, progress or (lambda _what, _share: None))
    corrections = list(read_corrections(corrected)[0] if isinstance(corrected, (str, Path)) else corrected)
    _check(counter, corrections, seconds)
    decoder = _decoder_of(counter)
    clock.tell("counting the corrected pictures", 0.0)
    trial = counter if decoder is None else _trial(cast(Counter, counter), decoder)
    lessons, examples = prepare_lessons(trial, corrections)
    found, stopped = _tried(trial, decoder, lessons, seed, clock)
    best = found[choose([each.left_out for each in found])]
    taught = _record(counter, lessons, found, best, seed, stopped)
    clock.tell("done", 1.0)
    return _adapted(counter, lessons, best, taught, examples)


def _check(counter: Counter | NamedCounter, corrections: Sequence[Correction], seconds: float) -> None:
    if counter.taught is not None:
        raise LikewiseError(
            f"{counter.name} was taught before; adapt {counter.taught.base}, with all corrected pictures together"
        )
    if len(corrections) < FEWEST:
        raise LikewiseError(
            f"{len(corrections)} corrected picture{'s' * (len(corrections) != 1)}; expected at least {FEWEST}, five to "
            "twenty are better: each is left out once, to see what the others are worth"
        )
    if not seconds > 0:
        raise LikewiseError(f"seconds = {seconds}: expected more than 0")


def _decoder_of(counter: Counter | NamedCounter) -> DecoderCounter | None:
    """A copy of the counter's network, where it has a decoder that can learn by itself."""
    if isinstance(counter, Counter) and isinstance(counter.model, DecoderCounter):
        return copy.deepcopy(counter.model)
    return None


def _trial(counter: Counter, decoder: DecoderCounter) -> Counter:
    """A counter that decodes what it has seen before as often as it is asked."""
    frozen = FrozenFeatures(decoder)
    return Counter(frozen, counter.name, device=counter.device, inference=counter.inference)


def _tried(
    trial: Counter | NamedCounter, decoder: DecoderCounter | None, lessons: Sequence[Lesson], seed: int, clock: _Clock
) -> tuple[list[Found], str]:
    """Every way that there was time for, the simplest first, and why there are no more."""
    truths = [lesson.truth for lesson in lessons]
    parts = groups(len(lessons), MOST_FOLDS)
    counts = [lesson.before.count for lesson in lessons]
    signs = [lesson.before.signs for lesson in lessons]
    found = _with_factor(WAYS[0].name, counts, signs, truths, parts, {})
    if decoder is None:
        return found, ""
    tiles = [tiles_of(cast(Counter, trial), lesson) for lesson in lessons]
    plain = {name: tensor.clone() for name, tensor in _parameters(decoder).items()}
    work = [way for way in WAYS if way.learns]
    try:
        for index, way in enumerate(work):
            clock.span(f"trying {way.name}", index / len(work), 1 / len(work))
            school = _School(cast(Counter, trial), decoder, lessons, tiles, plain, seed)
            learnt, results = school.teach(way, parts, clock)
            taught_counts = [result.count for result in results]
            found += _with_factor(way.name, taught_counts, [r.signs for r in results], truths, parts, learnt)
    except OutOfTimeError:
        return found, f"the time was over after {clock.seconds:g} s"
    except KeyboardInterrupt:
        return found, "stopped by hand"
    return found, ""


def _parameters(decoder: DecoderCounter) -> dict[str, Tensor]:
    return {f"decoder.{name}": parameter.detach() for name, parameter in decoder.decoder.named_parameters()}


@dataclass(frozen=True, eq=False)
class _School:
    """A network that learns from some of the pictures and is tried on the others."""

    trial: Counter
    decoder: DecoderCounter
    lessons: Sequence[Lesson]
    tiles: Sequence[Sequence[LessonTile]]
    plain: Mapping[str, Tensor]
    seed: int

    def teach(
        self, way: Way, parts: Sequence[Sequence[int]], clock: _Clock
    ) -> tuple[Mapping[str, Tensor], list[CountResult]]:
        """What all pictures teach, and each of them as it is counted by what the others teach."""
        put(self.decoder, self.plain)
        first = 0 if way.layers is None else len(self.decoder.decoder) - way.layers
        tiles = [[tile.passed(self.decoder, first) for tile in each] for each in self.tiles]
        results: dict[int, CountResult] = {}
        for done, part in enumerate(parts):
            rest = [index for index in range(len(self.lessons)) if index not in part]
            self._fit(way, tiles, rest, clock.part(done, len(parts) + 1))
            results |= {index: self.lessons[index].count(self.trial) for index in part}
        learnt = self._fit(way, tiles, range(len(self.lessons)), clock.part(len(parts), len(parts) + 1))
        return learnt, [results[index] for index in range(len(self.lessons))]

    def _fit(
        self,
        way: Way,
        tiles: Sequence[Sequence[LessonTile]],
        chosen: Sequence[int],
        go_on: Callable[[float], None],
    ) -> Mapping[str, Tensor]:
        put(self.decoder, self.plain)
        truths = [self.lessons[index].truth for index in chosen]
        return fit(self.decoder, way, [tiles[index] for index in chosen], truths, self.seed, go_on)


def _with_factor(
    name: str,
    counts: Sequence[float],
    signs: Sequence[Mapping[str, float]],
    truths: Sequence[float],
    parts: Sequence[Sequence[int]],
    learnt: Mapping[str, Tensor],
) -> list[Found]:
    """A way as it is, and with the factor that its counts of left-out pictures ask for."""
    factors = factors_left_out(counts, truths, parts)
    scaled = [count * factor for count, factor in zip(counts, factors, strict=True)]
    both = FACTOR if name == WAYS[0].name else f"{name} and {FACTOR}"
    return [
        Found(_left_out(name, counts, truths), tuple(signs), learnt, 1.0),
        Found(_left_out(both, scaled, truths), tuple(signs), learnt, best_factor(counts, truths)),
    ]


def _left_out(name: str, counts: Sequence[float], truths: Sequence[float]) -> LeftOut:
    errors = tuple(relative_error(count, truth) for count, truth in zip(counts, truths, strict=True))
    return LeftOut(name, tuple(counts), errors)


def _record(
    counter: Counter | NamedCounter,
    lessons: Sequence[Lesson],
    found: Sequence[Found],
    best: Found,
    seed: int,
    stopped: str,
) -> Taught:
    pictures = [
        TaughtPicture(lesson.name, lesson.truth, lesson.before.count, after, lesson.kind)
        for lesson, after in zip(lessons, best.left_out.counts, strict=True)
    ]
    return Taught(
        base=counter.name,
        sha256=tensors_sha256(counter.model),
        chosen=best.left_out.name,
        candidates=tuple(
            CandidateError(each.left_out.name, each.left_out.mean, each.left_out.spread) for each in found
        ),
        pictures=tuple(pictures),
        changed=tuple(best.learnt),
        seed=seed,
        version=version("likewise"),
        stopped=stopped,
    )


def _adapted(
    counter: Counter | NamedCounter,
    lessons: Sequence[Lesson],
    best: Found,
    taught: Taught,
    examples: ReferenceExemplars,
) -> Counter | NamedCounter:
    inference = _inference(counter.inference, lessons, best)
    name = f"{counter.name}, adapted"
    if isinstance(counter, NamedCounter):
        return NamedCounter(counter.model, counter.counter, name, inference=inference, taught=taught)
    model = copy.deepcopy(counter.model)
    if best.learnt:
        put(cast(DecoderCounter, model), best.learnt)
    return Counter(
        model,
        name,
        device=counter.device,
        inference=inference,
        scale_steps=counter.scale_steps,
        examples=examples,
        taught=taught,
    )


def _inference(inference: InferenceConfig, lessons: Sequence[Lesson], best: Found) -> InferenceConfig:
    """How the weights are used from now on: with the factor, and intervals as the left-out pictures ask for."""
    errors = [log_error(count, lesson.truth) for count, lesson in zip(best.left_out.counts, lessons, strict=True)]
    calibration = recalibrated(inference.calibration, errors, best.signs)
    full = inference.calibration_full
    if full is not None and inference.calibration is not None:
        before = inference.calibration.below + inference.calibration.above
        wider = (calibration.below + calibration.above) / before if before else 1.0
        full = scaled(full, wider * (full.below + full.above) / 2)
    return replace(inference, factor=best.factor, calibration=calibration, calibration_full=full)


class _Clock:
    """How much time is left, and who is told how far it is."""

    def __init__(self, seconds: float, progress: Progress) -> None:
        self.seconds, self._progress = seconds, progress
        self._end = time.monotonic() + seconds
        self._what, self._first, self._share = "", 0.0, 1.0

    def tell(self, what: str, share: float) -> None:
        """Say what is being done."""
        self._progress(what, share)

    def span(self, what: str, first: float, share: float) -> None:
        """What comes now is this share of all, from there on."""
        self._what, self._first, self._share = what, first, share

    def part(self, index: int, count: int) -> Callable[[float], None]:
        """Tells how far one of so many equal parts of the span is, and ends it where the time is over."""

        def go_on(done: float) -> None:
            if time.monotonic() > self._end:
                raise OutOfTimeError
            self._progress(self._what, self._first + self._share * (index + done) / count)

        return go_on
