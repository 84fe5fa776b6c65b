"""Counts over time: the table, the chart and the film with the counts."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.draw import BOX_COLOUR, DOUBTFUL_COLOUR
from likewise.errors import LikewiseError
from likewise.plain_text import BOM
from likewise.results import film
from likewise.results.chart import BAND, BELOW, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Mark, line_chart, round_step
from likewise.results.film import film_encoder, write_film
from likewise.results.series import COLUMNS, FrameCount, SeriesResult
from likewise.types import Prompt


def frame(number: int, count: float, **more: object) -> FrameCount:
    how = {"seconds": number / 5, "interval": (count - 1, count + 2), "points": np.full((2, 2), 30, np.float32)}
    return FrameCount(number, count=count, **{**how, **more})


@pytest.fixture
def series() -> SeriesResult:
    warned = {"untrusted": True, "interval": None, "warnings": ('Zu viele "Körner"; sieh nach, bitte.',)}
    frames = (frame(0, 10.0), frame(5, 14.5, **warned), frame(10, 19.0, warnings=("=far, far",)))
    return SeriesResult(frames, (60, 40), Prompt([(1, 2, 20, 20)]), "m.safetensors", 1.5, "belts/belt.mp4")


class TestNumbers:
    def test_it_says_in_a_line_what_it_is(self, series: SeriesResult) -> None:
        assert repr(series) == ("<SeriesResult of belts/belt.mp4: 3 frames, mean 14.50, 10.0 to 19.0 by m.safetensors>")
        assert series.frames[0].line() == "frame 0, 0.00 s: 10.0 (9 to 12)"
        assert series.frames[1].line() == "frame 5, 1.00 s: 14.5 (untrusted)"
        assert replace(series.frames[0], seconds=None, interval=None).line() == "frame 0: 10.0"

    def test_the_table_is_read_back_and_opens_in_spreadsheets(self, series: SeriesResult) -> None:
        held = series.table().encode()
        assert held.startswith(BOM)  # there are letters beyond English ones
        assert held.count(b"\r\n") == 4
        rows = list(csv.DictReader(io.StringIO(held.decode("utf-8-sig"), newline="")))
        assert tuple(rows[0]) == COLUMNS
        assert [float(row["count"]) for row in rows] == [10.0, 14.5, 19.0]
        assert [float(row["seconds"]) for row in rows] == [0, 1, 2]
        assert [(row["low"], row["high"], row["untrusted"]) for row in rows[:2]] == [
            ("9.0000", "12.0000", ""),
            ("", "", "untrusted"),
        ]
        assert rows[1]["warnings"] == series.frames[1].warnings[0]
        assert rows[2]["warnings"] == "'=far, far"  # no formula
        assert not replace(series, frames=series.frames[:1]).table().encode().startswith(BOM)

    def test_warnings_are_said_once_with_their_frames(self, series: SeriesResult) -> None:
        frames = tuple(frame(n, 1.0, warnings=("dim",)) for n in range(6))
        assert replace(series, frames=frames).warnings() == ("frames 0, 1, 2 and 3 more: dim",)
        assert series.warnings()[1] == "frame 10: =far, far"

    def test_the_record_is_plain_json(self, series: SeriesResult) -> None:
        record = json.loads(json.dumps(series.to_dict()))
        assert (record["image"], record["mean"], record["least"], record["greatest"]) == (
            *("belts/belt.mp4", 14.5),
            *(10.0, 19.0),
        )
        assert [each["frame"] for each in record["frames"]] == [0, 5, 10]
        assert record["frames"][1]["low"] is None
        assert record["frames"][1]["untrusted"] is True
        assert record["frames"][0]["points"] == [[30.0, 30.0], [30.0, 30.0]]

    def test_nothing_and_nonsense_are_refused(self, series: SeriesResult) -> None:
        with pytest.raises(LikewiseError, match="no frames"):
            replace(series, frames=())
        with pytest.raises(LikewiseError, match="points must have shape"):
            frame(0, 1.0, points=np.zeros(3, np.float32))
        with pytest.raises(LikewiseError, match="not finite"):
            frame(0, float("nan"))

    def test_save(self, series: SeriesResult, tmp_path: Path) -> None:
        assert series.save(tmp_path).name == "belt_frames.png"
        assert (tmp_path / "belt_frames.csv").read_bytes() == series.table().encode()
        assert json.loads((tmp_path / "belt_frames.json").read_text())["prompt"] == series.prompt.to_dict()


class TestChart:
    """Pixels are told from the axes' scales: time fills the width, and counts go from nothing to a round number."""

    def place(self, at: float, value: float, top: float) -> tuple[int, int]:
        x = LEFT + at * (WIDTH - LEFT - RIGHT)
        return round(x), round(HEIGHT - BELOW - value / top * (HEIGHT - TOP - BELOW))

    def test_line_band_and_marks_are_where_the_numbers_are(self) -> None:
        marks = [Mark(0, 10, (5, 15)), Mark(2, 20, (10, 30)), Mark(4, 20, (10, 30), doubtful=True)]
        chart = line_chart(marks, title="belt.mp4", note="", across="seconds")
        assert chart.size == (WIDTH, HEIGHT)
        assert chart.getpixel(self.place(0.5, 20, 30)) == BOX_COLOUR
        assert chart.getpixel(self.place(0.25, 15, 30)) == BOX_COLOUR
        assert chart.getpixel(self.place(0.5, 27, 30)) == BAND
        assert chart.getpixel(self.place(0.25, 8.5, 30)) == BAND
        assert chart.getpixel(self.place(0.25, 6.5, 30)) not in (BAND, BOX_COLOUR)
        assert chart.getpixel(self.place(1, 20, 30)) == DOUBTFUL_COLOUR

    def test_where_an_interval_is_not_known_there_is_no_band(self) -> None:
        marks = [Mark(0, 10, (5, 15)), Mark(1, 10), Mark(2, 10, (5, 15)), Mark(3, 10, (5, 15)), Mark(4, 10, (5, 15))]
        chart = line_chart(marks, title="", note="", across="frame", whole=True)
        assert chart.getpixel(self.place(0.25, 7, 15)) not in (BAND, BOX_COLOUR)
        assert chart.getpixel(self.place(0.75, 7, 15)) == BAND

    @pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [1e6, 3e6], [7.3] * 500])
    def test_any_numbers_can_be_drawn(self, values: list[float]) -> None:
        marks = [Mark(number, value) for number, value in enumerate(values)]
        assert BOX_COLOUR in {c for _, c in line_chart(marks, title="t", note="", across="s").getcolors(1 << 20)}

    def test_steps_are_round_and_few(self) -> None:
        for span in np.geomspace(0.01, 1e6, 97):
            step = round_step(span, 5)
            assert f"{step:e}"[0] in "125"
            assert 5 / 2.6 <= span / step <= 5 * (1 + 1e-6)


class TestFilm:
    def pictures(self, sizes: list[tuple[int, int]]) -> list[Image.Image]:
        return [Image.new("RGB", size, (40 + 40 * n, 90, 200 - 40 * n)) for n, size in enumerate(sizes)]

    def test_it_plays_what_was_given(self, tmp_path: Path) -> None:
        av = pytest.importorskip("av", reason="the extra video is not installed")
        write_film(self.pictures([(65, 49), (65, 49), (80, 30)]), tmp_path / "a.mp4", rate=4)
        with av.open(str(tmp_path / "a.mp4")) as file:
            assert file.streams.video[0].average_rate == 4
            frames = [each.to_ndarray(format="rgb24") for each in file.decode(video=0)]
        assert [each.shape for each in frames] == [(50, 66, 3)] * 3
        for number, each in enumerate(frames):
            assert np.abs(each[5:25, 5:60].mean((0, 1)) - (40 + 40 * number, 90, 200 - 40 * number)).max() < 6

    @pytest.mark.parametrize("encoder", film.ENCODERS)
    def test_each_encoder(self, encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        av = pytest.importorskip("av", reason="the extra video is not installed")
        monkeypatch.setattr(film, "ENCODERS", {encoder: film.ENCODERS[encoder]})
        if film_encoder() is None:
            pytest.skip(f"this FFmpeg has no {encoder}")
        write_film(self.pictures([(64, 48)] * 3), tmp_path / "a.mp4")
        with av.open(str(tmp_path / "a.mp4")) as file:
            assert sum(1 for _ in file.decode(video=0)) == 3

    def test_without_an_encoder_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(film, "ENCODERS", {"no such encoder": {}})
        assert film_encoder() is None


def test_the_overlay_shows_boxes_on_the_first_frame_only(series: SeriesResult) -> None:
    black = np.zeros((40, 60, 3), np.uint8)
    first, second = (np.asarray(series.overlay(n, black)) for n in (0, 1))
    assert first.shape == second.shape
    edge = round(11 / 40 * 600), round(20 / 60 * 900)  # of the box's right side
    assert tuple(first[edge]) == BOX_COLOUR
    assert tuple(second[edge]) == (0, 0, 0)
    assert (first[450, 450] == (72, 255, 120)).all()  # the points
