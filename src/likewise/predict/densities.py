"""A network's densities of pictures of any size: at the scale of a prompt, in tiles where they are large.

Convention
----------
Boxes and regions are in the caller's pixels; the density that comes out is on a grid over the picture, in objects per
cell. Where a network sees the picture on a canvas, what it finds beside the picture counts, as was published, and lies
in the nearest cell of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from likewise.boxes import boxes_to_pixels, mean_side
from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.ops.density.maps import fold_border
from likewise.ops.density.tiling import Blend, TileBox
from likewise.ops.polygon import polygon_coverage
from likewise.predict.cancellation import check_cancelled
from likewise.predict.prepared_image import PreparedImage
from likewise.predict.protocols import CounterModel, ExemplarCounter, ExemplarFeatures, Prepared, TextCounter
from likewise.preprocess.scaled_view import View, network_scale
from likewise.types import Box, Prompt, PromptBatch

#: Neighbouring tiles share at least one part in so many of their side.
OVERLAP = 8
#: Side, in network pixels, of the window in which an exemplar of a tiled picture is looked at.
CONTEXT = 256
#: Tiles this near a region, network pixels, are asked about too, so that things on its edge are seen whole.
NEAR = 48
#: A density of more network pixels than this is kept as sums over square cells.
MAX_GRID = 1 << 25


@dataclass(frozen=True)
class ReferenceExemplars:
    """What exemplars in other pictures look like: made by `Counter.encode_exemplars`, given to `Counter.count`.

    Attributes:
        features: the network's own.
        exemplars: the boxes, in pixels of their pictures.
    """

    features: tuple[ExemplarFeatures, ...] = ()
    exemplars: tuple[Box, ...] = ()


#: No other picture shows anything.
NO_EXEMPLARS = ReferenceExemplars()


@dataclass(frozen=True, eq=False)
class ScaledImage:
    """A picture at the scale of a prompt.

    Attributes:
        image: the picture.
        view: of it, as the network sees it.
        cell: side of the cells in which its density is kept, view pixels.
    """

    image: PreparedImage
    view: View
    cell: int

    def on_grid(self, places: Sequence[Sequence[float]]) -> Tensor:
        """Points (K, 2) or boxes (K, 4) of the picture in cells of its density; none: (0, 4)."""
        if not places:
            return torch.zeros(0, 4)
        corner = torch.tensor(self.view.corner[::-1])
        return ((self.view.to_view(places).unflatten(-1, (-1, 2)) - corner) / self.cell).flatten(-2)

    def valid(self) -> Tensor | None:
        """(h, w) of the density's grid over the picture: the share of each cell that was recorded; None: all of all."""
        if self.image.valid is None:
            return None
        shape = tuple(side // self.cell for side in self.view.sides)
        seen = torch.from_numpy(np.ascontiguousarray(self.image.valid)).float()[None, None]
        return F.interpolate(seen, shape, mode="area")[0, 0]

    @property
    def part(self) -> TileBox:
        """Where the picture lies in the density of its view, in cells."""
        y0, x0, y1, x1 = self.view.part
        return y0 // self.cell, x0 // self.cell, y1 // self.cell, x1 // self.cell


@dataclass(frozen=True, eq=False)
class TileQuery:
    """How a tile is asked about, and what the exemplars look like: known, at the latest, once a tile was."""

    density: Callable[[Tensor | Prepared], Tensor]
    features: list[ExemplarFeatures]


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network makes of a picture.

    Attributes:
        whole: (h, w), the density on its grid over the picture, also where nothing was asked about; nothing where
            nothing was recorded.
        covered: (h, w), the share of each cell that lies in the region; None: there is none.
        corners: (M, 2), the region on the grid.
        mean_cosine: how alike the exemplars look, where that is known.
    """

    whole: Tensor
    covered: Tensor | None
    corners: Tensor | None
    mean_cosine: float | None

    def inside(self, density: Tensor) -> Tensor:
        """What of a density on the same grid lies in the region."""
        return density if self.covered is None else density * self.covered

    @property
    def count(self) -> float:
        """The sum of what lies in the region."""
        return self.inside(self.whole).sum(dtype=torch.float64).item()


@dataclass(frozen=True, eq=False)
class Densities:
    """A network's densities of pictures of any size.

    Attributes:
        model: on its device, in eval mode.
        name: for messages.
        device: where it runs.
        inference: how its weights are used.
        scale_steps: those of `likewise.preprocess.scaled_view.network_scale`.
    """

    model: CounterModel
    name: str
    device: torch.device
    inference: InferenceConfig
    scale_steps: int = 0

    def scaled(self, image: PreparedImage, boxes: Sequence[Box], zoom: float = 1.0) -> ScaledImage:
        """The picture as the network sees it where things are as large as the boxes, or at that scale times a zoom.

        Boxes are tight; the scale is that of the boxes as they were drawn.
        """
        side = mean_side(boxes) + self.inference.margin if boxes else None
        rules = self.inference.preprocess
        if rules.canvas and rules.fit:
            cell = self.model.cell
            view = View.on_canvas(image.pixels, rules.fit, rules.multiple, zoom=zoom, cell=cell)
            return ScaledImage(image, view, cell)
        scale = zoom * network_scale(rules, side, image.width, image.height, self.scale_steps)
        own = self.model.cell
        cell = own * max(1, math.ceil(math.sqrt(image.width * image.height / MAX_GRID) * scale / own))
        return ScaledImage(image, View.of(image.pixels, scale, cell), cell)

    def tile(self, scaled: ScaledImage, box: TileBox) -> Tensor | Prepared:
        """What the network is shown of a part of a picture."""
        return scaled.image.tile(self.model, scaled.view, box, self.device)

    def answer(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars) -> Answer:
        """The density on the grid, how much of it lies in the region, and what else is known."""
        valid = scaled.valid()
        if prompt.region is None:
            grid, mean_cosine = self._density(scaled, prompt, references, valid)
            return Answer(_within(grid, valid), None, None, mean_cosine)
        corners = scaled.on_grid(prompt.region)
        covered = polygon_coverage(corners, *(side // scaled.cell for side in scaled.view.sides))
        if not covered.any():
            size = f"{scaled.image.width} x {scaled.image.height}"
            raise LikewiseError(f"region {prompt.region} lies outside the picture, which is {size} pixels")
        grid, mean_cosine = self._density(scaled, prompt, references, _within(covered, valid))
        return Answer(_within(grid, valid), covered, corners, mean_cosine)

    def encode_exemplars(self, scaled: ScaledImage, prompt: Prompt, exemplars: Sequence[Box]) -> list[ExemplarFeatures]:
        """What the boxes of a prompt look like, one entry for each look at some of them.

        ``exemplars`` tell the size of things: those of the prompt, or of other pictures, rescaled as this one is.
        """
        if not prompt.exemplars and not prompt.negatives:
            return []
        boxes = self._in_view(scaled.view, exemplars)
        size = torch.stack([boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]], dim=1).mean(0, keepdim=True)
        found: list[ExemplarFeatures] = []
        for window, batch in self._windows(scaled.view, prompt):
            found += self._by_example().encode_exemplars(self.tile(scaled, window), batch, size.to(self.device))
        return found

    def _by_example(self) -> ExemplarCounter:
        """The network as one that is shown exemplars; `Counter.check` has seen that it is."""
        return cast(ExemplarCounter, self.model)

    def _is_whole(self, view: View) -> bool:
        """Whether the view is small enough for one look."""
        rules = self.inference.preprocess
        return rules.canvas or rules.tile == 0 or max(view.width, view.height) <= rules.tile

    def _in_view(self, view: View, boxes: Sequence[Box]) -> Tensor:
        """Boxes of the picture as the network is shown them, in the view's pixels: (K, 4)."""
        placed = view.to_view(boxes)
        return boxes_to_pixels(placed, (view.width, view.height)) if self.inference.whole_boxes else placed

    def _density(
        self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars, wanted: Tensor | None
    ) -> tuple[Tensor, float | None]:
        """The density (h, w) on the CPU, blended from tiles; tiles that show nothing wanted are left out."""
        cell, blend = scaled.cell, self.blend(scaled)
        query = self._query(scaled, prompt, references)
        for y0, x0, y1, x1 in blend.boxes:
            check_cancelled()
            top, left = (max(0, side - NEAR) // cell for side in (y0, x0))
            if wanted is None or wanted[top : -(-(y1 + NEAR) // cell), left : -(-(x1 + NEAR) // cell)].any():
                density = query.density(self.tile(scaled, (y0, x0, y1, x1)))
                blend.add((y0, x0, y1, x1), self._checked(density, y1 - y0, x1 - x0))
        return fold_border(blend.result(), scaled.part), query.features[0].mean_cosine() if query.features else None

    def _query(self, scaled: ScaledImage, prompt: Prompt, references: ReferenceExemplars) -> TileQuery:
        """What is asked of the network about each tile."""
        boxes = prompt.exemplars or references.exemplars
        if not boxes:
            by_text = cast(TextCounter, self.model)  # `Counter.check` has seen that it is one
            text = by_text.encode((prompt.text or "",))
            return TileQuery(lambda tile: by_text.count(tile, text), [])
        if self._is_whole(scaled.view) and not references.features:
            [(_, in_view)] = self._windows(scaled.view, prompt)
            return self._whole_query(in_view)
        found = (*self.encode_exemplars(scaled, prompt, boxes), *references.features)
        merged = type(found[0]).merge(found)
        return TileQuery(lambda tile: self._by_example().count_like(tile, (merged,)), [merged])

    def blend(self, scaled: ScaledImage) -> Blend:
        """The tiles in which a picture is looked at, and how their densities become one."""
        view, rules = scaled.view, self.inference.preprocess
        whole = self._is_whole(view)
        tile = max(view.width, view.height) if whole else rules.tile
        overlap = 0 if whole else tile // OVERLAP
        return Blend(view.height, view.width, tile, overlap, cell=scaled.cell, multiple=rules.multiple)

    def _whole_query(self, prompt: PromptBatch) -> TileQuery:
        """The query where one look shows everything: what the exemplars look like comes with the density."""
        found: list[ExemplarFeatures] = []

        def ask(tile: Tensor | Prepared) -> Tensor:
            density, found[:] = self._by_example().answer(tile, prompt)
            return density

        return TileQuery(ask, found)

    def _windows(self, view: View, prompt: Prompt) -> list[tuple[TileBox, PromptBatch]]:
        """Windows of the view that together show every box of the prompt once, with the prompt as seen in each."""
        boxes = self._in_view(view, [*prompt.exemplars, *prompt.negatives])
        positive = torch.arange(len(boxes)) < len(prompt.exemplars)
        text = None if prompt.text is None else (prompt.text,)
        found: list[tuple[TileBox, PromptBatch]] = []
        left = torch.ones(len(boxes), dtype=torch.bool)
        while left.any():
            window = (0, 0, view.height, view.width) if self._is_whole(view) else _window(view, boxes[left][0])
            y0, x0, y1, x1 = window
            held = left & (boxes > torch.tensor([x0, y0, x0, y0]) - 0.01).all(1)
            held &= (boxes < torch.tensor([x1, y1, x1, y1]) + 0.01).all(1)
            placed = (boxes - torch.tensor([x0, y0, x0, y0])).to(self.device)
            negatives = (placed[held & ~positive],) if prompt.negatives else None
            found.append((window, PromptBatch((placed[held & positive],), negatives, text)))
            left &= ~held
        return found

    def _checked(self, density: Tensor, height: int, width: int) -> Tensor:
        if density.shape != (1, 1, height, width):
            raise ValueError(f"{self.name} gave a density {tuple(density.shape)}, expected {(1, 1, height, width)}")
        if not density.isfinite().all():
            raise LikewiseError(f"{self.name} gave a density that is not finite: its weights are damaged or unfit")
        return density[0, 0].float().cpu()


def _within(density: Tensor, valid: Tensor | None) -> Tensor:
    return density if valid is None else density * valid


def _window(view: View, box: Tensor) -> TileBox:
    """A window of the view round a box, wide enough to show its surroundings, in whole pixels."""
    centre, side = (box[:2] + box[2:]) / 2, max(float((box[2:] - box[:2]).max()) + CONTEXT / 2, CONTEXT)
    x0, y0 = (max(0, math.floor(v - side / 2)) for v in centre.tolist())
    x1, y1 = (math.ceil(v + side / 2) for v in centre.tolist())
    return y0, x0, min(y1, view.height), min(x1, view.width)
