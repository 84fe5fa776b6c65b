"""Hand counts, and how the pictures were chosen that have one: the file that `sample` writes and people fill in.

A row is one picture; columns are image, hand (the true count, empty until it is filled in), probability, stratum,
design, round, seed, of and draw. The model's counts are not in it, so that whoever counts is not led by them. ``of`` is
how many pictures the round was drawn from, and ``draw`` a digest of all that was drawn in it: a picture that was
exchanged, added or left out is noticed. A table with names and counts alone is taken, too: a sample at random, if the
user says so.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError, one_of
from likewise.estimation.csv_file import MOST, CsvFile, number_in, write_rows
from likewise.estimation.table import name_column, unit_name
from likewise.plain_text import name_cell, printable

Array = NDArray[np.float64]
Design = Literal["proportional", "random", "stratified"]
DESIGNS: tuple[Design, ...] = get_args(Design)
#: Columns of the file, and what a column of hand counts may be called in others.
COLUMNS = ("image", "hand", "probability", "stratum", "design", "round", "seed", "of", "draw")
HAND = ("hand", "true", "truth", "count", "number")


def check_design(name: str) -> Design:
    """The design by its name.

    Raises:
        LikewiseError: there is no such design.
    """
    return one_of("design", name, DESIGNS)


@dataclass(frozen=True, eq=False)
class Draw:
    """One round of drawing.

    Attributes:
        names: (n,) of the pictures drawn.
        probability: (n,) each had to be drawn.
        strata: (n,) the stratum each was drawn in; "" where there are none.
        design: how.
        seed: of the random numbers.
        of: how many pictures it was drawn from.
        written: its digest, as a file tells it; "" where it comes from no file.
    """

    names: tuple[str, ...]
    probability: Array
    strata: tuple[str, ...]
    design: Design
    seed: int
    of: int
    written: str = ""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def digest(self) -> str:
        """A letter and ten hexadecimal digits that change with anything in it; no spreadsheet takes it for a number."""
        each = sorted(zip(self.names, map(_told, self.probability), self.strata, strict=True))
        return "d" + hashlib.sha256(repr((each, self.design, self.seed, self.of)).encode()).hexdigest()[:10]


@dataclass(frozen=True, eq=False)
class Sample:
    """The pictures to count by hand, and the counts as far as they are known.

    Attributes:
        draws: the rounds, first to last; none where nobody says how the pictures were chosen.
        hand: true count of every picture that has one, by name.
        source: the file, for messages.

    Example:
        >>> import likewise as lw
        >>> chosen = lw.sample({"a.jpg": 3.0, "b.jpg": 40.0, "c.jpg": 12.0, "d.jpg": 7.0}, 3, seed=1)
        >>> len(chosen), len(chosen.filled({chosen.names[0]: 5}).hand)
        (3, 1)
    """

    draws: tuple[Draw, ...]
    hand: Mapping[str, float]
    source: str = "the hand counts"

    @property
    def names(self) -> tuple[str, ...]:
        """All that were drawn, or, where nobody says how, all that have a hand count."""
        return tuple(name for draw in self.draws for name in draw.names) or tuple(self.hand)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        """In a line: how many, by which design, and how many are counted."""
        how = ", ".join(f"{len(draw)} {draw.design} of {draw.of}" for draw in self.draws) or "chosen in no known way"
        return f"<Sample of {len(self)} pictures ({how}), {len(self.hand)} with a hand count>"

    def filled(self, hand: Mapping[str, float]) -> Sample:
        """The same sample with hand counts, by name.

        Raises:
            LikewiseError: a count that is negative or not finite.
        """
        return Sample(self.draws, {**self.hand, **checked(hand)}, self.source)

    def save(self, path: str | Path) -> Path:
        """Write the file to fill in."""
        rows = []
        for number, draw in enumerate(self.draws, 1):
            told = (draw.design, str(number), str(draw.seed), str(draw.of), draw.digest)
            for name, probability, stratum in zip(draw.names, draw.probability, draw.strata, strict=True):
                hand = f"{self.hand[name]:g}" if name in self.hand else ""
                rows.append((name_cell(name), hand, _told(probability), stratum, *told))
        return write_rows(path, COLUMNS, rows)


def _told(probability: float) -> str:
    """A probability with as many digits as a spreadsheet keeps."""
    return f"{probability:.8f}"


def checked(hand: Mapping[str, Any]) -> dict[str, float]:
    """Hand counts as numbers.

    Raises:
        LikewiseError: one is no finite number, 0 or more.
    """
    found = {}
    for name, count in hand.items():
        try:
            value = float(count)
        except (TypeError, ValueError):
            value = math.nan
        if not 0 <= value <= MOST:
            raise LikewiseError(f"{printable(name)}: hand count {count!r}; expected a number, 0 or more")
        found[str(name)] = value
    return found


def read_sample(source: Any) -> Sample:
    """Hand counts from whatever holds them.

    Args:
        source: a `Sample`; a CSV file's path; or names and counts.

    Raises:
        LikewiseError: no file, columns that are missing, a name twice, a count that is none, a file whose rows are not
            those that were drawn.
    """
    if isinstance(source, Sample):
        return source
    if isinstance(source, Mapping):
        return Sample((), checked(source))
    return _from_file(CsvFile.read(source))


def _from_file(file: CsvFile) -> Sample:
    column = name_column(file)
    count = next((name for name in HAND if name in file.header and name != column), None)
    if count is None:
        raise LikewiseError(f"{file.source} has no column of hand counts; expected hand, it has {_listed(file)}")
    hand: dict[str, float] = {}
    lines: dict[str, int] = {}
    for line, row in file.rows:
        name = unit_name(row, column)
        if name in lines:
            raise LikewiseError(
                f"{file.where(line)}: {printable(name)!r} has a row in line {lines[name]} already; expected one a "
                "picture"
            )
        lines[name] = line
        if row[count]:
            hand[name] = number_in(row[count], f"{file.where(line)}: {printable(name)}", "hand count", 0, by_hand=True)
    drawn = {"probability", "design", "round", "seed", "of", "draw"}
    if not drawn & set(file.header):
        return Sample((), hand, file.source)
    if missing := sorted(drawn - set(file.header)):
        raise LikewiseError(
            f"{file.source} lacks {', '.join(missing)}; expected the columns that 'likewise sample' wrote"
        )
    return Sample(_draws(file, column), hand, file.source)


def _listed(file: CsvFile) -> str:
    return ", ".join(file.header)


def _draws(file: CsvFile, column: str) -> tuple[Draw, ...]:
    rounds: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for line, row in file.rows:
        if row["draw"] or row["probability"]:  # others were not drawn: whether that is right, the counts tell
            rounds.setdefault(row["round"], []).append((line, row))
    return tuple(_draw(file, column, rounds[number]) for number in sorted(rounds, key=lambda text: (len(text), text)))


def _draw(file: CsvFile, column: str, rows: Sequence[tuple[int, dict[str, str]]]) -> Draw:
    line, first = rows[0]
    where = file.where(line)
    return Draw(
        tuple(unit_name(row, column) for _, row in rows),
        np.array([number_in(row["probability"], file.where(number), "probability", 0) for number, row in rows]),
        tuple(row.get("stratum", "") for _, row in rows),
        check_design(first["design"]),
        round(number_in(first["seed"], where, "seed")),
        round(number_in(first["of"], where, "of", 1)),
        first["draw"],
    )
