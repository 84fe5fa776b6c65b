"""`sample`: which pictures to count by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from likewise.errors import LikewiseError
from likewise.estimation.control import control_of
from likewise.estimation.designs import draw
from likewise.estimation.hand_counts import Sample, check_design, read_sample
from likewise.estimation.matching import places
from likewise.estimation.table import read_counts
from likewise.plain_text import printable


def sample(
    counts: Any,
    n: int,
    design: str = "proportional",
    seed: int = 0,
    *,
    by: str | None = None,
    after: Any = None,
) -> Sample:
    """Draw the pictures to count by hand, so that `likewise.estimate` of their true counts is design-based.

    Pictures that the model was taught by are not drawn: their counts are known.

    Args:
        counts: of all pictures: a CSV file's path, names and counts, or results; see `likewise.estimation.read_counts`.
        n: how many, at least 3.
        design: ``proportional``: large and doubtful counts are likelier, the narrowest interval where the model counts
            well. ``random``: all alike. ``stratified``: at random within groups.
        seed: the same gives the same sample.
        by: a column of the table whose groups are the strata; None: groups of like doubt.
        after: a sample, or its file, whose pictures are counted already: n more are drawn from the rest, and the result
            has both.

    Returns:
        The sample; its ``save`` writes the file to fill in.

    Raises:
        LikewiseError: a number, a design or a column that does not fit.

    Example:
        >>> drawn = sample({f"{i}.jpg": 5.0 + i for i in range(40)}, 8, seed=1)
        >>> drawn
        <Sample of 8 pictures (8 proportional of 40), 0 with a hand count>
    """
    table = read_counts(counts)
    chosen = check_design(design)
    if by is not None and chosen != "stratified":
        raise LikewiseError(f"by={by!r} makes strata; take the design stratified with it")
    before = Sample((), {}) if after is None else read_sample(after)
    if after is not None and not before.draws:
        raise LikewiseError(
            f"{before.source} does not say how its pictures were drawn; expected what 'likewise sample' wrote"
        )
    open_ = ~table.taught
    open_[places(before.names, table.names, "picture", table.source)] = False
    left = np.flatnonzero(open_)
    if len(left) < n:
        used = "" if len(left) == len(table) else f", {len(table) - len(left)} of its {len(table)} are known already"
        raise LikewiseError(f"-n {n}: {printable(table.source)} has {len(left)} pictures to draw from{used}")
    groups = None if by is None else tuple(table.groups(by)[place] for place in left)
    names = tuple(table.names[place] for place in left)
    drawn = draw(names, control_of(table).sizes[left], n, chosen, seed, groups)
    return Sample((*before.draws, drawn), before.hand, before.source)
