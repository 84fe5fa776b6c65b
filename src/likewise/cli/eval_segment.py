"""How well a model segments what examples show, on pictures whose masks are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.cli.measured import Measured, Row

if TYPE_CHECKING:
    from likewise.data.fewshot.labelled import InFolds
    from likewise.data.masks import Marking
    from likewise.engine.segment_eval import SegmentReport
    from likewise.predict import Segmenter

#: Episodes of a fold where --limit says nothing: as many as were published.
EPISODES = 1000
#: What is measured of a fold, and averaged over the folds.
MEANS = ("miou", "boundary_iou", "fb_iou")


def measure(
    segmenter: Segmenter,
    data: Path,
    *,
    split: str | None,
    limit: int | None,
    progress: Callable[[int, int], None] | None,
    shots: int = 1,
    fold: int | None = None,
    seed: int = 0,
    support: Marking = "mask",
) -> Measured:
    """Segment episodes of the novel classes of one fold, or of each, and compare with the truth."""
    from likewise.data.fewshot.episodes import Episodes
    from likewise.engine.segment_eval import Memory, evaluate

    memory, reports = Memory(), {}
    for each, novel in _novel(data, split, fold):
        episodes = Episodes(novel, shots, seed=seed, length=EPISODES if limit is None else limit)
        reports[each] = evaluate(segmenter, episodes, support=support, memory=memory, progress=progress)
    tables = [("", _rows(reports))] + [(f"IoU by class, fold {f}", _classes(r)) for f, r in reports.items()]
    return Measured(_values(reports), tuple(tables), tuple(e for r in reports.values() for e in r.errors))


def _novel(data: Path, split: str | None, fold: int | None) -> Iterator[tuple[int, InFolds]]:
    """The folds that are asked for, each with its novel classes."""
    from likewise.data.open_dataset import open_labelled

    first = open_labelled(data, split, fold or 0, "novel")
    yield fold or 0, first
    for other in range(1, first.folds if fold is None else 0):
        yield other, open_labelled(data, split, other, "novel")


def _values(reports: dict[int, SegmentReport]) -> dict[str, Any]:
    folds = {str(fold): report.to_dict() for fold, report in reports.items()}
    mean = _mean(reports)
    return {
        **mean,
        "folds": {fold: {key: held[key] for key in ("images", *MEANS, "per_class")} for fold, held in folds.items()},
        "per_image": [{"fold": int(fold), **each} for fold, held in folds.items() for each in held["per_image"]],
        "errors": [each for held in folds.values() for each in held["errors"]],
    }


def _mean(reports: dict[int, SegmentReport]) -> dict[str, float]:
    summaries = [report.summary() for report in reports.values()]
    means = {key: sum(s[key] for s in summaries) / len(summaries) for key in (*MEANS, "seconds_per_image")}
    return {"images": sum(s["images"] for s in summaries), **means}


def _rows(reports: dict[int, SegmentReport]) -> tuple[Row, ...]:
    mean = _mean(reports)
    each = ", ".join(f"{report.summary()['miou']:.1%}" for report in reports.values())
    over = f"mean intersection over union of the novel classes (folds {', '.join(map(str, reports))}: {each})"
    return (
        ("images", f"{mean['images']:.0f}", "episodes segmented"),
        ("miou", f"{mean['miou']:.1%}", over),
        ("boundary_iou", f"{mean['boundary_iou']:.1%}", "the same of boundaries, 2 % of the picture's diagonal deep"),
        ("fb_iou", f"{mean['fb_iou']:.1%}", "the same of things, whatever they are, and background"),
        (
            "seconds_per_image",
            f"{mean['seconds_per_image']:.4g}",
            "seconds an episode, pictures seen before for nothing",
        ),
    )


def _classes(report: SegmentReport) -> tuple[Row, ...]:
    return tuple((name, f"{report.overlaps.of(name):.1%}", "") for name in report.overlaps.counts)
