"""How well a model counts a folder of pictures whose counts are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from likewise.cli.measured import Measured, Row

if TYPE_CHECKING:
    from likewise.engine.count_eval import CountReport
    from likewise.engine.sensitivity import Sensitivity
    from likewise.predict import Counter, NamedCounter


def measure(
    counter: Counter | NamedCounter,
    data: Path,
    *,
    split: str | None,
    limit: int | None,
    progress: Callable[[int, int], None] | None,
    category: str | None = None,
    exemplars: int | None = None,
    prompts: Literal["classes", "texts"] | None = None,
    both: bool = False,
    trust: Literal["fast", "full"] | None = None,
) -> Measured:
    """Count every picture of a data set and compare with the truth."""
    from likewise.data.counting.folder import CountingFolder
    from likewise.data.open_dataset import open_counting
    from likewise.engine.count_eval import evaluate, takes
    from likewise.engine.sensitivity import prompt_sensitivity

    dataset = open_counting(data, split, category, prompts=prompts, exemplars=exemplars)
    report = evaluate(counter, dataset, limit, exemplars=exemplars, both=both, trust=trust, progress=progress)
    several = isinstance(dataset, CountingFolder) and len(dataset.categories) > 1
    asked = several and "text" in takes(counter)
    kinds = CountingFolder(data, split, category, targets="all") if asked else None
    asked_for = None if kinds is None else prompt_sensitivity(counter, kinds, limit, progress=progress)
    values = report.to_dict() | ({} if asked_for is None else {"prompts": asked_for.to_dict()})
    tables = [("", _rows(report))]
    if report.trust():
        tables.append(("can the counts be trusted?", trust_rows(report.trust())))
    if asked_for is not None:
        caption = f"asked for each kind by name in {asked_for.pictures} pictures that show several"
        tables.append((caption, _name_rows(asked_for)))
    return Measured(values, tuple(tables), report.errors)


def _rows(report: CountReport) -> tuple[Row, ...]:
    summary = report.summary()
    left_out = f", {report.empty} empty pictures left out" * bool(report.empty)
    return (
        ("images", f"{summary['images']:.0f}", "pictures counted"),
        ("mae", f"{summary['mae']:.4g}", "mean absolute error, objects"),
        ("rmse", f"{summary['rmse']:.4g}", "root mean squared error, objects"),
        ("nae", f"{summary['nae']:.1%}", f"mean relative error{left_out}"),
        ("sre", f"{summary['sre']:.4g}", "squared relative error"),
        ("seconds_per_image", f"{summary['seconds_per_image']:.4g}", "seconds a picture"),
    )


def trust_rows(found: dict[str, float]) -> tuple[Row, ...]:
    """What `CountReport.trust` found, in words."""
    return (
        ("coverage", f"{found['coverage']:.1%}", "of truths inside the interval that should hold 90 %"),
        ("width", f"{found['width']:.1%}", "mean width of the intervals, of the truth"),
        ("interval_score", f"{found['interval_score']:.3g}", "width and what is missed, in log counts; less is better"),
        ("untrusted", f"{found['untrusted']:.1%}", "of counts come without an interval that is of use"),
        ("nae_doubtful", f"{found['nae_doubtful']:.1%}", "mean relative error of the third with the widest intervals"),
        ("nae_rest", f"{found['nae_rest']:.1%}", "of the others"),
        ("warned", f"{found['warned']:.1%}", "of counts come with a warning"),
        ("nae_warned", f"{found['nae_warned']:.1%}", "mean relative error of those"),
        ("nae_unwarned", f"{found['nae_unwarned']:.1%}", "of the others"),
    )


def _name_rows(names: Sensitivity) -> tuple[Row, ...]:
    return (
        ("follows", f"{names.follows:.1%}", "of pairs of kinds, the count moves to the one that is named"),
        ("nae", f"{names.nae:.1%}", "mean relative error of the named kind"),
        ("absent", f"{names.absent:.1%}", "counted for a name that is not there, of the objects that are"),
    )
