"""A sample joined with the counts: populations, samples and probabilities, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError
from likewise.estimation.control import HALF_90, Control, control_of
from likewise.estimation.designs import FEWEST
from likewise.estimation.estimators import Part
from likewise.estimation.hand_counts import Design, Draw, Sample
from likewise.estimation.matching import places
from likewise.estimation.table import Counts
from likewise.plain_text import printable

Array = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Round:
    """One round of the sample.

    Attributes:
        population: places of what it was drawn from.
        sample: places of what was drawn.
        probability: of each of the sample.
        strata: number of each one's stratum.
        known: places whose true counts are known beside these: pictures of earlier rounds, and those that taught the
            model.
    """

    population: Places
    sample: Places
    probability: Array
    strata: Places
    known: Places


@dataclass(frozen=True, eq=False)
class Joined:
    """Counts, hand counts and how these were drawn.

    Attributes:
        table: the counts.
        control: of the table.
        truth: (N,) hand counts; NaN where there is none.
        design: of the rounds.
        seeds: of the rounds; none where nobody says.
        rounds: at least one.
        taught: places of pictures that taught the model and enter as what they are, not as a sample.
    """

    table: Counts
    control: Control
    truth: Array
    design: Design
    seeds: tuple[int, ...]
    rounds: tuple[Round, ...]
    taught: Places

    def part(self, each: Round, within: NDArray[np.bool_] | None = None) -> Part:
        """A round as numbers.

        Args:
            each: the round.
            within: (N,) of bool; only these.
        """
        inside = np.ones(len(self.table), bool) if within is None else within
        population, known = each.population[inside[each.population]], each.known[inside[each.known]]
        drawn = inside[each.sample]
        sample = each.sample[drawn]
        return Part(
            self.truth[sample],
            self.control.values[sample],
            self.control.doubt[sample] / HALF_90,
            each.probability[drawn],
            each.strata[drawn],
            len(population),
            float(self.control.values[population].sum()),
            float(self.truth[known].sum()),
        )


def join(table: Counts, sample: Sample, design: Design | None) -> Joined:
    """Join a sample with the counts.

    Args:
        table: the counts of all.
        sample: hand counts.
        design: how the pictures were chosen, for hand counts that do not say so themselves.

    Raises:
        LikewiseError: hand counts of pictures that are not in the table, were not drawn or are missing, fewer than 3, a
            sample that was drawn from other pictures or in no known way.
    """
    names = tuple(sample.hand)
    at = places(names, table.names, "hand count of", table.source)
    truth = np.full(len(table), np.nan)
    truth[at] = list(sample.hand.values())
    taught = np.flatnonzero(table.taught & ~np.isfinite(table.crossfit))
    draws = sample.draws or (_undeclared(table, sample, design, taught),)
    if design is not None and design != draws[0].design:
        raise LikewiseError(
            f"{sample.source} was drawn by the design {draws[0].design}, not {design}; leave the design out"
        )
    drawn = [places(draw.names, table.names, "picture", table.source) for draw in draws]
    _check_draws(sample, draws)
    _check_counts(table, sample, truth, np.concatenate(drawn), taught)
    rounds = _rounds(table, sample, draws, drawn, taught)
    seeds = tuple(draw.seed for draw in sample.draws)
    return Joined(table, control_of(table), truth, draws[0].design, seeds, rounds, taught)


def _check_draws(sample: Sample, draws: Sequence[Draw]) -> None:
    for draw in draws:
        if draw.written not in ("", draw.digest):
            raise LikewiseError(
                f"{sample.source}: its pictures are not the {draw.design} sample that was drawn: a row was exchanged, "
                "added, left out or changed. Fill in the column hand of the file as it was written, every row of it"
            )


def _undeclared(table: Counts, sample: Sample, design: Design | None, taught: Places) -> Draw:
    """The draw of hand counts that are only names and numbers: at random, if the user says so."""
    if design != "random":
        only = f" The probabilities of a {design} sample are in the file of 'likewise sample' only." if design else ""
        raise LikewiseError(
            f"{sample.source} does not say how its pictures were chosen.{only} Were they drawn at random? Then say "
            "so: --design random (design='random'). If not, draw some with 'likewise sample': no interval is true of "
            "a total from pictures picked by eye"
        )
    known = {table.names[place] for place in taught}
    at = places(tuple(sample.hand), table.names, "hand count of", table.source)
    names = tuple(table.names[place] for place in at if table.names[place] not in known)
    of = len(table) - len(known)
    return Draw(names, np.full(len(names), len(names) / max(of, 1)), ("",) * len(names), "random", 0, of)


def _check_counts(table: Counts, sample: Sample, truth: Array, drawn: Places, taught: Places) -> None:
    if len(set(drawn.tolist())) < len(drawn):
        raise LikewiseError(f"{sample.source} has a picture in two rounds; expected every picture once")
    missing = [table.names[place] for place in drawn if not np.isfinite(truth[place])]
    if missing:
        shown = ", ".join(map(printable, missing[:3])) + ", ..." * (len(missing) > 3)
        raise LikewiseError(
            f"{sample.source}: {len(missing)} of {len(drawn)} pictures that were drawn have no hand count yet "
            f"({shown}). Count every one, 0 where there is nothing: a part of a sample is no sample"
        )
    extra = sorted(set(np.flatnonzero(np.isfinite(truth)).tolist()) - set(drawn.tolist()) - set(taught.tolist()))
    if extra:
        raise LikewiseError(
            f"{sample.source}: {printable(table.names[extra[0]])!r} was not drawn. Pictures added by choice make a "
            "total wrong; leave it out, or draw more with 'likewise sample --after'"
        )
    untold = [table.names[place] for place in taught if not np.isfinite(truth[place])]
    if untold:
        raise LikewiseError(
            f"{printable(untold[0])!r} taught the model, so that its count says nothing of others; its true count is "
            f"known: add it to {sample.source} ({len(untold)} such), or give counts of a model without it in a column "
            "crossfit"
        )


def _rounds(
    table: Counts, sample: Sample, draws: Sequence[Draw], drawn: Sequence[Places], taught: Places
) -> tuple[Round, ...]:
    done: set[int] = set()
    rounds = []
    for draw, here in zip(draws, drawn, strict=True):
        rest = set(range(len(table))) - done
        without = rest - set(taught.tolist())
        if draw.of not in (len(rest), len(without)):
            raise LikewiseError(
                f"{sample.source} was drawn from {draw.of} pictures, but {table.source} has {len(without)} to draw "
                "from; expected the counts of the same pictures"
            )
        later = [place for place in taught.tolist() if place in rest]  # taught when the sample was drawn already
        if draw.of == len(rest) and not set(later) <= {place for each in drawn for place in each.tolist()}:
            raise LikewiseError(
                f"{printable(table.names[later[0]])!r} taught the model but was not drawn, and the sample was drawn "
                "from all pictures; teach by pictures of the sample, or teach first and draw then"
            )
        rounds.append(_round(draw, here, without, sorted(done | set(taught.tolist())), set(taught.tolist()), sample))
        done |= set(here.tolist())
    return tuple(rounds)


def _round(draw: Draw, here: Places, population: set[int], known: list[int], taught: set[int], sample: Sample) -> Round:
    """A round without the pictures that taught the model: what is left of it is a sample of what is left."""
    kept = np.array([place not in taught for place in here.tolist()], bool)
    if kept.sum() < FEWEST:
        those = "" if kept.all() else " that did not teach the model"
        raise LikewiseError(
            f"{sample.source} has {int(kept.sum())} hand counts{those}; expected at least {FEWEST}, and better 15"
        )
    strata = np.unique(draw.strata, return_inverse=True)[1]
    probability = draw.probability.copy()
    for each in np.unique(strata):
        inside = strata == each
        left, expected = (kept & inside).sum(), inside.sum() - probability[inside & ~kept].sum()
        probability[inside] = np.minimum(probability[inside] * left / expected, 1.0)
    order = np.array(sorted(population), np.int64)
    return Round(order, here[kept], probability[kept], strata[kept], np.array(known, np.int64))
