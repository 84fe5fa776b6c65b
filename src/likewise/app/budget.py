"""What a request would cost, reckoned from its content alone before any of it is done, and whether that is taken on.

Work is reckoned in pixels: those of the pictures that have to be looked at, those of a mask, and those that a brush
goes over, each as often as it does.

Convention
----------
Coordinates are pixels of the upright picture, as in `likewise.app.requests`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from likewise.app.limits import RefusedError
from likewise.app.requests import CountRequest, Stroke

#: Of one mask: what is worked with has up to ten bytes a pixel, one mask at a time.
MASK_PIXELS = 1 << 27
#: Of all masks of a request together.
ALL_MASKS = 1 << 33
#: That the brush goes over, of all strokes of a request together: a few seconds.
BRUSHED_PIXELS = 1 << 32
#: Of the pictures with examples that a question or a job brings along.
EXAMPLE_PIXELS = 1 << 28
#: Boxes with examples in a question, all pictures together.
MOST_BOXES = 500
#: A box with less on a side shows nothing.
LEAST_SIDE = 0.01
#: Bytes of JSON that begin or part values.
_PARTS = (b",", b":", b"[", b"{")


def check_json(body: bytes | bytearray, most: int) -> None:
    """See that JSON has no more values than are taken: read, each takes some sixty bytes, even an empty list.

    Raises:
        RefusedError: it has.
    """
    values = sum(map(body.count, _PARTS))
    if values > most:
        raise RefusedError(413, f"the request holds some {values} values; at most {most} are taken")


def check_prompt(asked: CountRequest) -> None:
    """See that a prompt is one, and that its boxes are few enough, and large enough to show something.

    Raises:
        LikewiseError: they are not.
    """
    if asked.kinds:
        asked.kind_prompts()
    else:
        asked.prompt()
    drawn = [("exemplars", asked.exemplars), *((f"like[{i}]", each.exemplars) for i, each in enumerate(asked.like))]
    for kind in asked.kinds:
        drawn += [(f"{kind.name}: exemplars", kind.exemplars)]
        drawn += [(f"{kind.name}: like[{i}]", each.exemplars) for i, each in enumerate(kind.like)]
    for what, boxes in (*drawn, ("negatives", asked.negatives)):
        for index, (x0, y0, x1, y1) in enumerate(boxes):
            if 0 < x1 - x0 < LEAST_SIDE or 0 < y1 - y0 < LEAST_SIDE:
                raise RefusedError(
                    422, f"{what}[{index}] is {x1 - x0:.2g} x {y1 - y0:.2g} pixels; expected at least one pixel a side"
                )
    for what, number in (("examples", sum(len(b) for _, b in drawn)), ("negatives", len(asked.negatives))):
        if number > MOST_BOXES:
            raise RefusedError(422, f"{number} boxes with {what}; at most {MOST_BOXES} are taken, a few that differ do")


def check_examples(sizes: Iterable[tuple[int, int]]) -> None:
    """See that the pictures with examples, of these (width, height), are together no more than is taken.

    Raises:
        RefusedError: they are more.
    """
    pixels = sum(width * height for width, height in sizes)
    if pixels > EXAMPLE_PIXELS:
        raise RefusedError(
            422,
            f"the pictures with examples have {pixels / 1e6:.0f} million pixels; at most {EXAMPLE_PIXELS / 1e6:.0f} "
            "million are taken: show it in fewer of them",
        )


def check_masks(masks: Iterable[tuple[str, int, int, Sequence[Stroke]]]) -> None:
    """See that masks can be drawn: each by itself, all together, and the brush's way in them.

    Args:
        masks: a name, width and height, and what was brushed, of each picture that has a mask.

    Raises:
        RefusedError: they cannot.
    """
    whole, brushed = 0, 0.0
    for name, width, height, strokes in masks:
        if width * height > MASK_PIXELS:
            raise RefusedError(
                413,
                f"{name}: {width} x {height} pixels are too many for a mask; "
                f"at most {MASK_PIXELS / 1e6:.0f} million are drawn",
            )
        whole, brushed = whole + width * height, brushed + sum(stroke_pixels(s, width, height) for s in strokes)
        if whole > ALL_MASKS:
            raise RefusedError(
                413, f"the masks have more than {ALL_MASKS / 1e9:.1f} billion pixels together; take fewer pictures"
            )
        if brushed > BRUSHED_PIXELS:
            raise RefusedError(
                413,
                f"{name}: the brush goes over more than {BRUSHED_PIXELS / 1e9:.1f} billion pixels; "
                "take a narrower one, or fewer strokes",
            )


def stroke_pixels(stroke: Stroke, width: int, height: int) -> float:
    """At most how many pixels of a picture are painted for a stroke: a disc at every point, a band between two."""
    brush = math.ceil(stroke.width) + 1
    disc = min(brush, width) * min(brush, height) + brush  # a disc outside is walked along, row by row
    band = min(brush, math.hypot(width, height)) + 1
    lengths = (math.dist(a, b) for a, b in zip(stroke.points, stroke.points[1:], strict=False))
    between = sum(min(length, width + height) * band + height for length in lengths)
    return len(stroke.points) * disc + between
