"""Evaluation of counters whose errors are known beforehand."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from likewise.data.counting.folder import CountingFolder
from likewise.engine.count_eval import Counted, CountReport, evaluate
from likewise.errors import LikewiseError


@dataclass
class Result:
    count: float
    seconds: float = 0.25


class Off:
    """Counts the white pixels of a picture, and some more; keeps what it was asked."""

    def __init__(self, by: float = 0.0, prompts: tuple[str, ...] | None = None) -> None:
        self.by = by
        self.asked: list[dict[str, Any]] = []
        if prompts is not None:
            self.model = type("Model", (), {"prompts": prompts})

    def count(self, image: np.ndarray, exemplars: Any = (), *, text: str | None = None) -> Result:
        if not exemplars and text is None:
            raise LikewiseError("does not know what to count")
        self.asked.append({"exemplars": exemplars, "text": text})
        assert image.dtype == np.uint8
        return Result((image.min(axis=2) == 255).sum() + self.by)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures with 4, 0, 2 and 10 white pixels; the last has a count only, the second no prompt but a text."""
    images, notes = [], []
    for number, count in enumerate((4, 0, 2, 10)):
        pixels = np.zeros((20, 30, 3), np.uint8)
        pixels[5, :count] = 255
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        exemplars = [[1, 4, 3, 7], [2, 4, 4, 7], [3, 4, 5, 7]] if number != 1 else []
        images.append(
            {"id": number, "file_name": f"{number}.png", "exemplars": exemplars, "count": count, "prompt": "dots"}
        )
        points = range(count) if number < 3 else ()
        notes += [{"image_id": number, "point": [x + 0.5, 5.5]} for x in points]
    (tmp_path / "annotations.json").write_text(json.dumps({"images": images, "annotations": notes}))
    return tmp_path


def test_a_perfect_counter_makes_no_error(folder: Path):
    report = evaluate(Off(), CountingFolder(folder))
    assert report.summary() == {"images": 4, "mae": 0, "rmse": 0, "nae": 0, "sre": 0, "seconds_per_image": 0.25}
    assert [(p.image, p.truth, p.count) for p in report.per_image] == [
        ("0.png", 4, 4),
        ("1.png", 0, 0),
        ("2.png", 2, 2),
        ("3.png", 10, 10),
    ]


def test_known_errors(folder: Path):
    report = evaluate(Off(by=3), CountingFolder(folder))
    summary = report.summary()
    assert summary["mae"] == summary["rmse"] == 3
    assert summary["nae"] == pytest.approx((3 / 4 + 3 / 2 + 3 / 10) / 3)
    assert summary["sre"] == pytest.approx(math.sqrt((9 / 4 + 9 / 2 + 9 / 10) / 3))
    assert report.empty == 1


def test_prompts_are_the_exemplars_or_else_the_name(folder: Path):
    counter = Off()
    evaluate(counter, CountingFolder(folder), exemplars=2)
    assert [len(a["exemplars"]) for a in counter.asked] == [2, 0, 2, 2]
    assert counter.asked[0]["exemplars"] == [(1, 4, 3, 7), (2, 4, 4, 7)]
    assert [a["text"] for a in counter.asked] == [None, "dots", None, None]
    by_name = Off(prompts=("text",))
    evaluate(by_name, CountingFolder(folder))
    assert [a["text"] for a in by_name.asked] == ["dots"] * 4


def test_what_cannot_be_read_or_asked_is_reported(folder: Path):
    (folder / "2.png").write_bytes(b"broken")
    content = json.loads((folder / "annotations.json").read_text())
    del content["images"][1]["prompt"]
    (folder / "annotations.json").write_text(json.dumps(content))
    report = evaluate(Off(), CountingFolder(folder))
    assert [p.image for p in report.per_image] == ["0.png", "3.png"]
    assert [image for image, _ in report.errors] == ["1.png", "2.png"]
    assert "does not know what to count" in report.errors[0][1]
    assert "2.png cannot be read" in report.errors[1][1]


def test_limit_and_progress(folder: Path):
    calls: list[tuple[int, int]] = []
    report = evaluate(Off(), CountingFolder(folder), 3, progress=lambda done, total: calls.append((done, total)))
    assert len(report.per_image) == 3
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert len(evaluate(Off(), CountingFolder(folder), 99).per_image) == 4
    for wrong in ({"limit": 0}, {"exemplars": 0}):
        with pytest.raises(LikewiseError, match="expected at least 1"):
            evaluate(Off(), CountingFolder(folder), **wrong)


def test_a_report_is_plain_json(folder: Path):
    values = json.loads(json.dumps(evaluate(Off(by=1), CountingFolder(folder)).to_dict(), allow_nan=False))
    assert {"images", "mae", "rmse", "nae", "sre", "seconds_per_image", "per_image"} <= values.keys()
    first = {"image": "0.png", "prompt": "dots", "truth": 4, "count": 5, "seconds": 0.25}
    assert values["per_image"][0] == first | {
        "low": None,
        "high": None,
        "untrusted": False,
        "warnings": [],
        "signs": {},
    }
    assert "coverage" not in values
    nothing = CountReport((), (("a.png", "broken"),)).to_dict()
    assert nothing["images"] == 0
    assert nothing["mae"] is nothing["seconds_per_image"] is None
    assert nothing["errors"] == [{"image": "a.png", "error": "broken"}]


def test_trust_is_measured_by_coverage_and_by_the_errors_of_what_was_doubted():
    """Nine pictures of ten things; the intervals of three are wide, and four come with a warning."""
    counts = (10, 11, 9, 10, 12, 10, 20, 4, 16)
    ends = ((9, 11), (10, 12), (8, 10), (10.4, 12), (11.2, 13), (9, 11), (4, 40), (2, 30), (5, 50))
    report = CountReport(
        tuple(
            Counted(str(i), None, 10.0, float(c), 0.1, low, high, ("Look.",) * (i >= 5))
            for i, (c, (low, high)) in enumerate(zip(counts, ends, strict=True))
        )
    )
    found = report.trust()
    assert found["coverage"] == pytest.approx(8 / 9)  # 10.4 is still ten; 11.2 is not
    assert found["width"] == pytest.approx((2 + 2 + 2 + 1.6 + 1.8 + 2 + 36 + 28 + 45) / 90)
    assert found["untrusted"] == 0
    assert found["nae_doubtful"] == pytest.approx((1.0 + 0.6 + 0.6) / 3)
    assert found["nae_rest"] == pytest.approx((0 + 0.1 + 0.1 + 0 + 0.2 + 0) / 6)
    assert found["warned"] == pytest.approx(4 / 9)
    assert found["nae_warned"] == pytest.approx((0 + 1.0 + 0.6 + 0.6) / 4)
    assert found["nae_unwarned"] == pytest.approx(0.4 / 5)
    assert report.to_dict()["coverage"] == found["coverage"]


def test_where_an_interval_is_not_known_a_count_is_doubted_most():
    counted = [
        Counted(str(i), None, 10.0, float(c), 0.1, low, high, ())
        for i, (c, low, high) in enumerate(((40, None, None), (10, 1, 99), (10, 9, 11)))
    ]
    found = CountReport(tuple(counted)).trust()
    assert (found["coverage"], found["nae_doubtful"], found["nae_rest"]) == (1.0, 3.0, 0.0)
    assert found["untrusted"] == pytest.approx(1 / 3)


def test_interval_signs_and_warnings_reach_the_report(folder: Path):
    class Sure(Off):
        def count(self, image: np.ndarray, exemplars: Any = (), *, text: str | None = None, trust: str = "none") -> Any:
            result = super().count(image, exemplars, text=text)
            result.interval, result.warnings, result.signs = (1.0, 5.0), (trust,), {"few": 0.5}
            result.untrusted = trust == "full"
            return result

    for how in ("fast", "full"):
        first = evaluate(Sure(), CountingFolder(folder), trust=how).per_image[0]
        assert (first.low, first.high, first.warnings, first.signs) == (1.0, 5.0, (how,), {"few": 0.5})
        assert first.untrusted == (how == "full")
