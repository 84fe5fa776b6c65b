"""The total of all counted pictures, with an interval, from those among them that were drawn and counted by hand.

The sample is noted in the project: what was drawn stays drawn, whatever is corrected afterwards. The hand count of a
picture is its count with all corrections, once somebody said that it is right.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from likewise.app.limits import RefusedError
from likewise.app.requests import Body, Pictures
from likewise.json_text import json_text

if TYPE_CHECKING:
    from likewise.app.workbench import Workbench
    from likewise.estimation import Sample

#: Under which the sample is noted.
NOTE = "sample"


class SampleBody(Body):
    """How many pictures are to be counted by hand, and how they are drawn."""

    number: int = Field(ge=3, le=10_000)
    design: Literal["proportional", "random", "stratified"] = "proportional"
    seed: int = Field(default=0, ge=0, le=1 << 31)


class EstimateBody(Body):
    """Which of the drawn pictures are right now."""

    right: Pictures = ()
    level: float = Field(default=0.95, ge=0.5, lt=1.0)


def draw_sample(bench: Workbench, asked: SampleBody) -> dict[str, Any]:
    """Draw the pictures to count by hand, and note them.

    Raises:
        LikewiseError: too few are counted.
    """
    from likewise.estimation import sample

    drawn = sample(_counts(bench), asked.number, asked.design, asked.seed)
    [draw] = drawn.draws
    noted = {
        "names": draw.names,
        "probability": draw.probability.tolist(),
        "strata": draw.strata,
        "design": draw.design,
        "seed": draw.seed,
        "of": draw.of,
    }
    bench.kept.put_note(NOTE, json_text(noted, compact=True))
    return noted_sample(bench)


def noted_sample(bench: Workbench) -> dict[str, Any]:
    """The sample that was drawn: ids of its pictures, and how; no pictures where none was."""
    noted = json.loads(bench.kept.note(NOTE) or "null")
    if noted is None:
        return {"pictures": [], "missing": [], "design": None, "seed": None, "of": 0}
    found = [(name, bench.store.named(name)) for name in noted["names"]]
    return {
        "pictures": [picture.id for _, picture in found if picture],
        "missing": [name for name, picture in found if picture is None],
        "design": noted["design"],
        "seed": noted["seed"],
        "of": noted["of"],
    }


def estimated(bench: Workbench, asked: EstimateBody) -> dict[str, Any]:
    """The total, its interval, what it says in words, and the paragraph for a paper.

    Raises:
        LikewiseError: nothing was drawn, or too few are right.
    """
    from likewise.estimation import estimate

    right = {picture.name for each in asked.right if (picture := bench.store.known(each))}
    known = {each.name: each.count for each in bench.kept.pictures() if each.name in right and each.count is not None}
    drawn = _sample(bench)
    found = estimate(
        _counts(bench), drawn.filled({name: known[name] for name in drawn.names if name in known}), level=asked.level
    )
    return {**found.to_dict(), "lines": list(found.lines()), "methods": found.methods()}


def _sample(bench: Workbench) -> Sample:
    from likewise.estimation import Sample
    from likewise.estimation.hand_counts import Draw

    noted = json.loads(bench.kept.note(NOTE) or "null")
    if noted is None:
        raise RefusedError(409, "no sample was drawn yet: say first how many pictures you will count by hand")
    draw = Draw(
        tuple(noted["names"]),
        np.array(noted["probability"], float),
        tuple(noted["strata"]),
        noted["design"],
        noted["seed"],
        noted["of"],
    )
    return Sample((draw,), {})


def _counts(bench: Workbench) -> list[dict[str, Any]]:
    """What the model counted, corrections left out: those are what it is compared with."""
    found = [
        {"image": each.name, "count": each.prediction.count, "low": each.prediction.low, "high": each.prediction.high}
        for each in bench.kept.pictures()
        if each.prediction is not None
    ]
    if not found:
        raise RefusedError(422, "nothing was counted yet; count in every picture first")
    return found
