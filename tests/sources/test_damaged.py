"""Files that end early or have broken parts: every reader says so, in words that are not its library's."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from likewise.data.images import read_image
from likewise.errors import LikewiseError
from likewise.sources import Choice, Frames, open_frames, open_source

RNG = np.random.default_rng(8)
COLOURS = RNG.integers(0, 255, (300, 280, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 60000, (300, 280), dtype=np.uint16)


def tiff(values: np.ndarray, **options: Any) -> Callable[[Path], object]:
    kind = "rgb" if values.ndim == 3 else "minisblack"
    return lambda path: tifffile.imwrite(path, values, photometric=kind, **options)


def pillow(**options: Any) -> Callable[[Path], object]:
    return lambda path: Image.fromarray(COLOURS).save(path, **options)


def mosaic(**options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        rasterio = pytest.importorskip("rasterio", reason="needs the [geo] extra")
        place = rasterio.Affine(0.05, 0, 500000, 0, -0.05, 8000000)
        told = {"driver": "GTiff", "width": 280, "height": 300, "count": 3, "dtype": "uint8", "crs": "EPSG:32733"}
        with rasterio.open(path, "w", **told, transform=place, **options) as file:
            file.write(COLOURS.transpose(2, 0, 1))

    return write


def slide(path: Path) -> None:
    pytest.importorskip("large_image", reason="needs the [slide] extra")
    told = "Aperio Image Library v1\n900x840 [0,0 900x840] |AppMag = 20|MPP = 0.5"
    with tifffile.TiffWriter(path) as file:
        file.write(
            np.tile(COLOURS, (3, 3, 1)), tile=(256, 256), photometric="rgb", compression="zlib", description=told
        )


KINDS: dict[str, Callable[[Path], object]] = {
    "strips.tif": tiff(COLOURS, rowsperstrip=16),
    "deflated.tif": tiff(COLOURS, rowsperstrip=16, compression="zlib"),
    "lzw.tif": pillow(compression="tiff_lzw"),
    "tiles.tif": tiff(COLOURS, tile=(64, 64)),
    "deep.tif": tiff(DEEP),
    "deep_tiles.tif": tiff(DEEP, tile=(64, 64)),
    "deep_deflated.tif": tiff(DEEP, tile=(64, 64), compression="zlib"),
    "floats.tif": tiff(DEEP.astype(np.float32)),
    "float_tiles.tif": tiff(DEEP.astype(np.float32), tile=(64, 64), compression="zlib"),
    "mosaic.tif": mosaic(),
    "mosaic_tiles.tif": mosaic(tiled=True, blockxsize=64, blockysize=64, compress="deflate", nodata=0),
    "slide.svs": slide,
    **{f"photo.{kind}": pillow() for kind in ("png", "jpg", "webp", "gif", "bmp", "jp2", "ppm", "avif")},
}


def look(path: Path) -> None:
    with open_source(path) as source:
        source.whole()


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_ends_early_says_so(name: str, tmp_path: Path) -> None:
    whole, cut = tmp_path / name, tmp_path / f"cut_{name}"
    KINDS[name](whole)
    look(whole)
    content = whole.read_bytes()
    for share in (0.3, 0.6, 0.95):
        cut.write_bytes(content[: int(len(content) * share)])
        for read in (look, read_image) if cut.suffix != ".svs" else (look,):
            with pytest.raises(LikewiseError) as caught:
                read(cut)
            assert str(caught.value).startswith(f"{cut} cannot be read as a picture: it ")
            assert "ends early" in str(caught.value)
            assert "reshape" not in str(caught.value)


def test_what_is_missing_of_a_tiff_is_told_in_bytes(tmp_path: Path) -> None:
    tiff(DEEP, tile=(64, 64))(tmp_path / "a.tif")
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[:-1000])
    with pytest.raises(LikewiseError, match=r"a.tif .*: it ends early: 1000 bytes of its pixels are missing"):
        open_source(tmp_path / "a.tif")


def test_a_window_beyond_the_end_is_never_taken_for_a_dark_one(tmp_path: Path) -> None:
    tiff(DEEP.astype(np.float32), tile=(64, 64))(tmp_path / "a.tif")
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) // 2])
    with open_source(tmp_path / "a.tif") as source, pytest.raises(LikewiseError, match="it ends early"):
        source.values(0, (200, 260, 260, 290))


@pytest.mark.parametrize("harm", [b"", b"\x07" * 40])
def test_a_broken_chunk(harm: bytes, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr", reason="needs the [bio] extra")
    zarr.create_array(str(tmp_path / "a.zarr"), data=DEEP, chunks=(64, 64), zarr_format=2)
    (tmp_path / "a.zarr" / "1.2").write_bytes(harm)
    with open_source(tmp_path / "a.zarr") as source:
        source.values(0, (0, 0, 60, 60))
        with pytest.raises(LikewiseError, match=r"a.zarr cannot be read as a picture: it is damaged or ends early"):
            source.values(0, (130, 70, 140, 80))


def test_broken_notes_of_a_store(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr", reason="needs the [bio] extra")
    zarr.create_array(str(tmp_path / "a.zarr"), data=DEEP, zarr_format=2)
    (tmp_path / "a.zarr" / ".zarray").write_text('{"shape": [')
    with pytest.raises(LikewiseError, match=r"a.zarr cannot be read as a picture: it is damaged or ends early"):
        open_source(tmp_path / "a.zarr")


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_a_film_that_ends_early(kind: str, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs the [video] extra")
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    with av.open(str(tmp_path / f"whole.{kind}"), "w") as film:
        stream = film.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        for step in range(8):
            frame = av.VideoFrame.from_ndarray(np.roll(COLOURS[:256, :256], 9 * step, 0), format="rgb24")
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    content, cut = (tmp_path / f"whole.{kind}").read_bytes(), tmp_path / f"cut.{kind}"
    cut.write_bytes(content[: len(content) // 50])
    with pytest.raises(LikewiseError, match=r"cannot be read as a picture: it (is damaged or )?ends"):
        open_source(cut, Choice(frame=0))
    with pytest.raises(LikewiseError, match=r"cannot be read as a film: it (is damaged or )?ends"):
        list(open_frames(cut, Frames()))
    shutil.copy(tmp_path / f"whole.{kind}", cut)
    assert len(list(open_frames(cut, Frames()))) == 8


def test_what_may_not_be_opened_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pillow()(tmp_path / "a.png")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "a.png")

    monkeypatch.setattr("likewise.data.images.open_image", refused)
    with pytest.raises(LikewiseError, match=r"a.png cannot be read as a picture: Permission denied$"):
        read_image(tmp_path / "a.png")


def test_what_begins_as_a_tiff_and_is_a_cameras_raw_data_is_called_that(tmp_path: Path) -> None:
    for content in (b"II*\0\x10\0\0\0CR\x02\0" + bytes(40), b"II"):
        (tmp_path / "a.cr2").write_bytes(content)
        with pytest.raises(LikewiseError, match="it is a camera's raw data; develop it"):
            read_image(tmp_path / "a.cr2")
    (tmp_path / "a.tif").write_bytes(b"II")
    with pytest.raises(LikewiseError, match="no picture of a kind that is read"):
        read_image(tmp_path / "a.tif")
