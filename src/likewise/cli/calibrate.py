"""``likewise calibrate``: teach weights how far off their counts may be, or what shows none of their classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from cyclopts import Parameter

from likewise.cli.terminal import say, tell
from likewise.cli.writable import check_file
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from likewise.data.counting.sample import CountSample
    from likewise.engine.calibration import Case
    from likewise.inference import InferenceConfig
    from likewise.predict import Counter, NamedCounter
    from likewise.types import Calibration

    Open = Callable[[], Dataset[CountSample]]


def calibrate(
    model: str,
    /,
    *,
    data: Annotated[Sequence[str], Parameter(negative="", metavar="DIR[:SPLIT]", show_default=False)],
    output: Annotated[Path, Parameter(name=("--output", "-o"), metavar="FILE")],
    limit: int | None = None,
    exemplars: int | None = 3,
    full: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    settle: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    margin: Annotated[float | None, Parameter(show_default=False)] = None,
    object_size: Annotated[float | None, Parameter(show_default=False)] = None,
    colour_groups: Annotated[bool | None, Parameter(show_default=False)] = None,
    unknown: Annotated[Sequence[str], Parameter(negative="", metavar="DIR", show_default=False)] = (),
    suite: Literal["calibration"] | None = None,
) -> None:
    """Measure how far off a counter's counts are, and write its weights with what was learnt.

    Counts then come with an interval that should hold the truth in nine of ten cases. Take sets whose truth is known,
    of as many sorts of pictures as there are, at least 20 pictures in two sets, none of which the weights are judged on
    later. A counter by name is asked by the names in the sets. Of three sets or more it is told how well the intervals
    of each hold that are learnt from the others.

    A model that recognises learns to answer "none of these", from at least 20 pictures that show its classes and that
    it was not trained on; 95 % of such pictures are still taken for one of them.

    Args:
        model: A name from 'likewise models', or a .safetensors file.
        data: A folder with annotations.json and pictures, and a split of it after a colon. Repeat for at least two. To
            recognise: a folder of named pictures.
        output: The safetensors file to write.
        limit: Only the first so many pictures of each set.
        exemplars: At most so many exemplars a picture.
        full: Learn also what looking at every picture twice more tells; three times as long.
        margin: Take boxes to be so many pixels wider and higher than their things; as before, where it is not given.
        object_size: Show the network things so many pixels large: half as large takes a quarter of the time; as before,
            where it is not given.
        colour_groups: Leave out what is of a group of colours in which no example is; as before, where it is not given.
        suite: All sets of a suite, made of the folders in DATA, 30 pictures of each. calibration: what the bundled
            counters learn from.
        settle: First choose, on the same pictures, which peaks of the density count as one thing each.
        unknown: To recognise: a folder of pictures that show none of the classes, to tell how many are known as such.
            May be repeated.
    """
    from likewise.cli.calibrate_recognizer import calibrate_recognizer, check_options
    from likewise.predict import NamedCounter, Recognizer, Segmenter, load, load_counter
    from likewise.weights import half_is_exact, save_checkpoint

    check_file("-o", output)
    loaded, how = load(model), _How(margin, object_size, colour_groups)
    if isinstance(loaded, Recognizer):
        of_counters: dict[str, object] = {"--full": full, "--settle": settle, "--suite": suite, **_settings(how)}
        check_options(of_counters, model)
        calibrate_recognizer(loaded, data, unknown, output, limit)
        return
    if unknown:
        raise LikewiseError(f"--unknown is for what recognises; {model} is there to {loaded.task}")
    counter = load_counter(model) if isinstance(loaded, Segmenter) else loaded  # the former says what it is for
    if settle and "exemplars" not in counter.prompts and not isinstance(counter, NamedCounter):
        raise LikewiseError(
            f"{model} takes no exemplars; --settle compares counts of pictures whose examples are boxed"
        )
    asked = None if isinstance(counter, NamedCounter) else _asked(counter, how)
    sets = _sets(data, suite, exemplars, by_name=isinstance(counter, NamedCounter))
    _check_enough(sets, limit)
    if not isinstance(counter, NamedCounter):
        counter = counter.using(asked or counter.inference)
        if settle:
            counter = counter.using(replace(counter.inference, snap_peaks=_settled(counter, sets, limit, exemplars)))
    elif settle or any(setting is not None for setting in how):
        raise LikewiseError(f"{model} counts through another counter, of which those settings are")
    trust: Literal["fast", "full"] = "full" if full else "fast"
    cases = [case for name, opened in sets for case in _counted(counter, name, opened(), limit, exemplars, trust)]
    inference = _learnt(counter, cases, full=full)
    network: Any = counter.model  # of any method
    network.config = replace(network.config, inference=inference)
    save_checkpoint(output, network, half=half_is_exact(network))
    for name, learnt in (("fast", inference.calibration), ("full", inference.calibration_full if full else None)):
        if learnt is not None:
            _show(name, learnt, cases)
    say(f"{output}, learnt from {len(cases)} pictures of {len(sets)} sets")


def _learnt(counter: Counter | NamedCounter, cases: list[Case], *, full: bool) -> InferenceConfig:
    """How the weights are to be used, with what the cases say of errors."""
    from likewise.engine.calibration import fit_calibration
    from likewise.predict.uncertainty import AGAIN, SIGNS

    inference = replace(counter.inference, calibration=fit_calibration(cases, tuple(SIGNS)))
    if full:
        inference = replace(inference, calibration_full=fit_calibration(cases, (*SIGNS, *AGAIN)))
    return inference


def _sets(
    data: Sequence[str], suite: Literal["calibration"] | None, exemplars: int | None, *, by_name: bool
) -> list[tuple[str, Open]]:
    """The sets and their names, opened when they are called."""
    if suite is None:
        return [(where, partial(_opened, where, exemplars)) for where in data]
    from likewise.lab.suite import calibration

    if len(data) != 1:
        raise LikewiseError(f"--suite {suite}: expected one --data, the folder with the development sets")
    return list(calibration.sets(Path(data[0]), by_name=by_name).items())


def _check_enough(sets: Sequence[tuple[str, Open]], limit: int | None) -> None:
    """See that there is enough to learn from, before anything is counted."""
    from likewise.engine.calibration import check_enough

    sizes = [len(opened()) for _, opened in sets]  # type: ignore[arg-type]  # all that are opened have one
    check_enough(sum(size if limit is None else min(size, limit) for size in sizes), len({name for name, _ in sets}))


def _show(name: str, learnt: Calibration, cases: Sequence[Case]) -> None:
    """What was learnt, and how well it holds on sets that it was not learnt from."""
    from likewise.engine.calibration import left_out
    from likewise.engine.count_eval import CountReport

    told = ", ".join(f"{s} {w:g}" for s, w in zip(learnt.signs, learnt.weights, strict=True) if w)
    say(f"{name}: base {learnt.base:g}, {told or 'no sign tells anything'}")
    say(f"  interval {learnt.below:g} spreads below to {learnt.above:g} above; doubt from {learnt.doubt:g} on")
    if len({case.group for case in cases}) < 3:
        return
    sets = left_out(cases, learnt.signs)
    everything = [each for pictures in sets.values() for each in pictures]
    for group, pictures in (*sets.items(), ("all of them", everything)):
        held = CountReport(tuple(pictures)).trust()
        if held:
            numbers = f"{held['coverage']:.0%} held, width {held['width']:.2f}, score {held['interval_score']:.2f}"
            say(f"  left out, {group}: {numbers}, {held['untrusted']:.0%} untrusted")


class _How(NamedTuple):
    """Settings of how weights are used that are to be others."""

    margin: float | None
    object_size: float | None
    colour_groups: bool | None


def _settings(how: _How) -> dict[str, float | None]:
    return {f"--{name.replace('_', '-')}": value for name, value in how._asdict().items()}


def _asked(counter: Counter, how: _How) -> InferenceConfig:
    """How the weights are to be used."""
    margin, object_size, colour_groups = how
    asked = counter.inference if margin is None else replace(counter.inference, margin=margin)
    asked = asked if colour_groups is None else replace(asked, colour_groups=colour_groups)
    if object_size is None:
        return asked
    if counter.preprocess.object_size is None:
        raise LikewiseError(f"{counter.name} does not rescale pictures by their examples; leave --object-size out")
    if not object_size >= 1:
        raise LikewiseError(f"--object-size {object_size}: expected at least 1 pixel")
    return replace(asked, preprocess=replace(counter.preprocess, object_size=object_size))


def _settled(
    counter: Counter, sets: Sequence[tuple[str, Open]], limit: int | None, exemplars: int | None
) -> tuple[float, float] | None:
    """The bounds that count best, and what comes of them and of others on stdout."""
    from likewise.engine.calibration import BOUNDS, errors_by_bounds

    before = counter.inference.snap_peaks
    compared = tuple(dict.fromkeys((*BOUNDS, before)))
    errors = errors_by_bounds(counter, [opened() for _, opened in sets], limit, exemplars, compared)
    best = min(errors, key=lambda bounds: errors[bounds])
    for name, bounds in (("sums as they are", None), ("before", before), ("best", best)):
        told = "" if bounds is None else f", one from {bounds[0]:g} to {bounds[1]:g}"
        say(f"{name}{told}: mean relative error {errors[bounds]:.3f}")
    return best


def _opened(where: str, exemplars: int | None) -> Dataset[CountSample]:
    from likewise.data.open_dataset import open_counting

    folder, _, split = where.partition(":")
    return open_counting(Path(folder), split or None, exemplars=exemplars)


def _counted(
    counter: Counter | NamedCounter,
    name: str,
    pictures: Dataset[CountSample],
    limit: int | None,
    exemplars: int | None,
    trust: Literal["fast", "full"],
) -> list[Case]:
    from likewise.engine.calibration import cases_of
    from likewise.engine.count_eval import evaluate

    report = evaluate(counter, pictures, limit, exemplars=exemplars, trust=trust)
    for image, error in report.errors:
        tell(f"left out: {image}: {error}")
    return cases_of(name, report)
