"""Results: sums that survive resizing, messages for bad arrays, JSON, COCO, and overlays people can look at."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from likewise.errors import LikewiseError
from likewise.results import CountResult
from likewise.types import Prompt

RNG = np.random.default_rng(0)


def result(**changes: Any) -> CountResult:
    fields: dict[str, Any] = {
        "grid": RNG.random((30, 40), dtype=np.float32) / 100,
        "size": (200, 150),
        "points": np.array([[10.25, 20.5], [199.0, 149.0]], np.float32),
        "scores": np.array([0.9, 0.5], np.float32),
        "prompt": Prompt(
            ((5, 10, 25, 40), (50, 50, 70, 80)), ((100, 100, 120, 120),), region=((1, 1), (190, 5), (90, 140))
        ),
        "model": "spdcn-lite",
        "seconds": 0.25,
        "image": np.full((150, 200, 3), 90, np.uint8),
        "source": "dishes/first dish.jpg",
        "object_size": (20.0, 30.0),
    }
    return CountResult(**{**fields, **changes})


def resize_sum(density: np.ndarray, height: int, width: int) -> np.ndarray:
    """What a result makes of its grid for a picture of this size."""
    return result(grid=density, size=(width, height)).density


sides = st.integers(1, 40)


@given(sides, sides, sides, sides)
def test_resizing_keeps_the_sum_over_every_area(h: int, w: int, height: int, width: int) -> None:
    density = np.random.default_rng(h * w).random((h, w)).astype(np.float32)
    resized = resize_sum(density, height, width)
    assert resized.shape == (height, width)
    assert resized.dtype == np.float32
    assert resized.sum(dtype=np.float64) == pytest.approx(density.sum(dtype=np.float64), rel=1e-6)
    # any straight cut that falls between pixels on both sides leaves the same on either side
    for cut in range(1, h):
        if (cut * height) % h == 0:
            above = resized[: cut * height // h].sum(dtype=np.float64)
            assert above == pytest.approx(density[:cut].sum(dtype=np.float64), rel=1e-6)


def test_resizing_by_whole_factors_is_summing_and_spreading() -> None:
    density = RNG.random((6, 8), dtype=np.float32)
    np.testing.assert_allclose(resize_sum(density, 3, 2), density.reshape(3, 2, 2, 4).sum((1, 3)), rtol=1e-6)
    spread = np.repeat(np.repeat(density, 2, 0), 3, 1) / 6
    np.testing.assert_allclose(resize_sum(density, 12, 24), spread, rtol=1e-6)


def test_the_density_is_the_callers_and_sums_to_the_count() -> None:
    r = result()
    assert r.density.shape == (150, 200)
    assert r.density.sum(dtype=np.float64) == pytest.approx(r.count, rel=1e-6)
    assert r.count == pytest.approx(r.grid.astype(np.float64).sum())
    assert r.density is r.density


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": np.zeros((1, 3, 4), np.float32)}, r"grid must have shape \(h, w\) of float32, got \(1, 3, 4\)"),
        ({"grid": np.zeros((3, 4))}, "grid .* got .* of float64"),
        ({"points": np.zeros((2, 3), np.float32)}, r"points must have shape \(N, 2\), got \(2, 3\)"),
        ({"scores": np.zeros(3, np.float32)}, r"scores must have shape \(2,\), one a point, got \(3,\)"),
        ({"image": np.zeros((5, 5), np.uint8)}, r"image must have shape \(H, W, 3\) of uint8, got \(5, 5\)"),
        ({"image": np.zeros((5, 5, 3), np.float32)}, "got .* of float32"),
        ({"grid": np.full((2, 2), np.nan, np.float32)}, "grid holds values that are not finite"),
        ({"points": np.full((2, 2), np.inf, np.float32)}, "points holds values that are not finite"),
        ({"scores": np.full(2, np.nan, np.float32)}, "scores holds values that are not finite"),
    ],
)
def test_bad_arrays_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LikewiseError, match=message):
        result(**changes)


def test_the_dictionary_is_plain_json_with_these_keys() -> None:
    record = json.loads(json.dumps(result().to_dict(), allow_nan=False))
    keys = ["image", "model", "count", "low", "high", "untrusted", "points", "found", "warnings", "seconds"]
    assert list(record) == keys
    assert record["untrusted"] is False
    assert (record["low"], record["high"], record["warnings"]) == (None, None, [])
    assert result(found=((1.0, 2.0, 3.0, 4.004),)).to_dict()["found"] == [[1, 2, 3, 4]]
    sure = result(interval=(4.04, 9.25), warnings=("Look again.",)).to_dict()
    assert (sure["low"], sure["high"], sure["warnings"]) == (4.04, 9.25, ["Look again."])
    assert record["image"] == "dishes/first dish.jpg"
    assert record["points"] == [[10.25, 20.5], [199.0, 149.0]]
    assert result(points=np.zeros((0, 2), np.float32), scores=np.zeros(0, np.float32)).to_dict()["points"] == []


def test_coco_is_read_by_pycocotools(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(result().to_coco(), allow_nan=False))
    with contextlib.redirect_stdout(io.StringIO()):
        data = coco.COCO(path)
    annotations = data.loadAnns(data.getAnnIds(imgIds=[1], catIds=[1]))
    assert [a["bbox"] for a in annotations] == [[0.25, 5.5, 20.0, 30.0], [189.0, 134.0, 11.0, 16.0]]
    assert [a["area"] for a in annotations] == [600.0, 176.0]
    assert [a["keypoints"] for a in annotations] == [[10.25, 20.5, 2], [199.0, 149.0, 2]]
    assert data.loadCats([1])[0]["keypoints"] == ["centre"]
    assert data.loadImgs([1])[0]["width"] == 200


def test_coco_beside_its_picture_is_a_counting_data_set(tmp_path: Path) -> None:
    from likewise.data.counting.folder import CountingFolder

    r = result(source="dish.png")
    Image.fromarray(r.image).save(tmp_path / "dish.png")
    (tmp_path / "annotations.json").write_text(json.dumps(r.to_coco()))
    sample = CountingFolder(tmp_path)[0]
    np.testing.assert_allclose(sample.points, r.points)
    np.testing.assert_allclose(sample.exemplars, r.prompt.exemplars)


def test_saving_writes_what_it_says(tmp_path: Path) -> None:
    r = result(signs={"few": 0.25})
    path = r.save(tmp_path / "new" / "folder")
    assert path.name == "first dish_count.png"
    with Image.open(path) as picture:
        assert max(picture.size) == 900
    record = json.loads(path.with_name("first dish_count.json").read_text())
    assert record["prompt"] == json.loads(json.dumps(r.prompt.to_dict()))
    assert record["scores"] == pytest.approx([0.9, 0.5])
    assert record["signs"] == {"few": 0.25}
    np.testing.assert_array_equal(np.load(path.with_name("first dish_density.npy")), r.density)
    assert result(source=None).save(tmp_path).name == "picture_count.png"
    assert r.save(tmp_path, "named").name == "named_count.png"


def test_an_even_density_holds_one_object_in_a_box() -> None:
    shown = result(object_size=(20.0, 10.0))
    cell = shown.size[0] * shown.size[1] / shown.grid.size
    assert shown.even * 20 * 10 / cell == pytest.approx(1)
    nobody_knows = result(object_size=None)
    assert nobody_knows.even * shown.grid.size == pytest.approx(100)


def test_the_overlay_says_how_sure_the_count_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str, bool]] = []

    def captioned(picture: Image.Image, title: str, line: str, *, doubtful: bool) -> Image.Image:
        said.append((title, line, doubtful))
        return picture

    monkeypatch.setattr("likewise.results.count.captioned", captioned)
    plain, sure = result(), result(interval=(3.6, 9.2), warnings=("Look.", "Again."))
    for r in (plain, sure):
        r.plot()
    assert said[0] == (f"{plain.count:.0f}", f"{plain.count:.2f} by spdcn-lite", False)
    line = f"{sure.count:.2f}, likely 4 to 9, by spdcn-lite (2 warnings)"
    assert said[1] == (f"{sure.count:.0f}?", line, True)


def test_a_count_that_cannot_be_trusted_says_so_in_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, bool]] = []

    def captioned(picture: Image.Image, title: str, line: str, *, doubtful: bool) -> Image.Image:
        said.append((title, doubtful))
        return picture

    monkeypatch.setattr("likewise.results.count.captioned", captioned)
    wild = result(untrusted=True)
    wild.plot()
    assert said == [(f"{wild.count:.0f} untrusted", True)]
    assert f"{wild.count:.2f}, untrusted by" in repr(wild)
    assert (wild.likely, result().likely, result(interval=(3.6, 9.2)).likely) == ("untrusted", "", "4 to 9")
    record = wild.to_dict()
    assert (record["low"], record["high"], record["untrusted"]) == (None, None, True)


def test_a_crowd_is_drawn_large_enough_to_tell_its_points_apart() -> None:
    places = np.stack(np.meshgrid(np.arange(100), np.arange(100)), -1).reshape(-1, 2) * 40.0 + 20
    crowd = {"points": places.astype(np.float32), "scores": np.ones(10_000, np.float32), "prompt": Prompt()}
    r = result(size=(4000, 4000), image=np.zeros((1000, 1000, 3), np.uint8), **crowd)
    drawn = np.asarray(r.plot())[:1000]  # the points are 10 pixels apart
    assert drawn.shape[1] == 1000
    green = (drawn == (72, 255, 120)).all(-1)
    assert green[5::10, 5::10].mean() > 0.9
    assert not green[10::10].any()
    closer = result(size=(4000, 4000), image=np.zeros((500, 500, 3), np.uint8), **crowd).plot()
    assert closer.width >= 1000


@pytest.mark.parametrize("size", [(1, 1), (97, 131), (3000, 60), (60, 3000), (4000, 3000)])
def test_any_picture_gets_an_overlay_of_a_bounded_size(size: tuple[int, int]) -> None:
    width, height = size
    points = np.array([[width / 2, height / 2]], np.float32)
    r = result(
        size=size,
        image=np.zeros((height, width, 3), np.uint8),
        points=points,
        scores=np.ones(1, np.float32),
        prompt=Prompt(),
    )
    picture = r.plot()
    assert picture.mode == "RGB"
    longest = min(max(*size, 900), 1600)  # of the picture; the count stands beside it
    assert longest <= max(picture.size) <= 1.11 * longest
    middle = picture.getpixel((int(width / 2 * longest / max(size)), int(height / 2 * longest / max(size))))
    assert middle[1] > 200  # the point's green


def test_a_large_picture_is_drawn_on_at_its_own_size() -> None:
    """Fine lines stay, which a copy of 1600 pixels does not hold; dots lie where they lie in the picture."""
    pixels = np.zeros((1800, 2400, 3), np.uint8)
    pixels[:, ::2] = 200
    points = np.array([[600.5, 450.5], [2300.5, 1700.5]], np.float32)
    held = result(
        grid=np.zeros((45, 60), np.float32),
        size=(2400, 1800),
        points=points,
        prompt=Prompt(),
        image=pixels[::2, ::2].copy(),
    )
    drawn = np.asarray(held.plot(pixels))
    assert drawn.shape[1] == 2400
    np.testing.assert_array_equal(drawn[10:400, 10:500], pixels[10:400, 10:500])
    assert all(drawn[int(y), int(x)].tolist() == [72, 255, 120] for x, y in points)
    assert held.plot().width == 1200


def test_what_is_drawn_on_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likewise.draw.LARGEST_AREA", 1_000_000)
    pixels = np.full((1000, 4000, 3), 90, np.uint8)
    held = result(
        size=(4000, 1000), points=np.zeros((0, 2), np.float32), scores=np.zeros(0, np.float32), prompt=Prompt()
    )
    assert held.plot(pixels).width == 2000
