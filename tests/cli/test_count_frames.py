"""``likewise count --frames``: films and stacks in time as people count them.

The weights are random: what is tested is what happens to the numbers, not the numbers.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from likewise.predict import Counter, load
from likewise.predict import frames as predict_frames
from likewise.results import film

BOX = ("--box", "10,10,30,30")
Count = Callable[..., tuple[int, str, str]]


def stack(name: str, frames: int = 4, seed: int = 0) -> np.ndarray:
    held = np.random.default_rng(seed).integers(0, 256, (frames, 60, 80), dtype=np.uint8)
    tifffile.imwrite(name, held, imagej=True, metadata={"axes": "TYX"})
    return held


def read(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(table).read_text(encoding="utf-8-sig").splitlines()))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_line_a_frame_and_a_summary(here: Path, count: Count, model: str) -> None:
    held = stack("dish.tif")
    code, out, err = count("dish.tif", "--frames", "::2", *BOX)
    first, *lines = out.splitlines()
    assert (code, err) == (0, "")
    assert first.startswith("dish.tif: 2 frames, mean ")
    assert [line.split(":")[0] for line in lines[:2]] == ["  frame 0", "  frame 2"]
    alone = load(model).count(held[0], [(10, 10, 30, 30)]).count
    assert float(lines[0].split(":")[1].split("(")[0]) == pytest.approx(alone, abs=0.06)


def test_what_lies_in_the_folder(here: Path, count: Count) -> None:
    pytest.importorskip("av", reason="the extra video is not installed")
    stack("dish.tif")
    code, out, _ = count("dish.tif", "--frames", "all", *BOX, "-o", "out")
    assert code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "dish_count.mp4",
        "dish_frames.csv",
        "dish_frames.png",
    ]
    assert all(f"out/dish_{end}" in out for end in ("count.mp4", "frames.csv", "frames.png"))
    rows = read("out/dish_frames.csv")
    assert [row["frame"] for row in rows] == ["0", "1", "2", "3"]
    with Image.open("out/dish_frames.png") as chart:
        assert chart.size == (1200, 640)
    # drawn over when it is counted again, and no picture when the folder is
    assert count("dish.tif", "--frames", "0", *BOX, "-o", "out")[0] == 0
    assert len(list(Path("out").iterdir())) == 3
    assert len(read("out/dish_frames.csv")) == 1
    assert count("out", *BOX)[1] == ""


def test_without_an_encoder_the_film_is_left_out_with_a_note(
    here: Path, count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack("dish.tif")
    monkeypatch.setattr(film, "ENCODERS", {})
    code, _, err = count("dish.tif", "--frames", "all", *BOX, "-o", "out")
    assert code == 0
    assert "note: no film with the counts is written" in err
    assert sorted(path.name for path in Path("out").iterdir()) == ["dish_frames.csv", "dish_frames.png"]
    assert "note" not in count("dish.tif", "--frames", "all", *BOX)[2]  # where none would have been


def test_json(here: Path, count: Count) -> None:
    stack("dish.tif")
    code, out, _ = count("dish.tif", "--frames", "1:3", *BOX, "--json")
    [record] = map(json.loads, out.splitlines())
    assert code == 0
    assert record["image"] == "dish.tif"
    assert [frame["frame"] for frame in record["frames"]] == [1, 2]
    assert record["mean"] == pytest.approx(np.mean([frame["count"] for frame in record["frames"]]), abs=1e-3)


class TestSeveral:
    @pytest.fixture(autouse=True)
    def films(self, here: Path) -> None:
        for seed, name in enumerate(("a.tif", "b.tif", "c.tif")):
            stack(name, seed=seed)
        held = Path("c.tif").read_bytes()
        Path("c.tif").write_bytes(held[: len(held) // 3])

    def test_a_row_a_film_and_the_broken_one_at_the_end(self, count: Count) -> None:
        code, out, err = count("*.tif", "--frames", "::2", *BOX, "--csv", "t.csv")
        assert code == 1
        assert len(out.splitlines()) >= 2
        assert "frame 0: " not in [line.strip()[:9] for line in out.splitlines() if not line.startswith("  !")]
        assert "the same pixels are taken in the first frame of all 3 films" in err
        assert "c.tif" in err
        rows = read("t.csv")
        assert [(row["image"], row["frames"]) for row in rows] == [("a.tif", "2"), ("b.tif", "2")]
        assert all(float(row["least"]) <= float(row["mean"]) <= float(row["greatest"]) for row in rows)
        assert json.loads(rows[0]["prompt"])["frames"] == "::2"

    def test_it_goes_on_where_it_stopped(self, count: Count, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
        Path("c.tif").unlink()
        whole = predict_frames.count_frames

        def stopped(counter: Counter, path: Path, *rest: object, **words: object) -> object:
            if Path(path).name == "b.tif":
                raise KeyboardInterrupt
            return whole(counter, path, *rest, **words)

        monkeypatch.setattr(predict_frames, "count_frames", stopped)
        code, _, err = count("*.tif", "--frames", "all", *BOX, "-o", "out", "--workers", "1")
        assert code == 130
        assert "stopped: 1 of 2 are in out/counts.csv" in err
        monkeypatch.setattr(predict_frames, "count_frames", whole)
        code, out, err = count("*.tif", "--frames", "all", *BOX, "-o", "out")
        assert (code, out.splitlines()[0].split(":")[0]) == (0, "b.tif")
        assert "1 already counted, skipped" in err

    def test_other_frames_never_mix_in_a_table(self, count: Count) -> None:
        Path("c.tif").unlink()
        assert count("*.tif", "--frames", "all", *BOX, "--csv", "t.csv")[0] == 0
        code, _, err = count("*.tif", "--frames", "::2", *BOX, "--csv", "t.csv")
        assert (code, "results of another prompt" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "holds 4 frames; choose one with --frames 0 to 3, such as --frames 0:10:2 for some"),
        (("--frames", "x"), "--frames x: expected all, a number, or START:STOP:STEP"),
        (("--frames", "9:"), "there are 4, 0 to 3"),
        (("--frames", "all", "--format", "coco", "-o", "out"), "--format coco is for single pictures"),
        (("--frames", "all", "--grid", "96"), "--region is a part of every frame"),
        (("--frames", "all", "--unit", "um"), "does not tell how large its pixels are in micrometres"),
    ],
)
def test_what_there_is_not_is_refused(here: Path, count: Count, words: tuple[str, ...], message: str) -> None:
    stack("dish.tif")
    code, out, err = count("dish.tif", *BOX, *words)
    assert (code, out) == (2, "")
    assert message in err


def test_boxes_in_micrometres(here: Path, count: Count) -> None:
    held = np.random.default_rng(0).integers(0, 256, (3, 60, 80), dtype=np.uint8)
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "um", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "um"}
    tifffile.imwrite("t.ome.tif", held, metadata={"axes": "TYX", **size}, photometric="minisblack")
    told = [
        json.loads(count("t.ome.tif", "--frames", "all", *box, "--json")[1])["frames"]
        for box in (BOX, ("--box", "5,5,15,15", "--unit", "um"))
    ]
    assert told[0] == told[1]


def test_a_film_without_frames_is_told_how_many_there_are(here: Path, count: Count) -> None:
    av = pytest.importorskip("av", reason="the extra video is not installed")
    with av.open("belt.mp4", "w") as out:
        stream = out.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 80, 64, "yuv420p"
        for _ in range(6):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 80, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode())
    code, _, err = count("belt.mp4", *BOX)
    assert code == 2
    assert "belt.mp4 holds 6 frames; choose one with --frames 0 to 5" in err
