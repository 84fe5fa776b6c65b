"""Densities that other programs lay over the picture that was counted: GeoTIFF for maps, OME-Zarr for microscopy.

What is written is `CountResult.grid`: objects per cell, so that the sum over all cells is the count. A cell is as large
as so many pixels of the picture, which the file says.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError, needs_extra
from likewise.results.annotations import PointAnnotations

#: Side of the squares in which a density is compressed.
CHUNK = 512
#: Version of OME-NGFF.
NGFF = "0.5"


def write_geotiff(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write the density of one picture that has coordinates, as 32-bit floats.

    Args:
        pictures: one.
        info: kept as tags.
        path: of the file.

    Raises:
        LikewiseError: no density or no coordinates; several pictures; rasterio is not installed.
    """
    picture, grid = _one(pictures)
    if picture.placement.transform is None:
        raise LikewiseError("a GeoTIFF needs a picture that has coordinates, and this one has none; write ome-zarr")
    with needs_extra("a GeoTIFF", "geo"):
        import rasterio
        from rasterio.errors import CRSError, RasterioError
    rows, columns = grid.shape
    placed = picture.placement.within((0, 0), (columns / picture.size[0], rows / picture.size[1]))
    tiles: dict[str, Any] = (
        {"tiled": True, "blockxsize": CHUNK, "blockysize": CHUNK} if min(rows, columns) > CHUNK else {}
    )
    shape = {"width": columns, "height": rows, "count": 1, "dtype": "float32", "compress": "deflate", "predictor": 3}
    where = {"crs": placed.crs, "transform": rasterio.Affine(*(placed.transform or ()))}
    try:
        with rasterio.open(path, "w", driver="GTiff", **shape, **where, **tiles) as file:
            file.write(grid, 1)
            file.set_band_description(1, f"{picture.category} per cell: the sum is the count")
            file.update_tags(**info)
    except (CRSError, RasterioError) as error:
        raise LikewiseError(f"{path}: rasterio cannot write it: {error}") from error


def write_ome_zarr(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write the density of one picture as an OME-Zarr folder of one resolution.

    Axes are in micrometres where the pixels' size is known, else in pixels. As OME-NGFF has it, the middle of the
    picture's first pixel is at 0, so that the middle of the first cell is half a cell less half a pixel from there.

    Args:
        pictures: one.
        info: kept as attributes.
        path: of the folder.

    Raises:
        LikewiseError: no density; several pictures; zarr is not installed.
    """
    picture, grid = _one(pictures)
    with needs_extra("OME-Zarr", "bio"):
        import zarr
    if path.exists():
        shutil.rmtree(path)
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array("0", data=grid, chunks=(CHUNK, CHUNK), dimension_names=("y", "x"))
    group.attrs.update({"ome": {"version": NGFF, "multiscales": [_multiscale(picture, grid)]}, "likewise": dict(info)})


def _multiscale(picture: PointAnnotations, grid: NDArray[np.float32]) -> dict[str, Any]:
    cell = np.array(picture.size, np.float64) / grid.shape[::-1]
    pixel, unit = np.ones(2), {}
    if picture.placement.micrometres is not None:
        pixel, unit = np.array(picture.placement.micrometres, np.float64), {"unit": "micrometer"}
    scale, shift = (cell * pixel)[::-1].tolist(), ((cell - 1) / 2 * pixel)[::-1].tolist()
    transforms = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": shift}]
    return {
        "name": f"{picture.category} per cell: the sum is the count",
        "axes": [{"name": axis, "type": "space", **unit} for axis in ("y", "x")],
        "datasets": [{"path": "0", "coordinateTransformations": transforms}],
    }


def _one(pictures: Iterable[PointAnnotations]) -> tuple[PointAnnotations, NDArray[np.float32]]:
    picture, *others = pictures
    if others:
        raise LikewiseError("a density is that of one picture; write one for each")
    if picture.beside:
        raise LikewiseError(
            f"a density is of one kind; save that of each by itself, as of result[{picture.category!r}]"
        )
    if picture.grid is None:
        raise LikewiseError("there is no density of what was counted by hand; write the points")
    return picture, picture.grid
