"""Counting in time: some of the frames of a film or of a stack, one after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError
from likewise.predict.counter import Counter
from likewise.predict.densities import ReferenceExemplars
from likewise.predict.prepared_image import PreparedImage
from likewise.predict.prompts import PromptedCounter, PromptWords, prompt_of
from likewise.results import CountResult
from likewise.results.film import write_film
from likewise.results.series import FrameCount, SeriesResult
from likewise.sources import GIANT, Choice, Frames, PictureSource, open_frames
from likewise.sources.choice import PLAIN
from likewise.types import Box, Prompt


def count_frames(
    counter: PromptedCounter,
    path: str | Path,
    frames: str | Frames,
    exemplars: Sequence[Box] | Prompt = (),
    *,
    choice: Choice = PLAIN,
    told: Callable[[FrameCount], object] | None = None,
    **words: Unpack[PromptWords],
) -> SeriesResult:
    """Count in some of the frames of a film, a stack in time or an OME-Zarr.

    Boxes of examples and look-alikes are of the first of these frames. What they look like there is what is counted in
    all of them: in the others the things may have moved on. Each frame is counted for itself, nothing is followed from
    one to the next, and one frame at a time is in memory.

    Args:
        counter: counts.
        path: of the film or stack.
        frames: which: ``"all"``, ``"3"``, or ``"START:STOP:STEP"`` such as ``"::25"``.
        exemplars: boxes (x0, y0, x1, y1) round examples, or a whole prompt, as of `Counter.count`.
        choice: which channel and plane of each frame, and its contrast.
        told: is called with every frame's count as soon as it is known.
        **words: negatives, text, region, like and trust, as of `Counter.count`; the region is the same in all frames.

    Raises:
        LikewiseError: none of these frames is there; an unreadable file, or an extra that it needs; as `Counter.count`.

    Example:
        >>> import tempfile
        >>> import likewise as lw
        >>> from skimage import data
        >>> from tifffile import imwrite
        >>> coins, boxes = data.coins(), [(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73)]
        >>> counter = lw.load("spdcn-lite")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     imwrite(f"{folder}/coins.tif", np.stack([coins, coins[::-1]]), imagej=True, metadata={"axes": "TYX"})
        ...     series = lw.count_frames(counter, f"{folder}/coins.tif", "all", boxes)
        >>> [round(frame.count) for frame in series.frames]
        [24, 24]
    """
    start = time.perf_counter()
    if words.get("outlines"):
        raise LikewiseError("a film's frames are counted, not outlined; count single frames: Choice(frame=3)")
    wanted = Frames.parse(frames) if isinstance(frames, str) else frames
    asked = prompt_of(exemplars, words.get("negatives", ()), words.get("text"), words.get("region"))
    references = counter.references(words.get("like", ()))
    first: CountResult | None = None
    counts: list[FrameCount] = []
    for frame in open_frames(path, wanted, choice):
        result = counter.count(frame.source, asked, like=references, trust=words.get("trust", "fast"))
        if first is None:
            first = result
            references = _remembered(counter, frame.source, first.prompt, references)
            asked = replace(asked, exemplars=(), negatives=())
        counts.append(FrameCount.of(frame.number, frame.seconds, result))
        if told is not None:
            told(counts[-1])
    assert first is not None  # noqa: S101  # `open_frames` gives one at least, or raises
    return SeriesResult(tuple(counts), first.size, first.prompt, first.model, time.perf_counter() - start, str(path))


def _remembered(
    counter: PromptedCounter, source: PictureSource, prompt: Prompt, references: ReferenceExemplars
) -> ReferenceExemplars:
    """What the boxes of the first frame look like there, and what examples elsewhere do."""
    if not (prompt.exemplars or prompt.negatives) or not isinstance(counter, Counter):
        return references
    rim = counter.inference.margin / 2  # which is taken off boxes as people draw them; these are without
    known = references.exemplars or counter.examples.exemplars
    sized = [(x0 - rim, y0 - rim, x1 + rim, y1 + rim) for x0, y0, x1, y1 in known]
    shown = counter.encode_prompt(_prepared(source), prompt, sized)
    return ReferenceExemplars((*shown.features, *references.features), shown.exemplars or references.exemplars)


def write_overlay_film(series: SeriesResult, path: str | Path, choice: Choice = PLAIN) -> None:
    """Write the frames that were counted as a film (MP4), with points and counts, a few frames a second.

    The frames are read once more: a series keeps none.

    Args:
        series: whose file is where it was.
        path: of the film.
        choice: as it was for counting.

    Raises:
        LikewiseError: the film or stack cannot be read again; PyAV is missing.
    """
    write_film((series.overlay(n, image) for n, image in _pictures(series, choice)), Path(path))


def _pictures(series: SeriesResult, choice: Choice) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Each frame of a series, or a reduced copy of it."""
    numbers = [frame.number for frame in series.frames]
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    again = open_frames(series.source or "", Frames(numbers[0], numbers[-1] + 1, step), choice)
    for number, frame in enumerate(again):
        yield number, _prepared(frame.source).preview()


def _prepared(source: PictureSource) -> PreparedImage:
    return PreparedImage(source, lazy=source.width * source.height > GIANT)
