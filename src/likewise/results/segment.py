"""What segmenting a picture gives, and the forms people want it in.

Convention
----------
Everything is in the caller's pixels: boxes are xyxy and contours x y, the centre of the top left pixel at (0.5, 0.5).
Only `SegmentResult.grid` is not: the same score as it was made, in a reduced copy of the picture or in the network's
pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.measure import find_contours

from likewise.draw import canvas, captioned, draw_outline, mask_overlay, on_ground, own_side
from likewise.drawings import save_form
from likewise.results.annotations import MaskAnnotation
from likewise.results.base import Files, check, finite, rounded
from likewise.results.coco import masks_dataset
from likewise.results.formats import written

#: What scores more belongs to the mask.
THRESHOLD = 0.5
#: Parts of the mask that are smaller than this share of the picture have no box and no contour.
LEAST_PART = 1e-4


@dataclass(frozen=True, eq=False)
class SegmentResult:
    """Where a picture shows what the support shows.

    Attributes:
        grid: (h, w) float32 in [0, 1], the score as it was made.
        size: (width, height) of the picture.
        model: name of the model.
        seconds: how long it took.
        image: (H', W', 3) uint8, the picture, or a reduced copy of it, to draw on.
        source: the picture's file name, where it has one.

    Raises:
        LikewiseError: an array of another shape or type than above, or one that is not finite.

    Example:
        >>> import tempfile
        >>> grid = np.float32([[0, 0, 1, 1], [0, 0, 0, 0]])  # as a model would score it
        >>> result = SegmentResult(grid, (400, 200), "by hand", 0.0, np.zeros((200, 400, 3), np.uint8))
        >>> result.mask.shape, 0.2 < result.area < 0.3, result.boxes.tolist()
        ((200, 400), True, [[200.0, 0.0, 400.0, 100.0]])
        >>> result.to_dict()["model"], len(result.to_coco()["annotations"])
        ('by hand', 1)
        >>> result.plot().width
        900
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result.save(folder, "half").name
        'half_segment.png'
    """

    grid: np.ndarray
    size: tuple[int, int]
    model: str
    seconds: float
    image: np.ndarray
    source: str | None = None

    def __post_init__(self) -> None:
        """Check shapes, types and values."""
        check("grid", self.grid, "(h, w) of float32", self.grid.ndim == 2 and self.grid.dtype == np.float32)
        picture = self.image.ndim == 3 and self.image.shape[2] == 3 and self.image.dtype == np.uint8
        check("image", self.image, "(H, W, 3) of uint8", picture)
        finite("grid", self.grid)

    def __repr__(self) -> str:
        """In a line: of which picture, and how much of it was found."""
        return f"<SegmentResult of {self.source or 'a picture'}: {self.area:.1%} by {self.model}>"

    @property
    def score(self) -> np.ndarray:
        """(H, W) float32 in [0, 1]: how much each pixel of the picture looks like the thing."""
        whole = np.asarray(Image.fromarray(self.grid).resize(self.size, Image.Resampling.BILINEAR))
        return whole.clip(0, 1)

    @cached_property
    def mask(self) -> np.ndarray:
        """(H, W) bool: the pixels whose score is above one half."""
        found: np.ndarray = self.score > THRESHOLD
        return found

    @property
    def area(self) -> float:
        """The share of the picture that the mask covers."""
        return float(self.mask.mean())

    @cached_property
    def boxes(self) -> np.ndarray:
        """(N, 4) float32 xyxy round the mask's connected parts, the largest part first."""
        parts, count = ndimage.label(self.mask, np.ones((3, 3)))
        areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        slices = ndimage.find_objects(parts)
        kept = [i for i in np.argsort(-areas, kind="stable") if areas[i] >= LEAST_PART * self.mask.size]
        boxes = [(slices[i][1].start, slices[i][0].start, slices[i][1].stop, slices[i][0].stop) for i in kept]
        return np.array(boxes, np.float32).reshape(-1, 4)

    @cached_property
    def contours(self) -> list[np.ndarray]:
        """Closed outlines (M, 2) float32 x y of the mask's parts and of the holes in them, the longest first."""
        rings = find_contours(np.pad(self.grid, 1), THRESHOLD)
        scale = np.array([self.size[0] / self.grid.shape[1], self.size[1] / self.grid.shape[0]])
        placed = [((ring[:, ::-1] - 0.5) * scale).clip(0, self.size) for ring in rings]
        least = LEAST_PART * self.size[0] * self.size[1]
        kept = [ring.astype(np.float32) for ring in placed if _enclosed(ring) >= least]
        return sorted(kept, key=len, reverse=True)

    def plot(self, pixels: np.ndarray | None = None) -> Image.Image:
        """The picture with the mask tinted and outlined, and the share of the picture that it covers.

        Its longest side is between 900 and 1600 pixels, whatever the picture's.

        Args:
            pixels: (H, W, 3) uint8, the picture itself, to be drawn on at its own size, up to
                `likewise.draw.LARGEST_AREA`; None: on `image`.
        """
        sides = {} if pixels is None else {"largest": max(own_side(pixels), 900)}
        inner, _ = canvas(self.image if pixels is None else pixels, least=1, **sides)
        scale = np.array([inner.width / self.size[0], inner.height / self.size[1]])
        picture = on_ground(mask_overlay(inner, self.mask))
        for ring in self.contours:
            draw_outline(picture, [tuple(corner) for corner in ring * scale])
        return captioned(picture, f"{self.area:.0%}" if self.area >= 0.1 else f"{self.area:.1%}", self._subtitle())

    def mask_picture(self) -> Image.Image:
        """The mask at the picture's size, white on black."""
        return Image.fromarray(self.mask)

    def save(self, directory: str | Path, name: str | None = None, formats: Sequence[str] = ()) -> Path:
        """Write the `plot`, the mask and the numbers: ``NAME_segment.png``, ``NAME_mask.png``, ``NAME_segment.json``.

        Args:
            directory: made where it is missing.
            name: None: the picture's own name, or ``picture`` where it has none; with its ending and more where another
                picture has that name there.
            formats: names in `likewise.results.formats.FORMATS`, to write the mask so too: coco is NAME_coco.json.

        Returns:
            The path of the plot.

        Raises:
            LikewiseError: there is no such form.
        """
        forms = dict(written("segment", formats, self.annotations))
        files = Files(directory, name, self.source, ("_segment.png", "_mask.png"), ("_segment.json", *forms))
        record = {**self.to_dict(), "contours": [rounded(ring, 1) for ring in self.contours]}
        for end, form in forms.items():
            save_form(form, files.path(end))
        files.draw("_mask.png", self.mask_picture())
        files.note("_segment.json", record)
        return files.draw("_segment.png", self.plot())

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values: image, model, area (share of the picture), boxes and seconds."""
        return {
            "image": self.source,
            "model": self.model,
            "area": round(self.area, 5),
            "boxes": rounded(self.boxes, 1),
            "seconds": round(self.seconds, 3),
        }

    def to_coco(self) -> dict[str, Any]:
        """The result as a COCO data set of one picture with one annotation, its ``segmentation`` in run lengths."""
        return masks_dataset([self.annotations])

    @property
    def annotations(self) -> MaskAnnotation:
        """What was found, as files for other programs are written from it."""
        x0, y0 = self.boxes[:, :2].min(0).tolist() if len(self.boxes) else (0.0, 0.0)
        x1, y1 = self.boxes[:, 2:].max(0).tolist() if len(self.boxes) else (0.0, 0.0)
        return MaskAnnotation(name=self.source or "", mask=self.mask, box=(x0, y0, x1, y1))

    def _subtitle(self) -> str:
        return f"of the picture, by {Path(self.model).stem}"


def _enclosed(ring: np.ndarray) -> float:
    """The area in a closed ring of corners (M, 2)."""
    x, y = ring[:, 0], ring[:, 1]
    return float(abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2)
