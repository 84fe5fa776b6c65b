"""Whether a counter's counts follow what it is asked for: PairTally's and PrACo's protocols."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from likewise.cli.measured import Measured, Row

if TYPE_CHECKING:
    from likewise.engine.pairtally import PairTally
    from likewise.engine.praco import PrACo
    from likewise.predict import Counter, NamedCounter


def measure_pairtally(
    counter: Counter | NamedCounter,
    data: Path,
    *,
    split: str | None,
    limit: int | None,
    progress: Callable[[int, int], None] | None,
    prompts: Literal["classes", "texts"] | None = None,
) -> Measured:
    """Ask pictures that show several kinds for each of them."""
    from likewise.engine.kinds import open_kinds
    from likewise.engine.pairtally import PAIRS, pair_tally

    found = pair_tally(counter, open_kinds(data, split, prompts=prompts), limit, progress=progress)
    captions = {
        None: f"PairTally: {found.pictures} pictures that show several kinds, asked for each of them",
        "inter": "beside kinds of other names",
        "intra": "beside a kind whose name differs only in adjectives, such as another colour, size or sort",
    }
    tables = [(captions[pair], _pair_rows(found, pair)) for pair in (None, *PAIRS) if found.of(pair)["prompts"]]
    return Measured(found.to_dict(), tuple(tables), found.errors)


def measure_praco(
    counter: Counter | NamedCounter,
    data: Path,
    *,
    split: str | None,
    limit: int | None,
    progress: Callable[[int, int], None] | None,
    prompts: Literal["classes", "texts"] | None = None,
) -> Measured:
    """Ask pictures for what they do not show, and show them beside others."""
    from likewise.engine.kinds import open_kinds
    from likewise.engine.praco import praco

    found = praco(counter, open_kinds(data, split, prompts=prompts), limit, progress=progress)
    return Measured(found.to_dict(), _praco_tables(found), found.errors)


def _pair_rows(found: PairTally, pair: Literal["inter", "intra"] | None) -> tuple[Row, ...]:
    numbers = found.of(pair)
    return (
        ("prompts", f"{numbers['prompts']:.0f}", "questions"),
        ("mae", f"{numbers['mae']:.4g}", "mean absolute error, objects"),
        ("rmse", f"{numbers['rmse']:.4g}", "root mean squared error, objects"),
        ("nae", f"{numbers['nae']:.1%}", "mean relative error"),
    )


def _praco_tables(found: PrACo) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    numbers = found.summary()
    labels = (
        (
            "images",
            f"{numbers['images']:.0f}",
            "kinds in pictures, each asked for, and for all kinds that are not there",
        ),
        ("mae", f"{numbers['mae']:.4g}", "mean absolute error of the right kind, objects"),
        ("rmse", f"{numbers['rmse']:.4g}", "its root mean squared error, objects"),
        ("nmn", f"{numbers['nmn']:.4g}", "counted for what is not there, of what is; best 0"),
        (
            "pccn",
            f"{numbers['pccn']:.1%}",
            "of pictures, the right kind's count is nearer to the truth than that; best 100",
        ),
    )
    mosaics = (
        ("mosaics", f"{numbers['mosaics']:.0f}", "pictures with one of another kind below"),
        ("cnt_precision", f"{numbers['cnt_precision']:.4g}", "of what is counted is there and asked for; best 1"),
        ("cnt_recall", f"{numbers['cnt_recall']:.4g}", "of what is there and asked for is counted; best 1"),
        ("cnt_f1", f"{numbers['cnt_f1']:.4g}", "the harmonic mean of both"),
    )
    return ("PrACo, negative labels", labels), ("PrACo, mosaic", mosaics)
