"""How a counter's weights are used, apart from the numbers of its network and of its loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from likewise.preprocess.rules import Preprocess
from likewise.types import Calibration


@dataclass(frozen=True)
class EvalProtocol:
    """How the published numbers of a counter were measured, where that is not plain: ``likewise eval`` does the same.

    Attributes:
        exemplars: at most so many of a picture's exemplars are shown, the first ones; 0: all.
        merge_points: points that fall on one pixel of the network's input (`likewise.boxes.points_to_pixels`) are one
            object, so that a picture may have fewer than there are dots in it.
    """

    exemplars: int = 0
    merge_points: bool = False


@dataclass(frozen=True)
class InferenceConfig:
    """What is done with pictures, boxes and densities round a counter's network; part of its config.

    Attributes:
        preprocess: how pictures become inputs.
        whole_boxes: boxes are brought to whole pixels of the network's input, each at least one wide and high.
        margin: a box is taken to be so many of the caller's pixels wider and higher than its thing: a rim that is a
            large part of a small thing's box (`Prompt.tightened`).
        snap_peaks: a peak whose density lies between these counts as one thing; None: sums as they are.
        calibration: how far off the counts of the weights are, where ``likewise calibrate`` has learnt it; None: it is
            not known.
        calibration_full: the same for counts whose picture is looked at again, mirrored and at another scale.
        counted_by: weights of a counter by example that counts what these find by name (`likewise.predict.named`);
            empty: they count themselves.
        evaluation: how their published numbers were measured.
    """

    preprocess: Preprocess
    whole_boxes: bool = False
    margin: float = 0.0
    snap_peaks: tuple[float, float] | None = None
    calibration: Calibration | None = None
    calibration_full: Calibration | None = None
    counted_by: str = ""
    evaluation: EvalProtocol = EvalProtocol()


#: Where the numbers of older versions' flat configs are now, for the ``OLD_FIELDS`` of configs that hold this one.
FLAT_FIELDS: Final[Mapping[str, str]] = {
    "preprocess": "inference.preprocess",
    "margin": "inference.margin",
    "settle": "inference.snap_peaks",
    "trust": "inference.calibration",
    "trust_full": "inference.calibration_full",
}
