"""The peer of the counters by example: template matching with OpenCV, in every set the same way.

Every box is a template. It is compared with the picture at seven scales by normalised correlation of colours; where it
fits better than a threshold and better than everything that overlaps it, there is one. The threshold is the same for
every picture of every set; it was chosen once, on pictures for training, by

    python -m likewise.lab.suite.template_matching DATA
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import ConcatDataset, Dataset, Subset

from likewise.boxes import box_areas, box_sizes, shared_areas
from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.sample import CountSample
from likewise.errors import LikewiseError
from likewise.scenes import SceneConfig, SyntheticScenes
from likewise.types import Box

#: Chosen on train splits and train kinds: see `choose_threshold`.
THRESHOLD = 0.8
THRESHOLDS = tuple(round(0.3 + 0.05 * k, 2) for k in range(13))
SCALES = tuple(float(s) for s in np.geomspace(0.7, 1.4, 7))
#: Two finds whose boxes overlap by more than this (intersection over union) are one thing.
OVERLAP = 0.3
#: Pictures are made smaller until the boxes measure at most so many pixels: it costs nothing that tells them apart.
_WORKING_SIZE = 40.0
#: At most so many places are looked at, the best ones.
_MOST = 6000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Matched:
    """A count as `likewise.engine.count_eval.evaluate` takes it."""

    count: float
    seconds: float


@dataclass(frozen=True)
class TemplateMatcher:
    """Counts by template matching.

    Attributes:
        threshold: least normalised correlation of a thing with a template, -1 to 1.
    """

    threshold: float = THRESHOLD

    def count(
        self, image: NDArray[np.uint8], exemplars: Sequence[Box] = (), *, text: str | None = None, trust: Any = None
    ) -> Matched:
        """Count what looks like the boxes.

        Args:
            image: (H, W, 3) uint8.
            exemplars: xyxy boxes.
            text: not used.
            trust: not used.

        Raises:
            LikewiseError: no box, or OpenCV is not installed.
        """
        start = time.perf_counter()
        found = finds(image, exemplars, self.threshold)
        return Matched(float(len(found)), time.perf_counter() - start)


def opencv() -> ModuleType:
    """OpenCV.

    Raises:
        LikewiseError: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise LikewiseError("template matching needs OpenCV; pip install opencv-python-headless") from error
    module: ModuleType = cv2
    return module


def finds(image: NDArray[np.uint8], exemplars: Sequence[Box], threshold: float) -> Array:
    """Where something looks like one of the boxes.

    Args:
        image: (H, W, 3) uint8.
        exemplars: xyxy boxes in it.
        threshold: see `TemplateMatcher`.

    Returns:
        (N, 5): xyxy in the picture's pixels and the correlation, best first; none overlaps another by more than
        `OVERLAP`.

    Raises:
        LikewiseError: no box, or OpenCV is not installed.
    """
    if not len(exemplars):
        raise LikewiseError("template matching needs at least one box")
    cv2 = opencv()
    boxes = np.asarray(exemplars, dtype=np.float64)
    shrink = min(1.0, _WORKING_SIZE / float(box_sizes(boxes).mean()))
    small = image if shrink == 1 else cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    places = [_places(cv2, small, box * shrink, scale, threshold) for box in boxes for scale in SCALES]
    everywhere = np.concatenate(places)
    best = everywhere[np.argsort(-everywhere[:, 4], kind="stable")][:_MOST]
    kept = best[_suppress(best)]
    kept[:, :4] /= shrink
    return kept


def _places(cv2: Any, image: NDArray[np.uint8], box: Array, scale: float, threshold: float) -> Array:
    """(N, 5) boxes and scores where one template at one scale fits best among its neighbours."""
    height, width = image.shape[:2]
    x0, y0 = np.floor(np.clip(box[:2], 0, (width - 2, height - 2))).astype(int)
    x1, y1 = np.ceil(np.clip(box[2:], (x0 + 2, y0 + 2), (width, height))).astype(int)
    size = max(3, round((x1 - x0) * scale)), max(3, round((y1 - y0) * scale))
    # nothing correlates with a template without any contrast, whatever OpenCV says
    if size[0] >= width or size[1] >= height or image[y0:y1, x0:x1].std(axis=(0, 1)).max() < 1:
        return np.empty((0, 5))
    template = cv2.resize(image[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    fit = cv2.matchTemplate(image, template, cv2.TM_CCOEFF_NORMED)
    fit = np.where(np.isfinite(fit) & (np.abs(fit) <= 1.0 + 1e-3), fit, -1.0)
    peak = (fit >= threshold) & (fit >= cv2.dilate(fit, np.ones((3, 3), np.uint8)))
    y, x = np.nonzero(peak)
    return np.stack([x, y, x + size[0], y + size[1], fit[peak]], axis=1).astype(np.float64)


def _suppress(found: Array) -> list[int]:
    """Indices of the best finds that do not overlap; ``found`` (N, 5) is sorted, best first."""
    boxes = found[:, :4]
    area = box_areas(boxes)
    left = np.ones(len(found), dtype=bool)
    kept = []
    for i in range(len(found)):
        if left[i]:
            kept.append(i)
            common = shared_areas(boxes[i], boxes)
            left &= common <= OVERLAP * (area[i] + area - common)
    return kept


def choose_threshold(data: Dataset[CountSample], thresholds: Sequence[float] = THRESHOLDS) -> list[tuple[float, float]]:
    """(threshold, mean relative error) for each, over samples with at least one object."""
    errors = np.zeros((len(thresholds), 0))
    for index in range(len(data)):  # type: ignore[arg-type]  # map-style sets have a length
        sample = data[index]
        image = sample.image.permute(1, 2, 0).numpy()
        boxes = [tuple(box) for box in sample.exemplars[:3].tolist()]
        if not boxes or not sample.count:
            continue
        # what is found at a higher threshold is what is found at a lower one and fits better: best first, none undone
        scores = finds(image, boxes, min(thresholds))[:, 4]
        counts = np.array([np.count_nonzero(scores >= threshold) for threshold in thresholds])
        errors = np.concatenate([errors, np.abs(counts - sample.count)[:, None] / sample.count], axis=1)
    return [(t, float(e)) for t, e in zip(thresholds, errors.mean(1), strict=True)]


def training_pictures(data: Path) -> Dataset[CountSample]:
    """What the threshold is chosen on: rendered scenes of train kinds, and of nuclei and blood the train splits."""
    scenes = SyntheticScenes(SceneConfig(seed=77), 100)
    nuclei = CountingFolder(data / "nuclei", "train")
    blood = [CountingFolder(data / "blood", "train", kind) for kind in ("white blood cells", "platelets")]
    parts = [_first(nuclei, 50), *(_first(part, 25) for part in blood)]
    return ConcatDataset([scenes, *parts])


def _first(data: CountingFolder, count: int) -> Dataset[CountSample]:
    return Subset(data, range(min(count, len(data))))


if __name__ == "__main__":
    for value, error in choose_threshold(training_pictures(Path(sys.argv[1]))):
        sys.stdout.write(f"{value:.2f}  {error:.3f}\n")
