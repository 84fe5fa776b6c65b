"""A network asked about pictures of any size: at the scale of a prompt, in tiles where they are large.

Convention
----------
Boxes and regions are in the caller's pixels; the density that comes out is on a grid, in objects per cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.ops.density.tiling import Blend, TileBox
from likewise.ops.polygon import polygon_coverage
from likewise.predict.seen import Seen
from likewise.preprocess.scaled_view import View, network_scale
from likewise.types import Box, Preprocess, Prompt, PromptBatch

#: Neighbouring tiles share at least one part in so many of their side.
OVERLAP = 8
#: Side, in network pixels, of the window in which an exemplar of a tiled picture is looked at.
CONTEXT = 256
#: Tiles this near a region, network pixels, are asked about too, so that things on its edge are seen whole.
NEAR = 48
#: A density of more network pixels than this is kept as sums over square cells.
MAX_GRID = 1 << 25


class CounterModel(Protocol):
    """What a network must offer to be counted with.

    What it may offer too: ``check(text)``, which refuses unknown names at once; ``prepare(image)``, what no prompt
    changes of looking at a picture, which is then given in the picture's place; ``answer(image, prompt)``, the density
    and the descriptions in one; ``cell``, the side in pixels of the squares in which its densities are constant;
    descriptions with ``alike()``, the mean cosine of every two exemplars. Its config may have ``margin``,
    ``settle``, ``trust`` and ``trust_full``, as SPDCN's does.

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


@dataclass(frozen=True, eq=False)
class Look:
    """A picture at the scale of a prompt.

    Attributes:
        seen: the picture.
        view: of it, as the network sees it.
        cell: side of the cells in which its density is kept, view pixels.
    """

    seen: Seen
    view: View
    cell: int

    def on_grid(self, places: Sequence[Sequence[float]]) -> Tensor:
        """Points (K, 2) or boxes (K, 4) of the picture in cells of its density; none: (0, 4)."""
        return self.view.to_view(places) / self.cell if places else torch.zeros(0, 4)

    def tile(self, box: TileBox) -> Any:
        """What the network is shown of a part of the view."""
        return self.seen.tile(self.view, box)


@dataclass(frozen=True, eq=False)
class Asked:
    """How a tile is asked about, and what the exemplars look like: known, at the latest, once a tile was."""

    tile: Callable[[Any], Tensor]
    described: list[Any]


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network makes of a picture.

    Attributes:
        whole: (h, w), the density on its grid, also where nothing was asked about.
        covered: (h, w), the share of each cell that lies in the region; None: there is none.
        corners: (M, 2), the region on the grid.
        alike: how alike the exemplars look, where that is known.
    """

    whole: Tensor
    covered: Tensor | None
    corners: Tensor | None
    alike: float | None

    def inside(self, density: Tensor) -> Tensor:
        """What of a density on the same grid lies in the region."""
        return density if self.covered is None else density * self.covered

    @property
    def count(self) -> float:
        """The sum of what lies in the region."""
        return self.inside(self.whole).sum(dtype=torch.float64).item()


class Densities:
    """A network's densities of pictures of any size.

    Args:
        model: a network that meets `CounterModel`; it is put in eval mode and on the device.
        name: for messages.
        device: where it runs.
    """

    def __init__(self, model: Any, name: str, device: torch.device) -> None:
        self.model: CounterModel = model.to(device).eval()
        self.name, self.device = name, device

    @property
    def preprocess(self) -> Preprocess:
        """How pictures become the model's input."""
        found: Preprocess = self.model.config.preprocess
        return found

    @property
    def margin(self) -> float:
        """How many of the caller's pixels a box is wider and higher than its thing, as the model takes it."""
        return float(getattr(self.model.config, "margin", 0.0))

    def look(self, seen: Seen, boxes: Sequence[Box], steps: int, zoom: float = 1.0) -> Look:
        """The picture as the network sees it where things are as large as the boxes, or at that scale times a zoom.

        Boxes are tight; the scale is that of the boxes as they were drawn.
        ``steps`` are those of `likewise.preprocess.scaled_view.network_scale`.
        """
        side = mean_side(boxes) + self.margin if boxes else None
        scale = zoom * network_scale(self.preprocess, side, seen.width, seen.height, steps)
        own = getattr(self.model, "cell", 1)
        cell = own * max(1, math.ceil(math.sqrt(seen.width * seen.height / MAX_GRID) * scale / own))
        return Look(seen, View.of(seen.pixels, scale, cell), cell)

    def _is_whole(self, view: View) -> bool:
        """Whether the view is small enough for one look."""
        return self.preprocess.tile == 0 or max(view.width, view.height) <= self.preprocess.tile

    def answer(self, look: Look, prompt: Prompt, elsewhere: Likeness) -> Answer:
        """The density on the grid, how much of it lies in the region, and what else is known."""
        if prompt.region is None:
            grid, alike = self._density(look, prompt, elsewhere, None)
            return Answer(grid, None, None, alike)
        corners = look.on_grid(prompt.region)
        covered = polygon_coverage(corners, look.view.height // look.cell, look.view.width // look.cell)
        if not covered.any():
            size = f"{look.seen.width} x {look.seen.height}"
            raise LikewiseError(f"region {prompt.region} lies outside the picture, which is {size} pixels")
        grid, alike = self._density(look, prompt, elsewhere, covered)
        return Answer(grid, covered, corners, alike)

    def _density(
        self, look: Look, prompt: Prompt, elsewhere: Likeness, wanted: Tensor | None
    ) -> tuple[Tensor, float | None]:
        """The density (h, w) on the CPU, blended from tiles; tiles that show nothing wanted are left out."""
        view, cell, whole = look.view, look.cell, self._is_whole(look.view)
        tile = max(view.width, view.height) if whole else self.preprocess.tile
        overlap, multiple = 0 if whole else tile // OVERLAP, self.preprocess.multiple
        blend = Blend(view.height, view.width, tile, overlap, cell=cell, multiple=multiple)
        asked = self._question(look, prompt, elsewhere)
        for y0, x0, y1, x1 in blend.boxes:
            top, left = (max(0, side - NEAR) // cell for side in (y0, x0))
            if wanted is None or wanted[top : -(-(y1 + NEAR) // cell), left : -(-(x1 + NEAR) // cell)].any():
                density = asked.tile(look.tile((y0, x0, y1, x1)))
                blend.add((y0, x0, y1, x1), self._checked(density, y1 - y0, x1 - x0))
        alike = [d.alike() for d in asked.described if hasattr(d, "alike")]
        return blend.result(), alike[0] if alike else None

    def _question(self, look: Look, prompt: Prompt, elsewhere: Likeness) -> Asked:
        """What is asked of the network about each tile."""
        boxes = prompt.exemplars or elsewhere.exemplars
        if not boxes:
            by_name = PromptBatch(text=(prompt.text or "",))
            return Asked(lambda tile: self.model(tile, by_name), [])
        if self._is_whole(look.view) and not elsewhere.exemplars:
            [(_, in_view)] = self._looks(look.view, prompt)
            return self._whole_question(in_view)
        described = (*self.described(look, prompt, boxes), *elsewhere.descriptions)
        merged = type(described[0]).merge(described)
        return Asked(lambda tile: self.model.count_like(tile, (merged,)), [merged])

    def _whole_question(self, prompt: PromptBatch) -> Asked:
        """The question where one look shows everything; models with an ``answer`` also tell what they saw."""
        answer = getattr(self.model, "answer", None)
        if answer is None:
            return Asked(lambda tile: self.model(tile, prompt), [])
        described: list[Any] = []

        def ask(tile: Any) -> Tensor:
            density: Tensor
            density, described[:] = answer(tile, prompt)
            return density

        return Asked(ask, described)

    def described(self, look: Look, prompt: Prompt, exemplars: Sequence[Box]) -> list[Any]:
        """The model's descriptions of the boxes of a prompt, one for each look at them.

        ``exemplars`` tell the size of things: those of the prompt, or of other pictures, rescaled as this one is.
        """
        if not prompt.exemplars and not prompt.negatives:
            return []
        boxes = look.view.to_view(exemplars)
        size = torch.stack([boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]], dim=1).mean(0, keepdim=True)
        described: list[Any] = []
        for window, batch in self._looks(look.view, prompt):
            described += self.model.describe(look.tile(window), batch, size.to(self.device))
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


def mean_side(boxes: Sequence[Box]) -> float:
    """Mean sqrt(width x height)."""
    return math.fsum(math.sqrt((x1 - x0) * (y1 - y0)) for x0, y0, x1, y1 in boxes) / len(boxes)
