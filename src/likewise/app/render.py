"""Results as the page shows them: answers as JSON with layers for its canvas, and whole pictures for the archive."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree

from likewise.app.kinds import draw_kinds, kinds_answer, kinds_heat
from likewise.app.picture_store import Picture
from likewise.app.project import ProjectPicture
from likewise.app.strokes import Marked
from likewise.boxes import scale_boxes
from likewise.data.decoders import open_image
from likewise.draw import (
    canvas,
    captioned,
    draw_boxes,
    draw_outline,
    draw_points,
    heat_layer,
    lay_over,
    on_ground,
    own_side,
)
from likewise.ops.density.peaks import density_peaks, smooth
from likewise.ops.run_lengths import encode_rle
from likewise.predict.localize import PEAK_BLUR, PEAK_RADIUS, PEAK_SHARE
from likewise.predict.prepared_image import preview_of
from likewise.results import CountResult, KindsResult, RecognizeResult, SegmentResult
from likewise.results.recognize import MAGNIFIED

#: Longest side of what is laid over the picture.
LAYER = 1024
#: The same of what is kept in a project.
KEPT_LAYER = 512
#: Places of a picture, at most, that are shown as alike.
ALIKE = 24
#: Colour and opacity of a mask that is laid over the picture.
MASK_COLOUR = (64, 224, 255, 110)
#: Width of its opaque edge, pixels of the layer.
EDGE = 1
#: Points that were added by hand.
ADDED_COLOUR = (255, 196, 64)


def count_answer(picture: Picture, result: CountResult | KindsResult, *, heat: bool) -> dict[str, Any]:
    """What ``likewise count --json`` prints, and scores, prompt, where asked for also the heat."""
    answer = kinds_answer(result) if isinstance(result, KindsResult) else _one_answer(result)
    answer["image"] = picture.name
    return {**answer, "heat": _png(_heat(picture, result, LAYER))} if heat else answer


def _one_answer(result: CountResult) -> dict[str, Any]:
    return {
        **result.to_dict(),
        "dots": len(result.points),
        "scores": [round(float(score), 4) for score in result.scores],
        "prompt": result.prompt.to_dict(),
        "object_size": result.object_size,
        "alike": alike_places(result),
    }


def _heat(picture: Picture, result: CountResult | KindsResult, side: int) -> Image.Image:
    size = _layer_size(picture, side)
    return (
        kinds_heat(result, size)
        if isinstance(result, KindsResult)
        else heat_layer(result.grid, size, faint=result.even)
    )


def alike_places(result: CountResult) -> list[tuple[float, float]]:
    """Peaks of the density, half an object or more from every point: the clearest few, best first."""
    if result.object_size is None:
        return []
    scale = np.array(result.grid.shape[::-1]) / result.size
    side = float(np.sqrt(np.prod(np.array(result.object_size) * scale)))
    blurred = smooth(torch.from_numpy(result.grid), PEAK_BLUR * side)
    peaks, _ = density_peaks(blurred, radius=PEAK_RADIUS * side, threshold=PEAK_SHARE / side**2)
    places = peaks.numpy() / scale
    if len(result.points):
        places = places[cKDTree(result.points * scale).query(places * scale)[0] > side / 2]
    return [(round(float(x), 2), round(float(y), 2)) for x, y in places[:ALIKE]]


def kept_heat(picture: Picture, result: CountResult | KindsResult) -> bytes:
    """The density as a layer, reduced, as PNG."""
    encoded = io.BytesIO()
    _heat(picture, result, KEPT_LAYER).save(encoded, "PNG", compress_level=6)
    return encoded.getvalue()


def segment_answer(picture: Picture, result: SegmentResult, *, layer: bool) -> dict[str, Any]:
    """What ``likewise segment --json`` prints, the mask in COCO's run lengths, and where asked as a layer."""
    answer = {
        **result.to_dict(),
        "image": picture.name,
        "segmentation": encode_rle(result.mask, compressed=True),
    }
    if not layer:
        return answer
    mask = np.asarray(result.mask_picture().convert("L").resize(_layer_size(picture), Image.Resampling.BOX)) > 127
    coloured = np.where(mask[..., None], np.array(MASK_COLOUR, dtype=np.uint8), np.uint8(0))
    coloured[mask & ~ndimage.binary_erosion(mask, iterations=EDGE, border_value=1), 3] = 255
    return {**answer, "mask": _png(Image.fromarray(coloured))}


def recognize_answer(picture: Picture, result: RecognizeResult, *, evidence: bool) -> dict[str, Any]:
    """What ``likewise recognize --json`` prints, and where asked for the peaks and the magnified evidence."""
    answer = {**result.to_dict(), "image": picture.name}
    if not evidence:
        return answer
    peaks = [[round(float(x), 2), round(float(y), 2)] for x, y in result.peaks]
    magnified = [
        {"what": what, "image": _png(Image.fromarray(each))}
        for what, each in zip(MAGNIFIED, result.magnified, strict=False)  # fewer where the model makes none
    ]
    return {**answer, "peaks": peaks, "magnified": magnified}


def count_overlay(picture: ProjectPicture, heat: bytes | None, pixels: NDArray[np.uint8]) -> Image.Image:
    """A counted picture (H, W, 3) with its density where that was kept (PNG), boxes, corrected points and count."""
    side = max(own_side(pixels), 900)
    drawn, _ = canvas(pixels, smallest=side, largest=side, least=1)
    if heat is not None:
        lay_over(drawn, open_image(io.BytesIO(heat)).convert("RGBA"))
    scale = np.array([drawn.width / picture.width, drawn.height / picture.height])
    drawn = on_ground(drawn)
    kept = np.array([point for point, _ in picture.kept]).reshape(-1, 2) * scale
    added = np.array(picture.added).reshape(-1, 2) * scale
    if picture.region is not None:
        draw_outline(drawn, [tuple(corner) for corner in np.array(picture.region) * scale])
    if picture.parts:
        return draw_kinds(drawn, picture)
    draw_points(drawn, kept)
    draw_points(drawn, added, ADDED_COLOUR)
    draw_boxes(drawn, [tuple(box) for box in scale_boxes(np.array(picture.exemplars).reshape(-1, 4), scale)])
    by_hand = f", +{len(added)} -{picture.removals} by hand" if len(added) or picture.removals else ""
    model = picture.prediction.model if picture.prediction else "nobody"
    confirmed = ", confirmed" if picture.confirmed else ""
    subtitle = f"{picture.prediction.count if picture.prediction else 0:.2f} by {model}{by_hand}{confirmed}"
    return captioned(drawn, f"{picture.count or 0:.0f}", subtitle)


def mask_overlay(picture: ProjectPicture, found: Marked, pixels: NDArray[np.uint8]) -> Image.Image:
    """A picture (H, W, 3) with the mask tinted and outlined, and the share of the picture that it covers."""
    reduced = preview_of(pixels)
    mask = Image.fromarray(found.mask.astype(np.float32))
    result = SegmentResult(
        grid=np.asarray(mask.resize((reduced.shape[1], reduced.shape[0]), Image.Resampling.BOX)),
        size=(picture.width, picture.height),
        model=found.model or found.by,
        seconds=found.seconds,
        image=reduced,
    )
    return result.plot(pixels)


def _layer_size(picture: Picture, side: int = LAYER) -> tuple[int, int]:
    factor = min(1.0, side / max(picture.width, picture.height))
    return max(1, round(picture.width * factor)), max(1, round(picture.height * factor))


def _png(image: Image.Image) -> str:
    """A PNG as a data URL."""
    encoded = io.BytesIO()
    image.save(encoded, "PNG", compress_level=3)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")
