"""Results in the forms of other programs, read back by those programs' own libraries."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likewise.app.export import project_forms, to_format
from likewise.app.project import Project
from likewise.errors import LikewiseError
from likewise.placement import Placement
from likewise.results import CountResult
from likewise.results.annotations import PointAnnotations
from likewise.results.formats import FORMATS, format_of, write_many
from likewise.types import Prompt

CRS = "EPSG:32733"
MAPPED = Placement(crs=CRS, transform=(0.05, 0, 500000, 0, -0.05, 8000000))
MEASURED = Placement(micrometres=(0.65, 0.5))
SIZE = (200, 150)


def result(placement: Placement | None = None, **changes: Any) -> CountResult:
    grid = np.random.default_rng(0).random((30, 50)).astype(np.float32)
    fields: dict[str, Any] = {
        "grid": grid,
        "size": SIZE,
        "points": np.array([[10.25, 20.5], [199.0, 149.0], [33.25, 70.125]], np.float32),
        "scores": np.array([0.9, 0.5, 0.125], np.float32),
        "prompt": Prompt(((5, 10, 25, 40), (50.25, 50, 70.5, 80)), text="Brötchen"),
        "model": "spdcn-lite",
        "seconds": 0.25,
        "image": np.zeros((150, 200, 3), np.uint8),
        "source": "dishes/Frühstück 1.jpg",
        "placement": placement,
    }
    return CountResult(**{**fields, **changes})


def saved(folder: Path, form: str, of: CountResult) -> Path:
    of.save(folder, "x", formats=[form])
    return folder / f"x{FORMATS['count'][form].suffix}"


def test_qupath_is_given_detections_and_examples_in_pixels(tmp_path: Path) -> None:
    text = saved(tmp_path, "geojson", result(MEASURED)).read_text(encoding="utf-8")
    found = json.loads(text)
    assert set(found) == {"type", "features"}
    assert found["type"] == "FeatureCollection"
    examples, points = found["features"][:2], found["features"][2:]
    assert {f["type"] for f in found["features"]} == {"Feature"}
    assert [f["properties"]["objectType"] for f in found["features"]] == ["annotation"] * 2 + ["detection"] * 3
    kind = {"name": "Brötchen", "color": [0, 160, 255]}
    assert all(f["properties"]["classification"] == kind for f in found["features"])
    ring = examples[1]["geometry"]["coordinates"][0]
    assert examples[1]["geometry"]["type"] == "Polygon"
    assert ring == [[50.25, 50], [70.5, 50], [70.5, 80], [50.25, 80], [50.25, 50]]
    assert points[0]["geometry"] == {"type": "Point", "coordinates": [10.25, 20.5]}
    assert [f["properties"]["measurements"] for f in points] == [{"score": 0.9}, {"score": 0.5}, {"score": 0.125}]
    assert "Brötchen" in text


@pytest.mark.parametrize("form", ["geojson", "gpkg"])
def test_maps_have_the_points_where_they_are(form: str, tmp_path: Path) -> None:
    raw = pytest.importorskip("pyogrio.raw", reason="needs the [geo] extra")
    shapely = pytest.importorskip("shapely", reason="needs shapely")
    path = saved(tmp_path, form, result(MAPPED))
    meta, _, geometry, columns = raw.read(path)
    assert meta["crs"] == CRS
    assert meta["geometry_type"] == "Point"
    expected = [[500000 + 0.05 * x, 8000000 - 0.05 * y] for x, y in result().points.tolist()]
    assert np.allclose(shapely.get_coordinates(shapely.from_wkb(geometry)), expected, rtol=0, atol=1e-4)
    held = dict(zip(meta["fields"], columns, strict=True))
    assert held["score"].tolist() == pytest.approx([0.9, 0.5, 0.125])
    assert held["category"].tolist() == ["Brötchen"] * 3
    assert held["picture"].tolist() == ["dishes/Frühstück 1.jpg"] * 3


def test_a_form_written_again_replaces_the_one_before(tmp_path: Path) -> None:
    raw = pytest.importorskip("pyogrio.raw", reason="needs the [geo] extra")
    for _ in range(2):
        path = saved(tmp_path, "gpkg", result(MAPPED))
    assert len(raw.read(path)[2]) == 3


def test_longitude_and_latitude_need_no_crs(tmp_path: Path) -> None:
    degrees = Placement(crs="EPSG:4326", transform=(1e-6, 0, 15, 0, -1e-6, -18))
    path = saved(tmp_path, "geojson", result(degrees))
    found = json.loads(path.read_text(encoding="utf-8"))
    assert "crs" not in found
    assert found["features"][1]["geometry"]["coordinates"] == [15.000199, -18.000149]
    raw = pytest.importorskip("pyogrio.raw", reason="needs the [geo] extra")
    assert raw.read(path)[0]["crs"] == "EPSG:4326"


def test_a_reference_system_without_a_number_is_written_as_it_is(tmp_path: Path) -> None:
    raw = pytest.importorskip("pyogrio.raw", reason="needs the [geo] extra")
    crs = pytest.importorskip("rasterio.crs", reason="needs the [geo] extra").CRS
    own = crs.from_proj4("+proj=tmerc +lat_0=10 +lon_0=20 +k=1 +x_0=0 +y_0=0 +ellps=GRS80 +units=m +no_defs")
    placed = replace(MAPPED, crs=own.to_wkt())
    for form in ("geojson", "gpkg"):
        assert crs.from_user_input(raw.read(saved(tmp_path, form, result(placed)))[0]["crs"]) == own


def test_imagej_has_points_in_the_middle_of_pixels_and_examples_as_rectangles(tmp_path: Path) -> None:
    roifile = pytest.importorskip("roifile", reason="needs the [bio] extra")
    points, *examples = roifile.roiread(saved(tmp_path, "imagej", result()))
    assert points.roitype == roifile.ROI_TYPE.POINT
    assert points.name == "Brötchen"
    assert np.allclose(points.coordinates(), result().points - 0.5)
    assert [roi.roitype for roi in examples] == [roifile.ROI_TYPE.RECT] * 2
    assert (examples[1].xd, examples[1].yd, examples[1].widthd, examples[1].heightd) == (50.25, 50, 20.25, 30)
    assert examples[1].coordinates().min(0).tolist() == [50, 50]


def test_imagej_takes_many_points_and_none(tmp_path: Path) -> None:
    roifile = pytest.importorskip("roifile", reason="needs the [bio] extra")
    points = np.random.default_rng(1).uniform(0, 60000, (70000, 2)).astype(np.float32)
    many = result(points=points, scores=np.ones(70000, np.float32), size=(60000, 60000), prompt=Prompt(text="cells"))
    format_of("count", "imagej").write([many.annotations], {}, tmp_path / "many.zip")
    [read] = roifile.roiread(tmp_path / "many.zip")
    assert np.abs(read.coordinates() - (points - 0.5)).max() < 0.01
    none = result(points=np.zeros((0, 2), np.float32), scores=np.zeros(0, np.float32))
    assert len(roifile.roiread(saved(tmp_path / "none", "imagej", none))) == 2


def test_a_spreadsheet_has_what_is_known_of_places(tmp_path: Path) -> None:
    held = saved(tmp_path, "points", result(MAPPED)).read_bytes()
    assert held.startswith(b"\xef\xbb\xbfpicture,")
    assert held.endswith(b"\r\n")
    rows = list(csv.DictReader(io.StringIO(held.decode("utf-8-sig"), newline="")))
    assert list(rows[0]) == ["picture", "category", "x", "y", "easting", "northing", "score", "crs"]
    assert rows[0]["picture"] == "dishes/Frühstück 1.jpg"
    assert [(float(r["x"]), float(r["y"])) for r in rows] == [(10.25, 20.5), (199, 149), (33.25, 70.12)]
    assert [float(r["easting"]) for r in rows] == pytest.approx([500000.5125, 500009.95, 500001.6625], abs=5e-4)
    assert [float(r["northing"]) for r in rows] == pytest.approx([7999998.975, 7999992.55, 7999996.494], abs=5e-4)
    assert {r["crs"] for r in rows} == {CRS}


def test_a_spreadsheet_of_a_plain_picture_has_pixels_only(tmp_path: Path) -> None:
    plain = replace(result(), source="=a.jpg", prompt=Prompt(text="rolls"))
    held = saved(tmp_path, "points", plain).read_bytes()
    assert held.splitlines()[:2] == [b"picture,category,x,y,score", b"'=a.jpg,rolls,10.25,20.50,0.9000"]
    first, *_ = csv.DictReader(io.StringIO(saved(tmp_path, "points", result(MEASURED)).read_text("utf-8-sig")))
    assert (float(first["x_um"]), float(first["y_um"])) == pytest.approx((6.6625, 10.25), abs=5e-3)


def test_parquet_has_all_columns_whatever_is_known(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the [tables] extra")
    plain, mapped, measured = result(), result(MAPPED), result(MEASURED)
    path = tmp_path / "all.parquet"
    found = [each.annotations for each in (plain, mapped, measured)]
    write_many(
        format_of("count", "parquet"), [*found, replace(found[0], by=("hand", "model", "hand"))], {"a": "b"}, path
    )
    table = parquet.read_table(path)
    assert parquet.ParquetFile(path).num_row_groups == 4
    assert table.schema.metadata == {b"likewise.a": b"b"}
    rows = table.to_pylist()
    assert [row["x"] for row in rows] == np.tile(plain.points[:, 0], 4).tolist()
    assert [row["score"] for row in rows[:3]] == plain.scores.tolist()
    assert [row["easting"] for row in rows[:3]] == [None] * 3
    assert [[row["easting"], row["northing"]] for row in rows[3:6]] == MAPPED.places(plain.points, "crs").tolist()
    assert [[row["x_um"], row["y_um"]] for row in rows[6:9]] == MEASURED.places(plain.points, "um").tolist()
    assert [row["by"] for row in rows[9:]] == ["hand", "model", "hand"]
    single = parquet.read_table(saved(tmp_path, "parquet", plain))
    assert single.schema.equals(table.schema)


def test_a_geotiff_lies_over_its_picture(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio", reason="needs the [geo] extra")
    with rasterio.open(saved(tmp_path, "geotiff", result(MAPPED))) as file:
        assert file.crs == rasterio.crs.CRS.from_epsg(32733)
        assert file.read(1).dtype == np.float32
        assert np.array_equal(file.read(1), result().grid)
        assert file.read(1).sum(dtype=np.float64) == pytest.approx(result().count)
        left, bottom, right, top = file.bounds
        assert (left, top) == (500000, 8000000)
        assert (right, bottom) == pytest.approx((500010, 7999992.5))
        # the cell that holds a point of the picture is where the picture's own transform has the point
        x, y = 101.0, 42.0
        [(easting, northing)] = MAPPED.places([(x, y)], "crs").tolist()
        assert file.index(easting, northing) == (int(y / 150 * 30), int(x / 200 * 50))


def test_a_large_geotiff_is_tiled(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio", reason="needs the [geo] extra")
    large = result(MAPPED, grid=np.ones((600, 700), np.float32))
    with rasterio.open(saved(tmp_path, "geotiff", large)) as file:
        assert file.block_shapes == [(512, 512)]
        assert file.read(1).sum() == 420000


@pytest.mark.filterwarnings("ignore")  # of the reader's own dependencies
@pytest.mark.parametrize("placement", [None, MEASURED])
def test_an_ome_zarr_lies_over_its_picture(placement: Placement | None, tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="needs the [bio] extra")
    io_, reader = (pytest.importorskip(f"ome_zarr.{part}", reason="needs ome-zarr") for part in ("io", "reader"))
    path = saved(tmp_path, "ome-zarr", result(placement))
    [node] = list(reader.Reader(io_.parse_url(path))())
    assert np.array_equal(np.asarray(node.data[0]), result().grid)
    assert float(np.asarray(node.data[0]).sum(dtype=np.float64)) == pytest.approx(result().count)
    [[scale, shift]] = node.metadata["coordinateTransformations"]
    pixel = np.array((placement or Placement((1, 1))).micrometres)[::-1]
    assert scale["scale"] == pytest.approx((np.array([5, 4]) * pixel).tolist())
    # the first cell begins where the first pixel does: half a pixel before the middle of that
    corner = np.array(shift["translation"]) - np.array(scale["scale"]) / 2
    assert corner == pytest.approx((-pixel / 2).tolist())
    units = {axis.get("unit") for axis in node.metadata["axes"]}
    assert units == ({"micrometer"} if placement else {None})


@pytest.mark.filterwarnings("ignore")
def test_an_ome_zarr_is_what_the_specification_asks_for(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr", reason="needs the [bio] extra")
    models = pytest.importorskip("ome_zarr_models.v05", reason="needs ome-zarr-models")
    group = zarr.open_group(saved(tmp_path, "ome-zarr", result(MEASURED)), mode="r")
    assert models.Image.from_zarr(group).attributes.ome.version == "0.5"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("gpkg", "coordinates in one reference system; for others, write geojson or a table"),
        ("geotiff", "a GeoTIFF needs a picture that has coordinates, and this one has none; write ome-zarr"),
    ],
)
def test_what_needs_coordinates_says_so(form: str, message: str, tmp_path: Path) -> None:
    pytest.importorskip("pyogrio", reason="needs the [geo] extra")
    with pytest.raises(LikewiseError, match=message):
        saved(tmp_path, form, result(MEASURED))


@pytest.mark.parametrize("form", ["gpkg", "geotiff"])
def test_a_reference_system_that_there_is_not_is_refused(form: str, tmp_path: Path) -> None:
    pytest.importorskip("pyogrio", reason="needs the [geo] extra")
    with pytest.raises(LikewiseError, match="cannot write it"):
        saved(tmp_path, form, result(replace(MAPPED, crs="nowhere")))


@pytest.mark.parametrize(
    ("form", "module", "extra"),
    [
        ("gpkg", "pyogrio", "geo"),
        ("geotiff", "rasterio", "geo"),
        ("imagej", "roifile", "bio"),
        ("ome-zarr", "zarr", "bio"),
        ("parquet", "pyarrow", "tables"),
    ],
)
def test_a_missing_extra_is_named(
    form: str, module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(
        LikewiseError, match=rf"needs {module}: pip install 'likewise\[{extra}\]', or .* '\.\[{extra}\]'"
    ):
        saved(tmp_path, form, result(MAPPED))


PICTURE: dict[str, Any] = {
    "name": "a/x.png",
    "width": 180,
    "height": 130,
    "exemplars": [[12, 10, 29, 30]],
    "prediction": {
        "model": "spdcn-lite",
        "count": 3.4,
        "points": [[20, 20], [60, 20]],
        "scores": [0.9, 0.75],
        "seconds": 0.25,
    },
    "added": [[150, 100]],
}


@pytest.fixture
def project() -> Project:
    pictures = [PICTURE, {**PICTURE, "name": "b/x.jpg"}, {**PICTURE, "name": "../../Käse.png"}]
    return Project.model_validate({"format": 1, "saved": "2026", "likewise": "1", "pictures": pictures})


def test_a_project_has_the_forms_that_need_nothing_else(project: Project) -> None:
    assert set(project_forms("count")) == {"coco", "points", "parquet", "geojson", "imagej"}
    with pytest.raises(LikewiseError, match="a project holds no density, which geotiff needs"):
        to_format(project, "count", "geotiff")


def test_a_project_is_an_archive_with_a_file_for_each_picture(project: Project) -> None:
    archive = zipfile.ZipFile(io.BytesIO(to_format(project, "count", "geojson")))
    assert archive.namelist() == ["x_points.geojson", "2-x_points.geojson", "Käse_points.geojson"]
    features = json.loads(archive.read("2-x_points.geojson"))["features"]
    points = [f for f in features if f["geometry"]["type"] == "Point"]
    assert [f["geometry"]["coordinates"] for f in points] == [[20, 20], [60, 20], [150, 100]]
    assert [f["properties"]["metadata"]["by"] for f in points] == ["model", "model", "hand"]


def test_a_project_of_rois_and_tables_is_read_again(project: Project, tmp_path: Path) -> None:
    roifile = pytest.importorskip("roifile", reason="needs the [bio] extra")
    archive = zipfile.ZipFile(io.BytesIO(to_format(project, "count", "imagej")))
    archive.extract("x_rois.zip", tmp_path)
    points, example = roifile.roiread(tmp_path / "x_rois.zip")
    assert points.coordinates().tolist() == [[19.5, 19.5], [59.5, 19.5], [149.5, 99.5]]
    assert example.name == "example-1"
    table = to_format(project, "count", "points").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert [row["by"] for row in rows] == ["model", "model", "hand"] * 3
    assert rows[-1]["picture"] == "../../Käse.png"


def test_archives_hold_folders_whole(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr", reason="needs the [bio] extra")
    found = [result(source=name).annotations for name in ("a.tif", "b.tif")]
    write_many(format_of("count", "ome-zarr"), found, {}, tmp_path / "all.zip")
    zipfile.ZipFile(tmp_path / "all.zip").extractall(tmp_path / "all")
    for name in ("a", "b"):
        read = zarr.open_group(tmp_path / "all" / f"{name}_density.ome.zarr", mode="r")["0"][:]
        assert np.array_equal(read, result().grid)


def test_forms_of_one_picture_refuse_two(tmp_path: Path) -> None:
    pytest.importorskip("roifile", reason="needs the [bio] extra")
    both: list[PointAnnotations] = [result(MAPPED).annotations] * 2
    for name in ("geojson", "imagej", "ome-zarr"):
        with pytest.raises(LikewiseError, match="write one for each"):
            format_of("count", name).write(both, {}, tmp_path / "x")
