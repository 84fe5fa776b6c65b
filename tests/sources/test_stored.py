"""What files store, channel by channel, before anything was made 8 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from likewise.sources import Choice, open_source
from likewise.sources.stored import stored_channels

RNG = np.random.default_rng(8)


def named(picture: object) -> dict[str, np.ndarray]:
    return dict(stored_channels(picture))


def test_colours_have_their_names_and_opacity_is_none(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    Image.fromarray(pixels[..., :3]).save(tmp_path / "rgb.png")
    Image.fromarray(pixels).save(tmp_path / "rgba.png")
    for name in ("rgb.png", "rgba.png"):
        found = named(tmp_path / name)
        assert list(found) == ["red", "green", "blue"]
        assert all((values == pixels[..., i]).all() for i, values in enumerate(found.values()))


def test_equal_colours_are_one_grey(tmp_path: Path) -> None:
    grey = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(tmp_path / "g.png")
    [(name, values)] = stored_channels(tmp_path / "g.png")
    assert name == "grey"
    assert (values == grey).all()


def test_sixteen_bits_stay_sixteen(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (20, 30), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    tifffile.imwrite(tmp_path / "deep.tif", deep)
    for picture in (tmp_path / "deep.png", tmp_path / "deep.tif", deep):
        [(name, values)] = stored_channels(picture)
        assert (name, values.dtype) == ("grey", np.uint16)
        assert (values == deep).all()


def test_turned_pictures_are_upright(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    with open_source(tmp_path / "turned.png") as source:
        assert named(tmp_path / "turned.png")["red"].shape == (source.height, source.width) == (30, 20)


def test_all_channels_of_the_plane_that_was_chosen(tmp_path: Path) -> None:
    values = RNG.integers(0, 60000, (3, 2, 24, 32), dtype=np.uint16)
    told = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(tmp_path / "s.ome.tif", values, metadata=told, photometric="minisblack")
    for plane, wanted in ((1, values[1]), ("max", values.max(0))):
        with open_source(tmp_path / "s.ome.tif", Choice(channel="GFP", z=plane)) as source:
            found = named(source)
        assert list(found) == ["DAPI", "GFP"]
        assert (found["DAPI"] == wanted[0]).all()
        assert (found["GFP"] == wanted[1]).all()


def test_what_was_not_recorded_is_no_number(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio", reason="needs rasterio, of the [geo] extra")
    values = RNG.integers(1, 200, (20, 30)).astype(np.int16)
    values[:5] = -9999
    with rasterio.open(
        tmp_path / "hole.tif",
        "w",
        driver="GTiff",
        width=30,
        height=20,
        count=1,
        dtype="int16",
        nodata=-9999,
        crs="EPSG:32633",
        transform=rasterio.Affine(2, 0, 9, 0, -2, 9),
    ) as file:
        file.write(values, 1)
    [(_, found)] = stored_channels(tmp_path / "hole.tif")
    assert np.isnan(found[:5]).all()
    assert (found[5:] == values[5:]).all()
