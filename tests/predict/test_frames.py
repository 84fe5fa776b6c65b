"""Counting in time: films and stacks whose truth is known, and what the first frame's boxes mean for the others."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

import likewise as lw
from likewise.errors import LikewiseError
from likewise.predict import Counter
from likewise.predict.frames import count_frames, write_overlay_film
from likewise.results.series import FrameCount
from likewise.sources import Choice, Frames, open_frames
from likewise.sources.film import FilmFrame

RADIUS = 10
Places = list[tuple[float, float]]


def places(number: int, seed: int, size: int = 320) -> Places:
    """So many centres of discs, none of which touch."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < number:
        x, y = rng.uniform(RADIUS + 3, size - RADIUS - 3, 2)
        if all(np.hypot(x - u, y - v) > 2.5 * RADIUS for u, v in found):
            found.append((float(x), float(y)))
    return found


def discs(centres: Places, colour: tuple[int, int, int] = (240, 240, 240), size: int = 320) -> np.ndarray:
    """A picture of discs on dark ground."""
    y, x = np.mgrid[:size, :size] + 0.5
    picture = np.full((size, size, 3), 26.0)
    for u, v in centres:
        picture += np.clip(RADIUS + 0.5 - np.hypot(x - u, y - v), 0, 1)[..., None] * (np.array(colour) - 26)
    return picture.clip(0, 255).astype(np.uint8)


def boxes(centres: Places) -> list[tuple[float, float, float, float]]:
    return [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in centres]


def write(path: Path, pictures: list[np.ndarray], repeat: int = 1, rate: int = 5) -> Path:
    av = pytest.importorskip("av", reason="the extra video is not installed")
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        for picture in pictures:
            for _ in range(repeat):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def counter() -> Counter:
    return lw.load("spdcn-lite")


class TestTruth:
    """Discs that are elsewhere in every frame: what stands in the first frame's box has moved on in the second."""

    SCENES = (places(5, 1), places(9, 2), places(14, 3))

    def test_a_film(self, counter: Counter, tmp_path: Path) -> None:
        film = write(tmp_path / "belt.mp4", [discs(each) for each in self.SCENES], repeat=4)
        series = count_frames(counter, film, "0::4", boxes(self.SCENES[0][:3]))
        assert [frame.count for frame in series.frames] == pytest.approx([5, 9, 14], abs=0.3)
        assert [frame.number for frame in series.frames] == [0, 4, 8]
        assert [frame.seconds for frame in series.frames] == pytest.approx([0, 0.8, 1.6])
        assert series.size == (320, 320)
        assert series.source == str(film)
        for frame, scene in zip(series.frames, self.SCENES, strict=True):
            away = np.hypot(*np.moveaxis(frame.points[:, None] - np.array(scene)[None], -1, 0))
            assert (np.sort(away.argmin(1)) == np.arange(len(scene))).all()  # each disc has its point
            assert away.min(1).max() < RADIUS / 2

    def test_a_stack_in_time(self, counter: Counter, tmp_path: Path) -> None:
        path = tmp_path / "time.tif"
        grey = np.stack([discs(each)[..., 0] for each in self.SCENES])
        tifffile.imwrite(path, grey, imagej=True, metadata={"axes": "TYX"})
        series = count_frames(counter, path, Frames(), boxes(self.SCENES[0][:1]))
        assert [frame.count for frame in series.frames] == pytest.approx([5, 9, 14], abs=0.3)
        assert series.frames[0].seconds is None

    def test_one_channel_of_an_ome_tiff_in_time(self, counter: Counter, tmp_path: Path) -> None:
        path = tmp_path / "time.ome.tif"
        grey = np.stack([discs(each)[..., 0] for each in self.SCENES])
        both = np.stack([grey[::-1], grey], axis=1)
        names = {"axes": "TCYX", "Channel": {"Name": ["DAPI", "GFP"]}}
        tifffile.imwrite(path, both, metadata=names, photometric="minisblack")
        with pytest.raises(LikewiseError, match="DAPI, GFP"):
            count_frames(counter, path, "all", boxes(self.SCENES[0][:1]))
        series = count_frames(counter, path, "1:", boxes(self.SCENES[1][:2]), choice=Choice(channel="GFP"))
        assert [frame.count for frame in series.frames] == pytest.approx([9, 14], abs=0.3)

    def test_an_ome_zarr_in_time(self, counter: Counter, tmp_path: Path) -> None:
        zarr = pytest.importorskip("zarr", reason="the extra bio is not installed")
        writer = pytest.importorskip("ome_zarr.writer", reason="ome-zarr, the other side, is not installed")
        grey = np.stack([discs(each)[..., 0] for each in self.SCENES])
        writer.write_image(grey, zarr.open_group(str(tmp_path / "t.ome.zarr"), mode="w"), axes="tyx")
        series = count_frames(counter, tmp_path / "t.ome.zarr", "::2", boxes(self.SCENES[0][:3]))
        assert [frame.count for frame in series.frames] == pytest.approx([5, 14], abs=0.3)

    def test_the_cases_that_are_shared(self, counter: Counter, repository: Path, tmp_path: Path) -> None:
        script = repository.parent / "shared" / "cases" / "formats" / "make.py"
        if not script.is_file():
            pytest.skip(f"{script} is missing")
        pytest.importorskip("av", reason="the extra video is not installed")
        subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
        truth = json.loads((tmp_path / "truth.json").read_text())
        for name in ("belt.mp4", "time_tyx.tif"):
            case = truth[name]
            series = count_frames(counter, tmp_path / name, case["frames"], case["exemplars"])
            assert [frame.count for frame in series.frames] == pytest.approx(case["count"], abs=0.5)


class TestExamples:
    def test_the_others_are_counted_by_what_the_first_shows(self, counter: Counter, tmp_path: Path) -> None:
        scenes = places(6, 4), places(8, 5)
        film = write(tmp_path / "belt.mp4", [discs(each) for each in scenes])
        shown = boxes(scenes[0][:2])
        first, second = [frame.source.read() for frame in open_frames(film, Frames())]
        series = count_frames(counter, film, "all", shown)
        like = counter.encode_exemplars([(first, box) for box in shown])
        assert series.frames[0].count == counter.count(first, shown).count
        assert series.frames[1].count == counter.count(second, like=like).count
        assert series.prompt.exemplars == tuple(shown)

    def test_the_first_is_the_first_that_is_chosen(self, counter: Counter, tmp_path: Path) -> None:
        scenes = [], places(7, 6), places(4, 7)
        film = write(tmp_path / "belt.mp4", [discs(each) for each in scenes])
        series = count_frames(counter, film, "1:", boxes(scenes[1][:2]))
        assert [frame.count for frame in series.frames] == pytest.approx([7, 4], abs=0.3)

    def test_look_alikes_are_the_first_frames_too(self, counter: Counter, tmp_path: Path) -> None:
        scenes = places(12, 8), places(12, 9)
        red = (200, 60, 40)
        pictures = [np.maximum(discs(each[:7]), discs(each[7:], red)) for each in scenes]
        film = write(tmp_path / "belt.mp4", pictures)
        shown, others = boxes(scenes[0][:2]), boxes(scenes[0][7:9])
        all_of_them = count_frames(counter, film, "all", shown)
        series = count_frames(counter, film, "all", shown, negatives=others)
        assert [frame.count for frame in series.frames] == pytest.approx([7, 7], abs=1)
        assert all_of_them.frames[1].count > series.frames[1].count + 2
        elsewhere = lw.Counter.encode_exemplars(counter, [(pictures[0], box) for box in shown])
        by_like = count_frames(counter, film, "all", negatives=others, like=elsewhere)
        assert [frame.count for frame in by_like.frames] == pytest.approx([7, 7], abs=1)

    def test_a_region_is_the_same_in_all(self, counter: Counter, tmp_path: Path) -> None:
        scenes = places(10, 10), places(10, 11)
        film = write(tmp_path / "belt.mp4", [discs(each) for each in scenes])
        half = [(0, 0), (160, 0), (160, 320), (0, 320)]
        series = count_frames(counter, film, "all", boxes(scenes[0][:2]), region=half)
        truth = [sum(np.clip((160 - x) / RADIUS / 2 + 0.5, 0, 1) for x, _ in scene) for scene in scenes]
        assert [frame.count for frame in series.frames] == pytest.approx(truth, abs=1)

    def test_by_name(self, tmp_path: Path) -> None:
        path = tmp_path / "time.tif"
        scenes = places(9, 12), places(12, 13)
        tifffile.imwrite(
            path, np.stack([discs(each)[..., 0] for each in scenes]), imagej=True, metadata={"axes": "TYX"}
        )
        named = lw.load("countx-lite")
        series = count_frames(named, path, "all", text="circles")
        each = [named.count(frame.source, text="circles").count for frame in open_frames(path, Frames())]
        assert [frame.count for frame in series.frames] == each


def test_one_frame_at_a_time_is_in_memory(counter: Counter, tmp_path: Path) -> None:
    scenes = [places(3, seed) for seed in range(5)]
    film = write(tmp_path / "belt.mp4", [discs(each) for each in scenes])
    alive, numbers = [], []

    def look(frame: FrameCount) -> None:
        gc.collect()
        alive.append(sum(type(each) is FilmFrame for each in gc.get_objects()))
        numbers.append(frame.number)

    before = sum(type(each) is FilmFrame for each in gc.get_objects())
    count_frames(counter, film, "all", boxes(scenes[0][:1]), told=look)
    assert numbers == [0, 1, 2, 3, 4]
    assert max(alive) <= before + 2  # the one that was counted, and the one before until it is replaced


def test_nothing_to_go_by_and_no_such_frames_are_refused(counter: Counter, tmp_path: Path) -> None:
    path = tmp_path / "time.tif"
    tifffile.imwrite(path, np.zeros((3, 64, 64), np.uint8), imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(LikewiseError, match="does not know what to count"):
        count_frames(counter, path, "all")
    with pytest.raises(LikewiseError, match="none of them is among these"):
        count_frames(counter, path, "7:", [(1, 1, 9, 9)])
    with pytest.raises(LikewiseError, match="lies outside the picture"):
        count_frames(counter, path, "all", [(100, 100, 109, 109)])


def test_a_damaged_film_is_told_of(counter: Counter, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra video is not installed")
    (tmp_path / "a.mp4").write_bytes(b"film")
    with pytest.raises(LikewiseError, match=r"a\.mp4 cannot be read as a film"):
        count_frames(counter, tmp_path / "a.mp4", "all", [(1, 1, 9, 9)])
    with pytest.raises(LikewiseError, match="no such file"):
        count_frames(counter, tmp_path / "b.mp4", "all", [(1, 1, 9, 9)])


def test_the_overlay_film_shows_the_frames_that_were_counted(counter: Counter, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="the extra video is not installed")
    grounds = [np.full((320, 320, 3), level, np.uint8) for level in (20, 60, 100, 140, 180, 220)]
    film = write(tmp_path / "belt.mp4", grounds)
    series = count_frames(counter, film, "1::2", [(10, 10, 30, 30)])
    write_overlay_film(series, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as out:
        shown = [frame.to_ndarray(format="rgb24") for frame in out.decode(video=0)]
    assert [np.median(each[:800]) for each in shown] == pytest.approx([60, 140, 220], abs=4)
