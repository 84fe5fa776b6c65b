"""Several kinds in one picture as the page shows them: an answer that tells them apart, and a drawing with a legend.

Convention
----------
Points are in pixels of the picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from likewise.app.project import ProjectPicture
from likewise.boxes import scale_boxes
from likewise.draw import draw_boxes, draw_points, heat_layer, resized_density
from likewise.results import KindsResult
from likewise.results.legend import kind_colours, with_legend

#: What of a kind's result is told of it; the points are among those of the picture.
TOLD = ("count", "low", "high", "untrusted", "warnings")


def kinds_answer(result: KindsResult) -> dict[str, Any]:
    """As `likewise.app.render.count_answer`: the points of the first kind, then those of the next, and so on."""
    told = result.to_dict()
    kinds = [
        {
            "name": name,
            **{key: told["kinds"][name][key] for key in TOLD},
            "dots": len(each.points),
            "object_size": each.object_size,
        }
        for name, each in result.items()
    ]
    return {
        "model": result.model,
        "count": told["total"],
        "untrusted": any(each.untrusted for each in result.values()),
        "dots": sum(kind["dots"] for kind in kinds),
        "points": [point for name in result for point in told["kinds"][name]["points"]],
        "scores": [round(float(score), 4) for each in result.values() for score in each.scores],
        "found": [],
        "warnings": told["warnings"],
        "seconds": told["seconds"],
        "prompt": {"kinds": {name: each.prompt.to_dict() for name, each in result.items()}},
        "object_size": None,
        "kinds": kinds,
        "confusions": told["confusions"],
    }


def kinds_heat(result: KindsResult, size: tuple[int, int]) -> Image.Image:
    """The densities of all kinds as one layer of (width, height): a thing of any kind is about as bright."""
    whole = np.zeros((size[1], size[0]), np.float32)
    for each in result.values():
        whole += resized_density(each.grid / each.even, size)
    return heat_layer(whole, size, faint=1.0)


def draw_kinds(sheet: Image.Image, picture: ProjectPicture) -> Image.Image:
    """A counted picture on its ground with the points and boxes of each kind in its colour, and a legend."""
    scale = np.array([sheet.width / picture.width, sheet.height / picture.height])
    rows = []
    for colour, (name, part) in zip(kind_colours(len(picture.parts)), picture.parts.items(), strict=True):
        points = [*(point for point, _ in part.kept), *part.added]
        draw_points(sheet, np.array(points).reshape(-1, 2) * scale, colour)
        draw_boxes(sheet, [tuple(box) for box in scale_boxes(np.array(part.exemplars).reshape(-1, 4), scale)], colour)
        doubtful = bool(part.prediction and part.prediction.untrusted and not part.by_hand)
        rows.append((colour, f"{name}: {part.count or 0:.0f}{'?' * doubtful}", doubtful))
    model = picture.prediction.model if picture.prediction else "nobody"
    return with_legend(sheet, rows, f"{picture.count or 0:.2f} in all, by {model}{', by hand' * picture.by_hand}")
