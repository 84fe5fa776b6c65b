"""What counting several kinds at once gives: a result of each, and what there is to say of all together.

Convention
----------
As of `CountResult`: everything is in the caller's pixels.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likewise.draw import NEGATIVE_COLOUR, canvas, draw_boxes, draw_outline, draw_points, on_ground, own_side
from likewise.drawings import save_form
from likewise.errors import LikewiseError, nearest
from likewise.placement import Placement
from likewise.regions import Region
from likewise.results.annotations import PointAnnotations
from likewise.results.base import Files
from likewise.results.by_region import RegionCount
from likewise.results.coco import points_dataset
from likewise.results.count import CountResult
from likewise.results.formats import written
from likewise.results.legend import kind_colours, with_legend


@dataclass(frozen=True)
class Confusion:
    """Two kinds that can hardly be told apart.

    Attributes:
        kinds: their names.
        share: of the places of both, how much is nearly as much like the other.
    """

    kinds: tuple[str, str]
    share: float

    def __str__(self) -> str:
        first, second = self.kinds
        return (
            f"{first!r} and {second!r} can hardly be told apart: {self.share:.0%} of their places look nearly as much "
            "like the other. Box more examples of both that differ, or count them as one kind."
        )


@dataclass(frozen=True, eq=False)
class KindsResult(Mapping[str, CountResult]):
    """How many of each of several kinds a picture shows, and where: a mapping from names to results.

    No place is counted for two kinds.

    Attributes:
        results: the result of each kind, by its name.
        confusions: which of them can hardly be told apart.
        seconds: how long all of it took.

    Raises:
        LikewiseError: there are no kinds, or they are of several pictures.

    Example:
        >>> import likewise as lw
        >>> from skimage import data
        >>> kinds = {"small": [(81, 39, 120, 74), (189, 170, 237, 217)], "large": [(305, 16, 364, 73)]}
        >>> result = lw.load("spdcn-lite").count(data.coins(), kinds)
        >>> list(result), result["large"].prompt.exemplars
        (['small', 'large'], ((305.0, 16.0, 364.0, 73.0),))
        >>> result.total == result["small"].count + result["large"].count
        True
        >>> sorted(result.to_dict()["kinds"]) == sorted(each["name"] for each in result.to_coco()["categories"])
        True
    """

    results: Mapping[str, CountResult]
    confusions: tuple[Confusion, ...] = ()
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if len({(each.size, each.source) for each in self.results.values()}) != 1:
            raise LikewiseError(f"{len(self.results)} kinds; expected one at least, and all of one picture")

    def __getitem__(self, name: str) -> CountResult:
        if name not in self.results:
            raise KeyError(f"there is no kind {name!r}{nearest(str(name), self.results)}")
        return self.results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __repr__(self) -> str:
        """In a line: of which picture, and how many of each kind."""
        counts = ", ".join(f"{name} {each.count:.2f}" for name, each in self.results.items())
        warned = f", {len(self.warnings)} warning{'s' * (len(self.warnings) > 1)}" * bool(self.warnings)
        return f"<KindsResult of {self.source or 'a picture'}: {counts} by {self.model}{warned}>"

    @property
    def _first(self) -> CountResult:
        return next(iter(self.results.values()))

    @property
    def source(self) -> str | None:
        """The picture's file name, where it has one."""
        return self._first.source

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture."""
        return self._first.size

    @property
    def image(self) -> np.ndarray:
        """(H', W', 3) uint8, the picture, or a reduced copy of it."""
        return self._first.image

    @property
    def model(self) -> str:
        """Name of the model that counted."""
        return self._first.model

    @property
    def placement(self) -> Placement | None:
        """Where the picture lies; None: not known."""
        return self._first.placement

    @property
    def total(self) -> float:
        """How many there are of all kinds together."""
        return sum(each.count for each in self.results.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against the counts: kinds that can hardly be told apart, then what is said of each kind."""
        each = (f"{name}: {warning}" for name, result in self.results.items() for warning in result.warnings)
        return (*map(str, self.confusions), *each)

    def plot(self, pixels: np.ndarray | None = None) -> Image.Image:
        """The picture with the boxes and points of each kind in a colour of its own, and below it a legend with counts.

        Args:
            pixels: as of `CountResult.plot`.
        """
        inner, _ = canvas(self.image, least=1)
        side = max(*inner.size, 0 if pixels is None else own_side(pixels))
        picture, _ = canvas(self.image if pixels is None else pixels, smallest=side, largest=side, least=1)
        scale = np.array([picture.width / self.size[0], picture.height / self.size[1]])
        picture, prompt = on_ground(picture), self._first.prompt
        if prompt.region is not None:
            draw_outline(picture, [tuple(corner) for corner in np.asarray(prompt.region) * scale])
        colours, rows = kind_colours(len(self)), []
        confused = {name for each in self.confusions for name in each.kinds}
        for colour, (name, each) in zip(colours, self.results.items(), strict=True):
            draw_points(picture, each.points * scale, colour)
            boxes = np.reshape((*each.prompt.exemplars, *each.found), (-1, 4)) * np.tile(scale, 2)
            draw_boxes(picture, [tuple(box) for box in boxes], colour)
            doubtful = bool(each.warnings) or each.untrusted or name in confused
            likely = f" ({each.likely})" * bool(each.likely)
            rows.append((colour, f"{name}: {each.count:.0f}{'?' * doubtful}{likely}", doubtful))
        negatives = np.reshape(prompt.negatives, (-1, 4)) * np.tile(scale, 2)
        draw_boxes(picture, [tuple(box) for box in negatives], NEGATIVE_COLOUR)
        return with_legend(picture, rows, f"{self.total:.2f} in all, by {Path(self.model).stem}")

    def save(self, directory: str | Path, name: str | None = None, formats: Sequence[str] = ()) -> Path:
        """Write the `plot`, the densities and the numbers.

        The files are ``NAME_count.png``, ``NAME_densities.npz`` (an array a kind) and ``NAME_count.json``.

        Args:
            directory: made where it is missing.
            name: as of `CountResult.save`.
            formats: names in `likewise.results.formats.FORMATS`, but for the densities, which are of one kind.

        Returns:
            The path of the plot.

        Raises:
            LikewiseError: there is no such form, or it holds one kind only.
        """
        forms = dict(written("count", formats, self.annotations))
        files = Files(directory, name, self.source, ("_count.png",), ("_count.json", "_densities.npz", *forms))
        for end, form in forms.items():
            save_form(form, files.path(end))
        with zipfile.ZipFile(files.path("_densities.npz"), "w", zipfile.ZIP_DEFLATED) as archive:
            for kind, each in self.results.items():  # as `numpy.savez`, which takes no array of the name "file"
                with archive.open(f"{kind}.npy", "w") as file:
                    np.save(file, each.density, allow_pickle=False)
        prompts = {kind: each.prompt.to_dict() for kind, each in self.results.items()}
        files.note("_count.json", {**self.to_dict(), "prompt": {"kinds": prompts}})
        return files.draw("_count.png", self.plot())

    def to_dict(self) -> dict[str, Any]:
        """The results as plain JSON values: image, model, total, kinds, confusions, warnings, seconds.

        ``kinds`` has for each name count, low, high, untrusted, points, found and warnings, as of `CountResult`.
        """
        told = ("count", "low", "high", "untrusted", "points", "found", "warnings")
        kinds = {name: {key: each.to_dict()[key] for key in told} for name, each in self.results.items()}
        return {
            "image": self.source,
            "model": self.model,
            "total": round(self.total, 4),
            "kinds": kinds,
            "confusions": [{"kinds": list(each.kinds), "share": round(each.share, 4)} for each in self.confusions],
            "warnings": [str(each) for each in self.confusions],
            "seconds": round(self.seconds, 3),
        }

    def to_coco(self) -> dict[str, Any]:
        """The results as a COCO data set of one picture with a category a kind."""
        return points_dataset([self.annotations])

    def by_region(self, regions: Sequence[Region]) -> dict[str, list[RegionCount]]:
        """How many of each kind there are in each of some regions: see `CountResult.by_region`."""
        return {name: each.by_region(regions) for name, each in self.results.items()}

    @property
    def annotations(self) -> PointAnnotations:
        """What was found, as files for other programs are written from it: the first kind, and the others beside it."""
        first, *others = (replace(each.annotations, category=name) for name, each in self.results.items())
        return replace(first, beside=tuple(others))
