"""Pictures decoded in parts are those decoded whole, and what cannot be read in bounded memory is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from likewise.data import bitmaps, images, png, tiff_bands
from likewise.data.images import read_image, read_mask
from likewise.data.jpeg import comes_in_scans, decoded
from likewise.errors import LikewiseError

RNG = np.random.default_rng(3)
PHOTO = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (6, 9, 3), np.uint8)).resize((90, 61), Image.Resampling.BICUBIC)
)
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture counts as large, and parts are of a few rows."""
    monkeypatch.setattr(images, "LARGE", 0)
    monkeypatch.setattr(png, "STRIP", 700)
    monkeypatch.setattr(bitmaps, "STRIP", 900)
    monkeypatch.setattr(tiff_bands, "BAND", 5000)


def interlaced(image: Image.Image, kind: int, depth: int, extra: bytes = b"") -> bytes:
    """A PNG of seven pictures, coded by hand without filters; depth 1 to 8."""
    values = np.asarray(image)
    values = values.reshape(*values.shape[:2], -1)
    data = b""
    for y, x, dy, dx in PASSES:
        part = values[y::dy, x::dx]
        if part.size:
            bits = np.unpackbits(part.reshape(len(part), -1, 1).astype(np.uint8), axis=2)[..., 8 - depth :]
            rows = np.packbits(bits.reshape(len(part), -1), axis=1)
            data += b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", image.width, image.height, depth, kind, 0, 0, 1)
    chunks = [(b"IHDR", head), *([(b"PLTE", extra)] if extra else []), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    coded = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(coded)


@pytest.mark.parametrize("size", [(90, 61), (1, 1), (3, 2), (5, 9), (2, 70)])
@pytest.mark.parametrize(("kind", "depth"), [(2, 8), (0, 8), (6, 8), (3, 4), (3, 1), (0, 1), (0, 2), (0, 4), (4, 8)])
@pytest.mark.usefixtures("large")
def test_interlaced_png_is_what_pillow_makes_of_it(
    tmp_path: Path, kind: int, depth: int, size: tuple[int, int]
) -> None:
    mode, path = {0: "L", 2: "RGB", 3: "L", 4: "LA", 6: "RGBA"}[kind], tmp_path / "a.png"
    image = Image.fromarray(PHOTO).resize(size).convert(mode)
    if depth < 8:
        image = Image.fromarray(np.asarray(image) >> (8 - depth))
    palette = bytes(RNG.integers(0, 256, 3 * 2**depth, np.uint8)) if kind == 3 else b""
    path.write_bytes(interlaced(image, kind, depth, palette))
    with Image.open(path) as whole:
        assert np.array_equal(read_image(path), np.asarray(whole.convert("RGBA").convert("RGB")))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LikewiseError, match="cannot be read"):
        read_image(path)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.usefixtures("large")
def test_png_of_few_bits_in_strips(tmp_path: Path, bits: int) -> None:
    image = Image.fromarray(PHOTO).quantize(2**bits)
    image.save(tmp_path / "a.png", bits=bits)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.asarray(image.convert("RGB")))
    Image.fromarray(PHOTO[..., 0] > 99).save(tmp_path / "b.png")
    assert np.array_equal(read_mask(tmp_path / "b.png"), PHOTO[..., 0] > 99)


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd", "webp", None]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "RGBA", "1"])
def test_tiff_in_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str | None, mode: str) -> None:
    path = tmp_path / "a.tif"
    image = Image.fromarray(PHOTO).convert(mode)
    try:
        image.save(path, compression=compression, strip_size=1500)
    except (OSError, ValueError, RuntimeError) as error:
        pytest.skip(f"this Pillow does not write {mode} in {compression}: {error}")
    whole = read_image(path), read_mask(path)
    monkeypatch.setattr(images, "LARGE", 100)
    monkeypatch.setattr(tiff_bands, "BAND", 3000)
    assert np.array_equal(read_image(path), whole[0])
    assert np.array_equal(read_mask(path), whole[1])


@pytest.mark.parametrize("compression", ["ccitt", "group3", "group4"])
@pytest.mark.usefixtures("large")
def test_tiff_of_faxes_in_bands(tmp_path: Path, compression: str) -> None:
    image = Image.fromarray(PHOTO[..., 0] > 99)
    names = {"ccitt": "tiff_ccitt", "group3": "group3", "group4": "group4"}
    image.save(tmp_path / "a.tif", compression=names[compression], strip_size=100)
    assert np.array_equal(read_image(tmp_path / "a.tif"), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.uint8])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "options",
    [
        {"rowsperstrip": 7},
        {"tile": (16, 32)},
        {"tile": (16, 32), "compression": "zlib"},
        {"rowsperstrip": 7, "planarconfig": "separate"},
        {"tile": (32, 16), "planarconfig": "separate", "compression": "zlib"},
        {"compression": "zlib", "predictor": True, "rowsperstrip": 9},
    ],
)
def test_tiff_by_bands_is_what_tifffile_reads_whole(
    tmp_path: Path, large: None, dtype: type, order: str, options: dict[str, object]
) -> None:
    if dtype == np.float32 and "predictor" in options:
        pytest.skip("tifffile writes the predictor of floats only with imagecodecs")
    values = (PHOTO.astype(dtype) * 5 + 300).astype(dtype) if dtype != np.uint8 else PHOTO
    held = values.transpose(2, 0, 1) if "planarconfig" in options else values
    tifffile.imwrite(tmp_path / "a.tif", held, photometric="rgb", byteorder=order, **options)
    assert np.array_equal(read_image(tmp_path / "a.tif"), read_image(values))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages.first
        bands = list(tiff_bands.bands(tmp_path / "a.tif", page))
    assert len(bands) > 1
    assert np.array_equal(np.concatenate(bands), values)


@pytest.mark.parametrize(("name", "mode"), [("a.bmp", "RGB"), ("a.ppm", "RGB"), ("a.pgm", "L"), ("a.bmp", "L")])
@pytest.mark.usefixtures("large")
def test_plain_rows_in_strips(tmp_path: Path, name: str, mode: str) -> None:
    image = Image.fromarray(PHOTO[:, :89]).convert(mode)  # a BMP's rows are filled up to four bytes
    image.save(tmp_path / name)
    assert np.array_equal(read_image(tmp_path / name), np.asarray(image.convert("RGB")))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-400])
    with pytest.raises(LikewiseError, match="cannot be read"):
        read_image(tmp_path / name)


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
def test_jpeg_that_comes_in_scans_is_known(tmp_path: Path) -> None:
    for options, scans in (({}, False), ({"progressive": True}, True)):
        for mode in ("RGB", "L"):
            path = tmp_path / "a.jpg"
            Image.fromarray(PHOTO).convert(mode).save(path, **options)
            with Image.open(path) as image:
                assert comes_in_scans(path, image) is scans
            assert decoded(path).shape == PHOTO.shape


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("a.jpg", {"progressive": True}, "as a progressive JPEG it is decoded whole"),
        ("a.webp", {}, "as WEBP it is decoded whole"),
        ("a.gif", {}, "as GIF it is decoded whole"),
        ("a.qoi", {}, "as QOI it is decoded whole"),
        ("a.jp2", {}, "as JPEG2000 it is decoded whole"),
    ],
)
@pytest.mark.usefixtures("large")
def test_what_is_decoded_whole_has_a_bound_by_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, object], why: str
) -> None:
    path = tmp_path / name
    Image.fromarray(PHOTO).save(path, **options)
    assert read_image(path).shape == PHOTO.shape
    monkeypatch.setattr(images, "MAX_PIXELS", 5500)  # 8250 bytes for 5490 pixels
    with pytest.raises(LikewiseError, match=rf"a\.\w+ is 90 x 61 pixels, and {why}.*save it as a PNG.*LIKEWISE_MAX_P"):
        read_image(path)


@pytest.mark.usefixtures("large")
def test_a_tiff_in_one_compressed_piece_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PHOTO, photometric="rgb", compression="zlib", rowsperstrip=61)
    assert np.array_equal(read_image(path), PHOTO)
    monkeypatch.setattr(images, "MAX_PIXELS", 40_000)  # 60 000 bytes for three of 5490 pixels and four times the strip
    with pytest.raises(LikewiseError, match="a part of it that has to be decoded at once is large"):
        read_image(path)
    tifffile.imwrite(path, PHOTO, photometric="rgb", compression="zlib", rowsperstrip=5)
    assert np.array_equal(read_image(path), PHOTO)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_nodata_of_a_tiff_is_nothing(tmp_path: Path, dtype: type) -> None:
    values = (PHOTO.astype(dtype) // 2 + 60).astype(dtype)
    values[:, :30] = 0
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extratags=[(42113, 2, 2, "0", True)])
    read, inside = read_image(tmp_path / "a.tif"), read_image(values[:, 30:])
    assert np.abs(read[:, 30:].astype(int) - inside).max() <= 1
    assert np.abs(read[:, :30].astype(int) - np.median(inside, (0, 1))).max() <= 1
    marked = read_mask(tmp_path / "a.tif")
    assert not marked[:, :30].any()
    assert marked[:, 30:].all()
