"""Results as the API gives them: the JSON of the command line, and pictures to lay over the page's canvas."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from likewise.app.picture_store import Picture
from likewise.draw import heat_layer
from likewise.ops.run_lengths import encode_rle
from likewise.results import CountResult, RecognizeResult, SegmentResult
from likewise.results.recognize import MAGNIFIED

#: Longest side of what is laid over the picture.
LAYER = 1024
#: Colour and opacity of a mask that is laid over the picture.
MASK_COLOUR = (64, 224, 255, 110)
#: Width of its opaque edge, pixels of the layer.
EDGE = 1


def count_answer(picture: Picture, result: CountResult, *, heat: bool) -> dict[str, Any]:
    """What ``likewise count --json`` prints, and scores, prompt, where asked for also the heat."""
    answer = {
        **result.to_dict(),
        "image": picture.name,
        "scores": [round(float(score), 4) for score in result.scores],
        "prompt": result.prompt.to_dict(),
        "object_size": result.object_size,
    }
    if not heat:
        return answer
    return {**answer, "heat": _png(heat_layer(result.grid, _layer_size(picture), faint=result.even))}


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


def _layer_size(picture: Picture) -> tuple[int, int]:
    factor = min(1.0, LAYER / max(picture.width, picture.height))
    return max(1, round(picture.width * factor)), max(1, round(picture.height * factor))


def _png(image: Image.Image) -> str:
    """A PNG as a data URL."""
    encoded = io.BytesIO()
    image.save(encoded, "PNG", compress_level=3)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")
