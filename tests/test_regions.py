"""Regions against shapely's areas, brute force, and sums that have to add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from likewise.errors import LikewiseError
from likewise.placement import Placement
from likewise.regions import PLATES, Region, grid_regions
from likewise.results import CountResult
from likewise.results.by_region import count_regions, regions_table
from likewise.types import Prompt

SIZE = (90, 60)
RNG = np.random.default_rng(5)
GRID = RNG.random((20, 45)).astype(np.float32)  # cells of 2 x 3 pixels
POINTS = RNG.uniform(0.01, 59.9, (200, 2)).astype(np.float32)
FRAME = Region(
    "frame",
    (
        (((5.0, 5), (40, 8.5), (35, 50), (2, 44)), ((10.0, 12), (30, 14), (20, 33.3))),
        (((60.0, 10), (85.5, 30), (55, 41)),),
    ),
)


def counted(regions, placement=None):
    return count_regions(regions, GRID, SIZE, POINTS, placement)


def shape_of(shapely, region):
    parts = [shapely.Polygon(polygon[0], polygon[1:]) for polygon in region.polygons]
    return shapely.union_all(parts)


def test_counts_and_areas_are_those_of_cells_cut_by_shapely():
    shapely = pytest.importorskip("shapely", reason="needs shapely")
    shape = shape_of(shapely, FRAME)
    rows, columns = np.mgrid[:20, :45]
    cells = shapely.box(columns * 2, rows * 3, columns * 2 + 2, rows * 3 + 3)
    share = shapely.area(shapely.intersection(cells, shape)) / 6
    [found] = counted([FRAME])
    assert found.area_px == pytest.approx(shape.area, rel=1e-5)
    assert found.count == pytest.approx(float((share * GRID).sum()), rel=1e-5)
    assert found.points == int(shapely.contains_xy(shape, POINTS[:, 0], POINTS[:, 1]).sum())
    assert FRAME.box == shape.bounds


def test_what_lies_outside_the_picture_is_nothing():
    shapely = pytest.importorskip("shapely", reason="needs shapely")
    out = Region("out", ((((-30.0, -10), (50, -20), (20, 100)),),))
    [found, beyond] = counted([out, Region.of_box("beyond", (100, 0, 120, 20))])
    inside = shape_of(shapely, out).intersection(shapely.box(0, 0, *SIZE))
    assert found.area_px == pytest.approx(inside.area, rel=1e-5)
    assert (beyond.count, beyond.points, beyond.area_px) == (0, 0, 0)
    with pytest.raises(
        LikewiseError, match=r"none of the regions lies in the picture, which is 90 x 60 pixels: 'beyond'"
    ):
        counted([Region.of_box("beyond", (100, 0, 120, 20))])


@pytest.mark.parametrize("wells", PLATES)
def test_a_plate_adds_up_to_the_whole(wells):
    regions = grid_regions((0, 0, *SIZE), *PLATES[wells])
    assert len(regions) == len({region.name for region in regions}) == wells
    found = counted(regions)
    assert sum(each.count for each in found) == pytest.approx(float(GRID.sum(dtype=np.float64)), rel=1e-5)
    assert sum(each.points for each in found) == len(POINTS)
    assert sum(each.area_px for each in found) == pytest.approx(SIZE[0] * SIZE[1], rel=1e-5)


def test_wells_are_named_by_row_and_column():
    names = [region.name for region in grid_regions((10, 20, 70, 80), 32, 48)]
    assert (names[0], names[47], names[48], names[26 * 48], names[-1]) == ("A1", "A48", "B1", "AA1", "AF48")
    assert grid_regions((10, 20, 70, 80), 2, 3)[4].box == (30, 50, 50, 80)
    with pytest.raises(LikewiseError, match="0 rows x 4 columns"):
        grid_regions((0, 0, 1, 1), 0, 4)


def test_overlapping_regions_are_both_counted():
    once, twice = counted([FRAME]), counted([FRAME, replace(FRAME, name="again")])
    assert [each.count for each in twice] == [once[0].count] * 2


def test_polygons_of_a_region_that_overlap_count_once():
    box = Region.of_box("a", (10, 12, 30, 42))
    [single, double] = counted([box, Region("b", box.polygons * 2)])
    assert replace(double, name="a") == single


def test_areas_are_measured_where_pixels_are():
    pytest.importorskip("rasterio", reason="needs the [geo] extra")
    [plain, small, field] = (
        counted([FRAME], placement)[0]
        for placement in (None, Placement((0.5, 0.25)), Placement(crs="EPSG:32733", transform=(3, 4, 5e5, 4, -3, 8e6)))
    )
    assert (plain.area_um2, plain.area_m2, plain.per_mm2, plain.per_m2) == (None,) * 4
    assert small.area_um2 == pytest.approx(plain.area_px / 8)
    assert small.per_mm2 == pytest.approx(plain.count / (plain.area_px / 8 * 1e-6))
    assert field.area_m2 == pytest.approx(plain.area_px * 25)
    assert field.per_m2 == pytest.approx(plain.count / plain.area_px / 25)


def test_areas_in_feet_and_in_degrees_are_square_metres():
    pytest.importorskip("rasterio", reason="needs the [geo] extra")
    box = Region.of_box("box", (10, 10, 50, 40))
    [feet] = counted([box], Placement(crs="EPSG:2272", transform=(2, 0, 2e6, 0, -2, 3e5)))
    assert feet.area_m2 == pytest.approx(1200 * 4 * (1200 / 3937) ** 2, rel=1e-5)
    [degrees] = counted([box], Placement(crs="EPSG:4326", transform=(1e-5, 0, 15, 0, -1e-5, 48)))
    # a degree of latitude and of longitude at 48 degrees north, by the series for WGS 84
    lat = np.radians(48 - 25e-5)
    north = 111132.954 - 559.822 * np.cos(2 * lat) + 1.175 * np.cos(4 * lat)
    east = 111412.84 * np.cos(lat) - 93.5 * np.cos(3 * lat) + 0.118 * np.cos(5 * lat)
    assert degrees.area_m2 == pytest.approx(1200e-10 * north * east, rel=1e-4)


def test_a_reference_system_that_there_is_not_is_refused():
    pytest.importorskip("rasterio", reason="needs the [geo] extra")
    with pytest.raises(LikewiseError, match="crs = 'nowhere' is no reference system"):
        counted([FRAME], Placement(crs="nowhere", transform=(1, 0, 0, 0, -1, 0)))


def test_a_result_counts_by_region_and_its_table_says_so():
    result = CountResult(
        GRID, SIZE, POINTS, np.ones(200, np.float32), Prompt(text="it"), "by hand", 0.0, np.zeros((60, 90, 3), np.uint8)
    )
    [whole] = result.by_region([Region.of_box("=Ähre", (0, 0, *SIZE))])
    assert whole.count == pytest.approx(result.count)
    assert whole.to_dict() == {"region": "=Ähre", "count": round(whole.count, 4), "points": 200, "area_px": 5400.0}
    table = regions_table([("a.png", whole), ("b.png", replace(whole, area_um2=1350.0))])
    assert table.startswith("\ufeffpicture,region,count,points,area_px,area_um2,per_mm2,area_m2,per_m2\r\n")
    rows = table.splitlines()[1:]
    assert rows[0] == f"a.png,'=Ähre,{whole.count:.4f},200,5400.00,,,,"
    assert rows[1].split(",")[5:] == ["1350", f"{whole.count / 1350e-6:.6g}", "", ""]


@pytest.mark.parametrize("polygons", [(), ((),), ((((0, 0), (1, 1)),),), ((((0, 0), (1, 1), (float("nan"), 2)),),)])
def test_a_region_of_nothing_is_refused(polygons):
    with pytest.raises(LikewiseError, match=r"region 'it'"):
        Region("it", polygons)
