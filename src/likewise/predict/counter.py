"""Counting: a picture of any size and a prompt in, a result in the caller's pixels out.

Convention
----------
The caller's pixels and the network's differ by the picture's rescaling (`likewise.preprocess.scaled_view`). Boxes and
points are the caller's on both sides of `Counter.count`; network pixels are seen from outside only as
`CountResult.grid`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.ops.polygon import inside_polygon
from likewise.predict.by_name import SURE, Named, look_for
from likewise.predict.densities import Answer, CounterModel, Densities, Likeness, Look, mean_side
from likewise.predict.pictures import Picture
from likewise.predict.points import Found, Peaks, best_points, peaks_of, settled
from likewise.predict.seen import KEPT_BYTES, Seen
from likewise.predict.trust import ZOOM, Looked, signs_of, warnings_of
from likewise.registry import load_model
from likewise.results import CountResult
from likewise.types import Box, Point, Preprocess, Prompt, Task, Trust

#: Object size in network pixels where neither exemplars nor the model say one.
USUAL_SIZE = 32.0

#: How each kind of prompt is given, for messages.
KINDS = {
    "exemplars": "exemplars=[(x0, y0, x1, y1), ...]",
    "negatives": "negatives=[(x0, y0, x1, y1), ...]",
    "text": "text='the name of the thing'",
}


class Counter:
    """Counts, in pictures of any size, what a prompt shows.

    Args:
        model: a network that meets `CounterModel`; it is put in eval mode and on the device.
        name: for results.
        device: None: a GPU where there is one, else the CPU.
        scale_steps: pictures are rescaled by the exemplars' size in so many steps an octave, so that other boxes of
            about that size find the picture prepared (`look`); 0: exactly, which is what scores are measured with.

    Attributes:
        settle: a peak whose density lies between these counts as one, and so does an exemplar
            (`likewise.predict.points.settled`); None: the count is the plain sum of the density. The weights say it;
            it may be changed.
        by_example: what counts the examples that a name finds (`likewise.predict.by_name`); None: the network itself
            counts. The weights say it.
    """

    task: Task = "count"

    def __init__(
        self, model: Any, name: str, *, device: str | torch.device | None = None, scale_steps: int = 0
    ) -> None:
        self.scale_steps = scale_steps
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.densities = Densities(model, name, self.device)
        self.model: CounterModel = self.densities.model
        self.name = name
        self.settle: tuple[float, float] | None = getattr(model.config, "settle", None)
        counts_examples = getattr(model.config, "by_example", "")
        self.by_example: Counter | None = None
        if counts_examples:
            found, network = load_model(counts_examples, task="count")
            self.by_example = Counter(network, found, device=self.device, scale_steps=scale_steps)

    @classmethod
    def load(cls, name_or_path: str | Path, *, device: str | torch.device | None = None) -> Counter:
        """`likewise.load` for what counts, and nothing else."""
        name, model = load_model(name_or_path, task="count")
        return cls(model, name, device=device)

    @property
    def preprocess(self) -> Preprocess:
        """How pictures become the model's input."""
        return self.densities.preprocess

    @torch.inference_mode()
    def count(
        self,
        image: Picture | Seen,
        exemplars: Sequence[Box] = (),
        *,
        negatives: Sequence[Box] = (),
        text: str | None = None,
        region: Sequence[Point] | None = None,
        like: Sequence[tuple[Picture, Box]] | Likeness = (),
        trust: Literal["fast", "full"] = "fast",
    ) -> CountResult:
        """Count the objects that look like the exemplars.

        ``points`` are as many as the count rounds to, or fewer: the peaks of the density, blurred by 0.12 object
        sizes, that are more than 0.35 object sizes apart, those with most density around them first; what peaks in the
        middle of an exemplar is one. The same input gives the same result, and the order of the exemplars does not
        matter.

        Args:
            image: a path, a Pillow picture, an array (H, W), (H, W, 3) or (H, W, 4), a tensor (3, H, W), or what
                `look` made of one.
            exemplars: boxes (x0, y0, x1, y1) round examples, in pixels of ``image``.
            negatives: boxes round look-alikes that are not to be counted.
            text: name of the thing.
            region: polygon of (x, y) corners; only what lies inside is counted.
            like: (other picture, box) pairs: examples elsewhere. Where ``image`` has no exemplars of its own, its
                objects are taken to be as large, in pixels, as those.
            trust: "fast": the interval and the warnings come from what counting works out anyway. "full": the picture
                is also counted mirrored and at another scale, which takes about three times as long.

        Raises:
            LikewiseError: an unreadable picture; a box outside it, of zero area or with swapped corners; a kind
                of prompt that the model does not take, or nothing to go by; a region outside the picture.
        """
        if trust not in ("fast", "full"):
            raise LikewiseError(f"trust = {trust!r}: expected 'fast' or 'full'")
        start = time.perf_counter()
        seen = image if isinstance(image, Seen) else Seen(self, image)
        prompt = Prompt(tuple(exemplars), tuple(negatives), text, None if region is None else tuple(region))
        prompt = prompt.inside(seen.width, seen.height)
        likeness = like if isinstance(like, Likeness) or len(like) == 0 else self.describe(like)
        elsewhere = likeness if isinstance(likeness, Likeness) else Likeness((), ())
        self.check(prompt, elsewhere)
        judge = self.model.config
        if self.by_example is None:
            result = self._counted(seen, prompt, elsewhere, trust, judge)
        else:
            named = look_for(self.model, self.densities.look(seen, (), self.scale_steps), prompt.text or "")
            shown = replace(prompt, exemplars=named.boxes, text=None)
            found = self.by_example._counted(seen.shown_to(self.by_example), shown, elsewhere, trust, judge, named)
            result = replace(found, prompt=prompt, model=self.name, source=seen.source, found=named.boxes)
        return replace(result, seconds=time.perf_counter() - start)

    def _counted(
        self,
        seen: Seen,
        prompt: Prompt,
        elsewhere: Likeness,
        trust: Literal["fast", "full"],
        judge: Any,
        named: Named | None = None,
    ) -> CountResult:
        """`count` by what this network's density says, of what goes by a name; ``judge`` is a config with ``trust``."""
        asked = _in_order(prompt).tightened(self.densities.margin)
        boxes = asked.exemplars or elsewhere.exemplars
        look = self.densities.look(seen, boxes, self.scale_steps)
        side = (mean_side(boxes) * look.view.scale if boxes else self.preprocess.object_size or USUAL_SIZE) / look.cell
        read = self._read(look, asked, elsewhere, side, named)
        answer = read.answer
        whole = settled(answer.whole, read.peaks, self.settle) if self.settle else answer.whole
        grid = answer.inside(whole)
        found = best_points(read.peaks, grid.sum(dtype=torch.float64).item(), answer.corners)
        result = CountResult(
            grid=grid.numpy(),
            size=(seen.width, seen.height),
            points=(found.points * torch.tensor([seen.width / grid.shape[1], seen.height / grid.shape[0]])).numpy(),
            scores=found.scores.numpy(),
            prompt=prompt,
            model=self.name,
            seconds=0.0,
            image=seen.preview(),
            source=seen.source,
            object_size=_mean_size(prompt.exemplars or boxes) if boxes else None,
        )
        again = self._again(seen, asked, elsewhere, side, named) if trust == "full" else {}
        return _judged(result, self._looked(result, read, found, side, look, boxes, again), judge)

    def _read(self, look: Look, prompt: Prompt, elsewhere: Likeness, side: float, named: Named | None) -> _Read:
        """The density and its peaks, of what goes by a name where there is one; ``side`` of things is in cells."""
        answer = self.densities.answer(look, prompt, elsewhere)
        examples = look.on_grid(prompt.exemplars)
        peaks = peaks_of(answer.whole, side, examples)
        if named is None:
            return _Read(answer, peaks, None)
        alike, grid = answer.count, (answer.whole.shape[0], answer.whole.shape[1])
        others = named.others(peaks.points, peaks.scores, grid, (look.seen.width, look.seen.height))
        if others and "negatives" in self.model.prompts:
            against = Prompt((), others).tightened(self.densities.margin).negatives
            answer = self.densities.answer(look, replace(prompt, negatives=against), elsewhere)
            peaks = peaks_of(answer.whole, side, examples)
        fitting = peaks.of(named.at(peaks.points, grid) >= SURE)
        return _Read(replace(answer, whole=fitting.part(answer.whole)), fitting, alike)

    def look(self, image: Picture) -> Seen:
        """Get a picture ready to be asked about again and again.

        ``look(image).count(...)`` gives exactly what ``count(image, ...)`` gives. What no prompt changes is worked out
        once for every scale at which the picture is seen, and kept, up to 256 MB: see ``scale_steps``.

        Raises:
            LikewiseError: an unreadable picture.
        """
        return Seen(self, image, KEPT_BYTES)

    @torch.inference_mode()
    def describe(self, like: Sequence[tuple[Picture, Box]]) -> Likeness:
        """Look at exemplars in other pictures once, to count in many: pass the result as ``like``.

        Each picture is rescaled by the size of its own exemplars.

        Args:
            like: (picture, box) pairs; a picture may come more than once.

        Raises:
            LikewiseError: no pairs, an unreadable picture, or a box that does not fit its picture.
        """
        if len(like) == 0:
            raise LikewiseError("nothing to go by; expected like=[(picture, (x0, y0, x1, y1)), ...]")
        described: list[Any] = []
        exemplars: list[Box] = []
        for picture, boxes in _by_picture(like):
            seen = Seen(self, picture)
            try:
                prompt = _in_order(Prompt(boxes).inside(seen.width, seen.height)).tightened(self.densities.margin)
            except LikewiseError as error:
                raise LikewiseError(f"like: {seen.source or 'picture'}: {error}") from error
            described += self.densities.described(
                self.densities.look(seen, prompt.exemplars, self.scale_steps), prompt, prompt.exemplars
            )
            exemplars += prompt.exemplars
        return Likeness(tuple(described), tuple(exemplars))

    def check(self, prompt: Prompt, like: Likeness) -> None:
        """See that the model takes what it is given, and that it is told what to count.

        Raises:
            LikewiseError: names what the model takes, or the names it knows.
        """
        takes = [kind for kind in KINDS if kind in self.model.prompts]
        expected = " or ".join(KINDS[kind] for kind in takes if kind != "negatives")
        given = {"exemplars": prompt.exemplars or like.exemplars, "negatives": prompt.negatives, "text": prompt.text}
        for kind, value in given.items():
            if value and kind not in takes:
                raise LikewiseError(f"{self.name} takes no {kind}; it takes {', '.join(takes)}: {expected}")
        if not given["exemplars"] and not given["text"]:
            elsewhere = " or, in another picture, like=[('ref.jpg', (x0, y0, x1, y1)), ...]" * ("exemplars" in takes)
            raise LikewiseError(f"{self.name} does not know what to count; show it with {expected}{elsewhere}")
        known = getattr(self.model, "check", None)
        if known is not None and prompt.text is not None:
            known(prompt.text)

    def prepare(self, tile: Tensor) -> Any:
        """What no prompt changes of looking at a tile (1, 3, h, w); the tile where the model prepares nothing."""
        begin = getattr(self.model, "prepare", None)
        return tile if begin is None else begin(tile)

    def _looked(
        self,
        result: CountResult,
        read: _Read,
        found: Found,
        side: float,
        look: Look,
        boxes: Sequence[Box],
        again: dict[str, float],
    ) -> Looked:
        """What a result was made from."""
        goal, answer = self.preprocess.object_size, read.answer
        return Looked(
            count=result.count,
            grid=answer.inside(answer.whole).numpy(),
            size=result.size,
            exemplars=_within(result.prompt),
            sides=tuple(mean_side([box]) for box in result.prompt.exemplars or boxes),
            scores=result.scores,
            peaks=found.peaks,
            clear=found.clear,
            apart=None if found.apart is None else found.apart / side,
            alike=answer.alike,
            scale=look.view.scale,
            wanted=None if goal is None or not boxes else goal / (mean_side(boxes) + self.densities.margin),
            again=again,
            alike_count=read.alike_count,
        )

    def _again(
        self, seen: Seen, prompt: Prompt, elsewhere: Likeness, side: float, named: Named | None
    ) -> dict[str, float]:
        """Counts of the picture mirrored, and at another scale; ``side`` of things is in cells of the first look."""
        boxes = prompt.exemplars or elsewhere.exemplars
        mirrored = Seen(self, np.ascontiguousarray(seen.pixels[:, ::-1]))
        turned = self.densities.look(mirrored, boxes, self.scale_steps), _mirrored(prompt, seen.width)
        smaller = self.densities.look(seen, boxes, self.scale_steps, ZOOM), prompt
        if named is None:
            looks = {"mirror": turned, "zoom": smaller}
            return {how: self.densities.answer(*looked, elsewhere).count for how, looked in looks.items()}
        return {
            "mirror": self._read(*turned, elsewhere, side, named.mirrored()).answer.count,
            "zoom": self._read(*smaller, elsewhere, ZOOM * side, named).answer.count,
        }


class _Read(NamedTuple):
    """A picture's answer and the peaks of its density.

    ``alike_count`` is what the density summed to before what goes by other names was taken out, where there is a name.
    """

    answer: Answer
    peaks: Peaks
    alike_count: float | None


def _judged(result: CountResult, looked: Looked, judge: Any) -> CountResult:
    """The result with what its signs, and the record of errors in a config, make of it."""
    signs = signs_of(looked)
    known: Trust | None = getattr(judge, "trust_full" if looked.again else "trust", None)
    interval = None if known is None else known.interval(result.count, signs)
    return replace(result, interval=interval, warnings=warnings_of(looked, signs, known), signs=signs)


def _by_picture(like: Sequence[tuple[Picture, Box]]) -> list[tuple[Picture, tuple[Box, ...]]]:
    """The pairs joined by picture: the same path or the same object is the same picture."""
    groups: dict[Any, tuple[Picture, tuple[Box, ...]]] = {}
    for picture, box in like:
        key = str(picture) if isinstance(picture, (str, os.PathLike)) else id(picture)
        groups[key] = (picture, (*groups.get(key, (picture, ()))[1], box))
    return list(groups.values())


def _in_order(prompt: Prompt) -> Prompt:
    """The prompt with its boxes sorted: sums of floats would otherwise depend on the order they were drawn in."""
    return replace(prompt, exemplars=tuple(sorted(prompt.exemplars)), negatives=tuple(sorted(prompt.negatives)))


def _mirrored(prompt: Prompt, width: float) -> Prompt:
    """The prompt in the picture's mirror image."""
    turned = [
        tuple((width - x1, y0, width - x0, y1) for x0, y0, x1, y1 in b) for b in (prompt.exemplars, prompt.negatives)
    ]
    region = None if prompt.region is None else tuple((width - x, y) for x, y in prompt.region)
    return replace(prompt, exemplars=turned[0], negatives=turned[1], region=region)


def _within(prompt: Prompt) -> tuple[Box, ...]:
    """The exemplars whose corners lie in the region; all where there is none."""
    if prompt.region is None:
        return prompt.exemplars
    region = torch.tensor(prompt.region)
    corners = [torch.tensor([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) for x0, y0, x1, y1 in prompt.exemplars]
    return tuple(b for b, c in zip(prompt.exemplars, corners, strict=True) if inside_polygon(c, region).all())


def _mean_size(boxes: Sequence[Box]) -> tuple[float, float]:
    """Mean width and height."""
    return math.fsum(b[2] - b[0] for b in boxes) / len(boxes), math.fsum(b[3] - b[1] for b in boxes) / len(boxes)
