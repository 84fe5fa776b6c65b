"""The worlds scenes play in: rendered solids, drawn things, microscopy, arrangements, furniture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from likewise.errors import LikewiseError
from likewise.scenes import SceneConfig, make_scene
from likewise.scenes import scene as scenes
from likewise.scenes.appearance import Appearance, Portrait, make_portraits, stamp
from likewise.scenes.assets import HELD_OUT_FAMILIES, assets_of, family_of
from likewise.scenes.canvas import SOLID, Canvas
from likewise.scenes.environments import SETTINGS, TISSUE, draw_setting
from likewise.scenes.grounds import GROUNDS
from likewise.scenes.kinds.cells.nuclei import GlowKind, MembraneKind, build_walls, membrane_stamps, microscopic_kinds
from likewise.scenes.kinds.cells.tissue import cell_outlines, in_patches, thin_walled
from likewise.scenes.kinds.cutouts import PhotoBank
from likewise.scenes.kinds.drawn import FAMILIES, drawn_kinds
from likewise.scenes.kinds.plain import PlainKind, plain_kinds
from likewise.scenes.kinds.raymarch import BODIES, REACH, ball, look_at, rotation, tumbled
from likewise.scenes.kinds.solids import FINISHES, Light, lambert, solid_kinds
from likewise.scenes.layouts.flat import Field, Placement
from likewise.scenes.layouts.perspective import DEEP, HEAPED, LAYOUTS
from likewise.scenes.props import FURNITURE, leaves

SMALL = SceneConfig(seed=5, side=(220, 280), objects=(2, 80), size=(8.0, 90.0), emoji=False)
IDENTITY = np.eye(3, dtype=np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


# --- rendered solids --------------------------------------------------------------------------------------------


def test_a_ball_is_seen_as_a_disc_with_the_normals_of_a_sphere():
    side = 120
    view = look_at(lambda p: ball(p, 0.0, 0.0), IDENTITY, side)
    axis = (np.arange(side) + 0.5) * 2 * REACH / side - REACH
    x, y = np.meshgrid(axis, axis)
    inside = np.hypot(x, y) < 0.97
    assert (view.coverage[inside] == 1).all()
    assert (view.coverage[np.hypot(x, y) > 1.03] == 0).all()
    expected = np.stack([x, y, np.sqrt(np.clip(1 - x**2 - y**2, 0, None))], axis=-1)
    assert np.abs(view.normal - expected)[inside].max() < 0.03
    assert np.abs(view.place - expected)[inside].max() < 0.03


def test_a_matte_ball_is_shaded_by_lamberts_law():
    """Light from e falls on a sphere's point n with max(n.e, 0): a closed form for every pixel."""
    side = 120
    direction = np.array([0.6, 0.0, 0.8], dtype=np.float32)
    lit = lambert(look_at(lambda p: ball(p, 0.0, 0.0), IDENTITY, side).normal, Light(direction, 0.25))
    axis = (np.arange(side) + 0.5) * 2 * REACH / side - REACH
    x, y = np.meshgrid(axis, axis)
    inside = np.hypot(x, y) < 0.95
    normal = np.stack([x, y, np.sqrt(np.clip(1 - x**2 - y**2, 0, None))], axis=-1)
    expected = 0.25 + 0.75 * np.clip(normal @ direction, 0, 1)
    assert np.abs(lit - expected)[inside].max() < 0.03
    brightest = np.unravel_index(np.where(inside, lit, 0).argmax(), lit.shape)
    assert (axis[brightest[1]], axis[brightest[0]]) == pytest.approx((0.6, 0.0), abs=0.1)


@pytest.mark.parametrize("family", BODIES)
def test_a_body_fits_the_view_and_its_bound_never_oversteps(rng, family):
    """The farthest a ray may go is the distance to the nearest surface point: a sample of those must not be nearer."""
    a, b = 0.6, 0.3
    view = look_at(lambda p: BODIES[family](p, a, b), tumbled(rng), 60)
    assert 0.02 < view.coverage.mean() < 0.8
    assert np.allclose(np.linalg.norm(view.normal, axis=-1), 1, atol=1e-3)
    surface = view.place[view.coverage == 1]
    assert np.abs(BODIES[family](surface, a, b)).max() < 0.01
    apart = rng.uniform(-REACH, REACH, (400, 3)).astype(np.float32)
    nearest = np.linalg.norm(apart[:, None] - surface[None], axis=-1).min(1)
    assert (BODIES[family](apart, a, b) <= nearest + 0.02).all()


def test_a_turned_body_shows_what_it_turned_to_the_camera():
    """A tall body looked at along its own axis is seen as the circle of its radius."""
    tall = lambda p: np.maximum(np.hypot(p[:, 0], p[:, 2]) - np.float32(0.5), np.abs(p[:, 1]) - np.float32(1.0))  # noqa: E731  # one line
    beside = look_at(tall, IDENTITY, 100).coverage.sum() * (2 * REACH / 100) ** 2
    above = look_at(tall, rotation(0, np.pi / 2), 100).coverage.sum() * (2 * REACH / 100) ** 2
    assert beside == pytest.approx(2.0, rel=0.05)
    assert above == pytest.approx(np.pi / 4, rel=0.07)


def test_tumbled_bodies_are_turned_any_way(rng):
    turns = np.stack([tumbled(rng) for _ in range(400)])
    assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-5)
    assert np.allclose(np.linalg.det(turns), 1, atol=1e-4)
    assert np.abs(turns.mean(0)).max() < 0.12


@pytest.mark.parametrize("finish", FINISHES)
def test_every_finish_gives_pictures_and_only_glass_is_seen_through(rng, finish):
    kind = next(k for k in solid_kinds() if k.finish == finish)
    alpha = np.asarray(kind.portraits(rng, 1, 0.4, PhotoBank())[0])[..., 3]
    middle = alpha[alpha > 60]
    assert (np.median(middle) < 200) == (finish == "glass") == kind.clear


# --- kinds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_every_drawn_family_is_drawn_to_its_edges_in_its_proportions(rng, family):
    kind = next(k for k in drawn_kinds() if k.family == family)
    portraits = kind.portraits(rng, 2, 0.5, PhotoBank())
    for portrait in portraits:
        solid = np.asarray(portrait)[..., 3] >= 80
        assert solid.mean() > 0.15
        assert 0.55 < portrait.width / portrait.height / kind.aspect < 1.8
    assert portraits[0].tobytes() != portraits[1].tobytes()


def test_kinds_of_every_source_have_names_of_their_own():
    kinds = [*solid_kinds(), *drawn_kinds(), *microscopic_kinds()]
    assert len({k.name for k in kinds}) == len(kinds) > 400
    assert {k.family for k in drawn_kinds()} == set(FAMILIES)
    assert {k.family for k in solid_kinds()} == set(BODIES)


def test_whole_families_are_held_out():
    train, val = (assets_of(replace(SMALL, split=split)) for split in ("train", "val"))
    of = [{family_of(k) for s in ("drawn", "solid") for k in bank.kinds[s]} for bank in (train, val)]
    assert {*FAMILIES, *BODIES} >= HELD_OUT_FAMILIES
    assert not of[0] & HELD_OUT_FAMILIES
    assert of[1] >= HELD_OUT_FAMILIES


def test_every_setting_has_kinds_to_show_in_both_splits():
    for split in ("train", "val"):
        families = assets_of(replace(SMALL, split=split)).families
        missing = [name for name, s in SETTINGS.items() if s.families and not s.families & families]
        # the seats of one in ten kinds: none
        assert len(missing) <= (0 if split == "train" else 2)
    for setting in SETTINGS.values():
        assert set(setting.layouts) <= {*LAYOUTS, TISSUE}
        assert set(setting.grounds) <= set(GROUNDS)
        assert setting.furniture in {"", *FURNITURE}
    assert set(LAYOUTS) >= DEEP | HEAPED


def test_configs_that_ask_for_something_particular_play_anywhere(rng):
    families = assets_of(SMALL).families
    for config in (
        replace(SceneConfig.two_kind_scenes(), emoji=False),
        SceneConfig.wide_scale(),
        SceneConfig.assortment(),
    ):
        drawn = [draw_setting(rng, config, families) for _ in range(30)]
        assert all(not setting.families for setting in drawn)
    assert any(draw_setting(rng, SMALL, families).families for _ in range(30))


def test_settings_can_be_named_and_a_wrong_name_gets_the_nearest(rng):
    families = assets_of(SMALL).families
    named = replace(SMALL, settings=("receding", "heap"))
    assert all(draw_setting(rng, named, families) is SETTINGS["heap"] for _ in range(40))  # the other has no share
    assert draw_setting(rng, replace(SMALL, settings=("receding",)), families) is SETTINGS["receding"]
    drawn = [draw_setting(rng, SMALL, families) for _ in range(300)]
    assert SETTINGS["receding"] not in drawn  # its share is nothing unless it is named
    with pytest.raises(LikewiseError, match="'shelf'"):
        draw_setting(rng, replace(SMALL, settings=("shelff",)), families)
    with pytest.raises(LikewiseError, match="at home in stands"):
        draw_setting(rng, replace(SMALL, settings=("stands",)), frozenset({"car"}))


def test_the_plain_world_is_what_its_names_say():
    """What is called red is nearer to red than to other hues, but for one in thirty: instances differ a little."""
    config = replace(SceneConfig.plain(), seed=4, side=(160, 200), emoji=False)
    paints = {kind.name: np.array(kind.shape.paint.colour) for kind in plain_kinds()}
    assert len(paints) == 64
    hues = {name.split()[0]: paint / paint.sum() for name, paint in paints.items() if "black" not in name}
    right = []
    for index in range(12):
        scene = make_scene(config, index)
        assert len(scene.names) == 2
        assert set(scene.names) <= set(paints)
        for i, thing in enumerate(scene.objects):
            colour, name = np.median(scene.image[scene.mask(i)], axis=0), thing.kind.split()[0]
            nearest = min(hues, key=lambda n: np.abs(hues[n] - colour / colour.sum()).sum())
            right.append(colour.max() < 60 if name == "black" else nearest == name)
        ground = scene.image[scene.owner == 0].astype(float)
        assert np.median(np.abs(ground - np.median(ground, axis=0))) < 12
    assert np.mean(right) > 29 / 30


def test_no_other_world_shows_plain_shapes():
    bank, rng = assets_of(SMALL), np.random.default_rng(3)
    assert not any(isinstance(bank.draw(rng, frozenset(), slide=False), PlainKind) for _ in range(300))


# --- every setting gives true labels ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETTINGS)
def test_labels_agree_with_the_masks_in_every_setting(name, monkeypatch):
    """Recounted pixel by pixel, as for the presets; and no more are asked for than the setting allows."""
    monkeypatch.setattr(scenes, "draw_setting", lambda rng, config, families: SETTINGS[name])
    for index in range(2):
        scene = make_scene(SMALL, index)
        assert set(np.unique(scene.owner)) - {0} == set(range(1, len(scene.objects) + 1))
        for i, thing in enumerate(scene.objects):
            rows, columns = np.nonzero(scene.mask(i))
            assert thing.area == len(rows)
            assert thing.point == pytest.approx((columns.mean() + 0.5, rows.mean() + 0.5))
            x0, y0, x1, y1 = thing.box
            assert x0 <= columns.min()
            assert columns.max() < x1
            assert y0 <= rows.min()
            assert rows.max() < y1


def test_cells_behind_thin_walls_are_all_there(rng):
    """The insides and the walls between them make up the tissue: what is not inside a cell is wall, and it is thin."""
    kind = MembraneKind("x", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 0.1)
    packing = replace(thin_walled(rng, kind.thickness), rounding=0, disorder=0.3, holes=0.0)
    outlines = cell_outlines(rng, 160, 160, 120, packing)
    canvas = Canvas(np.full((160, 160, 3), 128, dtype=np.uint8))
    build_walls(rng, canvas.pixels, outlines, kind)
    for rgba, left, top in membrane_stamps(rng, outlines, kind):
        canvas.paste(rgba, left, top)
    middle = canvas.pixels[30:-30, 30:-30, 1]
    assert (middle > 200).mean() == pytest.approx((1 - kind.thickness) ** 2, abs=0.12)
    assert ((middle > 90) & (middle < 160)).mean() < 0.12
    assert canvas.visible().sum() == np.count_nonzero(canvas.owner)


def test_holes_take_their_share_of_the_cells(rng):
    outlines = cell_outlines(rng, 300, 300, 400, thin_walled(rng, 0.05))
    kept = in_patches(rng, outlines, 300, 300, 0.25)
    assert len(kept) / len(outlines) == pytest.approx(0.75, abs=0.08)


# --- light, glass, tilt -------------------------------------------------------------------------------------------


def glow(alpha: int, side: int = 10) -> np.ndarray:
    return np.full((side, side, 4), (100, 50, 0, alpha), dtype=np.uint8)


def test_light_adds_up_and_belongs_to_the_stronger():
    canvas = Canvas(np.full((20, 30, 3), 10, dtype=np.uint8))
    canvas.shine(glow(255), 0, 0)
    canvas.shine(glow(204), 5, 0)  # overlaps the right half of the first
    assert canvas.pixels[5, 2].tolist() == [110, 60, 10]
    assert canvas.pixels[5, 7].tolist() == [110 + 80, 60 + 40, 10]
    assert canvas.pixels[5, 12].tolist() == [90, 50, 10]
    assert canvas.area == [100, 100]
    assert canvas.visible().tolist() == [100, 50]
    canvas.shine(glow(255), 5, 0)
    canvas.shine(glow(255), 5, 0)
    assert canvas.pixels[5, 7, 0] == 255


def test_glowing_blobs_fade_outwards(rng):
    kind = GlowKind("x", (0.0, 0.0, 1.0), 0.15, 1.0, 0.0)
    alpha = np.asarray(kind.portraits(rng, 1, 0.0, PhotoBank())[0])[..., 3].astype(float)
    centre = alpha.shape[0] // 2
    rings = [alpha[centre, centre + round(share * (centre - 1))] for share in (0, 0.3, 0.6, 0.8)]
    assert rings[0] > 150
    assert rings[1] > rings[2] > rings[3]


@pytest.mark.parametrize("softness", [0.3, 0.8])
@pytest.mark.parametrize("aspect", [1.0, 3.0])
def test_no_light_is_cut_off(rng, softness, aspect):
    """At the edge of its sheet a blob is as good as dark, or a square would be seen round it."""
    kind = GlowKind("x", (0.0, 0.0, 1.0), softness, aspect, 0.03)
    for portrait in kind.portraits(rng, 6, 1.0, PhotoBank()):
        alpha = np.asarray(portrait)[..., 3]
        assert alpha.max() > 100
        assert max(alpha[0].max(), alpha[-1].max(), alpha[:, 0].max(), alpha[:, -1].max()) <= 12


def test_light_is_as_large_as_its_bright_part(rng):
    kind = GlowKind("x", (0.0, 0.0, 1.0), 0.3, 1.0, 0.0)
    [portrait] = make_portraits(rng, kind.portraits(rng, 1, 0.0, PhotoBank())[:1], Appearance(glow=True), PhotoBank())
    rgba, _, _ = stamp(rng, portrait, Appearance(turn="upright", glow=True), 40.0, 0.0, (50.0, 50.0))
    bright = rgba[..., 3] >= SOLID
    assert bright.any(0).sum() == pytest.approx(40, abs=2)
    assert bright.any(1).sum() == pytest.approx(40, abs=2)
    assert rgba.shape[0] > 50  # its light reaches further


def test_a_lens_enlarges_what_lies_behind_it():
    """With power 1/2 the pixel at d from the middle shows what was at d/2; outside its coverage nothing moves."""
    before = np.zeros((41, 41, 3), dtype=np.uint8)
    before[..., 0] = np.arange(41)[None]
    canvas = Canvas(before.copy())
    cover = np.full((21, 21), 255, dtype=np.uint8)
    canvas.refract(cover, 10, 10, power=0.5)
    assert canvas.pixels[20, 10:31, 0].tolist() == np.rint(20 + 0.5 * (np.arange(10, 31) - 20)).astype(int).tolist()
    assert np.array_equal(canvas.pixels[:10], before[:10])
    flipped = Canvas(before.copy())
    flipped.refract(cover, 10, 10, power=2.0)
    assert flipped.pixels[20, 10:31, 0].tolist() == list(range(30, 9, -1))


def test_tilted_instances_are_foreshortened_and_keep_their_area(rng):
    portrait = Portrait(Image.new("RGBA", (100, 100), (255, 255, 255, 255)))
    areas, ratios = [], []
    for _ in range(60):
        rgba, _, _ = stamp(rng, portrait, Appearance(tilt=1.0), 40, 0.0, (50, 50))
        weight = rgba[..., 3] / 255
        areas.append(weight.sum())
        y, x = np.nonzero(weight > 0.5)
        spread = np.linalg.eigvalsh(np.cov(x, y))
        ratios.append(np.sqrt(spread[0] / spread[1]))
    assert np.allclose(areas, 1600, rtol=0.06)
    assert min(ratios) == pytest.approx(np.cos(1.0), abs=0.1)
    assert max(ratios) > 0.9


# --- arrangements -------------------------------------------------------------------------------------------------


def test_packed_discs_hardly_overlap_and_fill_the_picture(rng):
    field = Field(400, 300, 24.0)
    placed = LAYOUTS["packed"](rng, 180, field)
    radius = placed.scale * field.size / 2
    apart = np.linalg.norm(placed.xy[:, None] - placed.xy[None], axis=-1) + 1e9 * np.eye(180)
    overlap = (radius[:, None] + radius[None] - apart) / radius.mean()
    assert np.quantile(overlap.max(1), 0.9) < 0.5
    assert (np.pi * radius**2).sum() > 0.45 * 400 * 300


@pytest.mark.parametrize("name", ["stands", "crowd"])
def test_tiers_grow_towards_the_viewer_and_the_near_are_painted_last(rng, name):
    placed = LAYOUTS[name](rng, 150, Field(500, 400, 26.0, ratio=4.0))
    assert np.corrcoef(placed.xy[:, 1], placed.scale)[0, 1] > 0.8
    assert (np.diff(placed.xy[:, 1]) > -1e-6).mean() > 0.9


def test_bricks_leave_a_joint_whatever_their_aspect():
    """Neighbours in a course are at least a brick's width apart, courses at least its height."""
    for seed in range(10):
        field = Field(400, 300, 30.0, aspect=2.5)
        placed = LAYOUTS["bond"](np.random.default_rng(seed), 60, field)
        if placed.angle[0] == 0 and len(np.unique(placed.xy.round(3), axis=0)) == 60:
            width, height = field.sides * placed.scale[0]
            assert np.diff(np.unique(placed.xy[:, 1].round(3))).min() > height
            course = placed.xy[np.isclose(placed.xy[:, 1], placed.xy[0, 1])]
            assert np.diff(np.sort(course[:, 0])).min() > width


def test_parked_cars_stand_in_rows_all_along_one_direction(rng):
    placed = LAYOUTS["lot"](rng, 60, Field(500, 400, 24.0, aspect=0.45))
    headings = np.mod(placed.angle, np.pi)
    assert np.allclose(headings, headings[0])
    apart = np.linalg.norm(placed.xy[:, None] - placed.xy[None], axis=-1) + 1e9 * np.eye(60)
    assert apart.min() > 24.0 * 0.45**0.5 * placed.scale[0]


# --- furniture ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FURNITURE)
def test_furniture_is_no_thing(rng, name):
    """It changes the picture near things, and nothing of what is counted."""
    placement = Placement(np.array([[40.0, 50.0], [90.0, 50.0]]), np.ones(2), np.zeros(2))
    changed = []
    for _ in range(8):
        canvas = Canvas(np.full((100, 130, 3), 120, dtype=np.uint8))
        FURNITURE[name](rng, canvas, Field(130, 100, 30.0), placement, np.full(2, 30.0))
        assert canvas.area == []
        assert not canvas.owner.any()
        changed.append((canvas.pixels != 120).any(-1).mean())
    assert 0.01 < max(changed) < 0.7


def test_leaves_hide_what_is_under_them(rng):
    canvas = Canvas(np.zeros((120, 120, 3), dtype=np.uint8))
    canvas.paste(np.full((120, 120, 4), 255, dtype=np.uint8), 0, 0)
    leaves(rng, canvas, Field(120, 120, 40.0), 30)
    share = canvas.visible()[0] / canvas.area[0]
    assert 0.1 < share < 0.95
    assert (canvas.pixels == 255).all(-1).mean() == pytest.approx(share, abs=0.08)
