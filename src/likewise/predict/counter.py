"""Counting: a picture of any size and a prompt in, a result in the caller's pixels out.

Convention
----------
The caller's pixels and the network's differ by the picture's rescaling (`likewise.data.view`). Boxes and points are
the caller's on both sides of `Counter.count`; network pixels are seen from outside only as `CountResult.grid`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.data.view import View, network_scale
from likewise.ops.peaks import density_peaks, smooth
from likewise.ops.polygon import inside_polygon, polygon_coverage
from likewise.ops.tiling import Blend, TileBox
from likewise.predict.pictures import Picture, pixels_of, source_of
from likewise.registry import load_model
from likewise.results import CountResult
from likewise.types import Box, LikewiseError, Point, Preprocess, Prompt, PromptBatch, Task

#: Neighbouring tiles share at least one part in so many of their side.
OVERLAP = 8
#: Side, in network pixels, of the window in which an exemplar of a tiled picture is looked at.
CONTEXT = 256
#: A density of more network pixels than this is kept as sums over square cells.
MAX_GRID = 1 << 25
#: Longest side of the copy of the picture that a result carries to draw on.
PREVIEW = 1600
#: Objects are told apart when their centres are further apart than this many object sizes.
PEAK_RADIUS = 0.35
#: Before points are looked for, the density is blurred by this many object sizes.
PEAK_BLUR = 0.12
#: A point needs at least this share of the density of one object spread evenly over its box.
PEAK_SHARE = 0.1
#: Object size in network pixels where neither exemplars nor the model say one.
USUAL_SIZE = 32.0

#: How each kind of prompt is given, for messages.
KINDS = {
    "exemplars": "exemplars=[(x0, y0, x1, y1), ...]",
    "negatives": "negatives=[(x0, y0, x1, y1), ...]",
    "text": "text='the name of the thing'",
}


class CounterModel(Protocol):
    """What a network must offer to be counted with.

    Attributes:
        config: has a ``preprocess``.
        prompts: the kinds of prompt it takes, of "exemplars", "negatives" and "text".
    """

    config: Any
    prompts: tuple[str, ...]

    def __call__(self, image: Tensor, prompt: PromptBatch) -> Tensor:
        """Density (B, 1, H, W) that sums to each picture's count, for images (B, 3, H, W) RGB in [0, 1]."""
        ...

    def describe(self, image: Tensor, prompt: PromptBatch, size: Tensor | None = None) -> Sequence[Any]:
        """What each picture's exemplars look like; ``size`` (B, 2) is the mean height and width of all of them."""
        ...

    def count_like(self, image: Tensor, descriptions: Sequence[Any]) -> Tensor:
        """The density, as above, of what each picture's description shows."""
        ...


@dataclass(frozen=True)
class Likeness:
    """What exemplars in other pictures look like: made by `Counter.describe`, given to `Counter.count` as ``like``.

    Attributes:
        descriptions: the model's own.
        exemplars: the boxes, in pixels of their pictures.
    """

    descriptions: tuple[Any, ...]
    exemplars: tuple[Box, ...]


class Counter:
    """Counts, in pictures of any size, what a prompt shows.

    Args:
        model: a network that meets `CounterModel`; it is put in eval mode and on the device.
        name: for results.
        device: None: a GPU where there is one, else the CPU.
    """

    task: Task = "count"

    def __init__(self, model: Any, name: str, *, device: str | torch.device | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model: CounterModel = model.to(self.device).eval()
        self.name = name

    @classmethod
    def load(cls, name_or_path: str | Path, *, device: str | torch.device | None = None) -> Counter:
        """`likewise.load` for what counts, and nothing else."""
        name, model = load_model(name_or_path, task="count")
        return cls(model, name, device=device)

    @property
    def preprocess(self) -> Preprocess:
        """How pictures become the model's input."""
        found: Preprocess = self.model.config.preprocess
        return found

    @torch.inference_mode()
    def count(
        self,
        image: Picture,
        exemplars: Sequence[Box] = (),
        *,
        negatives: Sequence[Box] = (),
        text: str | None = None,
        region: Sequence[Point] | None = None,
        like: Sequence[tuple[Picture, Box]] | Likeness = (),
    ) -> CountResult:
        """Count the objects that look like the exemplars.

        ``points`` are as many as the count rounds to, or fewer: the peaks of the density, blurred by 0.12 object
        sizes, that are more than 0.35 object sizes apart, those with most density around them first. The same
        input gives the same result, and the order of the exemplars does not matter.

        Args:
            image: a path, a Pillow picture, an array (H, W), (H, W, 3) or (H, W, 4), or a tensor (3, H, W).
            exemplars: boxes (x0, y0, x1, y1) round examples, in pixels of ``image``.
            negatives: boxes round look-alikes that are not to be counted.
            text: name of the thing.
            region: polygon of (x, y) corners; only what lies inside is counted.
            like: (other picture, box) pairs: examples elsewhere. Where ``image`` has no exemplars of its own, its
                objects are taken to be as large, in pixels, as those.

        Raises:
            LikewiseError: an unreadable picture; a box outside it, of zero area or with swapped corners; a kind
                of prompt that the model does not take, or nothing to go by; a region outside the picture.
        """
        start = time.perf_counter()
        pixels = pixels_of(image)
        height, width = pixels.shape[:2]
        prompt = Prompt(tuple(exemplars), tuple(negatives), text, None if region is None else tuple(region))
        prompt = prompt.inside(width, height)
        likeness = like if isinstance(like, Likeness) or len(like) == 0 else self.describe(like)
        seen = likeness if isinstance(likeness, Likeness) else Likeness((), ())
        self.check(prompt, seen)
        asked = _in_order(prompt)
        boxes = prompt.exemplars or seen.exemplars
        view, cell = self._view(pixels, boxes)
        grid, corners = self._grid(view, cell, asked, seen)
        object_side = _side(boxes) * view.scale if boxes else self.preprocess.object_size or USUAL_SIZE
        points, scores = _points(grid, object_side / cell, corners)
        return CountResult(
            grid=grid.numpy(),
            size=(width, height),
            points=(points * torch.tensor([width / grid.shape[1], height / grid.shape[0]])).numpy(),
            scores=scores.numpy(),
            prompt=prompt,
            model=self.name,
            seconds=time.perf_counter() - start,
            image=View.of(pixels, min(1.0, PREVIEW / max(height, width))).cut(),
            source=source_of(image),
            object_size=_mean_size(boxes) if boxes else None,
        )

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
            pixels = pixels_of(picture)
            try:
                prompt = _in_order(Prompt(boxes).inside(pixels.shape[1], pixels.shape[0]))
            except LikewiseError as error:
                raise LikewiseError(f"like: {source_of(picture) or 'picture'}: {error}") from error
            described += self._described(self._view(pixels, prompt.exemplars)[0], prompt)
            exemplars += prompt.exemplars
        return Likeness(tuple(described), tuple(exemplars))

    def check(self, prompt: Prompt, like: Likeness) -> None:
        """See that the model takes what it is given, and that it is told what to count.

        Raises:
            LikewiseError: names what the model takes.
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

    def _view(self, pixels: NDArray[Any], boxes: Sequence[Box]) -> tuple[View, int]:
        """The picture as the network sees it, and the side of the cells in which its density is kept."""
        height, width = pixels.shape[:2]
        scale = network_scale(self.preprocess, _side(boxes) if boxes else None, width, height)
        cell = max(1, math.ceil(math.sqrt(width * height / MAX_GRID) * scale))
        return View.of(pixels, scale, cell), cell

    def _is_whole(self, view: View) -> bool:
        """Whether the view is small enough for one look."""
        return self.preprocess.tile == 0 or max(view.width, view.height) <= self.preprocess.tile

    def _grid(self, view: View, cell: int, prompt: Prompt, seen: Likeness) -> tuple[Tensor, Tensor | None]:
        """The density on the grid, none of it outside the region, and the region's corners there."""
        if prompt.region is None:
            return self._density(view, cell, prompt, seen, None), None
        corners = view.to_view(prompt.region) / cell
        covered = polygon_coverage(corners, view.height // cell, view.width // cell)
        if not covered.any():
            height, width = view.pixels.shape[:2]
            raise LikewiseError(f"region {prompt.region} lies outside the picture, which is {width} x {height} pixels")
        return self._density(view, cell, prompt, seen, covered) * covered, corners

    def _density(self, view: View, cell: int, prompt: Prompt, seen: Likeness, wanted: Tensor | None) -> Tensor:
        """The density (h, w) on the CPU, blended from tiles; tiles that show nothing wanted are left out."""
        tile = max(view.width, view.height) if self._is_whole(view) else self.preprocess.tile
        blend = Blend(view.height, view.width, tile, 0 if self._is_whole(view) else tile // OVERLAP, cell=cell)
        ask = self._question(view, prompt, seen)
        for y0, x0, y1, x1 in blend.boxes:
            if wanted is None or wanted[y0 // cell : -(-y1 // cell), x0 // cell : -(-x1 // cell)].any():
                density = ask(view.tensor((y0, x0, y1, x1)).to(self.device))
                blend.add((y0, x0, y1, x1), self._checked(density, y1 - y0, x1 - x0))
        return blend.result()

    def _question(self, view: View, prompt: Prompt, seen: Likeness) -> Callable[[Tensor], Tensor]:
        """What is asked of the network about each tile."""
        if not prompt.exemplars and not seen.exemplars:
            by_name = PromptBatch(text=(prompt.text or "",))
            return lambda tile: self.model(tile, by_name)
        if self._is_whole(view) and not seen.exemplars:
            [(_, in_view)] = self._looks(view, prompt)
            return lambda tile: self.model(tile, in_view)
        described = (*self._described(view, prompt), *seen.descriptions)
        merged = type(described[0]).merge(described)
        return lambda tile: self.model.count_like(tile, (merged,))

    def _described(self, view: View, prompt: Prompt) -> list[Any]:
        """The model's descriptions of the boxes of a prompt, one for each look at them."""
        if not prompt.exemplars:
            return []
        boxes = view.to_view(prompt.exemplars)
        size = torch.stack([boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]], dim=1).mean(0, keepdim=True)
        described: list[Any] = []
        for window, batch in self._looks(view, prompt):
            described += self.model.describe(view.tensor(window).to(self.device), batch, size.to(self.device))
        return described

    def _looks(self, view: View, prompt: Prompt) -> list[tuple[TileBox, PromptBatch]]:
        """Windows of the view that together show every box of the prompt once, with the prompt as seen in each."""
        boxes = view.to_view([*prompt.exemplars, *prompt.negatives])
        positive = torch.arange(len(boxes)) < len(prompt.exemplars)
        text = None if prompt.text is None else (prompt.text,)
        looks: list[tuple[TileBox, PromptBatch]] = []
        left = torch.ones(len(boxes), dtype=torch.bool)
        while left.any():
            window = (0, 0, view.height, view.width) if self._is_whole(view) else _window(view, boxes[left][0])
            y0, x0, y1, x1 = window
            held = left & (boxes > torch.tensor([x0, y0, x0, y0]) - 0.01).all(1)
            held &= (boxes < torch.tensor([x1, y1, x1, y1]) + 0.01).all(1)
            placed = (boxes - torch.tensor([x0, y0, x0, y0])).to(self.device)
            negatives = (placed[held & ~positive],) if prompt.negatives else None
            looks.append((window, PromptBatch((placed[held & positive],), negatives, text)))
            left &= ~held
        return looks

    def _checked(self, density: Tensor, height: int, width: int) -> Tensor:
        if density.shape != (1, 1, height, width):
            raise ValueError(f"{self.name} gave a density {tuple(density.shape)}, expected {(1, 1, height, width)}")
        if not density.isfinite().all():
            raise LikewiseError(f"{self.name} gave a density that is not finite: its weights are damaged or unfit")
        return density[0, 0].float().cpu()


def _window(view: View, box: Tensor) -> TileBox:
    """A window of the view round a box, wide enough to show its surroundings, in whole pixels."""
    centre, side = (box[:2] + box[2:]) / 2, max(float((box[2:] - box[:2]).max()) + CONTEXT / 2, CONTEXT)
    x0, y0 = (max(0, math.floor(v - side / 2)) for v in centre.tolist())
    x1, y1 = (math.ceil(v + side / 2) for v in centre.tolist())
    return y0, x0, min(y1, view.height), min(x1, view.width)


def _points(grid: Tensor, side: float, corners: Tensor | None) -> tuple[Tensor, Tensor]:
    """Points (N, 2) on the grid and their scores: as many of the best peaks as the count rounds to."""
    blurred = smooth(grid, PEAK_BLUR * side)
    points, scores = density_peaks(blurred, radius=PEAK_RADIUS * side, threshold=PEAK_SHARE / side**2)
    if corners is not None:
        inside = inside_polygon(points, corners)
        points, scores = points[inside], scores[inside]
    count = round(grid.sum(dtype=torch.float64).item())
    return points[:count], scores[:count]


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


def _side(boxes: Sequence[Box]) -> float:
    """Mean sqrt(width x height)."""
    return math.fsum(math.sqrt((x1 - x0) * (y1 - y0)) for x0, y0, x1, y1 in boxes) / len(boxes)


def _mean_size(boxes: Sequence[Box]) -> tuple[float, float]:
    """Mean width and height."""
    return math.fsum(b[2] - b[0] for b in boxes) / len(boxes), math.fsum(b[3] - b[1] for b in boxes) / len(boxes)
