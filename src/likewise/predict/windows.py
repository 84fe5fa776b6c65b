"""Pictures of any size, counted window by window in the memory of one.

The examples fix the scale and what is looked for once for the whole picture. Each window is seen with a rim of what
surrounds it, and counts what lies in its core; the cores are the picture. What was found in a core is a `WindowCount`:
a journal keeps it as a line, and a run that was stopped goes on with those that are missing.

Convention
----------
Points are in pixels of the picture, which is divided into rows and columns of about square blocks. The density is kept
as sums over those, and a window is told by the blocks (x0, y0, x1, y1) of its core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from likewise.boxes import mean_side, mean_width_height
from likewise.errors import LikewiseError
from likewise.ops.polygon import polygon_coverage
from likewise.predict.colour_groups import colours_at, colours_of, of_another_colour
from likewise.predict.densities import Densities, ReferenceExemplars
from likewise.predict.journal import WindowJournal, digest
from likewise.predict.localize import BASIN, PEAK_RADIUS
from likewise.predict.prepared_image import PreparedImage
from likewise.predict.prompts import Effort, in_order
from likewise.predict.reading import Look, PlainReader, look, look_again, wanted_scale, with_interval
from likewise.predict.uncertainty import CountDiagnostics, box_sum
from likewise.predict.window_count import Floats, WindowCount
from likewise.preprocess.scaled_view import network_scale
from likewise.results import CountResult
from likewise.sources import PictureSource, Window
from likewise.types import Box, Prompt

#: Side of a window's core, in network pixels, and of the rim that is seen round it.
CORE, RIM = 2048, 128
#: The density is kept in at most about so many blocks.
BLOCKS = 1 << 22
#: Grey levels by which a ground without anything may differ from itself: in a small copy, and as it is.
FLAT, ROUGH = 6, 28
#: Probes of a window that looks flat: so many along each side, of this many pixels a side.
PROBES, PROBE = 3, 96

#: Points so many object sizes beyond a core are kept with it: a neighbour may see them a little on this side.
SEAM = 0.15

#: Called with the number of windows that are done, and of all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """How a picture is counted window by window.

    Attributes:
        densities: of a network that counts by example.
        source: the picture.
        prompt: whose boxes lie in it.
        references: what its examples, and those in other pictures, look like.
        trust: as of `likewise.predict.Counter.count`.
        level: of the source that is read.
        blocks: rows and columns of the blocks that the picture is divided into.
        core: blocks along the side of a core.
        rim: pixels round a core that are seen with it.
        thumbnail: (h, w, 3) of the picture.
        colours: (K, 3) of the examples; None: nobody asks (`likewise.predict.colour_groups`).
    """

    densities: Densities
    source: PictureSource
    prompt: Prompt
    references: ReferenceExemplars
    trust: Effort
    level: int
    blocks: tuple[int, int]
    core: int
    rim: int
    thumbnail: NDArray[np.uint8]
    colours: Floats | None = None

    @classmethod
    @torch.inference_mode()
    def of(
        cls,
        densities: Densities,
        source: PictureSource,
        prompt: Prompt,
        references: ReferenceExemplars,
        trust: Effort = "fast",
    ) -> WindowPlan:
        """Look at the examples once, and lay out the windows.

        Raises:
            LikewiseError: a region outside the picture.
        """
        asked = in_order(prompt).tightened(densities.inference.margin)
        whole = PreparedImage(source, lazy=True)
        boxes = asked.exemplars or references.exemplars
        scaled = densities.scaled(whole, boxes)
        found = densities.encode_exemplars(scaled, asked, boxes) if asked.exemplars or asked.negatives else []
        known = ReferenceExemplars((*found, *references.features), boxes)
        scale = network_scale(
            densities.inference.preprocess, mean_side(boxes) + densities.inference.margin, *whole.size
        )
        block = max(1, math.ceil(math.sqrt(source.width * source.height / BLOCKS)))
        blocks = (-(-source.height // block), -(-source.width // block))
        core = max(1, round(CORE / scale / block))
        level = source.level_for(scale)
        rim = math.ceil(RIM / scale)
        in_groups = densities.inference.colour_groups and asked.exemplars
        colours = colours_of(whole.pixels, asked.exemplars) if in_groups else None
        planned = cls(densities, source, prompt, known, trust, level, blocks, core, rim, whole.preview(), colours)
        if prompt.region is not None and not any(map(planned._is_asked, planned.windows())):
            size = f"{source.width} x {source.height}"
            raise LikewiseError(f"region {prompt.region} lies outside the picture, which is {size} pixels")
        return planned

    def run(self, journal: WindowJournal | None = None, progress: Progress | None = None) -> CountResult:
        """Count every window that the journal does not know, and put all together.

        Args:
            journal: keeps what was found in each window as soon as it is.
            progress: called with the number of windows that are done, and of all.
        """
        windows, found = self.windows(), []
        for number, window in enumerate(windows):
            if progress is not None:
                progress(number, len(windows))
            known = None if journal is None else journal.find(window)
            each = known or self.count(window)
            if journal is not None and known is None:
                journal.add(each)
            found.append(each)
        return self.result(found)

    def question(self) -> dict[str, Any]:
        """All that the counts depend on, as JSON values: what a journal is of."""
        weights = digest(dict(self.densities.model.named_parameters()))
        seen = [self.source.width, self.source.height, digest(self.thumbnail)]
        return {
            "picture": seen,
            "choice": repr(self.source.choice),
            "prompt": self.prompt.to_dict(),
            "references": digest(self.references),
            "weights": weights,
            "inference": repr(self.densities.inference),
            "trust": self.trust,
            "windows": [self.level, *self.blocks, self.core, self.rim],
        }

    def windows(self) -> list[Window]:
        """The cores, row by row, in blocks."""
        rows, columns = self.blocks
        return [
            (x, y, min(x + self.core, columns), min(y + self.core, rows))
            for y in range(0, rows, self.core)
            for x in range(0, columns, self.core)
        ]

    def place(self, window: Window) -> Box:
        """Where a core lies in the picture, pixels."""
        across, down = self.source.width / self.blocks[1], self.source.height / self.blocks[0]
        x0, y0, x1, y1 = window
        return x0 * across, y0 * down, x1 * across, y1 * down

    @torch.inference_mode()
    def count(self, window: Window) -> WindowCount:
        """What there is in one core."""
        if not self._is_asked(window) or self._is_flat(window):
            none = np.zeros((window[3] - window[1], window[2] - window[0]), np.float32)
            return WindowCount(window, none, np.zeros((0, 2), np.float32), np.zeros(0, np.float32), flat=True)
        part = _Part(self, window)
        reader = PlainReader(self.densities)
        seen = look(self.densities, part.image, part.prompt, part.references, reader, every=True)
        to_picture = part.to_picture(seen.to_pixels.numpy())
        points = to_picture(seen.found.points.numpy())
        x0, y0, x1, y1 = self.place(window)
        seam = SEAM * mean_side(self.references.exemplars)  # where neighbours may see a thing on either side
        mine = np.asarray(((points >= (x0 - seam, y0 - seam)) & (points < (x1 + seam, y1 + seam))).all(1))
        whole = seen.reading.answer.inside(seen.reading.answer.whole)
        again = {}
        if self.trust == "full":
            again = look_again(self.densities, part.image, part.prompt, part.references, seen.side, reader)
        apart = seen.found.apart
        found = WindowCount(
            window=window,
            sums=part.block_sums(seen.grid.numpy()),
            points=points[mine].astype(np.float32),
            scores=seen.found.scores.numpy()[mine],
            peaks=(_share(seen.found.peaks, mine), _share(seen.found.clear, mine)),
            apart=None if apart is None else apart / seen.side,
            mass=tuple(box_sum(whole.numpy(), box) for box in part.examples(seen.to_pixels.numpy())),
            raw=float(whole.sum(dtype=torch.float64)),
            again=tuple(again.items()),
        )
        if self.colours is None:
            return found
        return replace(found, colours=part.colours(seen)[mine], held=_held(seen)[mine])

    def result(self, counts: Iterable[WindowCount]) -> CountResult:
        """What the counts of all windows make together."""
        grid, found = np.zeros(self.blocks, np.float32), list(counts)
        for each in found:
            x0, y0, x1, y1 = each.window
            grid[y0:y1, x0:x1] = each.sums
        points, scores, kept = self._points(found)
        other = self._of_another_colour(found, kept)
        if other.any():
            self._take_out(grid, points[other], np.concatenate([each.held for each in found])[kept][other])
            points, scores = points[~other], scores[~other]
        best = np.argsort(-scores, kind="stable")[: round(float(grid.sum(dtype=np.float64)))]
        boxes = self.prompt.exemplars or self.references.exemplars
        result = CountResult(
            grid=grid,
            size=(self.source.width, self.source.height),
            points=points[best],
            scores=scores[best],
            prompt=self.prompt,
            model=self.densities.name,
            seconds=0.0,
            image=self.thumbnail,
            source=self.source.name or None,
            object_size=mean_width_height(boxes) if boxes else None,
        )
        diagnostics = self._diagnostics(result, found, int(other.sum()))
        return with_interval(result, diagnostics, self.densities.inference)

    def _of_another_colour(self, found: Sequence[WindowCount], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of the points that are kept are of another kind by their colours, all windows together."""
        if self.colours is None:
            return np.zeros(int(kept.sum()), bool)
        colours, held = (np.concatenate([getattr(each, name) for each in found])[kept] for name in ("colours", "held"))
        return of_another_colour(colours, held, self.colours, np.zeros(len(held), bool))

    def _take_out(self, grid: Floats, points: Floats, held: Floats) -> None:
        """Take things out of the blocks round them, as much of each as there is in it."""
        cell = np.array([self.source.width, self.source.height]) / self.blocks[::-1]
        reach = np.ceil(BASIN * mean_side(self.references.exemplars) / cell).astype(int)
        for (x, y), mass in zip((points / cell).astype(int).tolist(), held.tolist(), strict=True):
            near = grid[max(0, y - reach[1]) : y + reach[1] + 1, max(0, x - reach[0]) : x + reach[0] + 1]
            near *= 1 - min(1.0, mass / max(float(near.sum()), 1e-9))

    def _points(self, found: Sequence[WindowCount]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Points and their scores, and which of all they are; of what two windows saw on their seam, the better one."""
        points = np.concatenate([each.points for each in found])
        scores = np.concatenate([each.scores for each in found])
        owner = np.repeat(np.arange(len(found)), [len(each.points) for each in found])
        kept = np.ones(len(points), bool)
        if not len(points):
            return points, scores, kept
        near = PEAK_RADIUS * mean_side(self.references.exemplars)
        pairs = cKDTree(points).query_pairs(near, output_type="ndarray")
        pairs = pairs[owner[pairs[:, 0]] != owner[pairs[:, 1]]]
        worse = np.where(scores[pairs[:, 0]] < scores[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
        kept[worse] = False
        return points[kept], scores[kept], kept

    def _diagnostics(self, result: CountResult, found: Sequence[WindowCount], other: int) -> CountDiagnostics:
        boxes = self.references.exemplars
        distances = [each.apart for each in found if each.apart is not None]
        raw = sum(each.raw for each in found)
        names = {name for each in found for name, _ in each.again}
        again = {
            name: result.count * sum(dict(each.again).get(name, 0.0) for each in found) / max(raw, 1e-9)
            for name in sorted(names)
        }
        masses = [mass for each in found for mass in each.mass]
        return CountDiagnostics(
            count=result.count,
            grid=result.grid,
            size=result.size,
            exemplars=(),
            sides=tuple(mean_side([box]) for box in self.prompt.exemplars or boxes),
            scores=result.scores,
            peaks=max(0, sum(each.peaks[0] for each in found) - other),
            clear=max(0, sum(each.peaks[1] for each in found) - other),
            apart=float(np.median(distances)) if distances else None,
            mean_cosine=type(self.references.features[0]).merge(self.references.features).mean_cosine(),
            scale=network_scale(
                self.densities.inference.preprocess, mean_side(boxes) + self.densities.inference.margin, *result.size
            ),
            wanted=wanted_scale(self.densities.inference, boxes),
            again=again,
            known_mass=float(np.mean(masses)) if masses else None,
            other_colours=other,
        )

    def _is_asked(self, window: Window) -> bool:
        """Whether any of a core lies in the region."""
        if self.prompt.region is None:
            return True
        x0, y0, x1, y1 = self.place(window)
        corners = torch.tensor(self.prompt.region, dtype=torch.float64) - torch.tensor([x0, y0])
        cells = corners / torch.tensor([(x1 - x0) / 64, (y1 - y0) / 64])
        return bool(polygon_coverage(cells.float(), 64, 64).any())

    def _is_flat(self, window: Window) -> bool:
        """Whether a window shows nothing but ground: flat in the small copy, and wherever it is looked at closely."""
        x0, y0, x1, y1 = self.place(window)
        across, down = self.source.width / self.thumbnail.shape[1], self.source.height / self.thumbnail.shape[0]
        small = self.thumbnail[int(y0 / down) : math.ceil(y1 / down), int(x0 / across) : math.ceil(x1 / across)]
        if np.ptp(small, axis=(0, 1)).max() > FLAT:
            return False
        lefts, tops = (
            np.linspace(low, max(low, high - PROBE), PROBES).astype(int).tolist() for low, high in ((x0, x1), (y0, y1))
        )
        far = self.source.width, self.source.height
        corners = [(x, y, min(x + PROBE, far[0]), min(y + PROBE, far[1])) for x in lefts for y in tops]
        probes = [self.source.read(corner) for corner in corners]
        return all(np.ptp(probe, axis=(0, 1)).max() <= ROUGH for probe in probes)


class _Part:
    """A window with its rim, read at the level that the network needs, as a picture of its own."""

    def __init__(self, plan: WindowPlan, window: Window) -> None:
        self._plan, self._window = plan, window
        self._factor = np.array(plan.source.factor(plan.level))
        x0, y0, x1, y1 = plan.place(window)
        low = np.floor((np.array([x0, y0]) - plan.rim) / self._factor).clip(min=0).astype(int)
        far = np.array(plan.source.sizes[plan.level])
        high = np.minimum(np.ceil((np.array([x1, y1]) + plan.rim) / self._factor).astype(int), far)
        self._low = low
        seen = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        colours, valid = plan.source.part(plan.level, seen)
        self.image = PreparedImage(colours)
        self.image.valid = valid
        region = plan.prompt.region
        self.prompt = Prompt(region=None if region is None else tuple(map(self._to_part, region)))
        sizes = tuple(_scaled(box, self._factor) for box in plan.references.exemplars)
        self.references = replace(plan.references, exemplars=sizes)

    def to_picture(self, cell: NDArray[np.float32]) -> Callable[[Floats], NDArray[np.float64]]:
        """What turns points on a density of such cells into pixels of the picture."""
        return lambda points: (points.astype(np.float64) * cell + self._low) * self._factor

    def colours(self, seen: Look) -> Floats:
        """(N, 3): of what was found in it."""
        places = (seen.found.points * seen.to_pixels).numpy()
        return colours_at(self.image.pixels, places, mean_side(self.references.exemplars))

    def block_sums(self, grid: Floats) -> Floats:
        """Sums of a density over the core's blocks; cells that a block's edge cuts count in part."""
        sides, place = [], self._plan.place(self._window)
        for axis in (0, 1):
            cells, length = grid.shape[1 - axis], self.image.size[axis]
            blocks = self._window[2 + axis] - self._window[axis]
            edges = np.linspace(place[axis], place[2 + axis], blocks + 1)
            places = (edges / self._factor[axis] - self._low[axis]) * cells / length
            ends, starts = np.arange(cells) + 1.0, np.arange(cells)
            shares = np.minimum(places[1:, None], ends) - np.maximum(places[:-1, None], starts)
            sides.append(shares.clip(0, 1))
        return (sides[1] @ grid.astype(np.float64) @ sides[0].T).astype(np.float32)

    def examples(self, cell: NDArray[np.float32]) -> Iterator[NDArray[np.float64]]:
        """Boxes on a density of such cells of the examples whose middle lies in the core."""
        x0, y0, x1, y1 = self._plan.place(self._window)
        for box in self._plan.prompt.exemplars:
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            if x0 <= x < x1 and y0 <= y < y1:
                corners = np.array(box).reshape(2, 2) / self._factor - self._low
                yield (corners / cell).ravel()

    def _to_part(self, corner: Sequence[float]) -> tuple[float, float]:
        x, y = np.array(corner) / self._factor - self._low
        return float(x), float(y)


def _scaled(box: Box, factor: NDArray[np.float64]) -> Box:
    x0, y0, x1, y1 = (np.array(box).reshape(2, 2) / factor).ravel().tolist()
    return x0, y0, x1, y1


def _held(seen: Look) -> Floats:
    """(N,): how much of the counted density belongs to each point."""
    x, y = seen.found.points.long().unbind(1)
    peaks = seen.reading.peaks  # with a region there are more of them than points
    return peaks.masses(seen.grid)[peaks.owner[y, x]].numpy().astype(np.float32)


def _share(number: int, mine: NDArray[np.bool_]) -> int:
    """Of so many in a window, those that are of its core, judged by the points."""
    return round(number * float(mine.mean())) if len(mine) else 0
