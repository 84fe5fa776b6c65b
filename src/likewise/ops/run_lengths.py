"""Masks as COCO's run lengths.

Convention
----------
Masks are (h, w); runs go down the columns, one after the other, and the first is outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError

#: Runs are below 2 to the power of this, far above the pixels of any mask: longer numbers would take ever longer.
MOST_BITS = 50
#: Pixels that are looked at together, which bounds the memory.
TOGETHER = 1 << 22


def encode_rle(mask: NDArray[np.bool_], *, compressed: bool = False) -> dict[str, Any]:
    """A mask (h, w) as COCO's run lengths: column by column, the first run outside.

    They are a list, or ``compressed`` into a string (see `decode_rle`), which is a fifth as long in JSON.

    Example:
        >>> encode_rle(np.array([[False, True], [False, True]]))
        {'size': [2, 2], 'counts': [2, 2]}
    """
    height, width = mask.shape
    last, edges = False, [np.zeros(1, np.int64)]
    step = max(1, TOGETHER // max(height, 1))
    for column in range(0, width if height else 0, step):
        flat = np.concatenate([[last], mask[:, column : column + step].ravel(order="F")])
        edges.append(np.flatnonzero(flat[1:] != flat[:-1]) + column * height)
        last = bool(flat[-1])
    counts: list[int] = np.diff(np.concatenate([*edges, [mask.size]])).tolist()
    return {
        "size": [int(mask.shape[0]), int(mask.shape[1])],
        "counts": _pack_runs(counts) if compressed else counts,
    }


def encode_crop(mask: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """`encode_rle`, compressed, of a mask that is False outside of a small part of it, which alone is looked at.

    Args:
        mask: (h, w), the part.
        corner: (x, y) of the whole mask where the part begins.
        size: (height, width) of the whole mask.

    Example:
        >>> whole = np.zeros((4, 5), bool)
        >>> whole[1:3, 2:4] = True
        >>> encode_crop(whole[1:3, 2:4], (2, 1), (4, 5)) == encode_rle(whole, compressed=True)
        True
    """
    columns, rows = np.nonzero(mask.T)
    places = (columns + corner[0]) * size[0] + rows + corner[1]
    breaks = np.flatnonzero(np.diff(places) > 1)
    starts, ends = places[np.concatenate([[0], breaks + 1])], places[np.concatenate([breaks, [len(places) - 1]])] + 1
    edges = np.stack([starts, ends], 1).ravel()
    last = [size[0] * size[1]] if edges[-1] < size[0] * size[1] else []
    counts: list[int] = np.diff(np.concatenate([[0], edges, last])).tolist()
    return {"size": [int(size[0]), int(size[1])], "counts": _pack_runs(counts)}


def decode_rle(segmentation: Mapping[str, Any], size: Sequence[int] | None = None) -> NDArray[np.bool_]:
    """A COCO mask {"size": [h, w], "counts": list or compressed string} -> (h, w), True inside.

    The compressed string holds runs as signed base-32 numbers, five bits a character, lowest first; from the
    third run on, each is stored as a difference from the run two before (the COCO API's ``maskApi.c`` format).

    Args:
        segmentation: the mask.
        size: (h, w) that it has to have; nothing of that size is made before it is seen to. None: its own.

    Raises:
        LikewiseError: no size, another size, no run lengths, or some that are not as long as the mask has pixels.

    Example:
        >>> decode_rle({"size": [2, 2], "counts": [2, 2]})
        array([[False,  True],
               [False,  True]])
    """
    height, width = _size(segmentation, size)
    counts = segmentation.get("counts")
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")
    runs = _unpack_runs(counts) if isinstance(counts, str) else _whole(counts)
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise LikewiseError(f"run lengths of {sum(runs)} pixels do not fit a mask of {width} x {height}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _size(segmentation: Mapping[str, Any], wanted: Sequence[int] | None) -> tuple[int, int]:
    """The mask's height and width, as they are wanted if anything is."""
    given = segmentation.get("size")
    try:
        height, width = _whole(given)
    except (LikewiseError, ValueError):
        raise LikewiseError(f"a mask's size is {given!r}: expected [height, width] in pixels") from None
    if min(height, width) < 0 or (wanted is not None and (height, width) != tuple(wanted)):
        expected = "sides of at least 0" if wanted is None else f"{wanted[1]} x {wanted[0]}"
        raise LikewiseError(f"a mask of {width} x {height} pixels: expected {expected}")
    return height, width


def _whole(numbers: Any) -> list[int]:
    """A list of whole numbers as Python's own."""
    if not isinstance(numbers, list | tuple | np.ndarray) or not all(_is_whole(n) for n in numbers):
        raise LikewiseError(f"run lengths are {str(numbers)[:80]}: expected a list of whole numbers or a string")
    return [int(n) for n in numbers]


def _is_whole(number: Any) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


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
    for place, character in enumerate(text):
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > MOST_BITS:
            raise LikewiseError(f"run lengths: {text[place : place + 8]!r} at character {place} is no number of a run")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise LikewiseError(f"run lengths end within a number: {text[-8:]!r}")
    return runs
