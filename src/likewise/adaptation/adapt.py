"""`adapt`: everything that a few corrected pictures can teach a counter, and no more than they can prove."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import cast

from torch import Tensor

from likewise.adaptation.corrections import Correction, read_corrections
from likewise.adaptation.frozen_features import DecoderCounter, FrozenFeatures
from likewise.adaptation.intervals import recalibrated, scaled
from likewise.adaptation.lessons import (
    Examples,
    Lesson,
    LessonTile,
    lesson_by_examples,
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
#: Where nothing, or a factor, leaves no more than this error, the decoder is not tried: few pictures could not show
#: that it does better.
GOOD_ENOUGH = 0.15
#: What would take so many times as long as there is time for is ended at once: it would come to nothing.
HOPELESS = 1.5
#: Looking at the pictures is taken to be this share of all the work.
LOOKS = 0.2


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
        alone: the pictures asked without boxes, each counted by what the others taught; empty: as before, or not known.
    """

    left_out: LeftOut
    signs: tuple[Mapping[str, float], ...]
    learnt: Mapping[str, Tensor]
    factor: float
    alone: Sequence[CountResult] = ()


def adapt(
    counter: Counter | NamedCounter,
    corrected: Sequence[Correction] | str | Path,
    *,
    seconds: float = 60.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Counter | NamedCounter:
    """Teach a counter what a few corrected pictures show; what does not help other pictures is not kept.

    Tried are, the simplest first: to change nothing, a factor, and where that leaves much to be mended the last layers
    of the decoder and all of it, each with a factor or without. Each corrected picture is left out in turn, the others
    teach, and it is counted: what is clearly better on these is kept (`likewise.adaptation.selection`). Counters
    without a decoder of their own, those by name among them, learn the factor only.

    The counter that comes back counts pictures with boxes of their own by those alone. Pictures without any it counts
    by the examples of the corrected ones, with a factor learnt for that, and what their negatives show is not counted.
    Its intervals are as wide as the errors on pictures that were left out. What it was taught is in its ``taught``; its
    ``save`` writes that as a small file, which `likewise.load` takes.

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
    trial = counter if decoder is None else _trial(cast(Counter, counter), decoder)
    clock.span("counting the corrected pictures", 0.0, LOOKS / 2)
    lessons, examples = prepare_lessons(trial, corrections, clock.look)
    course = _Course(trial, lessons, groups(len(lessons), MOST_FOLDS), seed, clock)
    found, stopped = course.tried(decoder, examples)
    best = found[choose([each.left_out for each in found])]
    alone = course.without_boxes(best)
    taught = _record(counter, lessons, found, best, alone, seed, stopped)
    clock.tell("done", 1.0)
    return _adapted(counter, lessons, best, alone, taught, examples.without())


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


@dataclass(eq=False)
class _Course:
    """The corrected pictures, and all ways to learn from them that there is time for."""

    trial: Counter | NamedCounter
    lessons: Sequence[Lesson]
    parts: Sequence[Sequence[int]]
    seed: int
    clock: _Clock
    #: The same pictures, asked without boxes of their own; empty: there are none that could be.
    alone: list[Lesson] = field(default_factory=list)

    def tried(self, decoder: DecoderCounter | None, examples: Examples) -> tuple[list[Found], str]:
        """Every way that there was time for, the simplest first, and why there are no more."""
        counted = [lesson.before for lesson in self.lessons]
        found = self._with_factor(WAYS[0].name, counted, (), {})
        try:
            self._look_without_boxes(examples)
            plain = min(each.left_out.mean for each in found)
            if decoder is not None and plain > GOOD_ENOUGH:
                self._learn(decoder, found)
        except OutOfTimeError:
            return found, f"the time was over: {self.clock.seconds:g} s are too few for more"
        except KeyboardInterrupt:
            return found, "stopped by hand"
        return found, ""

    def without_boxes(self, best: Found) -> list[Found]:
        """What was kept, where pictures are asked without boxes: as it is, and with a factor; empty: not known."""
        if not self.alone:
            return []
        counted = best.alone or [lesson.before for lesson in self.alone]
        return self._with_factor(WAYS[0].name, counted, (), {})

    def _look_without_boxes(self, examples: Examples) -> None:
        if not any(lesson.prompt.exemplars for lesson in self.lessons):
            return
        self.clock.span("counting them by each other's examples", LOOKS / 2, LOOKS / 2)
        go_on, looked = self.clock.part(0, 1), []
        for index, lesson in enumerate(self.lessons):
            go_on(index / len(self.lessons))
            references = examples.without(index)
            if not references.exemplars:
                return
            looked.append(lesson_by_examples(cast(Counter, self.trial), lesson, references))
        self.alone = looked

    def _learn(self, decoder: DecoderCounter, found: list[Found]) -> None:
        tiles = [tiles_of(cast(Counter, self.trial), lesson) for lesson in self.lessons]
        plain = {name: tensor.clone() for name, tensor in _parameters(decoder).items()}
        school = _School(cast(Counter, self.trial), decoder, self.lessons, self.alone, tiles, plain, self.seed)
        work = [way for way in WAYS if way.learns]
        for index, way in enumerate(work):
            self.clock.span(f"trying {way.name}", LOOKS + (1 - LOOKS) * index / len(work), (1 - LOOKS) / len(work))
            learnt, results, alone = school.teach(way, self.parts, self.clock)
            found += self._with_factor(way.name, results, alone, learnt)

    def _with_factor(
        self, name: str, results: Sequence[CountResult], alone: Sequence[CountResult], learnt: Mapping[str, Tensor]
    ) -> list[Found]:
        """A way as it is, and with the factor that its counts of left-out pictures ask for."""
        counts, truths = [result.count for result in results], [lesson.truth for lesson in self.lessons]
        factors = factors_left_out(counts, truths, self.parts)
        scaled = [count * factor for count, factor in zip(counts, factors, strict=True)]
        both = FACTOR if name == WAYS[0].name else f"{name} and {FACTOR}"
        signs = tuple(result.signs for result in results)
        return [
            Found(_left_out(name, counts, truths, learnt), signs, learnt, 1.0, alone),
            Found(_left_out(both, scaled, truths, learnt), signs, learnt, best_factor(counts, truths), alone),
        ]


def _parameters(decoder: DecoderCounter) -> dict[str, Tensor]:
    return {f"decoder.{name}": parameter.detach() for name, parameter in decoder.decoder.named_parameters()}


@dataclass(frozen=True, eq=False)
class _School:
    """A network that learns from some of the pictures and is tried on the others."""

    trial: Counter
    decoder: DecoderCounter
    lessons: Sequence[Lesson]
    alone: Sequence[Lesson]
    tiles: Sequence[Sequence[LessonTile]]
    plain: Mapping[str, Tensor]
    seed: int

    def teach(
        self, way: Way, parts: Sequence[Sequence[int]], clock: _Clock
    ) -> tuple[Mapping[str, Tensor], list[CountResult], list[CountResult]]:
        """What all pictures teach, and each as it is counted by what the others teach: with boxes, and without."""
        put(self.decoder, self.plain)
        first = 0 if way.layers is None else len(self.decoder.decoder) - way.layers
        tiles = [[tile.passed(self.decoder, first) for tile in each] for each in self.tiles]
        results: dict[int, CountResult] = {}
        alone: dict[int, CountResult] = {}
        for done, part in enumerate(parts):
            rest = [index for index in range(len(self.lessons)) if index not in part]
            go_on = clock.part(done, len(parts) + 1)
            self._fit(way, tiles, rest, go_on)
            for index in part:
                go_on(1)
                results[index] = self.lessons[index].count(self.trial)
                if self.alone:
                    alone[index] = self.alone[index].count(self.trial)
        learnt = self._fit(way, tiles, range(len(self.lessons)), clock.part(len(parts), len(parts) + 1))
        return learnt, [results[i] for i in sorted(results)], [alone[i] for i in sorted(alone)]

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


def _left_out(name: str, counts: Sequence[float], truths: Sequence[float], learnt: Mapping[str, Tensor]) -> LeftOut:
    errors = tuple(relative_error(count, truth) for count, truth in zip(counts, truths, strict=True))
    return LeftOut(name, tuple(counts), errors, bool(learnt))


def _record(
    counter: Counter | NamedCounter,
    lessons: Sequence[Lesson],
    found: Sequence[Found],
    best: Found,
    alone: Sequence[Found],
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
        candidates=_errors(found),
        pictures=tuple(pictures),
        without_boxes=_errors(alone),
        changed=tuple(best.learnt),
        seed=seed,
        version=version("likewise"),
        stopped=stopped,
    )


def _errors(found: Sequence[Found]) -> tuple[CandidateError, ...]:
    return tuple(CandidateError(each.left_out.name, each.left_out.mean, each.left_out.spread) for each in found)


def _adapted(
    counter: Counter | NamedCounter,
    lessons: Sequence[Lesson],
    best: Found,
    alone: Sequence[Found],
    taught: Taught,
    examples: ReferenceExemplars,
) -> Counter | NamedCounter:
    inference = _inference(counter.inference, lessons, best)
    name = f"{counter.name}, adapted"
    if isinstance(counter, NamedCounter):
        return counter.using(counter.counter, inference, name, taught)
    by_examples = None
    if alone:
        by_examples = _inference(counter.inference, lessons, alone[choose([each.left_out for each in alone])])
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
        by_examples=by_examples,
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
        self._what, self._first, self._share, self._began = "", 0.0, 1.0, 0.0

    def tell(self, what: str, share: float) -> None:
        """Say what is being done."""
        self._progress(what, share)

    def span(self, what: str, first: float, share: float) -> None:
        """What comes now is this share of all, from there on."""
        self._what, self._first, self._share, self._began = what, first, share, time.monotonic()

    def look(self, done: float) -> None:
        """Say how far the span is; it is not to be ended."""
        self._progress(self._what, self._first + self._share * done)

    def part(self, index: int, count: int) -> Callable[[float], None]:
        """Tells how far one of so many equal parts of the span is, and ends it where the time is over.

        Raises:
            OutOfTimeError: by how long the parts before took there is no time for all, and some are worth nothing.
        """
        now = time.monotonic()
        if index and (now - self._began) / index * (count - index) > HOPELESS * (self._end - now):
            raise OutOfTimeError

        def go_on(done: float) -> None:
            if time.monotonic() > self._end:
                raise OutOfTimeError
            self._progress(self._what, self._first + self._share * (index + done) / count)

        return go_on
