"""Masks as COCO's run lengths.

Convention
----------
Masks are (h, w); runs go down the columns, one after the other, and the first is outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError


def encode_rle(mask: NDArray[np.bool_], *, compressed: bool = False) -> dict[str, Any]:
    """A mask (h, w) as COCO's run lengths: column by column, the first run outside.

    They are a list, or ``compressed`` into a string (see `decode_rle`), which is a fifth as long in JSON.

    Example:
        >>> encode_rle(np.array([[False, True], [False, True]]))
        {'size': [2, 2], 'counts': [2, 2]}
    """
    flat = np.concatenate([[False], mask.T.ravel()])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate([[0], edges, [mask.size]]))
    counts = [int(v) for v in runs]
    return {
        "size": [int(mask.shape[0]), int(mask.shape[1])],
        "counts": _pack_runs(counts) if compressed else counts,
    }


def decode_rle(segmentation: Mapping[str, Any]) -> NDArray[np.bool_]:
    """A COCO mask {"size": [h, w], "counts": list or compressed string} -> (h, w), True inside.

    The compressed string holds runs as signed base-32 numbers, five bits a character, lowest first; from the
    third run on, each is stored as a difference from the run two before (the COCO API's ``maskApi.c`` format).

    Raises:
        LikewiseError: the runs are not as long as the mask has pixels.

    Example:
        >>> decode_rle({"size": [2, 2], "counts": [2, 2]})
        array([[False,  True],
               [False,  True]])
    """
    height, width = segmentation["size"]
    counts = segmentation["counts"]
    runs = list(counts) if isinstance(counts, list) else _unpack_runs(counts)
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise LikewiseError(f"run lengths of {sum(runs)} pixels do not fit a mask of {width} x {height}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _pack_runs(runs: list[int]) -> str:
    characters = []
    for index, run in enumerate(runs):
        value, more = run - runs[index - 2] if index > 2 else run, True
        while more:
            bits, value = value & 0x1F, value >> 5
            more = value != (-1 if bits & 0x10 else 0)
            characters.append(chr(bits + 48 + (0x20 if more else 0)))
    return "".join(characters)


def _unpack_runs(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs
