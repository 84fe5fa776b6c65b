"""What recognising a picture gives, and the forms people want it in.

Convention
----------
Everything is in the caller's pixels: peaks are ``(x, y)``, the centre of the top left pixel at (0.5, 0.5), and the
response map spans the box ``seen``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likewise.draw import above_answers, beside, canvas, draw_points, heat_overlay
from likewise.errors import LikewiseError
from likewise.results.base import Files, check, finite, rounded
from likewise.types import Box

#: What is answered where a picture shows none of the classes that a model knows.
NONE_OF_THESE = "none of these"
#: What the pictures in `RecognizeResult.magnified` are called, in their order.
MAGNIFIED = ("what tells it apart", "what else is there")


@dataclass(frozen=True, eq=False)
class RecognizeResult:
    """What a picture shows, and why the model says so.

    Attributes:
        labels: names of the C classes that the model knows.
        probabilities: (C,) float32 of each; they sum to one.
        peaks: (N, 2) float32 x y of the places the model responded to, the strongest first.
        scores: (N,) float32, the response at each, at most 1.
        response: (h, w) float32 from 0 to 1, how much each place of ``seen`` speaks for the answer.
        seen: the part of the picture that the model looked at.
        magnified: the sampled pictures that it looked at then, (S, S, 3) uint8: first the one that magnifies what
            tells the classes apart, then the complementary one; fewer where the model makes none.
        size: (width, height) of the picture.
        model: name of the model that answered.
        seconds: how long it took.
        image: (H', W', 3) uint8, the picture, or a reduced copy of it, to draw on.
        source: the picture's file name, where it has one.
        familiarity: how much the picture looks like one of the classes (`likewise.predict.recognizer.familiarity`).
        known: whether it shows one of them; True where the weights were not taught to tell.

    Raises:
        LikewiseError: an array of another shape or type than above, or one that is not finite.

    Example:
        >>> import tempfile
        >>> nothing, picture = np.zeros(0, np.float32), np.zeros((40, 40, 3), np.uint8)
        >>> result = RecognizeResult(
        ...     labels=("ant", "bee"),
        ...     probabilities=np.float32([0.25, 0.75]),
        ...     peaks=nothing.reshape(0, 2),
        ...     scores=nothing,
        ...     response=np.zeros((7, 7), np.float32),
        ...     seen=(0, 0, 40, 40),
        ...     magnified=(),
        ...     size=(40, 40),
        ...     model="by hand",
        ...     seconds=0.0,
        ...     image=picture,
        ... )
        >>> result.label, result.probability, result.top(1)
        ('bee', 0.75, [('bee', 0.75)])
        >>> result.to_dict()["top"]
        [['bee', 0.75], ['ant', 0.25]]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result.save(folder, "insect").name, result.plot().mode
        ('insect_recognize.png', 'RGB')
    """

    labels: tuple[str, ...]
    probabilities: np.ndarray
    peaks: np.ndarray
    scores: np.ndarray
    response: np.ndarray
    seen: Box
    magnified: tuple[np.ndarray, ...]
    size: tuple[int, int]
    model: str
    seconds: float
    image: np.ndarray
    source: str | None = None
    familiarity: float | None = None
    known: bool = True

    def __post_init__(self) -> None:
        """Check shapes, types and values."""
        one_each = self.probabilities.shape == (len(self.labels),)
        check("probabilities", self.probabilities, f"({len(self.labels)},), one a label", one_each)
        check("peaks", self.peaks, "(N, 2)", self.peaks.ndim == 2 and self.peaks.shape[1] == 2)
        check("scores", self.scores, f"({len(self.peaks)},), one a peak", self.scores.shape == self.peaks.shape[:1])
        check("response", self.response, "(h, w)", self.response.ndim == 2)
        for name, picture in (("image", self.image), *(("magnified", each) for each in self.magnified)):
            good = picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8
            check(name, picture, "(H, W, 3) of uint8", good)
        for name in ("probabilities", "peaks", "scores", "response"):
            finite(name, getattr(self, name))
        finite("familiarity", np.array(self.familiarity or 0.0))

    def __repr__(self) -> str:
        """In a line: of which picture, what, and how probable."""
        answer = self.said
        return f"<RecognizeResult of {self.source or 'a picture'}: {answer} by {self.model}>"

    @property
    def label(self) -> str:
        """The most probable class, or `NONE_OF_THESE`."""
        return self.nearest if self.known else NONE_OF_THESE

    @property
    def nearest(self) -> str:
        """The most probable class, also where the picture shows none of them."""
        return self.labels[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """How probable the model finds the nearest class; no measure of whether the picture shows one of them."""
        return float(self.probabilities.max())

    @property
    def said(self) -> str:
        """The answer in words: a class and how probable it is, or that it is none, and the nearest."""
        if self.known:
            return f"{self.label} ({self.probability:.1%})"
        return f"{NONE_OF_THESE} (nearest: {self.nearest})"

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The ``k`` most probable classes and their probabilities, the most probable first.

        Raises:
            LikewiseError: k below 1.
        """
        if k < 1:
            raise LikewiseError(f"k = {k}: expected at least 1")
        best = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.labels[i], float(self.probabilities[i])) for i in best.tolist()]

    def plot(self) -> Image.Image:
        """The picture with the response as heat and its peaks, the answers, and the magnified pictures beside it."""
        inner, _ = canvas(self.image, least=1)
        scale = np.array([inner.width / self.size[0], inner.height / self.size[1]])
        picture = heat_overlay(inner, self._heat(), strength=0.6)
        draw_points(picture, self.peaks * scale)
        captions = [(Image.fromarray(each), name) for each, name in zip(self.magnified, MAGNIFIED, strict=False)]
        return above_answers(
            beside(picture, captions), self.top(5), self._note(), None if self.known else NONE_OF_THESE
        )

    def save(self, directory: str | Path, name: str | None = None) -> Path:
        """Write the `plot` and the numbers: ``NAME_recognize.png`` and ``NAME_recognize.json``.

        Args:
            directory: made where it is missing.
            name: None: the picture's own name, or ``picture`` where it has none; with its ending and more where another
                picture has that name there.

        Returns:
            The path of the plot.
        """
        files = Files(directory, name, self.source, ("_recognize.png",), ("_recognize.json",))
        record = {**self.to_dict(), "peaks": rounded(self.peaks, 2), "scores": rounded(self.scores, 4)}
        files.note("_recognize.json", record)
        return files.draw("_recognize.png", self.plot())

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values: image, model, label, nearest, probability, top (five) and seconds."""
        return {
            "image": self.source,
            "model": self.model,
            "label": self.label,
            "nearest": self.nearest,
            "probability": round(self.probability, 4),
            "top": [[label, round(probability, 4)] for label, probability in self.top(5)],
            "seconds": round(self.seconds, 3),
        }

    def _note(self) -> str:
        nearest = "" if self.known else f"nearest: {self.nearest}, "
        return f"{nearest}by {Path(self.model).stem}"

    def _heat(self) -> np.ndarray:
        """The upper half of the response, at the size of ``image``; nothing where the model did not look.

        Every place responds somewhat: all of it would hide the picture.
        """
        height, width = self.image.shape[:2]
        scale = np.array([width / self.size[0], height / self.size[1]] * 2)
        x0, y0, x1, y1 = (int(v) for v in np.round(np.array(self.seen) * scale))
        x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
        part = Image.fromarray((2 * self.response.astype(np.float32) - 1).clip(min=0))
        heat = np.zeros((max(height, y1), max(width, x1)), np.float32)
        heat[y0:y1, x0:x1] = np.asarray(part.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR))
        return heat[:height, :width]
