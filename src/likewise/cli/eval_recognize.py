"""How well a model recognises a folder of pictures whose names are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.cli.measured import Measured, Row

if TYPE_CHECKING:
    from likewise.engine.recognize_eval import RecognizeReport
    from likewise.predict import Recognizer

#: Classes shown below the table: those that are recognised worst.
WORST = 5


def measure(
    recognizer: Recognizer,
    data: Path,
    *,
    split: str | None,
    limit: int | None,
    progress: Callable[[int, int], None] | None,
) -> Measured:
    """Recognise every picture of a data set and compare with its name."""
    from likewise.data.open_dataset import open_named
    from likewise.engine.recognize_eval import evaluate

    report = evaluate(recognizer, open_named(data, split), limit, progress=progress)
    worst = list(report.per_class().items())[:WORST]
    rows = tuple((f"{share:.1%}", label, "") for label, share in worst if share < 1)
    tables = [("", _rows(report))] + ([("recognised worst", rows)] if rows else [])
    return Measured(report.to_dict(), tuple(tables), report.errors)


def _rows(report: RecognizeReport) -> tuple[Row, ...]:
    summary = report.summary()
    return (
        ("images", f"{summary['images']:.0f}", "pictures recognised"),
        ("top1", f"{summary['top1']:.1%}", "the answer is right"),
        ("top5", f"{summary['top5']:.1%}", "it is among the first five"),
        ("accepted", f"{summary['accepted']:.1%}", "it is not said to show none of the classes"),
        ("seconds_per_image", f"{summary['seconds_per_image']:.4g}", "seconds a picture"),
    )
