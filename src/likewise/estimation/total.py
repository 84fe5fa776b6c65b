"""`estimate`: the true total, with an interval, from counts of all pictures and hand counts of some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError
from likewise.estimation.estimators import DEFAULT, Estimator, Part, check_estimator, estimate_total
from likewise.estimation.groups import compare as compare_groups
from likewise.estimation.groups import group_totals
from likewise.estimation.hand_counts import check_design, read_sample
from likewise.estimation.intervals import bootstrap_interval, log_interval, t_interval
from likewise.estimation.known import Made
from likewise.estimation.planning import Plan, plan_of
from likewise.estimation.result import Estimate
from likewise.estimation.rounds import Joined, join
from likewise.estimation.table import read_counts
from likewise.estimation.variance import combined
from likewise.plain_text import printable

#: A hand count so far from the model's, as a log ratio beyond the usual one, may be a slip of the pen.
SLIP = 1.6


def estimate(
    counts: Any,
    hand: Any,
    design: str | None = None,
    *,
    level: float = 0.95,
    by: str | None = None,
    compare: tuple[str, str] | None = None,
    estimator: str = DEFAULT,
    interval: Literal["log", "t", "bootstrap"] = "log",
    taught: Iterable[str] = (),
) -> Estimate:
    """Estimate the total of all pictures, regions or tiles from the model's counts of all and true counts of some.

    The hand counts are of pictures that chance has chosen, by a known design; then the interval holds the true total in
    ``level`` of all samples, whatever the model's mistakes are. Good counts make it narrow; bad ones never make it
        wrong.

    Args:
        counts: of all pictures: a CSV file's path, names and counts, or results; see `read_counts`.
        hand: the file that `sample` wrote, filled in, or the `Sample`; or names and true counts, with design "random".
        design: how the pictures were chosen, where ``hand`` does not say; only "random" can be said so.
        level: how often the interval is to hold.
        by: a column of the table, to estimate each of its groups, too.
        compare: two groups; None: where there are two, those.
        estimator: one of `ESTIMATORS`. To try several and keep the narrowest makes the interval too narrow.
        interval: "log": by Student's t on a log scale; "t": symmetric, as in textbooks; "bootstrap": bootstrap-t.
        taught: pictures that the model was taught by, beside those that the table marks. Their own counts tell nothing
            of the model's mistakes: they enter with their true counts, or with the count of a model that was not taught
            by them (column crossfit).

    Raises:
        LikewiseError: see the message: counts and hand counts that do not fit.

    Example:
        >>> from likewise.estimation import sample
        >>> counts = {f"{i}.jpg": 5.0 + i for i in range(40)}
        >>> drawn = sample(counts, 8, seed=4)
        >>> found = estimate(counts, drawn.filled({name: round(counts[name] * 1.1) for name in drawn.names}))
        >>> found
        <Estimate: 1 077 (1 054 to 1 101) in 40 pictures, 8 counted by hand>
        >>> found.plan.more
        0
    """
    if not 0.5 <= level < 1:
        raise LikewiseError(f"level {level:g}; expected a share such as 0.95, from 0.5 up to but not 1")
    if interval not in ("log", "t", "bootstrap"):
        raise LikewiseError(f"no interval {interval!r}; there are log, t and bootstrap")
    if compare is not None and by is None:
        raise LikewiseError("compare needs by: the column whose groups are to be compared")
    table = read_counts(counts).taught_by(taught)
    joined = join(table, read_sample(hand), None if design is None else check_design(design))
    chosen = check_estimator(estimator)
    parts = [joined.part(each) for each in joined.rounds]
    totals = [estimate_total(part, chosen) for part in parts]
    weights = [len(part) / sum(map(len, parts)) for part in parts]
    spread = combined([total.spread for total in totals], weights)
    value, slope = (_weighted([getattr(total, key) for total in totals], weights) for key in ("value", "slope"))
    least = float(np.nansum(joined.truth))
    if interval != "bootstrap":
        found = (log_interval if interval == "log" else t_interval)(value, spread, level, least)
    else:
        found = bootstrap_interval(parts, totals, weights, spread, level, least, max(joined.seeds, default=0))
    groups = () if by is None else group_totals(joined, by, _overall(parts), level)
    pair = compare or _only_two(groups)
    truth, probability = (np.concatenate([getattr(part, key) for part in parts]) for key in ("truth", "probability"))
    by_hand = int(np.isfinite(joined.truth).sum())
    plan = plan_of(value, spread.variance, truth, probability, len(table), by_hand, level)
    return Estimate(
        total=found,
        level=level,
        names=table.names,
        counts=table.counts,
        truth=joined.truth,
        made=_made(joined, chosen, interval, slope, by),
        groups=groups,
        comparison=None if pair is None else compare_groups(groups, pair, level),
        plan=plan,
        notes=_notes(joined, by_hand, plan),
    )


def _weighted(values: list[float], weights: list[float]) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def _made(joined: Joined, estimator: Estimator, interval: str, slope: float, by: str | None) -> Made:
    table = joined.table
    return Made(
        estimator=estimator,
        design=joined.design,
        seeds=joined.seeds,
        interval=interval,
        slope=slope,
        by=by,
        source=table.source,
        trust=joined.control.trust,
        taught=len(joined.taught),
        crossfitted=int((table.taught & np.isfinite(table.crossfit)).sum()),
        about=dict(table.about),
    )


def _overall(parts: list[Part]) -> float:
    """All hand counts by the model's counts of the same pictures; 1 where it counted nothing."""
    expected = sum(float((part.counts / part.probability).sum()) for part in parts)
    return sum(float((part.truth / part.probability).sum()) for part in parts) / expected if expected > 0 else 1.0


def _only_two(groups: tuple[Any, ...]) -> tuple[str, str] | None:
    if len(groups) == 2 and all(group.spread is not None for group in groups):
        return groups[0].name, groups[1].name
    return None


def _doubtful_hands(joined: Joined, sampled: NDArray[np.int64]) -> list[str]:
    """Hand counts so far from the model's, as the others are not, that they may be slips of the pen."""
    logs = np.log((joined.truth[sampled] + 1) / (joined.table.counts[sampled].clip(min=0) + 1))
    odd = np.flatnonzero(np.abs(logs - np.median(logs)) > SLIP)
    pairs = [(joined.table.names[sampled[i]], joined.truth[sampled[i]], joined.table.counts[sampled[i]]) for i in odd]
    if not pairs:
        return []
    told = ", ".join(f"{printable(name)} (hand {hand:g}, counted {counted:.0f})" for name, hand, counted in pairs[:5])
    more = f" and {len(pairs) - 5} more" * (len(pairs) > 5)
    return [f"Are these right? {told}{more}: far from the model's counts in a way that the others are not."]


def _notes(joined: Joined, by_hand: int, plan: Plan | None) -> tuple[str, ...]:
    """What a reader has to know of this estimate."""
    if by_hand == len(joined.table):
        return ("Every picture was counted by hand: the total is exact, without any sampling error.",)
    notes = []
    sampled = np.concatenate([each.sample for each in joined.rounds])
    if len(joined.taught):
        notes.append(
            f"{len(joined.taught)} pictures taught the model: they enter with their true counts, and nothing is "
            f"concluded from them about the others; the interval rests on the {len(sampled)} hand counts that the "
            "model never saw."
        )
    crossed = joined.table.taught & np.isfinite(joined.table.crossfit)
    if crossed.any():
        notes.append(
            f"{int(crossed.sum())} pictures taught the model: for these the count of a model that was not taught by "
            "them is used (cross-fitting, Zrnic and Candes, PNAS 2024)."
        )
    notes += _doubtful_hands(joined, sampled)
    if joined.control.trust < 0.5:
        notes.append(
            "By their own intervals, the counts are not to be trusted: they were mostly set aside, and the estimate "
            "rests on the hand counts. Show the model better examples, or teach it, and count again."
        )
    elif plan is not None and len(sampled) >= 8 and plan.unit > 0.8 * plan.hand_unit:
        notes.append(
            "The model's counts make the interval hardly narrower than hand counts alone would. Show it better "
            "examples, or teach it, and count again: the hand counts stay good."
        )
    off = np.abs(joined.truth[sampled] - np.rint(joined.table.counts[sampled]))
    if (off == 0).all():
        rare = 1 - 0.05 ** (1 / len(sampled))
        notes.append(
            "Every hand count agrees with the model's. Mistakes that are rare are not in the interval: up to "
            f"{rare:.0%} of the pictures might have one (95 %, rule of three)."
        )
    if len(sampled) < 8:
        notes.append(f"{len(sampled)} hand counts are few: below 8 an interval is a rough guide.")
    if not joined.seeds and joined.design == "random":
        notes.append("That the pictures were drawn at random is the user's word; the file does not hold a draw.")
    return tuple(notes)
