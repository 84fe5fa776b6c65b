"""What the workbench tells of a picture's file beside its pixels."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tifffile import imwrite

from likewise.placement import Placement
from likewise.results.pixel_size import pixel_size

from .conftest import coins, upload


def ids_of(client: TestClient) -> dict[str, str]:
    return {p["name"]: p["id"] for p in client.get("/api/v1/pictures").json()["pictures"]}


def test_a_pixels_size_is_told_where_the_file_tells_it(client: TestClient, folder: Path, ids: dict[str, str]) -> None:
    imwrite(
        folder / "cells.tif", coins()[..., 0], imagej=True, resolution=(4.0, 2.0), metadata={"unit": "um", "axes": "YX"}
    )
    imwrite(folder / "plain.tif", coins()[..., 0])
    here = ids_of(client)
    told = {
        name: client.get(f"/api/v1/pictures/{here[name]}/about").json()["micrometres"]
        for name in here
        if name[0] != "b"
    }
    assert told == {"a2.png": None, "a10.jpg": None, "cells.tif": [0.25, 0.5], "plain.tif": None}
    gone = client.get("/api/v1/pictures/0123456789abcdef/about")
    assert gone.status_code == 404


def test_an_uploads_path_is_not_told(client: TestClient) -> None:
    (found,) = [upload(client, "coins.tif", (Path(__file__).parent / "conftest.py").read_bytes()).json()]
    assert "conftest" not in found["error"]


def test_pixels_with_coordinates_have_their_mean_size() -> None:
    pytest.importorskip("rasterio")
    metres = Placement(crs="EPSG:32733", transform=(0.05, 0, 500000, 0, -0.1, 8000000))
    assert pixel_size(metres, (100, 50)) == pytest.approx((0.05e6, 0.1e6), rel=1e-6)
    degrees = Placement(crs="EPSG:4326", transform=(1e-5, 0, 15, 0, -1e-5, 60))
    across, down = pixel_size(degrees, (1000, 1000)) or (0, 0)
    assert down == pytest.approx(1.1141e6, rel=0.005)  # a hundred-thousandth of a degree of latitude at 60 degrees
    assert across / down == pytest.approx(math.cos(math.radians(59.995)), rel=1e-6)
    assert pixel_size(Placement(micrometres=(0.5, 0.25)), (10, 10)) == (0.5, 0.25)
    assert pixel_size(Placement(crs="no such system", transform=(1, 0, 0, 0, 1, 0)), (10, 10)) is None
    assert pixel_size(None, (10, 10)) is None
