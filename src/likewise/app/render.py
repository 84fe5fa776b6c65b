"""Pictures of a project with what was found drawn in, and corrections by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.app.project import ProjectPicture
from likewise.app.strokes import Marked
from likewise.draw import canvas, draw_badge, draw_boxes, draw_outline, draw_points, heat_overlay
from likewise.preprocess.scaled_view import View
from likewise.results import CountResult, SegmentResult

#: Points that were added by hand.
ADDED_COLOUR = (255, 196, 64)
#: Longest side at which a mask is outlined.
DRAWN = 1600


def count_overlay(picture: ProjectPicture, result: CountResult) -> Image.Image:
    """A counted picture with its density, boxes, the points as corrected, and the corrected count."""
    inner, _ = canvas(result.image, least=1)
    drawn, _ = canvas(np.asarray(heat_overlay(inner, result.grid, faint=result.even)))
    scale = np.array([inner.width / picture.width, inner.height / picture.height])
    kept = np.array([point for point, _ in picture.kept]).reshape(-1, 2) * scale
    added = np.array(picture.added).reshape(-1, 2) * scale
    if picture.region is not None:
        draw_outline(drawn, [tuple(corner) for corner in np.array(picture.region) * scale])
    draw_points(drawn, kept)
    draw_points(drawn, added, ADDED_COLOUR)
    draw_boxes(drawn, [tuple(box) for box in np.array(picture.exemplars).reshape(-1, 4) * np.tile(scale, 2)])
    by_hand = f", +{len(added)} -{picture.removals} by hand" if len(added) or picture.removals else ""
    model = picture.prediction.model if picture.prediction else result.model
    subtitle = f"{picture.prediction.count if picture.prediction else 0:.2f} by {model}{by_hand}"
    draw_badge(drawn, f"{picture.count or 0:.0f}", subtitle, avoid=np.concatenate([kept, added]))
    return drawn


def mask_overlay(picture: ProjectPicture, found: Marked, pixels: NDArray[np.uint8]) -> Image.Image:
    """A picture (H, W, 3) with the mask tinted and outlined, and the share of the picture that it covers."""
    scale = min(1.0, DRAWN / max(picture.width, picture.height))
    reduced = View.of(pixels, scale).cut()
    mask = Image.fromarray(found.mask.astype(np.float32))
    result = SegmentResult(
        grid=np.asarray(mask.resize((reduced.shape[1], reduced.shape[0]), Image.Resampling.BOX)),
        size=(picture.width, picture.height),
        model=found.model or found.by,
        seconds=found.seconds,
        image=reduced,
    )
    return result.plot()
