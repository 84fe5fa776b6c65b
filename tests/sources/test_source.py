"""What all sources share: parts that fit, the same black and white everywhere, and nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from likewise.data.intensity import intensity_range
from likewise.errors import LikewiseError
from likewise.sources import Choice, PictureSource, Window, open_source
from likewise.sources.base import PROBE, PROBES

RNG = np.random.default_rng(5)


class Made(PictureSource):
    """A source of given levels, which remembers what was read."""

    def __init__(self, *levels: np.ndarray, name: str = "made") -> None:
        self.name, self._levels, self.read_windows = name, levels, list[Window]()
        self.sizes = tuple((level.shape[1], level.shape[0]) for level in levels)
        self.bits = 8 if levels[0].dtype == np.uint8 else 17

    def stored(self, level: int, window: Window) -> np.ndarray:
        self.read_windows.append(window)
        x0, y0, x1, y1 = window
        return self._levels[level][y0:y1, x0:x1]


def test_parts_of_a_picture_are_cut_from_it() -> None:
    picture = RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    source = Made(picture)
    assert (source.read() == picture).all()
    assert (source.read((7, 11, 40, 50)) == picture[11:50, 7:40]).all()
    assert (source.pixels()[3:9, 70:200] == picture[3:9, 70:]).all()


def test_rescaled_parts_fit_what_pillow_makes_of_the_whole() -> None:
    picture = RNG.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    whole = np.asarray(Image.fromarray(picture).resize((80, 60), Image.Resampling.BILINEAR)).astype(int)
    part = Made(picture).read((80, 40, 240, 200), scale=0.25).astype(int)
    assert part.shape == (40, 40, 3)
    assert np.abs(part - whole[10:50, 20:60])[2:-2, 2:-2].max() <= 1  # its own rim has no neighbours to look at


@pytest.mark.parametrize(("scale", "level"), [(1.0, 0), (0.6, 0), (0.5, 1), (0.3, 1), (0.25, 2), (0.01, 2)])
def test_the_smallest_level_that_is_large_enough_is_read(scale: float, level: int) -> None:
    levels = [np.full((400 >> k, 600 >> k, 3), 10 * k, np.uint8) for k in range(3)]
    source = Made(*levels)
    assert source.level_for(scale) == level
    assert (source.read(scale=scale) == 10 * level).all()


def test_one_channel_becomes_grey() -> None:
    picture = RNG.integers(0, 256, (20, 30, 1), dtype=np.uint8)
    assert (Made(picture).read() == np.repeat(picture, 3, 2)).all()


def test_black_and_white_are_those_of_the_whole_picture_in_every_part() -> None:
    values = RNG.normal(1000, 100, (300, 400, 1)).astype(np.float32)
    values[:, :100] += 5000
    source = Made(values)
    low, high = intensity_range([values], "it")
    expected = np.rint((np.clip(values[:, 350:], low, high) - low) / (high - low) * 255)
    assert (np.abs(source.read((350, 0, 400, 300))[..., :1] - expected) <= 1).all()


def test_one_hot_pixel_changes_nothing() -> None:
    values = RNG.integers(200, 1400, (500, 500, 1)).astype(np.uint16)
    hot = values.copy()
    hot[3, 4] = 65535
    cold = Made(values).read()
    changed = (Made(hot).read() != cold).any(-1)
    changed[3, 4] = False
    assert not changed.any()


def test_what_was_not_recorded_looks_like_the_usual_ground_and_is_known() -> None:
    values = np.full((50, 60, 1), 0.5, np.float32) + RNG.normal(0, 0.01, (50, 60, 1)).astype(np.float32)
    values[:, :20] = np.nan
    values[10, 30] = np.inf
    source = Made(values)
    seen, valid = source.whole()
    assert valid is not None
    assert (~valid[:, :20]).all()
    assert not valid[10, 30]
    assert valid.sum() == 40 * 50 - 1
    assert np.ptp(seen[:, :20]) == 0
    assert abs(int(seen[0, 0, 0]) - int(np.median(seen[:, 21:]))) <= 1


def test_masked_values_are_nothing() -> None:
    picture = RNG.integers(100, 120, (30, 30, 3), dtype=np.uint8)

    class Masked(Made):
        def stored(self, level: int, window: Window) -> np.ndarray:
            cut = super().stored(level, window)
            return np.ma.MaskedArray(cut, np.broadcast_to((cut == 0).all(-1, keepdims=True), cut.shape))

    picture[:, :9] = 0
    seen, valid = Masked(picture).whole()
    assert valid is not None
    assert (valid == (np.arange(30) >= 9)).all()
    assert seen.min() >= 100


def test_of_a_giant_only_windows_are_looked_at_for_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likewise.sources.base.GIANT", 1 << 18)
    values = RNG.integers(0, 4000, (PROBE * 2, PROBE * 30, 1)).astype(np.uint16)
    source = Made(values)
    low, high = source.levels.low, source.levels.high
    assert 0 < low < 20
    assert 3980 < high < 4000
    assert len(source.read_windows) == PROBES**2
    assert max(x1 - x0 for x0, _, x1, _ in source.read_windows) == PROBE


def test_a_giants_thumbnail_is_made_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = np.linspace(0, 255, 3000).astype(np.uint8)
    picture = np.broadcast_to(ramp[:, None, None], (3000, 400, 3)).copy()
    source = Made(picture)
    expected = source.thumbnail(300).astype(int)
    monkeypatch.setattr("likewise.sources.base.GIANT", 1 << 16)
    assert source.thumbnail(300).shape == expected.shape == (300, 40, 3)
    assert np.abs(source.thumbnail(300).astype(int) - expected).max() <= 2
    assert max((y1 - y0) * (x1 - x0) for x0, y0, x1, y1 in source.read_windows[2:]) < 1 << 16


def test_pictures_of_every_kind_are_opened(tmp_path) -> None:
    picture = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    for given in (picture, Image.fromarray(picture), tmp_path / "a.png", str(tmp_path / "a.png")):
        with open_source(given) as source:
            assert (source.width, source.height) == (30, 20)
            assert (source.read() == picture).all()
            assert open_source(source) is source


def test_a_choice_among_channels_that_there_are_not_is_refused() -> None:
    with pytest.raises(LikewiseError, match="has no channel DAPI; it has one channel, or colours"):
        open_source(np.zeros((4, 4), np.uint8), Choice(channel="DAPI"))
    with pytest.raises(LikewiseError, match="has no frame 3: expected 0 to 0"):
        open_source(np.zeros((4, 4), np.uint8), Choice(frame=3))


@pytest.mark.parametrize("z", ["median", -1, 2.5])
def test_planes_are_numbers_or_projections(z: object) -> None:
    with pytest.raises(LikewiseError, match="expected the number of a plane, from 0, or 'max' or 'mean'"):
        Choice(z=z)  # type: ignore[arg-type]  # wrong on purpose
