"""More than 8 bits, several planes, and files that are no pictures: against tifffile, numpy and closed forms."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, UnidentifiedImageError

from likewise.data import images, png
from likewise.data.decoders import DECODERS, IMAGE_SUFFIXES, open_image, without_pillows_limit
from likewise.data.images import read_image, read_mask
from likewise.errors import LikewiseError

RNG = np.random.default_rng(5)
PHOTO = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (6, 9, 3), np.uint8)).resize((90, 60), Image.Resampling.BICUBIC)
)
#: A colour scene in a narrow part of 16 bits.
NARROW = (300 + PHOTO.astype(np.uint16) * 5).astype(np.uint16)


def stretched(values: np.ndarray) -> np.ndarray:
    """The closed form: percentiles of all that is finite, one range for all colours."""
    finite = values[np.isfinite(values)].astype(float)
    low, high = np.percentile(finite, (0.1, 99.9))
    level = (np.nan_to_num(values.astype(float), nan=low, posinf=low, neginf=low) - low) / (high - low)
    return 255 * level.clip(0, 1)


def alike(read: np.ndarray, expected: np.ndarray, within: float = 2.0) -> bool:
    """Whether they are the same but for where a percentile lies between two values."""
    return bool(np.abs(read.astype(float) - (expected if expected.ndim == 3 else expected[..., None])).max() <= within)


def png16(values: np.ndarray, kind: int, *, interlaced: bool = False, level: int = 6) -> bytes:
    """A PNG of 16 bits, coded by hand: every row with another of the filters none, sub and up."""

    def rows(part: np.ndarray) -> bytes:
        width, raw = part.shape[1] * part.shape[2] * 2, part.astype(">u2").tobytes()
        lines = np.frombuffer(raw, np.uint8).reshape(part.shape[0], width)
        step, coded = part.shape[2] * 2, b""
        for y, line in enumerate(lines):
            left = np.concatenate([np.zeros(step, np.uint8), line[:-step]])
            above = lines[y - 1] if y else np.zeros_like(line)
            coded += bytes([y % 3]) + (line - (np.zeros_like(line), left, above)[y % 3]).tobytes()
        return coded

    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    data = b"".join(rows(values[y::dy, x::dx]) for y, x, dy, dx in passes) if interlaced else rows(values)
    height, width = values.shape[:2]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, interlaced))]
    packed = zlib.compress(data, level)
    chunks += [(b"IDAT", packed[i : i + 999]) for i in range(0, len(packed), 999)] + [(b"IEND", b"")]
    coded = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(coded)


def tiff(folder: Path, values: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(folder / "a.tif", values, **options)
    return folder / "a.tif"


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(60, 90), (60, 90, 3)])
def test_a_narrow_range_is_spread_whatever_the_type(dtype: type, shape: tuple[int, ...]) -> None:
    values = (300 + (PHOTO if len(shape) == 3 else PHOTO[..., 0]).astype(float) * 5).astype(dtype)
    assert alike(read_image(values), stretched(values))


@pytest.mark.parametrize("worst", [65535, 0])
def test_one_hot_or_dead_pixel_changes_nothing(worst: int, tmp_path: Path) -> None:
    spoilt = NARROW.copy()
    spoilt[5, 7] = worst
    clean, hot = read_image(NARROW), read_image(spoilt)
    assert read_image(tiff(tmp_path, spoilt, photometric="rgb")).tolist() == hot.tolist()
    hot[5, 7] = clean[5, 7]
    assert np.abs(clean.astype(int) - hot).max() <= 1
    floats = (NARROW[..., 0] / 65535).astype(np.float32)
    floats[3, 3] = worst / 65535
    read, clean = read_image(floats), read_image(NARROW[..., 0])
    read[3, 3] = clean[3, 3]
    assert np.abs(read.astype(int) - clean).max() <= 1


def test_nan_and_infinity_are_nothing() -> None:
    values = PHOTO[..., 0] * 0.01 - 0.4
    clean = read_image(values)
    holes = values.copy()
    holes[:, :9] = np.nan
    holes[:3, 20], holes[:3, 21] = np.inf, -np.inf
    read = read_image(holes)
    nothing = np.median(read[np.isfinite(holes)])  # not black, which would be a thing with an edge
    assert np.abs(read[:, :9] - nothing).max() <= 1
    assert len(np.unique(read[:, :9])) == 1
    assert (read[:3, 20:22] == read[0, 0]).all()
    assert np.abs(read[10:, 30:].astype(int) - clean[10:, 30:]).max() <= 3


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_ordinary_picture_in_floats_is_that_picture(dtype: type) -> None:
    assert np.array_equal(read_image((PHOTO / 255).astype(dtype)), PHOTO)
    dim = (PHOTO // 8 + 30).astype(np.uint8)
    assert np.array_equal(read_image((dim / 255).astype(dtype)), dim)
    assert np.array_equal(read_image(PHOTO.astype(dtype)), PHOTO)
    smooth = (0.9 * PHOTO / 255 + 0.033).astype(
        dtype
    )  # as after resizing: no multiples of 1/255, but an ordinary range
    assert np.abs(read_image(smooth) - 255 * smooth.astype(float)).max() <= 0.51


@pytest.mark.parametrize("value", [0, 0.5, 7, -3.5, 1e30, 65535])
def test_a_constant_picture_is_a_constant_picture(value: float) -> None:
    read = read_image(np.full((5, 6), value))
    assert len(np.unique(read)) == 1


def test_a_few_bright_things_on_nothing_are_not_outliers() -> None:
    values = np.zeros((200, 200), np.uint16)
    values[100, 100:105] = 900
    assert (read_image(values)[100, 100:105] == 255).all()


@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(
        st.one_of(
            hnp.boolean_dtypes(),
            hnp.integer_dtypes(endianness="?"),
            hnp.unsigned_integer_dtypes(endianness="?"),
            hnp.floating_dtypes(endianness="?"),
            hnp.complex_number_dtypes(),
            st.just(np.dtype("U2")),
            hnp.datetime64_dtypes(),
        ),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6),
    )
)
def test_any_array_is_a_picture_or_refused(values: np.ndarray) -> None:
    try:
        read = read_image(values)
    except LikewiseError:
        return
    assert (read.dtype, read.shape) == (np.uint8, (*values.shape[:2], 3))
    assert read.flags.c_contiguous
    assert not np.shares_memory(read, values)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_png_of_16_bits_keeps_both_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int, channels: int, interlaced: bool
) -> None:
    monkeypatch.setattr(png, "STRIP", 3000)
    path, values = tmp_path / "a.png", NARROW[..., [0, 1, 2, 0][:channels]].copy()
    if channels in (2, 4):
        values[..., -1] = 65535
    path.write_bytes(png16(values, kind, interlaced=interlaced))
    expected = stretched(values[..., : channels - 1] if channels in (2, 4) else values)
    assert alike(read_image(path), expected)
    assert alike(read_image(Image.open(path)), expected) or channels < 3
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(LikewiseError, match=r"a\.png cannot be read"):
        read_image(path)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"planarconfig": "separate"},
        {"compression": "zlib"},
        {"tile": (32, 32), "compression": "zlib", "planarconfig": "separate"},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"photometric": "minisblack"},
    ],
)
def test_tiff_of_16_bit_colours(tmp_path: Path, options: dict[str, object]) -> None:
    values = NARROW.transpose(2, 0, 1) if options.get("planarconfig") == "separate" else NARROW
    path = tiff(tmp_path, values, **({"photometric": "rgb", "planarconfig": "contig"} | options))
    assert alike(read_image(path), stretched(NARROW))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_as_pillow_and_others_compress_it(tmp_path: Path, compression: str) -> None:
    Image.fromarray(PHOTO).save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(read_image(tmp_path / "a.tif"), PHOTO)
    Image.fromarray(NARROW[..., 0]).save(tmp_path / "b.tif", compression=compression)
    assert alike(read_image(tmp_path / "b.tif"), stretched(NARROW[..., 0]))


def lzw(data: bytes) -> bytes:
    """LZW as in TIFF, of literals alone: the table is cleared before its codes grow to 10 bits."""
    codes = [code for i in range(0, len(data), 200) for code in (256, *data[i : i + 200])] + [257]
    bits = "".join(f"{code:09b}" for code in codes)
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_16_bit_colours_as_photoshop_and_gdal_compress_it(tmp_path: Path, order: str) -> None:
    """tifffile alone does not know LZW, and Pillow keeps one byte of two; strips of 7 rows."""
    strips = [lzw(NARROW[y : y + 7].astype(f"{order}u2").tobytes()) for y in range(0, 60, 7)]
    at, body, offsets = 8, b"".join(strips), []
    for strip in strips:
        offsets.append(at)
        at += len(strip)
    tags, extra, behind = b"", b"", 8 + len(body) + 2 + 12 * 10 + 4
    for tag, kind, values in (
        *((256, 3, [90]), (257, 3, [60]), (258, 3, [16] * 3), (259, 3, [5]), (262, 3, [2]), (273, 4, offsets)),
        *((277, 3, [3]), (278, 3, [7]), (279, 4, [len(strip) for strip in strips]), (284, 3, [1])),
    ):
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        place = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack(f"{order}I", behind + len(extra))
        extra += packed if len(packed) > 4 else b""
        tags += struct.pack(f"{order}HHI", tag, kind, len(values)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(body))
    path = tmp_path / "a.tif"
    path.write_bytes(head + body + struct.pack(f"{order}H", 10) + tags + bytes(4) + extra)
    assert alike(read_image(path), stretched(NARROW))


def test_tiff_whose_0_is_white_is_turned_round(tmp_path: Path) -> None:
    inverse = 65535 - NARROW[..., 0]
    assert alike(read_image(tiff(tmp_path, inverse, photometric="miniswhite")), stretched(NARROW[..., 0]))


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_tiff_is_turned_once(tmp_path: Path, number: int, deep: bool) -> None:
    values = NARROW if deep else PHOTO
    path = tiff(tmp_path, values, photometric="rgb", extratags=[(274, 3, 1, number, True)])
    upright = [
        *(lambda a: a, lambda a: a[:, ::-1], lambda a: a[::-1, ::-1], lambda a: a[::-1]),
        *(lambda a: a.swapaxes(0, 1), lambda a: np.rot90(a, -1)),
        *(lambda a: np.rot90(a, -1)[::-1, :][:, :], lambda a: np.rot90(a, 1)),
    ][number - 1]
    expected = upright(read_image(values))
    if number == 7:  # across the other diagonal
        expected = read_image(values)[::-1, ::-1].swapaxes(0, 1)
    assert np.array_equal(read_image(path), expected)


def test_ppm_of_16_bit_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6\n# a comment 9 9\n90 60\n65535\n" + NARROW.astype(">u2").tobytes())
    assert alike(read_image(path), stretched(NARROW))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(LikewiseError, match=r"a\.ppm cannot be read"):
        read_image(path)


STACK = np.stack([NARROW[..., 0]] * 4)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (STACK, {"imagej": True, "metadata": {"axes": "ZYX"}}, r"4 planes of 90 x 60 .*\(axes ZYX\).*save the one"),
        (STACK, {"imagej": True, "metadata": {"axes": "TYX"}}, "4 frames"),
        (STACK, {"photometric": "minisblack"}, "4 (planes|pages)"),
        (STACK.reshape(2, 2, 60, 90), {"imagej": True, "metadata": {"axes": "ZCYX"}}, "2 planes and 2 channels"),
        (STACK.transpose(1, 2, 0), {"photometric": "minisblack", "planarconfig": "contig"}, "4 channels"),
        (STACK[:2].transpose(1, 2, 0), {"photometric": "minisblack", "planarconfig": "contig"}, "2 channels"),
    ],
)
def test_several_planes_are_refused_by_number_and_axis(
    tmp_path: Path, values: np.ndarray, options: dict[str, object], message: str
) -> None:
    with pytest.raises(LikewiseError, match=message):
        read_image(tiff(tmp_path, values, **options))
    refused = pytest.raises(LikewiseError, match=message)
    with contextlib.suppress(UnidentifiedImageError), Image.open(tmp_path / "a.tif") as image, refused:
        read_image(image)


def test_channels_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path, STACK[:3], metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP", "RFP"]}}, photometric="minisblack"
    )
    with pytest.raises(LikewiseError, match=r"3 channels \(DAPI, GFP, RFP\)"):
        read_image(path)


def test_smaller_copies_and_masks_in_a_tiff_are_no_planes(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(NARROW, photometric="rgb", subifds=1)
        file.write(NARROW[::2, ::2], photometric="rgb", subfiletype=1)
        file.write(NARROW[::3, ::3], photometric="rgb", subfiletype=1)
        file.write(PHOTO[..., 0] > 9, photometric="minisblack", subfiletype=4)
    assert alike(read_image(path), stretched(NARROW))


def test_pages_of_a_document_are_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[:30])]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(LikewiseError, match=r"2 pages \(90 x 60, 90 x 30\)"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_animations_are_refused_and_single_frames_read(tmp_path: Path, name: str) -> None:
    frames = [Image.fromarray(np.roll(PHOTO, 9 * i, 1)) for i in range(3)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.raises(LikewiseError, match="3 frames"):
        read_image(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        image.seek(1)
        assert read_image(image.copy()).shape == PHOTO.shape
        assert np.array_equal(read_image(image), np.asarray(image.convert("RGB")))
    frames[0].save(tmp_path / name)
    assert read_image(tmp_path / name).shape == PHOTO.shape


def test_a_phones_photograph_with_a_preview_is_its_first_picture(tmp_path: Path) -> None:
    first, second = Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1])
    first.save(tmp_path / "a.mpo", save_all=True, append_images=[second])
    first.save(tmp_path / "b.jpg")
    assert np.array_equal(read_image(tmp_path / "a.mpo"), read_image(tmp_path / "b.jpg"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    "exif",
    [
        b"nonsense",
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x87\x69\xff\xff" * 9,
    ],
)
def test_broken_exif_costs_the_orientation_only(tmp_path: Path, kind: str, exif: bytes) -> None:
    path, image = tmp_path / f"a.{kind.lower()}", Image.fromarray(PHOTO)
    options = {} if kind in ("TIFF", "PNG") else {"exif": exif}
    image.save(path, kind, **options)
    if kind == "PNG":  # behind the pixels, where it may stand
        start = path.read_bytes()[:-12]
        chunk = b"eXIf" + exif.removeprefix(b"Exif\0\0")
        end = path.read_bytes()[-12:]
        path.write_bytes(start + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + end)
    if kind == "TIFF":  # the tag that says where the EXIF is points behind the end
        tifffile.imwrite(path, PHOTO, photometric="rgb", extratags=[(34665, 4, 1, 0xFFFFFF00, True)])
    expected = np.asarray(Image.open(io.BytesIO(_saved(image, kind))).convert("RGB"))
    assert np.array_equal(read_image(path), expected)


def _saved(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P"])
def test_large_pictures_are_read_as_small_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    image = Image.fromarray(PHOTO).quantize(20) if mode == "P" else Image.fromarray(PHOTO).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(PHOTO[..., 1]))
    exif = Image.Exif()
    exif[0x0112] = 6
    paths = [tmp_path / "a.png"]
    image.save(paths[0], exif=exif, **({"transparency": 3} if mode == "P" else {}))
    if mode in ("RGB", "L"):
        paths += [tmp_path / "a.jpg", tmp_path / "a.tif"]
        image.save(paths[1], exif=exif)
        image.save(paths[2])
    small = [(read_image(path), read_mask(path)) for path in paths]
    monkeypatch.setattr(images, "LARGE", 100)
    monkeypatch.setattr(png, "STRIP", 700)
    for path, (pixels, mask) in zip(paths, small, strict=True):
        assert np.array_equal(read_image(path), pixels)
        assert np.array_equal(read_mask(path), mask)
        path.write_bytes(path.read_bytes()[: len(path.read_bytes()) * 2 // 3])
        with pytest.raises(LikewiseError, match="cannot be read"):
            read_image(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.jpg", {}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.tif", {"compression": "tiff_adobe_deflate"}),
        ("a.tif", {"compression": "jpeg"}),
        ("a.bmp", {}),
        ("a.ppm", {}),
    ],
)
def test_a_large_picture_takes_little_more_than_its_pixels(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    """6000 x 6000 are 108 MB; decoded by Pillow and converted they take three times as much."""
    Image.new("RGB", (6000, 6000), (200, 180, 160)).save(tmp_path / name, **options)
    assert peak_of(tmp_path / name) < 108 * 1.25 + 60


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_large_png_of_16_bits_takes_little_more_than_its_pixels(tmp_path: Path, interlaced: bool) -> None:
    values = np.full((6000, 6000, 1), 700, np.uint16)
    values[::2, ::3] = 300
    (tmp_path / "a.png").write_bytes(png16(values, 0, interlaced=interlaced, level=1))
    assert peak_of(tmp_path / "a.png") < 108 * 1.25 + 120


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "rowsperstrip": 64}, {"tile": (512, 512)}])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_large_tiff_of_deep_values_takes_little_more_than_its_pixels(
    tmp_path: Path, dtype: type, options: dict[str, object]
) -> None:
    values = np.full((6000, 6000), 700, dtype)
    values[::2, ::3] = 300
    assert peak_of(tiff(tmp_path, values, **options)) < 108 * 1.25 + 120


def peak_of(path: Path) -> float:
    """MB that reading a picture of 6000 x 6000 takes, in a process of its own, beyond what it took before."""
    code = (
        "import resource, sys, torch, torchvision, likewise.data.images as i, numpy\n"
        "i.read_image(numpy.zeros((9, 9)))\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); assert i.read_image(sys.argv[1]).shape == (6000, 6000, 3); print((peak() - before) / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_pillows_limit_is_away_while_pictures_are_read_and_back_afterwards(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    with without_pillows_limit():
        with without_pillows_limit():
            assert Image.MAX_IMAGE_PIXELS is None
        assert Image.MAX_IMAGE_PIXELS is None
    assert before == Image.MAX_IMAGE_PIXELS
    Image.new("L", (20_000, 10_000)).save(tmp_path / "a.png")  # more than it lets pass
    assert read_image(tmp_path / "a.png").shape == (10_000, 20_000, 3)
    assert before == Image.MAX_IMAGE_PIXELS


def test_the_bound_on_pixels_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    monkeypatch.setenv("LIKEWISE_MAX_PIXELS", "5000")
    with pytest.raises(LikewiseError, match=r"90 x 60 pixels, more than the 0\.005 million.*LIKEWISE_MAX_PIXELS"):
        read_image(tmp_path / "a.png")
    monkeypatch.setenv("LIKEWISE_MAX_PIXELS", "many")
    with pytest.raises(LikewiseError, match="expected a whole number"):
        read_image(tmp_path / "a.png")


def test_a_small_tiff_cannot_fill_the_memory(tmp_path: Path) -> None:
    path = tiff(tmp_path, NARROW, photometric="rgb", compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset, size = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
        tag = file.pages[0].tags["StripByteCounts"].valueoffset
    bomb = zlib.compress(bytes(1 << 26))
    data = bytearray(path.read_bytes())
    data[tag : tag + 4] = struct.pack("<I", len(bomb))
    data = data[:offset] + bomb + data[offset + size :]
    path.write_bytes(data)
    with pytest.raises(LikewiseError, match="cannot be read"):
        read_image(path)


@pytest.mark.parametrize(
    "start", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"%PDF-1.7\n", b"\xd7\xcd\xc6\x9a" + bytes(40)]
)
@pytest.mark.parametrize("name", ["a.png", "a.eps", "a.jpg"])
def test_no_other_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes, name: str) -> None:
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / name).write_bytes(start)
    with pytest.raises(LikewiseError, match="a drawing or page description; save it as PNG"):
        read_image(tmp_path / name)
    assert not (tmp_path / "started").exists()


def test_every_decoder_is_one_of_the_list_and_every_suffix_of_a_decoder() -> None:
    assert not {"EPS", "PDF", "WMF", "FITS", "PSD", "MPEG", "HDF5", "GRIB", "BUFR"} & set(DECODERS)
    Image.init()
    theirs = {suffix for suffix, kind in Image.EXTENSION.items() if kind in DECODERS}
    assert set(IMAGE_SUFFIXES) - theirs <= {".jif", ".btf", ".tf8", ".avif", ".pfm", ".mpo", ".qoi"}
    with pytest.raises(Image.UnidentifiedImageError):
        open_image(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"))


def test_pillow_opens_files_in_one_place_only() -> None:
    package = Path(images.__file__).parents[1]
    found = [path.name for path in package.rglob("*.py") if "Image.open(" in path.read_text(encoding="utf-8")]
    assert found == ["decoders.py"]


@pytest.mark.parametrize(
    ("name", "start", "message"),
    [
        ("a.mp4", b"\0\0\0\x18ftypmp42", "a film"),
        ("a.jpg", b"\0\0\0\x18ftypisom", "a film"),
        ("a.heic", b"\0\0\0\x18ftypheic", "a HEIC photograph; pip install 'likewise\\[heif\\]'"),
        ("a.czi", b"ZISRAWFILE", "a microscope's own format"),
        ("a.pdf", b"%PDF-1.4", "a drawing or page description"),
        ("a.cr3", b"\0\0\0\x18ftypcrx ", "a camera's raw data"),
        ("a.png", b"<!DOCTYPE html><html>", "a web page"),
        ("a.jpg", b"", "empty"),
        ("a.jpg", b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "macOS's notes"),
        ("a.png", b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        ("a.npy", b"\x93NUMPY", "a file of numbers"),
        ("a.jpg", b"\x12\x34\x56\x78", "no picture of a kind that is read"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(tmp_path: Path, name: str, start: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(start and start + bytes(200))
    with pytest.raises(LikewiseError, match=message):
        read_image(tmp_path / name)


def test_raw_data_in_a_tiff_are_not_taken_for_their_preview(tmp_path: Path) -> None:
    path = tiff(tmp_path, PHOTO, photometric="rgb", extratags=[(50706, 1, 4, (1, 4, 0, 0), True)])
    with pytest.raises(LikewiseError, match=r"raw data \(DNG\)"):
        read_image(path)


def test_addresses_links_and_pipes_are_called_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(LikewiseError, match="is an address; download"):
        read_image("https://example.org/coins.jpg")
    (tmp_path / "a.jpg").symlink_to("gone.jpg")
    with pytest.raises(LikewiseError, match=r"a link to gone\.jpg, which is not there"):
        read_image(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "b.jpg")
    with pytest.raises(LikewiseError, match="a pipe or a device"):
        read_image(tmp_path / "b.jpg")
    Image.fromarray(PHOTO).save(tmp_path / "c.png")
    (tmp_path / "d.png").symlink_to("c.png")
    assert np.array_equal(read_image(tmp_path / "d.png"), PHOTO)


def test_a_mask_of_many_labels_in_any_bits(tmp_path: Path) -> None:
    labels = np.zeros((60, 90), np.uint32)
    labels[9:20, 5:30], labels[30:50, 40:80] = 1, 2**31 + 5
    assert np.array_equal(read_mask(tiff(tmp_path, labels)), labels > 0)
    with pytest.raises(LikewiseError, match=r"4 (planes|pages)"):
        read_mask(tiff(tmp_path, STACK, photometric="minisblack"))


def seeds() -> dict[str, bytes]:
    """A small picture in every format that can be written here."""
    small, deep = Image.fromarray(PHOTO[:20, :20]), NARROW[:20, :20]
    found = {kind: _saved(small, kind) for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM", "MPO", "QOI")}
    for name, values, options in (
        ("deep", deep, {"photometric": "rgb"}),
        ("planar", deep.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
        ("zlib", deep, {"photometric": "rgb", "compression": "zlib", "rowsperstrip": 5}),
        ("stack", deep, {"imagej": True, "metadata": {"axes": "ZYX"}}),
        ("float", deep[..., 0].astype(np.float32), {}),
    ):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, values if name != "stack" else deep.transpose(2, 0, 1), **options)
        found[name] = buffer.getvalue()
    found["png16"], found["adam7"] = png16(deep, 2), png16(deep, 6 - 4, interlaced=True)
    return found


SEEDS = seeds()


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_damage_to_a_file_gives_a_picture_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(SEEDS[data.draw(st.sampled_from(sorted(SEEDS)))])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, min(len(content) - 1, 400)))
        content[at] = data.draw(st.sampled_from((0, 1, 255, 127, 128)) | st.integers(0, 255))
    cut = data.draw(st.just(len(content)) | st.integers(1, len(content)))
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(content[:cut])
    for read in (read_image, read_mask):
        try:
            found = read(path, max_pixels=1_000_000)
        except LikewiseError as error:
            assert "damaged.png" in str(error)  # noqa: PT017  # most damage is refused, some is not seen
        else:
            assert found.ndim == (3 if read is read_image else 2)


def test_a_chain_of_pages_is_followed_neither_in_circles_nor_for_ever(tmp_path: Path) -> None:
    path = tiff(tmp_path, NARROW[..., 0], photometric="minisblack")
    content = path.read_bytes()
    first = struct.unpack("<I", content[4:8])[0]
    tags = struct.unpack("<H", content[first : first + 2])[0]
    after = first + 2 + 12 * tags
    path.write_bytes(content[:after] + content[4:8] + content[after + 4 :])
    with contextlib.suppress(LikewiseError):
        assert read_image(path).shape == (60, 90, 3)
    page = content[first:after]
    pages, at = b"", len(content)
    for _ in range(1001):
        pages += page + struct.pack("<I", at + len(pages) + len(page) + 4)
    path.write_bytes(content[:after] + struct.pack("<I", at) + content[after + 4 :] + pages + page + bytes(4))
    with pytest.raises(LikewiseError, match="more than 1000 pages"):
        read_image(path)


def test_jpeg_2000_of_16_bit_colours_is_refused(tmp_path: Path) -> None:
    """Pillow neither writes it nor keeps more than a byte of it: here the header says 12 bits."""
    content = bytearray(_saved(Image.fromarray(PHOTO), "JPEG2000"))
    at = content.find(b"\xff\x4f\xff\x51") + 42
    (tmp_path / "a.jp2").write_bytes(content)
    assert read_image(tmp_path / "a.jp2").shape == PHOTO.shape
    assert content[at : at + 9 : 3] == b"\x07\x07\x07"
    content[at : at + 9 : 3] = b"\x0b\x0b\x0b"
    (tmp_path / "a.jp2").write_bytes(content)
    with pytest.raises(LikewiseError, match="more than 8 bits in JPEG 2000"):
        read_image(tmp_path / "a.jp2")
