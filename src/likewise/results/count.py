"""What counting a picture gives, and the forms people want it in.

Convention
----------
Everything is in the caller's pixels: points are ``(x, y)``, the centre of the top left pixel at (0.5, 0.5);
`CountResult.density` is in objects per pixel, so that its sum is the count. Only `CountResult.grid` is in the
network's: the same density before it was brought to the caller's pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likewise.draw import (
    NEGATIVE_COLOUR,
    canvas,
    captioned,
    draw_boxes,
    draw_labels,
    draw_outline,
    draw_points,
    heat_layer,
    lay_over,
    nearest_distances,
    on_ground,
    own_side,
)
from likewise.drawings import save_form
from likewise.errors import LikewiseError
from likewise.placement import UNPLACED, Placement
from likewise.regions import Region
from likewise.results.annotations import NAMELESS, PointAnnotations
from likewise.results.base import Files, check, finite, rounded
from likewise.results.by_region import RegionCount, count_regions
from likewise.results.coco import points_dataset
from likewise.results.formats import written
from likewise.results.histograms import below_histograms
from likewise.results.measures import Table, measure
from likewise.results.outlines import Outlines
from likewise.types import UNTRUSTED, Box, Prompt

#: Pixels of an overlay between a point and the nearest one, which it is enlarged for, up to so large a side.
APART, LARGEST = 10.0, 4096


@dataclass(frozen=True, eq=False)
class CountResult:
    """How many objects like the prompt's a picture shows, and where.

    Attributes:
        grid: (h, w) float32, the density as the network sees it; sums to the count. Where the prompt has a region,
            there is none outside it.
        size: (width, height) of the picture.
        points: (N, 2) float32 x y, one a found object, best first.
        scores: (N,) float32, the density found at each point: about 1 for one clear object.
        prompt: what was asked.
        model: name of the model that counted.
        seconds: how long it took.
        image: (H', W', 3) uint8, the picture, or a reduced copy of it, to draw on.
        source: the picture's file name, where it has one.
        object_size: mean (width, height) of the exemplars, where there are any.
        found: boxes of what matched a name best, by which the rest was counted; empty: nothing was counted in this way.
        interval: (low, high), between which the truth lies in nine of ten cases; None: not known for these weights, or
            too wide to be of use.
        untrusted: the latter: the signs are so odd that the count cannot be trusted.
        warnings: what speaks against the count, a sentence or two each.
        signs: what interval and warnings were judged by (`likewise.predict.uncertainty`), by name.
        placement: where the picture lies: its pixels' size in micrometres, or its coordinates; None: not known.
        outlines: of the things, where they were asked for.

    Raises:
        LikewiseError: an array of another shape or type than above, or one that is not finite.

    Example:
        >>> import tempfile
        >>> import likewise as lw
        >>> from skimage import data
        >>> result = lw.load("spdcn-lite").count(data.coins(), [(81, 39, 120, 74)])
        >>> round(result.count), result.density.shape
        (24, (303, 384))
        >>> result.to_dict()["model"], len(result.to_coco()["images"])
        ('spdcn-lite', 1)
        >>> result.plot().width
        900
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result.save(folder, "coins", formats=["coco"]).name
        'coins_count.png'
    """

    grid: np.ndarray
    size: tuple[int, int]
    points: np.ndarray
    scores: np.ndarray
    prompt: Prompt
    model: str
    seconds: float
    image: np.ndarray
    source: str | None = None
    object_size: tuple[float, float] | None = None
    found: tuple[Box, ...] = ()
    interval: tuple[float, float] | None = None
    untrusted: bool = False
    warnings: tuple[str, ...] = ()
    signs: Mapping[str, float] = field(default_factory=dict)
    placement: Placement | None = None
    outlines: Outlines | None = None

    def __post_init__(self) -> None:
        """Check shapes, types and values."""
        check("grid", self.grid, "(h, w) of float32", self.grid.ndim == 2 and self.grid.dtype == np.float32)
        check("points", self.points, "(N, 2)", self.points.ndim == 2 and self.points.shape[1] == 2)
        check("scores", self.scores, f"({len(self.points)},), one a point", self.scores.shape == self.points.shape[:1])
        picture = self.image.ndim == 3 and self.image.shape[2] == 3 and self.image.dtype == np.uint8
        check("image", self.image, "(H, W, 3) of uint8", picture)
        if self.outlines is not None:
            labels = self.outlines.labels
            check("outlines", labels, f"{self.size[::-1]}, as the picture", labels.shape == self.size[::-1])
        for name in ("grid", "points", "scores"):
            finite(name, getattr(self, name))

    def __repr__(self) -> str:
        """In a line: of which picture, how many, and how sure."""
        likely = f", {self.likely}" * bool(self.likely)
        warned = f", {len(self.warnings)} warning{'s' * (len(self.warnings) > 1)}" * bool(self.warnings)
        return f"<CountResult of {self.source or 'a picture'}: {self.count:.2f}{likely} by {self.model}{warned}>"

    @property
    def count(self) -> float:
        """How many: the sum of the density."""
        return float(self.grid.sum(dtype=np.float64))

    @property
    def likely(self) -> str:
        """How far off it may be: "22 to 27" or "untrusted"; empty where nothing is known."""
        if self.interval is None:
            return UNTRUSTED * self.untrusted
        return f"{self.interval[0]:.0f} to {self.interval[1]:.0f}"

    @cached_property
    def density(self) -> np.ndarray:
        """(H, W) float32, objects per pixel of the caller's picture; sums to the count."""
        # here and not above: who only writes a result down need not wait for torch
        import torch

        from likewise.ops.density.maps import resize_density

        whole = resize_density(torch.from_numpy(self.grid.astype(np.float64)), (self.size[1], self.size[0]))
        return whole.numpy().astype(np.float32)

    @cached_property
    def measures(self) -> Table:
        """What the outlines measure, a column a name and a row a thing: see `likewise.results.measures.measure`.

        Raises:
            LikewiseError: there are no outlines.

        Example:
            >>> import likewise as lw
            >>> from skimage import data
            >>> result = lw.load("spdcn-lite").count(data.coins(), [(81, 39, 120, 74)], outlines=True)
            >>> result.measures["area_px"].shape, sorted(result.measures)[:4]
            ((24,), ['area_px', 'circularity', 'cut', 'diameter_px'])
        """
        if self.outlines is None:
            raise LikewiseError("there are no outlines to measure; ask for them: count(..., outlines=True)")
        return measure(self.outlines, self.placement)

    def without_border(self) -> CountResult:
        """The same, but that things that the picture's border cuts have no outline; the count stays as it is."""
        return self if self.outlines is None else replace(self, outlines=self.outlines.whole())

    @property
    def even(self) -> float:
        """What a cell of the grid holds of one object that is spread evenly over its box.

        Where no exemplar tells its size: over a hundredth of the picture.
        """
        width, height = self.object_size or (self.size[0] / 10, self.size[1] / 10)
        return self.size[0] * self.size[1] / (self.grid.size * width * height)

    def plot(self, pixels: np.ndarray | None = None) -> Image.Image:
        """The picture with the density as heat, the boxes of exemplars, given or found, the points and the count.

        Where there are outlines they stand there instead of heat and points, those that the picture's border cuts in
        the colour of doubt, and histograms of what they measure below.

        Its longest side is between 900 and 1600 pixels, whatever the picture's, or up to 4096 where points would stand
        closer than `APART`. The count stands beside it, with a question mark where there are warnings, or the word
        that it cannot be trusted.

        Args:
            pixels: (H, W, 3) uint8, the picture itself, to be drawn on at its own size, up to
                `likewise.draw.LARGEST_AREA`; None: on `image`.
        """
        inner, _ = canvas(self.image, least=1)
        layer = heat_layer(self.grid, inner.size, faint=self.even)
        side = max(self._plot_side(inner.size), 0 if pixels is None else own_side(pixels))
        picture, _ = canvas(self.image if pixels is None else pixels, smallest=side, largest=side, least=1)
        if self.outlines is None:
            lay_over(picture, layer)
        else:
            draw_labels(picture, self.outlines.labels, self.outlines.numbers[self.outlines.cut])
        scale = np.array([picture.width / self.size[0], picture.height / self.size[1]])
        picture = on_ground(picture)
        boxes = np.reshape((*self.prompt.exemplars, *self.found), (-1, 4)) * np.tile(scale, 2)
        negatives = np.reshape(self.prompt.negatives, (-1, 4)) * np.tile(scale, 2)
        if self.prompt.region is not None:
            draw_outline(picture, [tuple(corner) for corner in np.asarray(self.prompt.region) * scale])
        if self.outlines is None:
            draw_points(picture, self.points * scale)
        draw_boxes(picture, [tuple(box) for box in boxes])
        draw_boxes(picture, [tuple(box) for box in negatives], NEGATIVE_COLOUR)
        doubtful = bool(self.warnings) or self.untrusted
        number = f"{self.count:.0f}{f' {UNTRUSTED}' if self.untrusted else '?' * doubtful}"
        sheet = captioned(picture, number, self._subtitle(), doubtful=doubtful)
        return sheet if self.outlines is None else below_histograms(sheet, self.measures)

    def _plot_side(self, inner: tuple[int, int]) -> int:
        """The longest side of the picture, enlarged until nine in ten points stand `APART`, or `LARGEST`."""
        apart = nearest_distances(self.points * np.array(inner) / self.size)
        crowd = float(np.quantile(apart, 0.1)) if len(apart) > 1 else APART
        longest = max(inner)
        return max(longest, round(min(longest * APART / max(crowd, 0.1), LARGEST)))

    def _subtitle(self) -> str:
        """The count, how sure it is, and whose it is."""
        likely = "" if self.interval is None else f", likely {self.likely},"
        warned = f" ({len(self.warnings)} warning{'s' * (len(self.warnings) > 1)})" * bool(self.warnings)
        return f"{self.count:.2f}{likely} by {Path(self.model).stem}{warned}"

    def save(self, directory: str | Path, name: str | None = None, formats: Sequence[str] = ()) -> Path:
        """Write the `plot`, the `density` and the numbers.

        The files are ``NAME_count.png``, ``NAME_density.npy``, and ``NAME_count.json``: `to_dict`, scores, prompt
        and signs.

        Args:
            directory: made where it is missing.
            name: None: the picture's own name, or ``picture`` where it has none; with its ending and more where another
                picture has that name there.
            formats: names in `likewise.results.formats.FORMATS`, to write it so too: coco is NAME_coco.json.

        Returns:
            The path of the plot.

        Raises:
            LikewiseError: there is no such form, or what it needs is missing: a package, the picture's coordinates.
        """
        forms = dict(written("count", formats, self.annotations))
        ends = ("_count.json", "_density.npy", *forms)
        files = Files(directory, name, self.source, ("_count.png",), ends)
        record = {**self.to_dict(), "scores": rounded(self.scores, 4), "prompt": self.prompt.to_dict()}
        record["signs"] = {sign: round(value, 4) for sign, value in self.signs.items()}
        for end, form in forms.items():
            save_form(form, files.path(end))
        np.save(files.path("_density.npy"), self.density)
        files.note("_count.json", record)
        return files.draw("_count.png", self.plot())

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values: image, model, count, low, high, untrusted, points, found, warnings, seconds.

        low and high are None where the interval is not known, or too wide: then untrusted is True.
        """
        low, high = (None, None) if self.interval is None else (round(end, 4) for end in self.interval)
        return {
            "image": self.source,
            "model": self.model,
            "count": round(self.count, 4),
            "low": low,
            "high": high,
            "untrusted": self.untrusted,
            "points": rounded(self.points, 2),
            "found": rounded(np.reshape(self.found, (-1, 4)), 2),
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
        }

    def to_coco(self) -> dict[str, Any]:
        """The result as a COCO data set of one picture and one category: see `likewise.results.coco.points_dataset`."""
        return points_dataset([self.annotations])

    def by_region(self, regions: Sequence[Region]) -> list[RegionCount]:
        """How many there are in each of some regions of the picture, in their order.

        Regions that fit together add up to the whole; what lies in two that overlap is counted in both.

        Args:
            regions: in pixels of the picture: see `likewise.read_regions` and `likewise.regions.grid_regions`.

        Raises:
            LikewiseError: none of the regions touches the picture.

        Example:
            >>> from likewise.regions import grid_regions
            >>> result = CountResult(
            ...     np.ones((2, 3), np.float32), (30, 20), np.float32([[5, 5]]), np.float32([1]), Prompt(text="it"),
            ...     "by hand", 0.0, np.zeros((20, 30, 3), np.uint8),
            ... )
            >>> [(well.name, well.count, well.points) for well in result.by_region(grid_regions((0, 0, 30, 20), 1, 2))]
            [('A1', 3.0, 1), ('A2', 3.0, 0)]
        """
        return count_regions(regions, self.grid, self.size, self.points, self.placement)

    @property
    def annotations(self) -> PointAnnotations:
        """What was found, as files for other programs are written from it."""
        return PointAnnotations(
            name=self.source or "",
            size=self.size,
            count=self.count,
            points=self.points,
            scores=self.scores,
            exemplars=self.prompt.exemplars,
            object_size=self.object_size,
            category=self.prompt.text or NAMELESS,
            placement=self.placement or UNPLACED,
            grid=self.grid,
            negatives=self.prompt.negatives,
            region=self.prompt.region,
            outlines=self.outlines,
            measures=None if self.outlines is None else self.measures,
        )
