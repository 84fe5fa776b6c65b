"""``likewise count`` by region, in other units and in other forms.

The weights are random: what is tested is what happens to the numbers, not the numbers.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from likewise.cli.inputs import parse_grid
from likewise.cli.regions import gather
from likewise.errors import LikewiseError
from likewise.placement import Placement
from likewise.sources import open_source

BOX = ("--box", "10,10,30,30")


#: A box that lies in the mosaic.
INSIDE = ("--box", "500005,7999985,500015,7999995")


def pixels(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.fixture
def dishes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("dishes").mkdir()
    for number, name in enumerate(("dish1.png", "dish10.png", "dish2.png")):
        Image.fromarray(pixels(number)).save(Path("dishes", name))
    return Path("dishes")


@pytest.fixture
def mosaic(tmp_path, monkeypatch):
    """A raster with coordinates: pixels of half a metre."""
    monkeypatch.chdir(tmp_path)
    rasterio = pytest.importorskip("rasterio", reason="needs the [geo] extra")
    place = rasterio.Affine(0.5, 0, 500000, 0, -0.5, 8000000)
    how = {"driver": "GTiff", "width": 80, "height": 60, "count": 3, "dtype": "uint8", "photometric": "rgb"}
    with rasterio.open("mosaic.tif", "w", crs="EPSG:32733", transform=place, **how) as file:
        file.write(np.moveaxis(pixels(), -1, 0))
    return Path("mosaic.tif")


@pytest.fixture
def slide(tmp_path, monkeypatch):
    """A picture whose file says that pixels are half a micrometre wide and a quarter high."""
    monkeypatch.chdir(tmp_path)
    sizes = {"PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25, "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite("slide.ome.tif", pixels(), photometric="rgb", metadata={"axes": "YXS", **sizes})
    return Path("slide.ome.tif")


def record(shown):
    code, out, err = shown
    assert code == 0, err
    return json.loads(out)


def table(path):
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))


def test_a_folder_has_a_table_a_picture_and_one_of_all(dishes, count):
    words = (dishes, *BOX, "--grid", "2x3", "-o", "out")
    assert count(*words)[0] == 0
    rows = table(Path("out/regions.csv"))
    names = [f"dishes/dish{number}.png" for number in (1, 2, 10) for _ in range(6)]
    assert [row["picture"] for row in rows] == names
    assert [row["region"] for row in rows[:6]] == ["A1", "A2", "A3", "B1", "B2", "B3"]
    for counted in table(Path("out/counts.csv")):
        mine = [float(row["count"]) for row in rows if row["picture"] == counted["image"]]
        assert sum(mine) == pytest.approx(float(counted["count"]), abs=1e-3)
    before = Path("out/regions.csv").read_bytes()
    Path("out/dish2_regions.csv").unlink()
    assert "2 already counted" in count(*words)[2]
    assert Path("out/regions.csv").read_bytes() == before


def test_tables_with_and_without_umlauts_are_one(tmp_path):
    head = "picture,region\r\n"
    (tmp_path / "shard-2").mkdir()
    (tmp_path / "a_regions.csv").write_bytes(f"{head}a.png,A1\r\n".encode())
    (tmp_path / "shard-2" / "b_regions.csv").write_bytes(f"\ufeff{head}Käse.png,A1\r\n".encode())
    (tmp_path / "c_regions.csv").write_bytes(f"\ufeff{head}Öl.png,A1\r\nÖl.png,A2\r\n".encode())
    gather(tmp_path)
    held = f"\ufeff{head}a.png,A1\r\nÖl.png,A1\r\nÖl.png,A2\r\nKäse.png,A1\r\n".encode()
    assert (tmp_path / "regions.csv").read_bytes() == held
    gather(tmp_path)
    assert (tmp_path / "regions.csv").read_bytes() == held
    assert len(list(tmp_path.iterdir())) == 4


def test_other_regions_never_mix_with_what_is_in_the_table(dishes, count):
    assert count(dishes, *BOX, "--grid", "2x3", "-o", "out")[0] == 0
    code, _, err = count(dishes, *BOX, "--grid", "6x8", "-o", "out")
    assert code == 2
    assert "--overwrite" in err


def test_regions_of_a_single_picture_are_printed(dishes, count):
    Path("two.geojson").write_text(
        json.dumps(
            {
                "type": "MultiPolygon",
                "coordinates": [[[[0, 0], [40, 0], [40, 60], [0, 60]]], [[[40, 0], [80, 0], [80, 60], [40, 60]]]],
            }
        )
    )
    code, out, _ = count(dishes / "dish1.png", *BOX, "--regions", "two.geojson")
    assert code == 0
    whole, part = out.splitlines()[:2]
    assert part == f"  1: {whole.split(': ')[1].split(' ')[0]}"
    found = record(count(dishes / "dish1.png", *BOX, "--regions", "two.geojson", "--json"))
    assert [region["region"] for region in found["regions"]] == ["1"]
    assert found["regions"][0]["count"] == pytest.approx(found["count"], abs=1e-3)
    assert found["regions"][0]["area_px"] == 4800


def test_a_grid_lies_over_the_region_that_is_counted(dishes, count):
    place = ("--region", "10,10,70,10,70,50,10,50")
    found = record(count(dishes / "dish1.png", *BOX, *place, "--grid", "6", "--json"))
    assert {region["area_px"] for region in found["regions"]} == {400}
    assert sum(region["count"] for region in found["regions"]) == pytest.approx(found["count"], abs=1e-2)


def test_regions_of_several_pictures_need_a_place(dishes, count):
    code, _, err = count(dishes, *BOX, "--grid", "96")
    assert code == 2
    assert "say where to with --output DIR" in err
    assert [
        len(json.loads(line)["regions"]) for line in count(dishes, *BOX, "--grid", 6, "--json")[1].splitlines()
    ] == [6] * 3


def test_a_picture_that_the_regions_do_not_fit_does_not_stop_the_others(dishes, count):
    labels = np.zeros((60, 80), np.uint8)
    labels[:30], labels[30:] = 1, 2
    Image.fromarray(labels).save("labels.png")
    Image.fromarray(pixels()[:50]).save(dishes / "dish2.png")
    code, _, err = count(dishes, *BOX, "--regions", "labels.png", "-o", "out")
    assert code == 1
    assert "labels for 80 x 60 pixels, and the picture is 80 x 50" in err
    assert [(row["picture"], row["region"]) for row in table(Path("out/regions.csv"))] == [
        (f"dishes/{name}.png", label) for name in ("dish1", "dish10") for label in "12"
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--grid", "4"), "--grid 4: expected ROWSxCOLUMNS"),
        (("--grid", "96", "--regions", "a.geojson"), "expected one of them"),
        (("--regions", "a.geojson"), "there is no file a.geojson"),
        (("--regions", "dishes/dish1.png"), "is no label image"),
        (
            ("--unit", "um"),
            "dish1.png does not tell how large its pixels are in micrometres; give places with --unit px",
        ),
        (("--unit", "crs"), "dish1.png does not tell which coordinates it has"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(words, message, dishes, count):
    code, _, err = count(dishes / "dish1.png", *BOX, *words)
    assert code == 2
    assert message in err


def test_grids_are_plates_or_rows_by_columns():
    assert [parse_grid(text) for text in ("96", "4x6", "4X6", " 12×8 ")] == [(8, 12), (4, 6), (4, 6), (12, 8)]
    for text in ("", "x", "4x", "95", "-4x6", "4x6x8"):
        with pytest.raises(LikewiseError, match="--grid"):
            parse_grid(text)


def test_files_say_where_their_pictures_lie(slide, mosaic, dishes):
    def placement_of(path: Path) -> Placement | None:
        with open_source(path) as source:
            return source.placement

    assert placement_of(slide) == Placement(micrometres=(0.5, 0.25))
    assert placement_of(mosaic) == Placement(crs="EPSG:32733", transform=(0.5, 0, 500000, 0, -0.5, 8000000))
    tifffile.imwrite("plain.tif", pixels())
    for name in ("plain.tif", "dishes/dish1.png"):
        assert placement_of(Path(name)) is None


def test_micrometres_are_those_of_the_picture(slide, count):
    in_pixels = record(count(slide, *BOX, "--region", "0,0,80,0,80,30", "--json"))
    same = ("--unit", "um", "--box", "5,2.5,15,7.5", "--region", "0,0,40,0,40,7.5")
    found = record(count(slide, *same, "--json", "--grid", "2x2"))
    assert found["count"] == in_pixels["count"]
    assert found["regions"][0]["area_um2"] == pytest.approx(found["regions"][0]["area_px"] / 8)
    assert found["regions"][0]["per_mm2"] == pytest.approx(8e6 * found["regions"][0]["count"] / 600, rel=1e-3)
    like = record(count(slide, "--unit", "um", "--like", f"{slide}:5,2.5,15,7.5", "--json"))
    assert like["count"] == record(count(slide, "--like", f"{slide}:10,10,30,30", "--json"))["count"]


def test_coordinates_are_those_of_the_picture(mosaic, count):
    found = record(count(mosaic, "--unit", "crs", "--box", "500005,7999985,500015,7999995", "--json", "--grid", "6"))
    assert found["count"] == record(count(mosaic, *BOX, "--json"))["count"]
    assert found["regions"][0]["area_m2"] == pytest.approx(found["regions"][0]["area_px"] / 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--box", "400005,7999985,400015,7999995"), "--box 400005,7999985,400015,7999995: it lies outside mosaic.tif"),
        (("--box", "500035,7999985,500055,7999995"), "--box 500035,7999985,500055,7999995: it reaches outside mosaic"),
        ((*INSIDE, "--region", "1,2,3,4,5,6"), "--region 1,2,3,4,5,6: it lies outside mosaic.tif"),
        (("--like", "mosaic.tif:1,2,3,4"), "--like 1,2,3,4: it lies outside mosaic.tif"),
    ],
)
def test_what_lies_outside_is_told_in_the_numbers_that_were_typed(words, message, mosaic, count):
    code, _, err = count(mosaic, "--unit", "crs", *words)
    assert code == 2
    assert message in err
    assert "goes from 500000,7999970 to 500040,8000000 in coordinates" in err


def test_so_it_is_in_micrometres(slide, count):
    code, _, err = count(slide, "--unit", "um", "--box", "5,2.5,45,7.5")
    assert code == 2
    assert "--box 5,2.5,45,7.5: it reaches outside slide.ome.tif, which goes from 0,0 to 40,15 in micrometres" in err


def test_forms_know_where_the_picture_lies(mosaic, count):
    rasterio = pytest.importorskip("rasterio", reason="needs the [geo] extra")
    raw = pytest.importorskip("pyogrio.raw", reason="needs the [geo] extra")
    forms = ("gpkg", "geotiff", "geojson", "points")
    words = (mosaic, *BOX, "-o", "out", *(word for form in forms for word in ("--format", form)))
    for _ in range(2):  # the second run writes over the first one's files
        assert count(*words)[0] == 0
    names = {"mosaic_count.png", "mosaic_density.tif"}
    assert {path.name for path in Path("out").iterdir()} == names | {
        f"mosaic_points.{end}" for end in ("gpkg", "geojson", "csv")
    }
    with rasterio.open("out/mosaic_density.tif") as density, rasterio.open(mosaic) as picture:
        assert density.bounds == picture.bounds
        assert density.crs == picture.crs
    rows = table(Path("out/mosaic_points.csv"))
    for form in ("gpkg", "geojson"):
        meta, _, places, _ = raw.read(f"out/mosaic_points.{form}")
        assert meta["crs"] == "EPSG:32733"
        assert len(places) == len(rows)
    assert all(abs(500000 + float(row["x"]) / 2 - float(row["easting"])) < 0.01 for row in rows)


def test_a_folder_as_a_form_is_written_whole_and_again(dishes, count):
    zarr = pytest.importorskip("zarr", reason="needs the [bio] extra")
    words = (dishes, *BOX, "-o", "out", "--format", "ome-zarr")
    assert count(*words)[0] == 0
    assert count(*words, "--overwrite")[0] == 0
    totals = {row["image"]: float(row["count"]) for row in table(Path("out/counts.csv"))}
    for name in ("dish1", "dish2", "dish10"):
        density = zarr.open_group(f"out/{name}_density.ome.zarr", mode="r")["0"][:]
        assert density.sum(dtype=np.float64) == pytest.approx(totals[f"dishes/{name}.png"], abs=1e-3)
    assert not [path for path in Path("out").iterdir() if path.name.startswith(".")]


def test_densities_beside_their_pictures_are_no_pictures(mosaic, count):
    assert count(mosaic, *BOX, "-o", ".", "--format", "geotiff")[0] == 0
    code, out, _ = count(".", *BOX)
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines() if line[:2] != "  "] == ["mosaic.tif"]
