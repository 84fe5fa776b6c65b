"""Outlines and measures against closed forms, and their files read back with the other side's own library."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from likewise.errors import LikewiseError
from likewise.placement import Placement
from likewise.results import CountResult
from likewise.results.formats import FORMATS
from likewise.results.measures import channel_means, measure
from likewise.results.outlines import Outlines, edge_polygon
from likewise.types import Prompt

OUTLINED = ("coco", "geojson", "imagej", "measures", "measures-parquet", "labels", "yolo", "voc")


def ellipse(shape, centre, axes, turn=0.0):
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    dx, dy = x - centre[0], centre[1] - y  # y upwards
    along = dx * np.cos(turn) + dy * np.sin(turn)
    across = -dx * np.sin(turn) + dy * np.cos(turn)
    return (along / axes[0]) ** 2 + (across / axes[1]) ** 2 <= 1


@pytest.fixture
def labels():
    found = np.zeros((90, 120), np.int32)
    found[ellipse(found.shape, (30, 30), (15, 15))] = 1
    found[ellipse(found.shape, (80, 45), (20, 10), np.radians(30))] = 3
    found[ellipse(found.shape, (2, 80), (8, 8))] = 4
    return found


@pytest.fixture
def result(labels):
    points = np.float32([[30, 30], [60, 80], [80, 45], [3, 80]])
    grey = np.full(labels.shape, 500, np.uint16)
    outlines = Outlines(labels, np.float32([0.9, 0, 0.8, 0.4]), {"grey": channel_means(labels, grey, 4)})
    return CountResult(
        np.full((3, 4), 4 / 12, np.float32), (120, 90), points, np.ones(4, np.float32),
        Prompt(((15.0, 15.0, 45.0, 45.0),)), "by hand", 0.0, np.zeros((90, 120, 3), np.uint8), source="dish.png",
        object_size=(30.0, 30.0), outlines=outlines,
    )  # fmt: skip


def saved(result, tmp_path, *forms):
    result.save(tmp_path, "dish", formats=forms)
    return tmp_path


def test_measures_of_ellipses_are_those_of_the_closed_form(result) -> None:
    table = result.measures
    assert table["label"].tolist() == [1, 3, 4]
    assert table["area_px"][:2] == pytest.approx([np.pi * 225, np.pi * 200], rel=0.02)
    assert table["diameter_px"][0] == pytest.approx(30, rel=0.02)
    assert table["major_px"][1] == pytest.approx(40, rel=0.02)
    assert table["minor_px"][1] == pytest.approx(20, rel=0.02)
    assert table["orientation"][1] == pytest.approx(30, abs=1)
    assert table["circularity"][0] > 0.97
    assert table["circularity"][1] < 0.9
    assert table["neighbour_px"][0] == pytest.approx(np.hypot(50, 15), rel=0.02)
    assert table["x"][1] == pytest.approx(80, abs=0.1)
    assert table["cut"].tolist() == [False, False, True]
    assert table["mean_grey"].tolist() == [500.0] * 3
    assert (table["sum_grey"] == 500 * table["area_px"]).all()


def test_micrometres_are_of_pixels_that_need_not_be_square(labels) -> None:
    outlines = Outlines(labels, np.float32([1, 0, 1, 1]))
    square = measure(outlines, Placement(micrometres=(0.5, 0.5)))
    assert square["area_um2"] == pytest.approx(square["area_px"] / 4)
    assert square["major_um"] == pytest.approx(square["major_px"] / 2)
    assert square["neighbour_um"] == pytest.approx(square["neighbour_px"] / 2)
    flat = measure(outlines, Placement(micrometres=(1.0, 0.5)))
    assert flat["major_um"][0] == pytest.approx(30, rel=0.02)
    assert flat["minor_um"][0] == pytest.approx(15, rel=0.02)
    assert np.isnan(flat["circularity"]).all()


def test_the_border_can_be_left_out(result) -> None:
    whole = result.without_border()
    assert whole.outlines.numbers.tolist() == [1, 3]
    assert whole.count == result.count
    assert len(whole.points) == len(result.points)


def test_polygons_have_the_area_of_their_pixels(result) -> None:
    shapely = pytest.importorskip("shapely", reason="the peer of areas")
    for number in result.outlines.numbers.tolist():
        polygon = shapely.Polygon(result.outlines.polygon(number))
        assert polygon.is_valid
        assert polygon.area == (result.outlines.labels == number).sum()


def test_a_polygon_of_one_pixel() -> None:
    assert edge_polygon(np.ones((1, 1), bool)).tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools' own
def test_pycocotools_reads_the_masks_back(result, tmp_path) -> None:
    mask = pytest.importorskip("pycocotools.mask", reason="COCO's own library")
    content = json.loads((saved(result, tmp_path, "coco") / "dish_coco.json").read_text())
    notes = content["annotations"]
    assert len(notes) == 3
    for note, number in zip(notes, (1, 3, 4), strict=True):
        np.testing.assert_array_equal(mask.decode(note["segmentation"]), result.outlines.labels == number)
        assert mask.area(note["segmentation"]) == note["area"]
        assert mask.toBbox(note["segmentation"]).tolist() == note["bbox"]
    assert [note["attributes"]["cut"] for note in notes] == [False, False, True]


def test_geopandas_reads_the_polygons_back(result, tmp_path) -> None:
    geopandas = pytest.importorskip("geopandas", reason="reads GeoJSON as GIS does")
    table = geopandas.read_file(saved(result, tmp_path, "geojson") / "dish_points.geojson", engine="pyogrio")
    things = table[table["objectType"] == "detection"]
    assert [each.area for each in things.geometry] == result.measures["area_px"].tolist()
    placed = replace(result, placement=Placement(crs="EPSG:32733", transform=(0.5, 0, 500000, 0, -0.5, 8000000)))
    table = geopandas.read_file(saved(placed, tmp_path, "geojson") / "dish_points.geojson", engine="pyogrio")
    assert table.crs.to_epsg() == 32733
    assert [each.area for each in table.geometry] == (result.measures["area_px"] / 4).tolist()
    assert table["label"].tolist() == [1, 3, 4]
    assert all(ring.exterior.is_ccw for ring in table.geometry)


def test_roifile_reads_the_polygons_back(result, tmp_path) -> None:
    roifile = pytest.importorskip("roifile", reason="needs the [bio] extra")
    rois = roifile.roiread(saved(result, tmp_path, "imagej") / "dish_rois.zip")
    assert [roi.name for roi in rois] == ["00001", "00003", "00004", "example-1"]
    np.testing.assert_array_equal(rois[1].coordinates(), result.outlines.polygon(3))


def test_tifffile_reads_the_labels_back(result, tmp_path) -> None:
    path = saved(replace(result, placement=Placement(micrometres=(0.5, 0.25))), tmp_path, "labels") / "dish_labels.tif"
    with tifffile.TiffFile(path) as file:
        values, tags = file.asarray(), file.pages.first.tags
    assert values.dtype == np.uint16
    np.testing.assert_array_equal(values, result.outlines.labels)
    assert tags["XResolution"].value[0] / tags["XResolution"].value[1] == pytest.approx(20000)


def test_labels_beyond_16_bits_take_32(labels, result, tmp_path) -> None:
    many = np.where(labels == 4, 70000, labels).astype(np.int32)
    deep = replace(
        result,
        points=np.zeros((70000, 2), np.float32),
        scores=np.zeros(70000, np.float32),
        outlines=Outlines(many, np.zeros(70000, np.float32)),
    )
    values = tifffile.imread(saved(deep, tmp_path, "labels") / "dish_labels.tif")
    assert values.dtype == np.uint32
    np.testing.assert_array_equal(values, many)


def test_boxes_for_detectors(result, tmp_path) -> None:
    folder = saved(result, tmp_path, "yolo", "voc")
    rows = np.loadtxt(folder / "dish_yolo.txt")
    centre, sides = rows[:, 1:3] * (120, 90), rows[:, 3:] * (120, 90)
    np.testing.assert_allclose(np.hstack([centre - sides / 2, centre + sides / 2]), result.outlines.boxes, atol=1e-4)
    root = ElementTree.parse(folder / "dish_voc.xml")  # noqa: S314  # it was written just now
    boxes = [[int(each.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")] for each in root.iter("object")]  # fmt: skip # noqa: E501  # a line a picture
    np.testing.assert_array_equal(np.array(boxes) - (1, 1, 0, 0), result.outlines.boxes)
    assert [each.findtext("truncated") for each in root.iter("object")] == ["0", "0", "1"]


def test_both_tables_hold_what_was_measured(result, tmp_path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the [tables] extra")
    folder = saved(result, tmp_path, "measures", "measures-parquet")
    with (folder / "dish_measures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = parquet.read_table(folder / "dish_measures.parquet").to_pydict()
    for name, column in result.measures.items():
        assert [float(row[name]) for row in rows] == pytest.approx(column.astype(float), rel=1e-4, abs=0.06)
        assert table[name] == pytest.approx(column.tolist())


def test_a_picture_without_things_has_empty_files(result, tmp_path) -> None:
    none = replace(
        result,
        points=np.zeros((0, 2), np.float32),
        scores=np.zeros(0, np.float32),
        outlines=Outlines(np.zeros((90, 120), np.int32), np.zeros(0, np.float32), {"grey": np.zeros(0)}),
    )
    folder = saved(none, tmp_path, *OUTLINED)
    assert (folder / "dish_yolo.txt").read_text() == ""
    assert (folder / "dish_measures.csv").read_text().count("\n") == 1
    assert none.plot().size


@pytest.mark.parametrize("form", [name for name, form in FORMATS["count"].items() if form.needs == "outlines"])
def test_without_outlines_these_forms_say_what_to_do(result, tmp_path, form) -> None:
    with pytest.raises(LikewiseError, match="outlines=True"):
        replace(result, outlines=None).save(tmp_path, "dish", formats=[form])


def test_outlines_of_another_picture_are_refused(result) -> None:
    with pytest.raises(LikewiseError, match="as the picture"):
        replace(result, outlines=Outlines(np.zeros((4, 4), np.int32), np.zeros(0, np.float32)))
    with pytest.raises(LikewiseError, match="no outlines to measure"):
        _ = replace(result, outlines=None).measures


def test_the_overlay_shows_edges_and_histograms(result) -> None:
    plain, drawn = replace(result, outlines=None).plot(), result.plot()
    assert drawn.height > plain.height
    assert drawn.width == plain.width
