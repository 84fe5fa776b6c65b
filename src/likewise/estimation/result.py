"""What an estimate is, and the forms people want it in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likewise.estimation.groups import Comparison, GroupTotal
from likewise.estimation.intervals import Interval, told
from likewise.estimation.known import Known
from likewise.estimation.methods_text import methods_text
from likewise.estimation.planning import Plan
from likewise.estimation.plot import plot_estimate
from likewise.results.base import Files


@dataclass(frozen=True, eq=False, repr=False)
class Estimate(Known):
    """The total of all pictures, estimated, with an interval: `Known` tells what it holds.

    Example:
        >>> import likewise as lw
        >>> counted = {f"{number}.jpg": 10.0 + number for number in range(12)}
        >>> by_hand = {name: counted[name] + 1 for name in ("1.jpg", "5.jpg", "6.jpg", "11.jpg")}
        >>> found = lw.estimate(counted, by_hand, design="random")
        >>> found.by_hand, round(found.total.value)
        (4, 198)
    """

    def __repr__(self) -> str:
        """In a line: how many, how sure, of what."""
        return f"<Estimate: {self.total!r} in {len(self.names)} pictures, {self.by_hand} counted by hand>"

    def methods(self) -> str:
        """A paragraph for a paper, with versions, design, seed, estimator, and what to cite."""
        return methods_text(self)

    def plot(self) -> Image.Image:
        """Counted against true, and the interval against the number of hand counts."""
        return plot_estimate(self)

    def to_dict(self) -> dict[str, Any]:
        """The estimate as JSON values."""
        return {
            "total": self.total.to_dict(),
            "mean": self.mean.to_dict(),
            "level": self.level,
            "pictures": len(self.names),
            "by_hand": self.by_hand,
            "counted": round(self.counted, 4),
            "estimator": self.made.estimator,
            "design": self.made.design,
            "seeds": list(self.made.seeds),
            "interval": self.made.interval,
            "slope": round(self.made.slope, 6),
            "about": dict(self.made.about),
            "groups": [group.to_dict() for group in self.groups],
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
            "plan": None if self.plan is None else self.plan.to_dict(),
            "notes": list(self.notes),
            "hand": {n: float(t) for n, t in zip(self.names, self.truth, strict=True) if np.isfinite(t)},
            "methods": self.methods(),
        }

    def save(self, directory: str | Path, name: str = "total") -> Path:
        """Write NAME_estimate.json (`to_dict`) and NAME_estimate.png (the `plot`); the path of the latter."""
        files = Files(directory, name, None, ("_estimate.png",), ("_estimate.json",))
        files.note("_estimate.json", self.to_dict())
        return files.draw("_estimate.png", self.plot())

    def lines(self) -> list[str]:
        """The estimate as people read it."""
        sure = f"{100 * self.level:g} %"
        width = self.total.relative
        about = "" if width is None else f", +-{100 * width:.1f} %"
        total = f"{self.total!r}, {sure} interval{about}"
        lines = [
            f"total  {_exact(self.total) if self.complete else total}",
            f"mean   {told(self.mean.value) if self.complete else repr(self.mean)} a picture",
            f"from   {len(self.names)} pictures counted by the model ({told(self.counted)} in all), {self.by_hand} by "
            "hand",
            f"how    {self.made.design} design, {self.made.estimator} estimator",
        ]
        if self.plan is not None:
            lines += ["", *self._plan_lines(self.plan)]
        if self.groups:
            lines += ["", *(_group_line(group) for group in self.groups)]
        if self.comparison is not None:
            lines += [*_comparison_lines(self.comparison)]
        return [*lines, *([""] if self.notes else []), *(f"note: {note}" for note in self.notes)]

    def _plan_lines(self, plan: Plan) -> list[str]:
        aim = f"+-{100 * plan.aim:g} %"
        if plan.more:
            first = f"{plan.more} more hand counts would bring it to about {aim}"
        else:
            first = f"that is within {aim}: no more hand counts are needed for it"
        alone = f"{100 * plan.half_width(self.by_hand, alone=True):.0f} %"
        return [
            first,
            f"hand counts alone, {self.by_hand} at random, would give about +-{alone}; {aim} would take "
            f"{plan.needed(alone=True)}",
        ]


def _exact(total: Interval) -> str:
    return f"{told(total.value)}, exact: every picture was counted by hand"


def _group_line(group: GroupTotal) -> str:
    if group.by_hand == group.pictures:
        return f"{group.name}: {_exact(group.total)}, {group.pictures} pictures, mean {told(group.mean.value)}"
    few = "" if group.spread is not None else f" (fewer than 3 of its {group.pictures} pictures were counted by hand)"
    return (
        f"{group.name}: {group.total!r}{few}, {group.pictures} pictures, mean {group.mean!r}, {group.by_hand} by hand"
    )


def _comparison_lines(found: Comparison) -> list[str]:
    lines = [f"{found.first} less {found.second}, a picture: {found.difference!r}"]
    return lines if found.ratio is None else [*lines, f"{found.first} by {found.second}, a picture: {found.ratio!r}"]
