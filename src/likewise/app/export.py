"""A project in the forms other programs read: a table, and those of `likewise.results.formats`.

Convention
----------
Points and boxes are in pixels of the upright picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from likewise.app.project import ProjectPicture
from likewise.app.strokes import check_all_masks, marked
from likewise.boxes import mask_box
from likewise.errors import LikewiseError
from likewise.ops.polygon import inside_polygon
from likewise.plain_text import BOM, csv_field, text_cell
from likewise.results.annotations import NAMELESS, MaskAnnotation, PointAnnotations
from likewise.results.formats import FORMATS, Format, format_of, write_many
from likewise.results.segment import LEAST_PART
from likewise.types import UNTRUSTED, Prompt, Task

COUNT_COLUMNS = (
    "image",
    "count",
    "predicted",
    "low",
    "high",
    "untrusted",
    "by",
    "added",
    "removed",
    "points",
    "model",
    "seconds",
)
#: Columns of each of several kinds, followed by its name, as ``likewise count`` has them.
KIND_COLUMNS = ("count", "low", "high", "untrusted", "points", "by")
REGION_COLUMNS = ("image", "region", "count", "by")
SEGMENT_COLUMNS = ("image", "area", "parts", "by", "model", "seconds")
RECOGNIZE_COLUMNS = ("image", "label", "nearest", "probability", "by", "model", "seconds")


class AnyProject(Protocol):
    """A `likewise.app.project.Project`, or what is read like one."""

    @property
    def likewise(self) -> str:
        """The version that made it."""

    @property
    def saved(self) -> str:
        """When."""

    @property
    def text(self) -> str | None:
        """What is counted in it, by name."""

    @property
    def pictures(self) -> Iterable[ProjectPicture]:
        """May be walked through more than once."""


def _always() -> None:
    """Somebody waits for it."""


def to_csv(project: AnyProject, task: str, go_on: Callable[[], None] = _always) -> str:
    """One row a picture that has an answer: of counts, areas or labels.

    ``count`` is what the workbench shows: the model's own, ``predicted``, or where a person corrected or confirmed the
    points (``by`` is "hand") their number, ``points``. ``low`` and ``high`` are about the model's own, and are empty
    where a person counted or nothing is known; ``untrusted`` says that word where the model's cannot be trusted.
    Where a picture has several kinds these are about all together, and `KIND_COLUMNS` follow for each kind there is.
    ``label`` is the name that a person gave the picture, else the model's; ``nearest`` is the model's in any case.
    Spreadsheets open it as it is: a byte order mark comes before letters beyond ASCII, and no cell is computed.

    Args:
        project: pictures with what was found in them.
        task: whose answers.
        go_on: called before each picture; raises where nobody waits for it any more.

    Raises:
        LikewiseError: masks that do not fit their pictures, or are too many or too large to be drawn.
    """
    if task == "segment":
        check_all_masks(project.pictures)
    columns, row = {
        "count": (COUNT_COLUMNS, _count_row),
        "segment": (SEGMENT_COLUMNS, _segment_row),
        "recognize": (RECOGNIZE_COLUMNS, _recognize_row),
    }[task]
    kinds = _kind_names(project) if task == "count" else []
    told = [f"{column}_{name}" for name in kinds for column in KIND_COLUMNS]
    rows = [
        (*found, *_kind_cells(picture, kinds))
        for picture in _one_by_one(project, go_on)
        if (found := row(picture)) is not None
    ]
    return _table(((*columns, *told), *rows))


def _kind_names(project: AnyProject) -> list[str]:
    """Of all kinds in the order in which they come, where a picture has several."""
    return list(dict.fromkeys(name for picture in project.pictures for name in picture.parts))


def _kind_cells(picture: ProjectPicture, names: Sequence[str]) -> Iterator[Any]:
    """What a picture shows of each kind, `KIND_COLUMNS`; nothing where it was not asked for it."""
    parts = picture.parts
    for name in names:
        part = parts.get(name)
        if part is None or part.count is None:
            yield from [""] * len(KIND_COLUMNS)
            continue
        count, _, low, high, untrusted, by = _told(part)
        yield from (count, low, high, untrusted, len(part.kept) + len(part.added), by)


def to_region_csv(project: AnyProject, go_on: Callable[[], None] = _always) -> str:
    """One row a region of each counted picture that has some: how many points lie in it, after correction.

    Where a picture of the project has several kinds there is a row a kind, and a column with its name.

    Args:
        project: pictures with what was found in them.
        go_on: called before each picture; raises where nobody waits for it any more.

    Raises:
        LikewiseError: a region without an inside.
    """
    several = bool(_kind_names(project))
    rows: list[tuple[Any, ...]] = [(*REGION_COLUMNS, *["kind"] * several)]
    for picture in _one_by_one(project, go_on):
        if not picture.regions:
            continue
        for name, part in (picture.parts or {picture.text or NAMELESS: picture}).items():
            if part.count is not None:
                rows += [(*row, *[name] * several) for row in _region_rows(part)]
    return _table(rows)


def _region_rows(picture: ProjectPicture) -> Iterator[tuple[Any, ...]]:
    points = torch.tensor([*(p for p, _ in picture.kept), *picture.added], dtype=torch.float64).reshape(-1, 2)
    by = "hand" if picture.by_hand else "model"
    for region in picture.regions:
        corners = torch.tensor(region.corners, dtype=torch.float64)
        yield picture.name, region.name, int(inside_polygon(points, corners).sum()), by


def _table(rows: Iterable[Sequence[Any]]) -> str:
    cells = [["" if cell is None else text_cell(cell) for cell in row] for row in rows]
    table = "".join(",".join(map(csv_field, row)) + "\r\n" for row in cells)
    return table if table.isascii() else BOM.decode() + table


def to_format(project: AnyProject, task: Task, form: str, go_on: Callable[[], None] = _always) -> bytes:
    """What every picture that has an answer shows, in a form that other programs read.

    What a person removed is left out, and what was brushed by hand is in. In a COCO file each annotation says in
    ``attributes.by`` whether the "model" or a person ("hand") put it there, and ``images[].predicted`` is the model's
    own count. Where a form has a file for each picture, it is an archive of those.

    Args:
        project: pictures with what was found in them.
        task: whose answers.
        form: a name in `likewise.results.formats.FORMATS`.
        go_on: called before each picture; raises where nobody waits for it any more.

    Raises:
        LikewiseError: no such form, or one of what a project does not hold; masks that do not fit their pictures, or
            are too many or too large to be drawn.
    """
    written = format_of(task, form)
    if form not in project_forms(task):
        raise LikewiseError(f"a project holds no {written.needs}, which {form} needs; write it with likewise count")
    if task == "segment":
        check_all_masks(project.pictures)
    annotated = {"count": _points, "segment": _mask}[task]
    done = {"count": "counted", "segment": "segmented"}[task]
    info = {"description": f"{done} with likewise", "version": project.likewise, "date_created": project.saved}
    found = (annotated(picture, project.text) for picture in _one_by_one(project, go_on))
    with TemporaryDirectory() as folder:
        path = Path(folder) / written.file
        write_many(written, (each for each in found if each is not None), info, path)
        return path.read_bytes()


def project_forms(task: Task) -> dict[str, Format]:
    """The forms in which a project's answers can be written: those that need neither coordinates nor densities."""
    return {name: form for name, form in FORMATS[task].items() if not form.needs}


def _one_by_one(project: AnyProject, go_on: Callable[[], None]) -> Iterator[ProjectPicture]:
    for picture in project.pictures:
        go_on()
        yield picture


def _count_row(picture: ProjectPicture) -> tuple[Any, ...] | None:
    if picture.count is None:
        return None
    found = picture.prediction
    source = (found.model, f"{found.seconds:.3f}") if found else ("", "")
    added = len(picture.additions)
    return (picture.name, *_told(picture), added, picture.removals, len(picture.kept) + added, *source)


def _told(picture: ProjectPicture) -> list[str]:
    """The cells count, predicted, low, high, untrusted and by."""
    found, predicted = picture.prediction, picture.prediction and picture.prediction.count
    values = [picture.count, predicted, *((found.low, found.high) if found else (None, None))]
    told = ["" if value is None else f"{value:.4f}" for value in values]
    if picture.by_hand:
        whole = all(part.by_hand for part in picture.parts.values())
        return [f"{picture.count:.0f}" if whole else told[0], told[1], "", "", "", "hand"]
    return [*told, UNTRUSTED if found and found.untrusted else "", "model"]


def _segment_row(picture: ProjectPicture) -> tuple[Any, ...] | None:
    found = picture.segmented
    if picture.brushed:
        hand = marked(picture)
        return None if hand is None else (picture.name, *_measured(hand.mask), "hand", "", "")
    if found is None:
        return None
    return picture.name, f"{found.area:.6f}", len(found.boxes), "model", found.model, f"{found.seconds:.3f}"


def _measured(mask: NDArray[np.bool_]) -> tuple[str, int]:
    """Area and number of parts, as `likewise.results.SegmentResult` measures them, in five bytes a pixel."""
    area = np.count_nonzero(mask) / mask.size
    x0, y0, x1, y1 = mask_box(mask) or (0, 0, 1, 1)
    parts, count = ndimage.label(mask[y0:y1, x0:x1], np.ones((3, 3)))
    sizes = np.zeros(count + 1, dtype=np.int64)
    for rows in np.array_split(parts, 8):  # bincount makes a copy in int64
        sizes += np.bincount(rows.ravel(), minlength=count + 1)
    return f"{area:.6f}", int(np.count_nonzero(sizes[1:] >= LEAST_PART * mask.size))


def _recognize_row(picture: ProjectPicture) -> tuple[Any, ...] | None:
    found, hand = picture.recognized, picture.label
    if found is None:
        return None if hand is None else (picture.name, hand, "", "", "hand", "", "")
    by = "model" if hand is None else "hand"
    told = (found.nearest or found.label, f"{found.probability:.4f}", by, found.model, f"{found.seconds:.3f}")
    return (picture.name, hand or found.label, *told)


def _points(picture: ProjectPicture, text: str | None) -> PointAnnotations | None:
    """The points as corrected, of several kinds those of each; None where nothing was counted."""
    parts = picture.parts or {picture.text or text or NAMELESS: picture}
    found = [_part_points(part, name) for name, part in parts.items() if part.count is not None]
    return replace(found[0], beside=tuple(found[1:])) if found else None


def _part_points(picture: ProjectPicture, category: str) -> PointAnnotations:
    # boxes and corners in a file may be anything
    prompt = Prompt(picture.exemplars, picture.negatives, picture.text or None, picture.region)
    points = [*(point for point, _ in picture.kept), *picture.added]
    scores = [*(score for _, score in picture.kept), *([1.0] * len(picture.added))]
    return PointAnnotations(
        name=picture.name,
        size=(picture.width, picture.height),
        count=picture.count or 0.0,
        points=np.array(points, dtype=np.float32).reshape(-1, 2),
        scores=np.array(scores, dtype=np.float32),
        exemplars=prompt.exemplars,
        object_size=picture.object_size,
        category=category,
        by=("model",) * len(picture.kept) + ("hand",) * len(picture.added),
        predicted=None if picture.prediction is None else picture.prediction.count,
        negatives=prompt.negatives,
        region=prompt.region,
    )


def _mask(picture: ProjectPicture, _: str | None) -> MaskAnnotation | None:
    """The same of a mask."""
    found = marked(picture)
    if found is None:
        return None
    return MaskAnnotation(picture.name, found.mask, mask_box(found.mask) or (0, 0, 0, 0), found.by)
