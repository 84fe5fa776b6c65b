"""Pictures of every kind become the same 8-bit RGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.data.images import read_image, read_mask
from likewise.errors import LikewiseError

RAMP = np.add.outer(np.arange(24) * 4, np.arange(40) * 4).astype(np.uint8)
COLOUR = np.stack((RAMP, RAMP[::-1], RAMP[:, ::-1]), axis=2)


def saved(folder: Path, name: str, image: Image.Image, **options: object) -> Path:
    image.save(folder / name, **options)
    return folder / name


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=2)


def test_rgb_is_itself_by_path_picture_and_array(tmp_path: Path):
    path = saved(tmp_path, "a.png", Image.fromarray(COLOUR))
    for source in (path, str(path), Image.open(path), COLOUR):
        read = read_image(source)
        assert read.dtype == np.uint8
        assert np.array_equal(read, COLOUR)


def test_an_array_is_copied():
    source = COLOUR.copy()
    read_image(source)[:] = 0
    assert np.array_equal(source, COLOUR)


def test_grey_palette_and_one_bit(tmp_path: Path):
    assert np.array_equal(read_image(saved(tmp_path, "l.png", Image.fromarray(RAMP))), grey(RAMP))
    palette = Image.fromarray(COLOUR).quantize(16)
    assert np.array_equal(read_image(saved(tmp_path, "p.png", palette)), np.asarray(palette.convert("RGB")))
    bits = Image.fromarray(RAMP > 99)
    assert np.array_equal(read_image(saved(tmp_path, "1.png", bits)), grey((RAMP > 99) * np.uint8(255)))


@pytest.mark.parametrize(("name", "bits"), [("a.png", 16), ("a.tif", 16), ("a.tif", 12), ("a.tif", 10)])
def test_deep_grey_is_scaled_by_the_depth_it_uses(tmp_path: Path, name: str, bits: int):
    """But for a thousandth at either end, which is a value that a camera does not give on its own."""
    full = np.linspace(0, 2**bits - 1, 24 * 40).reshape(24, 40).round().astype(np.uint16)
    read = read_image(saved(tmp_path, name, Image.fromarray(full)))
    assert np.abs(read - grey(full / (2**bits - 1) * 255)).max() <= 1


def test_sixteen_bits_made_of_eight_give_the_eight_back(tmp_path: Path):
    assert np.array_equal(read_image(RAMP.astype(np.uint16) * 257), grey(RAMP))
    assert np.array_equal(read_image(saved(tmp_path, "i.tif", Image.fromarray(RAMP.astype(np.int32)))), grey(RAMP))
    floats = saved(tmp_path, "f.tif", Image.fromarray((RAMP / 255).astype(np.float32)))
    assert np.array_equal(read_image(floats), grey(RAMP))


@pytest.mark.parametrize("values", [COLOUR / 255, COLOUR.astype(np.float64), COLOUR.astype(np.int64)])
def test_arrays_of_floats_and_integers(values: np.ndarray):
    assert np.array_equal(read_image(values), COLOUR)


def test_what_is_transparent_is_white(tmp_path: Path):
    alpha = np.dstack((COLOUR, np.full(RAMP.shape, 255, np.uint8)))
    alpha[:12, :, 3] = 0
    alpha[12:, :20, 3] = 51
    weight = alpha[..., 3:] / 255
    expected = COLOUR * weight + 255 * (1 - weight)
    for source in (alpha, saved(tmp_path, "a.png", Image.fromarray(alpha))):
        np.testing.assert_allclose(read_image(source), expected, atol=1)
    keyed = Image.fromarray(RAMP)
    path = saved(tmp_path, "t.png", keyed, transparency=0)
    assert (read_image(path)[0, 0] == 255).all()


def test_exif_rotation_is_applied(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the picture is to be turned a quarter clockwise
    path = saved(tmp_path, "r.png", Image.fromarray(COLOUR), exif=exif)
    assert np.array_equal(read_image(path), np.rot90(COLOUR, -1))


def test_cmyk_jpeg(tmp_path: Path):
    smooth = Image.fromarray(COLOUR).convert("CMYK")
    read = read_image(saved(tmp_path, "c.jpg", smooth, quality=98))
    np.testing.assert_allclose(read.astype(float), COLOUR, atol=12)


def test_the_smallest_picture():
    assert read_image(np.zeros((1, 1), np.uint8)).shape == (1, 1, 3)


def test_a_truncated_file_is_an_error_with_its_name(tmp_path: Path):
    for kind in ("JPEG", "PNG", "TIFF", "GIF"):
        buffer = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, kind)
        path = tmp_path / f"cut.{kind.lower()}"
        for share in (0.02, 0.5, 0.9):
            path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * share)])
            with pytest.raises(LikewiseError, match=path.name):
                read_image(path)


def test_other_files_folders_and_missing_files_are_errors_that_help(tmp_path: Path):
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(LikewiseError, match=r"notes.jpg cannot be read as a picture"):
        read_image(tmp_path / "notes.jpg")
    with pytest.raises(LikewiseError, match="is a folder; expected a picture"):
        read_image(tmp_path)
    with pytest.raises(LikewiseError, match=r"no such file: .*note.jpg; did you mean 'notes.jpg'"):
        read_image(tmp_path / "note.jpg")


def test_a_picture_too_large_is_refused_before_it_is_decoded(tmp_path: Path):
    # one of a picture's headers says 100 000 x 100 000; there are no pixels
    head = saved(tmp_path, "a.ppm", Image.fromarray(COLOUR)).read_bytes()
    path = tmp_path / "bomb.ppm"
    path.write_bytes(head.replace(b"40 24", b"100000 100000"))
    with pytest.raises(LikewiseError, match=r"bomb.ppm is 100000 x 100000 pixels, more than the 1000 million"):
        read_image(path)
    with pytest.raises(LikewiseError, match=r"more than the 0\.0005 million"):
        read_image(tmp_path / "a.ppm", max_pixels=500)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\)"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\)"),
        (np.zeros(4, np.uint8), r"shape \(4,\)"),
        (np.full((2, 2), np.nan), "not finite"),
        (np.full((2, 2), np.inf), "not finite"),
        (np.full((2, 2), 1j), "type complex128"),
        (np.full((2, 2), "x"), "type <U1"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(values: np.ndarray, message: str):
    with pytest.raises(LikewiseError, match=message):
        read_image(values)


MARKED = np.zeros((24, 40), bool)
MARKED[5:15, 8:30] = True


@pytest.mark.parametrize("kind", ["1", "L", "P", "RGB", "RGBA", "cut-out", "LA", "palette", "I;16", "F"])
def test_a_mask_is_what_is_neither_black_nor_transparent(tmp_path: Path, kind: str):
    """However it was saved: editors leave the background transparent as often as black."""
    grey8 = Image.fromarray(MARKED.astype(np.uint8))
    clear = Image.new("RGBA", (40, 24), (0, 0, 0, 0))
    white = Image.new("RGBA", (40, 24), (255, 255, 255, 0))  # what is stored below transparent places is anything
    forms = {
        "cut-out": Image.composite(Image.new("RGBA", (40, 24), (9, 0, 0, 255)), white, Image.fromarray(MARKED)),
        "LA": Image.composite(Image.new("RGBA", (40, 24), "white"), clear, Image.fromarray(MARKED)).convert("LA"),
        "palette": Image.fromarray((~MARKED).astype(np.uint8)).convert("P"),
        "I;16": Image.fromarray((MARKED * np.linspace(1, 3000, 40)).astype(np.uint16)),
        "F": Image.fromarray(MARKED.astype(np.float32) * 0.25),
    }
    image = forms[kind] if kind in forms else grey8.point(lambda v: 255 * v).convert(kind)
    if kind == "palette":  # of two colours, the thing's comes first
        image.putpalette([255, 255, 255, 0, 0, 0])
    path = saved(tmp_path, "mask.tif" if kind == "F" else "mask.png", image)
    for source in (path, Image.open(path)):
        assert np.array_equal(read_mask(source), MARKED)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_a_mask_survives_being_a_jpeg(tmp_path: Path, quality: int):
    large = MARKED.repeat(7, 0).repeat(7, 1)  # JPEG has blocks of 8
    path = saved(tmp_path, "mask.jpg", Image.fromarray(large), quality=quality)
    assert np.count_nonzero(np.asarray(Image.open(path))) > large.sum()  # traces beside it
    assert np.count_nonzero(read_mask(path) != large) < 0.005 * large.size
    assert not read_mask(saved(tmp_path, "black.jpg", Image.new("L", (40, 24)))).any()


def test_a_mask_is_turned_as_its_exif_says_and_refused_as_pictures_are(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, "mask.png", Image.fromarray(np.rot90(MARKED).copy()), exif=exif)
    assert np.array_equal(read_mask(path), MARKED)
    with pytest.raises(LikewiseError, match=r"no such file: .*maks\.png; did you mean 'mask\.png'"):
        read_mask(tmp_path / "maks.png")
    with pytest.raises(LikewiseError, match=r"more than the 0\.0009 million"):
        read_mask(path, max_pixels=900)
    path.write_bytes(b"no mask")
    with pytest.raises(LikewiseError, match="cannot be read"):
        read_mask(path)
