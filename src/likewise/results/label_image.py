"""Outlines as pictures whose values are the things' numbers: what CellProfiler, Fiji, QuPath and scikit-image read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.results.annotations import PointAnnotations

#: The largest number that 16 bits hold.
SIXTEEN = (1 << 16) - 1


def write_labels(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write one picture's outlines as a TIFF of 16 bits, or of 32 where a number needs them.

    Its value is 0 where nothing is, else the number of the thing, as in every other form. Where the size of a pixel is
    known the file says it.

    Args:
        pictures: one, with outlines.
        info: kept as the file's description.
        path: of the file.

    Raises:
        LikewiseError: several pictures, or no outlines.
    """
    picture, *others = pictures
    if others:
        raise LikewiseError("a label image is that of one picture; write one for each")
    if picture.outlines is None:
        raise LikewiseError("a label image needs outlines, and this count has none; ask for them with outlines=True")
    labels = picture.outlines.labels
    deep = int(labels.max(initial=0)) > SIXTEEN
    more: dict[str, Any] = {}
    if picture.placement.micrometres is not None:
        across, down = picture.placement.micrometres
        more = {"resolution": (1e4 / across, 1e4 / down), "resolutionunit": "CENTIMETER"}
    values = labels.astype(np.uint32 if deep else np.uint16)
    told = json_text(dict(info)) if info else None
    tifffile.imwrite(
        path, values, photometric="minisblack", compression="zlib", description=told, metadata=None, **more
    )
