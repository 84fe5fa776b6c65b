"""OME-Zarr: the multiscale pictures of microscopes, and the fields of a plate (NGFF 0.4 and 0.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from likewise.errors import LikewiseError, needs_extra
from likewise.placement import Placement
from likewise.sources.base import Values, Window, bits_of
from likewise.sources.choice import Axes, Choice
from likewise.sources.stack import MICROMETRES, StackSource


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return path.is_dir() and any((path / name).is_file() for name in (".zgroup", "zarr.json", ".zarray"))


def plate_fields(path: Path) -> list[Path]:
    """The pictures of a plate, well by well; nothing where it is no plate."""
    plate = _metadata(_open(path)).get("plate")
    if plate is None:
        return []
    fields = []
    for well in plate["wells"]:
        images = _metadata(_open(path / well["path"]))["well"]["images"]
        fields += [path / well["path"] / image["path"] for image in images]
    return fields


class ZarrSource(StackSource):
    """An OME-Zarr picture with its levels, or a plain Zarr array of two or three axes.

    Args:
        path: of the folder.
        choice: one channel, plane and frame, where there are several.

    Raises:
        LikewiseError: a plate or another group; a choice is missing, or names what there is not; zarr is missing.
    """

    def __init__(self, path: Path, choice: Choice) -> None:
        self.name, self.choice = str(path), choice
        group = _open(path)
        metadata = _metadata(group)
        scales = _multiscales(path, group, metadata)
        names = [each["path"] for each in scales["datasets"]] if scales else [""]
        self._arrays = [group[name] if name else group for name in names]
        first = self._arrays[0]
        self._axes = _axis_names(scales, first.ndim, self.name)
        if first.dtype.kind not in "buif":
            raise LikewiseError(f"{path} has values of type {first.dtype}; expected integers or floats")
        lengths = dict(zip(self._axes, first.shape, strict=True))
        self.axes = Axes(
            _channel_names(metadata, lengths.get("c", 1)), int(lengths.get("z", 1)), int(lengths.get("t", 1))
        )
        self._channel, self._z, self._frame = choice.index(self.axes, self.name)
        self.sizes = tuple(
            (each.shape[self._axes.index("x")], each.shape[self._axes.index("y")]) for each in self._arrays
        )
        self.bits = bits_of(first.dtype)
        self.placement = _placement(scales)

    def plane(self, level: int, window: Window, z: int) -> Values:
        """What is stored of a window."""
        x0, y0, x1, y1 = window
        chosen = {"y": slice(y0, y1), "x": slice(x0, x1), "z": z, "t": self._frame, "c": self._channel or 0}
        values = np.asarray(self._arrays[level][tuple(chosen[axis] for axis in self._axes)])
        across = self._axes.index("x") < self._axes.index("y")
        return (values.T if across else values)[..., None]


def _open(path: Path) -> Any:
    with needs_extra(f"{path} is a Zarr store, which", "bio"):
        import zarr
    return zarr.open(str(path), mode="r")


def _metadata(group: Any) -> Mapping[str, Any]:
    """What OME says of a group: at its top in 0.4, under a name of its own in 0.5."""
    attributes = dict(group.attrs)
    return attributes.get("ome", attributes)


def _multiscales(path: Path, group: Any, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The picture's levels, as a group's metadata tell them; nothing where it is a plain array."""
    if "plate" in found or "well" in found:
        fields = plate_fields(path) if "plate" in found else [path / each["path"] for each in found["well"]["images"]]
        raise LikewiseError(
            f"{path} holds {len(fields)} pictures; give one, such as {fields[0]}, or count it as a folder is counted"
        )
    if "multiscales" in found:
        return found["multiscales"][0]
    if not hasattr(group, "shape"):
        inside = sorted(child.name for child in path.iterdir() if is_zarr(child))
        more = f"; it holds {', '.join(inside[:8])}" if inside else ""
        raise LikewiseError(f"{path} is a Zarr group without a picture (multiscales){more}")
    return {}


def _axis_names(scales: Mapping[str, Any], dimensions: int, name: str) -> list[str]:
    """One of t, c, z, y, x for each axis; of old and plain files by their number."""
    axes: Sequence[Any] = scales.get("axes", ["t", "c", "z", "y", "x"][-dimensions:] if dimensions < 6 else [])
    names = [each["name"] if isinstance(each, Mapping) else str(each) for each in axes]
    if not scales and dimensions > 2:
        raise LikewiseError(
            f"{name} is a Zarr array of {dimensions} axes without names; expected OME-Zarr, or two axes"
        )
    if sorted(set(names)) != sorted(names) or not {"x", "y"} <= set(names) <= {"t", "c", "z", "y", "x"}:
        raise LikewiseError(f"{name} has axes {', '.join(names) or 'without names'}; expected some of t, c, z, y and x")
    return names


def _channel_names(metadata: Mapping[str, Any], number: int) -> tuple[str, ...]:
    if number == 1:
        return ()
    told = [str(each.get("label", "")) for each in metadata.get("omero", {}).get("channels", [])]
    return tuple(told) if len(told) == number and all(told) else tuple(map(str, range(number)))


def _placement(scales: Mapping[str, Any]) -> Placement | None:
    """How large a pixel of the first level is, where that is said in a unit of length."""
    axes = {each["name"]: each for each in scales.get("axes", []) if isinstance(each, Mapping)}
    changes = (scales.get("datasets") or [{}])[0].get("coordinateTransformations", [])
    factors = next((each["scale"] for each in changes if each.get("type") == "scale"), None)
    units = [MICROMETRES.get(axes.get(axis, {}).get("unit", "")) for axis in "xy"]
    if factors is None or None in units:
        return None
    places = [list(axes).index(axis) for axis in "xy"]
    sides = [float(factors[place]) * unit for place, unit in zip(places, units, strict=True) if unit]
    return Placement(micrometres=(sides[0], sides[1])) if all(0 < side < np.inf for side in sides) else None
