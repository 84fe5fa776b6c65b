"""Files of regions, as the programs that write them write them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from likewise.data.regions import read_regions
from likewise.data.regions.labels import outline
from likewise.errors import LikewiseError
from likewise.placement import Placement
from likewise.results.by_region import count_regions

SQUARE = [[10.0, 10.0], [40.0, 10.0], [40.0, 30.0], [10.0, 30.0], [10.0, 10.0]]
HOLE = [[20.0, 15.0], [30.0, 15.0], [30.0, 25.0], [20.0, 25.0], [20.0, 15.0]]
MAPPED = Placement(crs="EPSG:32733", transform=(0.5, 0, 500000, 0, -0.5, 8000000))
SIZE = (100, 80)


def area(region):
    [found] = count_regions([region], np.zeros(SIZE[::-1], np.float32), SIZE, np.zeros((0, 2), np.float32))
    return found.area_px


def feature(kind, coordinates, **properties):
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


@pytest.fixture
def written(tmp_path):
    def write(held, name="regions.geojson"):
        path = tmp_path / name
        path.write_text(held if isinstance(held, str) else json.dumps(held, ensure_ascii=False), encoding="utf-8")
        return path

    return write


#: Objects as QuPath exports them: names or classes, parts and holes, and things without an area.
QUPATH = {
    "type": "FeatureCollection",
    "features": [
        {
            "id": "a3c1c5a0-6b6f-4c2b-9a5e-111111111111",
            **feature(
                "Polygon",
                [SQUARE, HOLE],
                objectType="annotation",
                name="Höhle",
                classification={"name": "Tumor", "color": [200, 0, 0]},
            ),
        },
        feature("MultiPolygon", [[SQUARE], [[[50, 50], [60, 50], [60, 60]]]], objectType="annotation",
                classification={"name": "Stroma", "color": [150, 200, 150]}),
        feature("Polygon", [HOLE], objectType="annotation", classification={"names": ["Tumor", "Positive"]}),
        feature("Polygon", [HOLE], objectType="annotation", classification={"name": "Stroma"}),
        feature("Point", [5, 5], objectType="detection"),
        feature("LineString", [[0, 0], [9, 9]], objectType="annotation"),
        feature("Polygon", [HOLE], objectType="annotation", isLocked=False),
    ],
}  # fmt: skip


def test_qupaths_objects_are_regions(written):
    path = written(QUPATH)
    found = read_regions(path)
    assert [region.name for region in found] == ["Höhle", "Stroma", "Tumor: Positive", "Stroma (2)", "7"]
    assert [area(region) for region in found] == pytest.approx([500, 650, 100, 100, 100], rel=1e-6)
    assert read_regions(path, MAPPED) == found  # objects of QuPath are in pixels wherever a picture lies
    assert read_regions(written(QUPATH["features"], "old.json")) == found
    assert [area(region) for region in read_regions(written(QUPATH["features"][0]["geometry"]))] == [500]


def test_a_file_that_names_its_reference_system_lies_where_it_says(written):
    places = MAPPED.places(np.array(SQUARE), "crs").tolist()
    for name in ("urn:ogc:def:crs:EPSG::32733", "EPSG:32733"):
        crs = {"type": "name", "properties": {"name": name}}
        path = written(
            {"type": "FeatureCollection", "crs": crs, "features": [feature("Polygon", [places], Name="plot")]}
        )
        [region] = read_regions(path, MAPPED)
        assert region.name == "plot"
        assert np.allclose(region.polygons[0][0], SQUARE[:-1])
        with pytest.raises(LikewiseError, match=r"in coordinates \(EPSG:32733\), and the picture does not tell where"):
            read_regions(path, Placement((1, 1)))


def test_geopandas_files_in_another_reference_system_are_brought_over(tmp_path):
    geopandas = pytest.importorskip("geopandas", reason="needs geopandas")
    shapely = pytest.importorskip("shapely", reason="needs shapely")
    pytest.importorskip("rasterio", reason="needs the [geo] extra")
    plots = geopandas.GeoDataFrame(
        {"name": ["north", "south"]},
        geometry=[shapely.Polygon(MAPPED.places(np.array(ring), "crs")) for ring in (SQUARE, HOLE)],
        crs="EPSG:32733",
    )
    for crs, unit in (("EPSG:32733", None), ("EPSG:3857", None), ("EPSG:4326", "crs")):
        path = tmp_path / f"{crs[5:]}.geojson"
        plots.to_crs(crs).to_file(path, driver="GeoJSON", RFC7946="YES" if unit else "NO", COORDINATE_PRECISION=12)
        north, south = read_regions(path, MAPPED, unit=unit)
        assert (north.name, south.name) == ("north", "south")
        assert {tuple(np.round(corner, 3)) for corner in north.polygons[0][0]} == set(map(tuple, SQUARE))


def test_places_without_a_word_are_not_guessed(written):
    path = written(feature("Polygon", [SQUARE]))
    assert area(read_regions(path)[0]) == 600
    assert area(read_regions(path, MAPPED, unit="px")[0]) == 600
    assert area(read_regions(path, Placement((2, 2)), unit="um")[0]) == 150
    with pytest.raises(LikewiseError, match="does not say what its places are, and the picture has coordinates"):
        read_regions(path, MAPPED)
    with pytest.raises(LikewiseError, match="micrometres; give places in px"):
        read_regions(path, unit="um")


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ("{", "is no JSON"),
        ("[" * 100000, "is no JSON"),
        ({"a": 1}, "holds no GeoJSON"),
        ({"type": "FeatureCollection", "features": []}, "holds no GeoJSON"),
        (feature("Point", [1, 2]), "holds no regions"),
        (feature("Polygon", [[[1, 2], [3, 4]]]), "rings of three or more corners"),
        (feature("Polygon", [[[1, 2], ["a", 4], [5, 6]]]), "is damaged"),
        (feature("Polygon", 7), "is damaged"),
        ({"type": "Feature", "geometry": {"coordinates": []}}, "is damaged"),
        ({"type": "Feature", "geometry": 7, "properties": None}, "is damaged"),
        (feature("Polygon", [[[1, 2], [3, 4], [5, 9]]]) | {"properties": "name"}, "is damaged"),
        (feature("Polygon", [[[1, 2], [3, 4], [5, 9]]]) | {"properties": 7}, "is damaged"),
        ({"type": "Feature", "geometry": None, "properties": 7}, "holds no regions"),
    ],
)
def test_geojson_that_is_none_is_refused(held, message, written):
    with pytest.raises(LikewiseError, match=message):
        read_regions(written(held))


def test_imagejs_rois_are_regions(tmp_path):
    roifile = pytest.importorskip("roifile", reason="needs the [bio] extra")
    kinds = roifile.ROI_TYPE

    def roi(kind, name, corners=None, **fields):
        made = roifile.ImagejRoi() if corners is None else roifile.ImagejRoi.frompoints(corners, name=name)
        made.roitype, made.name = kind, name
        for key, value in fields.items():
            setattr(made, key, value)
        return made

    box = {"left": 10, "top": 20, "right": 40, "bottom": 60}
    path = [0, 10, 10, 1, 40, 10, 1, 40, 30, 1, 10, 30, 4, 0, 20, 15, 1, 30, 15, 1, 30, 25, 1, 20, 25, 4]
    rois = [
        roi(kinds.RECT, "rectangle", **box),
        roi(kinds.OVAL, "oval", **box),
        roi(
            kinds.RECT,
            "subpixel",
            options=roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION,
            xd=1.5,
            yd=2.0,
            widthd=4.0,
            heightd=2.5,
        ),
        roi(kinds.POLYGON, "triangle", np.array([[10, 10], [30, 10], [10, 30]], np.int32)),
        roi(kinds.FREEHAND, "free", np.array([[10.5, 10], [30.5, 10], [10.5, 30.5]], np.float32)),
        roi(kinds.POINT, "points", np.array([[1.0, 2], [3, 4], [5, 6]])),
        roi(kinds.RECT, "composite", multi_coordinates=np.array(path, np.float32), shape_roi_size=len(path), **box),
    ]
    roifile.roiwrite(tmp_path / "RoiSet.zip", rois)
    found = read_regions(tmp_path / "RoiSet.zip")
    assert [region.name for region in found] == ["rectangle", "oval", "subpixel", "triangle", "free", "composite"]
    expected = [1200, np.pi * 15 * 20, 10, 200, 205, 500]
    assert [area(region) for region in found] == pytest.approx(expected, rel=1e-5)
    assert found[1].box == pytest.approx((10, 20, 40, 60), abs=0.01)
    rois[0].tofile(tmp_path / "one.roi")
    assert read_regions(tmp_path / "one.roi") == found[:1]


@pytest.mark.parametrize("name", ["a.roi", "a.zip"])
def test_a_damaged_roi_is_refused(name, tmp_path):
    pytest.importorskip("roifile", reason="needs the [bio] extra")
    (tmp_path / name).write_bytes(b"Iout" + bytes(100))
    with pytest.raises(LikewiseError, match=r"cannot be read as ImageJ's ROIs|holds no regions"):
        read_regions(tmp_path / name)


LABELS = np.zeros(SIZE[::-1], np.uint16)
LABELS[5:20, 5:30] = 300
LABELS[10:15, 10:20] = 0
LABELS[12, 12] = 7
LABELS[30:40, 30:40] = LABELS[40:50, 40:60] = 7  # two parts that touch in a corner, and one elsewhere
LABELS[70:, 90:] = 9


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.tif", np.uint16), ("b.tif", np.int32), ("c.tiff", np.uint32), ("d.png", np.uint16), ("e.png", np.uint8)],
)
def test_each_number_of_a_label_image_is_a_region(name, kind, tmp_path):
    labels = np.where(LABELS == 300, 200 if kind == np.uint8 else 300, LABELS).astype(kind)
    if name.endswith("png"):
        Image.fromarray(labels).save(tmp_path / name)
    else:
        tifffile.imwrite(tmp_path / name, labels)
    found = read_regions(tmp_path / name, size=SIZE)
    assert [region.name for region in found] == ["7", "9", "200" if kind == np.uint8 else "300"]
    rng = np.random.default_rng(0)
    grid, points = rng.random(SIZE[::-1]).astype(np.float32), rng.uniform(0.1, 79.9, (500, 2)).astype(np.float32)
    counts = count_regions(found, grid, SIZE, points)
    at = labels[points[:, 1].astype(int), points[:, 0].astype(int)]
    for each in counts:
        mask = labels == int(each.name)
        assert each.area_px == mask.sum()
        assert each.count == pytest.approx(grid[mask].sum(dtype=np.float64), rel=1e-5)
        assert each.points == (at == int(each.name)).sum()


def test_outlines_of_any_mask_cover_it_and_nothing_else():
    from likewise.regions import Region

    rng = np.random.default_rng(3)
    for _ in range(20):
        mask = rng.random((9, 13)) < 0.5
        mask[4, 4] = True
        rows, columns, share = Region("it", (outline(mask),)).coverage((13, 9), (9, 13))
        whole = np.zeros((9, 13), np.float32)
        whole[rows, columns] = share
        assert np.array_equal(whole, mask)


@pytest.mark.parametrize(
    ("name", "held", "message"),
    [
        ("size.png", np.zeros((5, 6), np.uint8), "has labels for 6 x 5 pixels, and the picture is 100 x 80"),
        ("colour.png", np.zeros((80, 100, 3), np.uint8), "is no label image: expected one plane of whole numbers"),
        ("float.tif", np.zeros((80, 100), np.float32), "is no label image"),
        ("stack.tif", np.zeros((2, 80, 100), np.uint8), "is no label image"),
        ("none.png", np.zeros((80, 100), np.uint8), "holds no regions"),
    ],
)
def test_what_is_no_label_image_is_refused(name, held, message, tmp_path):
    if name.endswith("png"):
        Image.fromarray(held).save(tmp_path / name)
    else:
        tifffile.imwrite(tmp_path / name, held, photometric="minisblack")
    with pytest.raises(LikewiseError, match=message):
        read_regions(tmp_path / name, size=SIZE)


def test_a_file_of_another_kind_or_none_is_refused(tmp_path):
    with pytest.raises(LikewiseError, match=r"is no file of regions; expected GeoJSON"):
        read_regions(tmp_path / "regions.shp")
    with pytest.raises(LikewiseError, match="there is no file"):
        read_regions(tmp_path / "regions.geojson")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(LikewiseError, match="cannot be read as a label image"):
        read_regions(tmp_path / "a.png")


def test_a_missing_roifile_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "roifile", None)
    (tmp_path / "a.roi").write_bytes(b"")
    with pytest.raises(LikewiseError, match=r"needs roifile: pip install 'likewise\[bio\]'"):
        read_regions(tmp_path / "a.roi")
