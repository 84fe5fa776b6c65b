"""What scenes are made of: sprites, cut-outs, layouts, pasting, colours, camera."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import Voronoi

from likewise.errors import LikewiseError
from likewise.ops.run_lengths import decode_rle, encode_rle
from likewise.scenes.appearance import Appearance, Portrait, make_portraits, stamp
from likewise.scenes.camera import Camera, draw_camera, photograph
from likewise.scenes.canvas import Canvas, Shadow
from likewise.scenes.grounds import GROUNDS, make_background
from likewise.scenes.kinds.cells.tissue import Packing, cell_outlines, power_cells
from likewise.scenes.kinds.cutouts import PhotoBank, cutout_kinds, photo_bank
from likewise.scenes.kinds.emoji import emoji_kinds, find_font, sprite
from likewise.scenes.kinds.shapes import OUTLINES, shape_kinds
from likewise.scenes.kinds.surfaces import PAINTS
from likewise.scenes.kinds.textures import colour_name, hue_rotation
from likewise.scenes.layouts.flat import Field
from likewise.scenes.layouts.perspective import LAYOUTS


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def square(side: int, colour: int = 200) -> np.ndarray:
    return np.full((side, side, 4), (colour, colour, colour, 255), dtype=np.uint8)


# --- pasting ----------------------------------------------------------------------------------------------------


def test_visible_pixels_follow_from_overlapping_squares():
    canvas = Canvas(np.zeros((40, 40, 3), dtype=np.uint8))
    canvas.paste(square(10), 0, 0)
    canvas.paste(square(10), 5, 5)  # covers a quarter of the first
    canvas.paste(square(10), 35, 20)  # half of it lies outside
    canvas.paste(square(4), 60, 60)  # all of it does
    assert canvas.area == [100, 100, 100, 16]
    assert canvas.visible().tolist() == [75, 100, 50, 0]
    assert canvas.boxes[:3] == [(0, 0, 10, 10), (5, 5, 15, 15), (35, 20, 45, 30)]
    canvas.cover(square(40), 0, 0)
    assert canvas.visible().tolist() == [0, 0, 0, 0]


def test_half_coverage_mixes_half_and_half():
    canvas = Canvas(np.full((2, 2, 3), 100, dtype=np.uint8))
    glass = np.full((1, 1, 4), (200, 0, 100, 51), dtype=np.uint8)
    canvas.paste(glass, 1, 1)
    assert canvas.pixels[1, 1].tolist() == [120, 80, 100]
    assert canvas.pixels[0, 0].tolist() == [100, 100, 100]
    assert canvas.area == [0]  # too faint to be a thing


def test_a_shadow_falls_beside_the_thing_and_darkens_only():
    canvas = Canvas(np.full((60, 60, 3), 200, dtype=np.uint8))
    canvas.darken(square(10)[..., 3], 20, 20, Shadow(dx=1.0, dy=0.0, blur=0.05, darkness=0.5))
    assert canvas.pixels.max() == 200
    assert canvas.pixels[25, 35, 0] == 100  # half of 200
    assert canvas.pixels[25, 22, 0] == 200


# --- instances --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [9.0, 24.0, 60.0])
@pytest.mark.parametrize("angle", [0.0, 0.5, np.pi / 2])
def test_a_stamp_has_the_size_and_place_asked_for(rng, side, angle):
    """A 2 : 1 rectangle of area side^2, wherever and however it is turned."""
    portrait = Portrait(Image.new("RGBA", (128, 64), (255, 255, 255, 255)))
    rgba, left, top = stamp(rng, portrait, Appearance(), side, angle, (50.3, 40.7))
    weight = rgba[..., 3].astype(float) / 255
    assert weight.sum() == pytest.approx(side**2, rel=0.12)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    centre = ((x * weight).sum() / weight.sum() + left, (y * weight).sum() / weight.sum() + top)
    assert centre == pytest.approx((50.3, 40.7), abs=0.3)
    long, short = side * 2**0.5, side / 2**0.5
    extent = abs(long * np.cos(angle)) + abs(short * np.sin(angle))
    columns = np.flatnonzero((weight > 0.5).any(0))
    assert columns[-1] - columns[0] + 1 == pytest.approx(extent, abs=2)


def test_instances_vary_as_much_as_the_look_says(rng):
    picture = Image.new("RGBA", (64, 64), (120, 90, 60, 255))

    def spread(look: Appearance) -> float:
        portrait = make_portraits(rng, [picture], look, PhotoBank())[0]
        centres = [stamp(rng, portrait, look, 30, 0.0, (20, 20))[0][10:20, 10:20, :3].mean((0, 1)) for _ in range(40)]
        return float(np.std(centres, axis=0).mean())

    assert spread(Appearance()) == 0
    assert 1 < spread(Appearance(gain_spread=0.05)) < spread(Appearance(gain_spread=0.3))
    assert spread(Appearance(hue_spread=0.8)) > 5


# --- kinds ------------------------------------------------------------------------------------------------------


def test_the_font_holds_a_thousand_things_and_no_symbols():
    if find_font() is None:
        pytest.skip("no colour-emoji font is installed (Debian: fonts-noto-color-emoji)")
    names = [kind.name for kind in emoji_kinds()]
    assert len(names) == len(set(names)) >= 1000
    assert {"strawberry", "banana", "honeybee", "tomato"} <= set(names)
    unwanted = ("letter", "arrow", "keycap", "clock face", "squared", "modifier", "aries")
    assert [n for n in names if any(word in n for word in unwanted)] == []
    assert sprite("\U0001f34c").size[0] > 90


def test_no_two_sprites_coincide():
    if find_font() is None:
        pytest.skip("no colour-emoji font is installed (Debian: fonts-noto-color-emoji)")
    seen = {sprite(kind.text).resize((24, 24)).tobytes() for kind in emoji_kinds()}
    assert len(seen) == len(emoji_kinds())


def test_shapes_have_unique_names_and_use_every_outline_and_paint():
    kinds = shape_kinds()
    assert len(kinds) > 400
    assert len({k.name for k in kinds}) == len(kinds)
    assert {k.family for k in kinds} == set(OUTLINES)
    assert {k.paint.material for k in kinds} == set(PAINTS)


@pytest.mark.parametrize("family", OUTLINES)
def test_every_outline_is_drawn_to_its_edges(rng, family):
    kind = next(k for k in shape_kinds() if k.family == family)
    portraits = kind.portraits(rng, 2, 0.5, PhotoBank())
    for portrait in portraits:
        solid = np.asarray(portrait)[..., 3] >= 80
        box = Image.fromarray(solid).getbbox()
        assert box is not None
        assert min(box[2] - box[0], box[3] - box[1]) >= 0.7 * min(portrait.size)
        assert solid.mean() > 0.1
    assert portraits[0].tobytes() != portraits[1].tobytes()


# --- photographs ------------------------------------------------------------------------------------------------


def test_run_lengths_are_those_of_pycocotools(rng):
    coco = pytest.importorskip("pycocotools.mask")
    for shape in ((1, 1), (7, 5), (40, 61)):
        for share in (0.0, 0.1, 0.6, 1.0):
            mask = rng.random(shape) < share
            mask[: shape[0] // 2] |= share > 0.05  # long runs, too
            packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
            text = {"size": packed["size"], "counts": packed["counts"].decode()}
            assert np.array_equal(decode_rle(text), mask)
            runs = encode_rle(mask)
            assert np.array_equal(decode_rle(runs), mask)
            assert coco.frPyObjects(runs, *shape)["counts"] == packed["counts"]


def test_a_folder_of_cutouts_gives_a_kind_each(tmp_path, rng):
    for name, alpha in (("01_red_apple", 255), ("02_pear", 255)):
        picture = Image.new("RGBA", (30, 30))
        picture.paste((200, 30, 30, alpha), (5, 8, 25, 20))
        picture.save(tmp_path / f"{name}.png")
    kinds = cutout_kinds((str(tmp_path),))
    assert [kind.name for kind in kinds] == ["red apple", "pear"]
    assert [p.size for p in kinds[0].portraits(rng, 3, 1.0, PhotoBank())] == [(20, 12)] * 3


def test_masked_pictures_give_their_train_objects(tmp_path, rng):
    (tmp_path / "images").mkdir()
    mask = np.zeros((50, 60), dtype=bool)
    mask[10:30, 20:45] = True
    images = []
    for i, split in enumerate(("train", "val"), start=1):
        Image.new("RGB", (60, 50), (10 * i, 0, 0)).save(tmp_path / "images" / f"{i}.png")
        images.append({"id": i, "file_name": f"images/{i}.png", "split": split})
    notes = [
        {"image_id": i, "category_id": 1, "bbox": [20, 10, 25, 20], "segmentation": encode_rle(mask)} for i in (1, 2)
    ]
    content = {
        "images": images,
        "annotations": notes,
        "categories": [{"id": 1, "name": "slab"}, {"id": 2, "name": "no"}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    (kind,) = cutout_kinds((str(tmp_path),))
    assert kind.name == "slab"
    portraits = kind.portraits(rng, 4, 1.0, PhotoBank())
    assert {p.size for p in portraits} == {(25, 20)}
    assert {p.getpixel((3, 3)) for p in portraits} == {(10, 0, 0, 255)}


def test_label_pictures_give_the_largest_region_of_each_class(tmp_path, rng):
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[5:25, 5:20] = 3
    labels[30:34, 30:34] = 3
    Image.fromarray(labels).save(tmp_path / "labels.png")
    Image.new("RGB", (40, 40), (9, 9, 9)).save(tmp_path / "image.png")
    record = {"image": "image.png", "label": "labels.png", "class_fraction": {"0": 0.8, "3": 0.2}, "split": "train"}
    (tmp_path / "index.json").write_text(json.dumps({"images": [record] * 12}))
    (tmp_path / "classes.json").write_text(
        json.dumps({"classes": [{"id": 3, "name": "bag"}, {"id": 4, "name": "hat"}]})
    )
    kinds = cutout_kinds((str(tmp_path),))
    assert [kind.name for kind in kinds] == ["figure", "bag"]
    assert kinds[1].portraits(rng, 1, 1.0, PhotoBank())[0].size == (15, 20)


def test_an_index_limits_photographs_to_the_split(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert len(photo_bank((str(tmp_path),), "train").paths) == 3
    records = [{"file_name": "a.png", "split": "train"}, {"image": "b.png", "split": "val"}, {"file_name": "c.png"}]
    (tmp_path / "index.json").write_text(json.dumps({"images": records}))
    found = [[p[-5:] for p in photo_bank((str(tmp_path),), split).paths] for split in ("train", "val")]
    assert found == [["a.png", "c.png"], ["b.png", "c.png"]]


@pytest.mark.parametrize("read", [lambda p: photo_bank((p,), "train"), lambda p: cutout_kinds((p,))])
def test_folders_without_pictures_are_told(tmp_path, read):
    with pytest.raises(LikewiseError, match="holds no"):
        read(str(tmp_path))
    with pytest.raises(LikewiseError, match="is not a folder"):
        read(str(tmp_path / "gone"))


def test_a_wholly_transparent_cutout_is_told(tmp_path, rng):
    Image.new("RGBA", (9, 9)).save(tmp_path / "ghost.png")
    with pytest.raises(LikewiseError, match="transparent"):
        cutout_kinds((str(tmp_path),))[0].portraits(rng, 1, 0.0, PhotoBank())


# --- layouts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 37, 400])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_places_everything_inside(rng, name, count):
    field = Field(width=320, height=240, size=14.0, ratio=4.0)
    placed = LAYOUTS[name](rng, count, field)
    assert placed.xy.shape == (count, 2)
    assert placed.scale.shape == placed.angle.shape == (count,)
    assert ((placed.xy >= 0) & (placed.xy <= (320, 240))).all()
    assert (placed.scale > 0).all()
    assert placed.scale.max() / placed.scale.min() <= 4.0 * 1.001


@pytest.mark.parametrize("name", ["ground", "avenue"])
def test_far_things_are_smaller_higher_and_painted_first(rng, name):
    placed = LAYOUTS[name](rng, 200, Field(width=640, height=480, size=20.0, ratio=4.0))
    assert (np.diff(placed.scale) >= 0).all()
    assert np.corrcoef(placed.xy[:, 1], placed.scale)[0, 1] > 0.9


def test_a_grid_is_a_grid():
    """Without jitter, tilt and gaps every place is an integer combination of two steps."""
    for seed in range(40):
        placed = LAYOUTS["grid"](np.random.default_rng(seed), 36, Field(400, 400, 20.0))
        columns = np.unique(np.round(placed.xy[:, 0], 6))
        if placed.angle[0] == 0 and len(columns) <= 36 and len(columns) * len(np.unique(placed.xy[:, 1].round(6))) < 60:
            steps = np.diff(columns)
            assert np.allclose(steps / steps.min(), np.round(steps / steps.min()), atol=1e-6)
            return
    pytest.fail("no seed gave a regular grid")


def test_cells_of_a_tissue_tile_the_picture(rng):
    """Voronoi cells without a gap have the picture's area in all, within the width of the rim."""
    outlines = cell_outlines(rng, 300, 200, 150, Packing(gap=0.0, rounding=0, disorder=0.2, variety=0.0))
    areas = []
    for outline in outlines:
        x, y = outline.T
        areas.append(0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))
    assert len(outlines) == pytest.approx(150, rel=0.25)
    assert sum(areas) == pytest.approx(300 * 200, rel=0.2)


def test_discs_of_one_size_have_the_cells_of_voronoi(rng):
    points = rng.random((80, 2)) * 100
    diagram = Voronoi(points)
    regions = [diagram.regions[diagram.point_region[k]] for k in range(80)]
    expected = [diagram.vertices[r] for r in regions if -1 not in r]
    cells = power_cells(points, np.full(80, 3.0))
    assert len(cells) == len(expected)
    for cell, corners in zip(cells, expected, strict=True):
        assert np.allclose(sorted(cell.tolist()), sorted(corners.tolist()), atol=1e-6)


def test_every_place_of_a_cell_is_in_the_power_of_its_disc(rng):
    """The definition: at the corners, the power of a cell's own disc is the lowest, and shared with two others."""
    points, radius = rng.random((60, 2)) * 100, rng.uniform(0, 8, 60)
    for cell in power_cells(points, radius):
        power = ((cell[:, None] - points) ** 2).sum(-1) - radius**2
        lowest = np.sort(power, axis=1)[:, :3]
        assert np.allclose(lowest, lowest[:, :1], atol=1e-5)
        assert len(set.intersection(*(set(row) for row in np.argsort(power, axis=1)[:, :3].tolist()))) >= 1


def test_unequal_cells_differ_more(rng):
    even = Packing(gap=0.0, rounding=0, disorder=0.3, variety=0.0)
    spread = []
    for packing in (even, replace(even, unequal=0.5)):
        outlines = cell_outlines(rng, 300, 300, 200, packing)
        assert len(outlines) == pytest.approx(200, rel=0.25)
        sizes = [np.log(np.ptp(outline, axis=0).prod() ** 0.5) for outline in outlines]
        spread.append(np.std(sizes))
    assert spread[1] > 2 * spread[0]


# --- colour, background, camera -----------------------------------------------------------------------------------


def test_hue_rotation_by_a_third_permutes_the_channels():
    assert np.allclose(hue_rotation(2 * np.pi / 3) @ [0.9, 0.2, 0.1], [0.1, 0.9, 0.2], atol=1e-6)
    assert np.allclose(hue_rotation(1.234) @ [0.5, 0.5, 0.5], 0.5, atol=1e-6)
    assert np.allclose(hue_rotation(0.0, 0.0) @ [1, 0, 0], 0.299, atol=1e-6)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((0.9, 0.1, 0.1), "red"), ((0.1, 0.2, 0.9), "blue"), ((1, 0.9, 0.1), "yellow"), ((0.4, 0.25, 0.1), "brown"),
     ((0.5, 0.5, 0.5), "grey"), ((0.95, 0.95, 0.95), "white"), ((0.05, 0.05, 0.05), "black"),
     ((0.2, 0.7, 0.2), "green")],
)  # fmt: skip
def test_colours_have_everyday_names(rgb, name):
    assert colour_name(np.array(rgb, dtype=np.float32)) == name


@pytest.mark.parametrize("kind", GROUNDS)
def test_every_background_fills_the_picture(rng, kind):
    pixels = make_background(rng, kind, 90, 130, PhotoBank())
    assert pixels.shape == (90, 130, 3)
    assert pixels.dtype == np.uint8


def test_a_neutral_camera_changes_nothing(rng):
    pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    assert np.array_equal(photograph(rng, pixels, Camera()), pixels)
    assert np.array_equal(photograph(rng, pixels, Camera(inverted=True)), 255 - pixels)
    grey = photograph(rng, pixels, Camera(grey=True))
    assert (grey[..., 0] == grey[..., 1]).all()
    assert np.abs(grey[..., 0].astype(int) - np.asarray(Image.fromarray(pixels).convert("L"))).max() <= 1


def test_colours_that_tell_kinds_apart_are_kept():
    cameras = [
        [draw_camera(np.random.default_rng(s), 30, slide=True, colour=c).grey for s in range(60)] for c in (0, 1)
    ]
    assert any(cameras[0])
    assert not any(cameras[1])


def test_no_camera_moves_a_thing(rng):
    """The centroid of a bright disc stays within half a pixel under blur, noise, light and compression."""
    y, x = np.mgrid[:80, :100]
    disc = (np.hypot(x - 60, y - 30) < 12).astype(np.uint8) * 200
    pixels = np.repeat(disc[..., None], 3, axis=2)
    for camera in (Camera(blur=2.0), Camera(shrink=2.0), Camera(jpeg=40), Camera(noise=0.02), Camera(motion=5)):
        seen = photograph(rng, pixels, camera)[..., 1] > 90
        rows, columns = np.nonzero(seen)
        assert (columns.mean(), rows.mean()) == pytest.approx((60, 30), abs=0.6)
