"""Can a count be trusted? Signs that it may be off, the interval they make of it, and what they say in plain words.

Every sign is 0 where nothing is odd and grows with what is. Those of `SIGNS` come from what counting works out anyway;
those of `AGAIN` from looking at the picture twice more.

Convention
----------
Boxes are xyxy in the caller's pixels; the grid is the density as the network sees it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from likewise.types import Box, Calibration

#: Name of a sign, and what it is.
SIGNS = {
    "unlike": "1 - the mean cosine of every two examples",
    "sizes": "standard deviation of the examples' log size",
    "alone": "1 where there is one example only",
    "limit": "|log| of the rescaling that the examples ask for over what the weights allow",
    "tiny": "log of 20 over the examples' size in pixels of the picture, where they are smaller",
    "blunt": "|log| of the density's sum over the number of clear peaks",
    "faint": "log of the number of all peaks over that of the clear ones",
    "crowded": "log of 2 over the distance of the clear peaks from each other, in object sizes, where it is smaller",
    "mass": "|log| of the density found in an example's box",
    "ragged": "mean |score - 1| of the points",
    "unnamed": "log of the density of what looks like the examples over that of what of it goes by the name",
    "few": "1 / sqrt(count + 1)",
    "many": "log of the count over 100, where it is larger",
}
AGAIN = {
    "mirror": "|log| of the density's sum over that of the mirrored picture",
    "zoom": "|log| of the density's sum over that of the picture at another scale",
}
#: Scale of the second look, as a share of that of the first.
ZOOM = 0.8
#: Size in pixels below which an example shows little.
SMALL = 20.0
#: Things whose centres are this many object sizes apart do not disturb each other.
ROOM = 2.0
#: Rounding of the scale, and a little more, is not counted as a limit.
_SLACK = 0.1
#: From where on a sign is worth a warning whatever the weights.
_UNLIKE, _SIZES, _LIMIT, _PIXELS, _BLUNT, _FAINT, _MASS, _DIFFER, _MANY = 0.5, 0.5, 0.3, 8.0, 0.5, 0.5, 0.5, 0.25, 1000
_UNNAMED = 0.4
#: A count this near to a whole number is that number.
_WHOLE = 0.05
#: What can be done about anything that is odd where a name found the examples.
_BOX_INSTEAD = "Look at the overlay; a box drawn round one of them tells more than its name."


@dataclass(frozen=True, eq=False)
class CountDiagnostics:
    """What a count was made from, and what else was seen.

    Attributes:
        count: what is reported.
        grid: (h, w) float32, the density as the network gave it.
        size: (width, height) of the picture.
        exemplars: boxes in the picture that lie in what was counted.
        sides: sqrt(width x height) of all examples, wherever they are.
        scores: (N,) density round each point.
        peaks: number of peaks of the density ...
        clear: ... and of clear ones.
        apart: median distance of a clear peak to the nearest other, in object sizes; None: there are not two.
        mean_cosine: mean cosine of every two examples; None: not known, or fewer than two.
        scale: of the picture as the network saw it.
        wanted: the scale that the examples ask for; None: they ask for none.
        again: counts of further looks, by the name of the sign.
        alike_count: where a name found the examples, the density's sum before what goes by other names was taken out.
        known_mass: mean density in the examples' boxes, where the grid is too coarse to tell it.
        factor: what densities are multiplied by to be counts; those above are as the network gave them.
        other_colours: number of things that were left out for their colour (`likewise.predict.colour_groups`).
    """

    count: float
    grid: np.ndarray
    size: tuple[int, int]
    exemplars: tuple[Box, ...]
    sides: tuple[float, ...]
    scores: np.ndarray
    peaks: int
    clear: int
    apart: float | None
    mean_cosine: float | None
    scale: float
    wanted: float | None
    again: Mapping[str, float]
    alike_count: float | None = None
    known_mass: float | None = None
    factor: float = 1.0
    other_colours: int = 0

    @property
    def total(self) -> float:
        """The density's sum."""
        return float(self.grid.sum(dtype=np.float64))

    @property
    def mass(self) -> float | None:
        """Mean density in the examples' boxes; None where there are none in the picture."""
        if not self.exemplars:
            return self.known_mass
        factor = np.array(self.grid.shape[::-1]) / self.size
        return float(np.mean([box_sum(self.grid, np.array(box) * np.tile(factor, 2)) for box in self.exemplars]))


def signs_of(diagnostics: CountDiagnostics) -> dict[str, float]:
    """The signs by name: all of `SIGNS`, and of `AGAIN` those that were looked for."""
    count, sides, mass = diagnostics.count, diagnostics.sides, diagnostics.mass
    limit = 0.0 if diagnostics.wanted is None else abs(math.log(diagnostics.scale / diagnostics.wanted))
    found = {
        "unlike": 0.0 if diagnostics.mean_cosine is None else 1.0 - diagnostics.mean_cosine,
        "sizes": float(np.std(np.log(sides))) if sides else 0.0,
        "alone": float(len(sides) == 1),
        "limit": limit if limit > _SLACK else 0.0,
        "tiny": max(0.0, math.log(SMALL / _mean(sides))) if sides else 0.0,
        "blunt": _apart(diagnostics.total, diagnostics.clear),
        "faint": _apart(diagnostics.peaks, diagnostics.clear),
        "crowded": 0.0 if diagnostics.apart is None else max(0.0, math.log(ROOM / max(diagnostics.apart, 0.1))),
        "mass": 0.0 if mass is None else abs(math.log(min(max(mass, 0.1), 4.0))),
        "ragged": float(np.abs(diagnostics.scores - 1).mean()) if len(diagnostics.scores) else 0.0,
        "unnamed": 0.0 if diagnostics.alike_count is None else _apart(diagnostics.alike_count, diagnostics.total),
        "few": 1 / math.sqrt(max(count, 0.0) + 1),
        "many": max(0.0, math.log(max(count, 1.0) / 100)),
    }
    return found | {name: _apart(diagnostics.total, other) for name, other in diagnostics.again.items()}


def warnings_of(
    diagnostics: CountDiagnostics, signs: Mapping[str, float], trust: Calibration | None
) -> tuple[str, ...]:
    """What speaks against a count, in sentences that say what to do; none where nothing does."""
    odd = [*_of_examples(diagnostics, signs), *_of_density(diagnostics, signs)]
    if diagnostics.alike_count is None:
        said = [f"{fact} {advice}" for fact, advice in odd]
    else:
        said = [*_of_name(diagnostics, signs), *(fact for fact, _ in odd)]
    if others := diagnostics.other_colours:
        things, box = ("things", "one of them") if others > 1 else ("thing", "it")
        said.append(f"{others} {things} of another colour than the examples left out; box {box} too to count such.")
    if trust is not None and (likely := _likely(diagnostics.count, signs, trust)):
        said.append(f"The count may be far off: {likely}. Count a part of the picture by hand and compare.")
    if said and diagnostics.alike_count is not None:
        said[0] += " " + _BOX_INSTEAD
    return tuple(said)


def whole_interval(trust: Calibration, count: float, signs: Mapping[str, float]) -> tuple[float, float] | None:
    """`Calibration.interval` in whole numbers, as the truth is one: next to nothing is "0 to 1", not 0 to 0.

    Each end is the nearest one, so that no whole number is lost that lies between them, and the count is not left out.
    """
    known = trust.interval(count, signs)
    if known is None:
        return None
    low, high = (math.floor(end + 0.5) for end in known)
    least, most = whole_ends(count)
    return float(min(low, least)), float(max(high, most))


def whole_ends(count: float) -> tuple[int, int]:
    """The whole numbers round a count, which no interval leaves out: 24 and 25 of 24.4, 24 alone of 24.02; 0 and 1."""
    return math.floor(count + _WHOLE), max(math.ceil(count - _WHOLE), 1)


def _likely(count: float, signs: Mapping[str, float], trust: Calibration) -> str:
    """What is known of a count that may be far off; empty where it hardly is."""
    interval = whole_interval(trust, count, signs)
    if interval is None:
        return "how far, is not known, and it cannot be trusted"
    if trust.spread(signs) <= trust.doubt:
        return ""
    return f"anything from {interval[0]:.0f} to {interval[1]:.0f} would not be a surprise"


def box_sum(grid: np.ndarray, box: np.ndarray) -> float:
    """The density (h, w) inside a box of it; cells that the box cuts count in part."""
    along = [
        np.clip(np.minimum(box[2 + axis], np.arange(n) + 1.0) - np.maximum(box[axis], np.arange(n)), 0, 1)
        for axis, n in enumerate(grid.shape[::-1])
    ]
    return float(along[1] @ grid.astype(np.float64) @ along[0])


def _of_examples(diagnostics: CountDiagnostics, signs: Mapping[str, float]) -> list[tuple[str, str]]:
    """What is odd, and what to do about it."""
    said = []
    sides = diagnostics.sides
    if signs["unlike"] > _UNLIKE:
        advice = "Box one kind of thing only, or count each kind by itself."
        said.append(("The examples do not look like each other.", advice))
    if signs["sizes"] > _SIZES:
        fact = f"The examples differ {max(sides) / min(sides):.1f} times in size."
        said.append((fact, "Count near and far things separately, each with examples of their own and a region."))
    if signs["limit"] > _LIMIT and diagnostics.wanted is not None:
        small = diagnostics.wanted > diagnostics.scale
        advice = "closer picture, or one with more pixels" if small else "smaller copy of the picture"
        said.append((f"The things are too {'small' if small else 'large'} for this model.", f"Use a {advice}."))
    elif sides and _mean(sides) < _PIXELS:
        fact = f"The things are only {_mean(sides):.0f} pixels large in this picture."
        said.append((fact, "A closer or sharper one is counted better."))
    return said


def _of_density(diagnostics: CountDiagnostics, signs: Mapping[str, float]) -> list[tuple[str, str]]:
    said = []
    count, mass, named = diagnostics.count, diagnostics.mass, diagnostics.alike_count is not None
    if diagnostics.sides and count < 0.5:
        if not named:
            said.append(("Next to nothing was found.", "Check that the boxes are tight round whole things."))
    elif signs["blunt"] > _BLUNT:
        clear, total = diagnostics.clear, diagnostics.total * diagnostics.factor
        fact = f"The things run into each other: {clear} stand out, the density sums to {total:.0f}."
        said.append((fact, "Look at the overlay, and add boxes round some that were missed."))
    if signs["faint"] > _FAINT:
        fact = f"{diagnostics.peaks - diagnostics.clear} more places look a little like the examples."
        advice = "Add boxes round those that are to be counted, or negatives round those that are not."
        said.append((fact, advice))
    if mass is not None and count >= 0.5 and signs["mass"] > _MASS:
        fact = (
            f"The examples themselves are counted as {mass:.1f} each, so the count is probably too "
            f"{'low' if mass < 1 else 'high'}."
        )
        said.append((fact, "Draw the boxes tightly, and add some round other things of the kind."))
    for name, other in diagnostics.again.items():
        if signs[name] > _DIFFER:
            how = "mirrored" if name == "mirror" else "at another scale"
            fact = f"The same picture {how} gives {other * diagnostics.factor:.0f}."
            said.append((fact, "Add boxes round things that look different."))
    if count > _MANY:
        said.append(("These are very many.", "Count a part with a region, by hand too, and compare."))
    return said


def _of_name(diagnostics: CountDiagnostics, signs: Mapping[str, float]) -> list[str]:
    """What is odd about the examples that a name found."""
    if diagnostics.count < 0.5:
        return ["Next to nothing goes by that name here."]
    if signs["unnamed"] <= _UNNAMED:
        return []
    alike, fitting = (diagnostics.factor * count for count in (diagnostics.alike_count or 0.0, diagnostics.total))
    return [f"Of {alike:.0f} that look alike, only {fitting:.0f} seem to go by the name."]


def _apart(count: float, other: float) -> float:
    return abs(math.log((max(count, 0.0) + 1) / (max(other, 0.0) + 1)))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
