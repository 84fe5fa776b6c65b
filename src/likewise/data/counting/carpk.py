"""CARPK and PUCPR+ as published: cars on parking lots, from a drone and from a tower.

Source: Hsieh et al., "Drone-based Object Counting by Spatially Regularized Regional Proposal Network", ICCV 2017. The
devkits, ``CARPK_devkit`` and ``PUCPR+_devkit``, hold ``data`` with ``Images/NAME.png`` (or ``.jpg``),
``Annotations/NAME.txt``, a car a line as five integers ``x0 y0 x1 y1 label``, and ``ImageSets/train.txt`` and
``test.txt``, a picture's name a line.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from likewise.boxes import box_centres, box_sizes
from likewise.data.counting.sample import CountSample
from likewise.data.images import read_image
from likewise.errors import LikewiseError, nearest

#: What a devkit's folder ``data`` holds.
FOLDERS = ("Images", "Annotations", "ImageSets")
#: Where that folder may be below what is given: it itself, what is in a devkit, or in a folder with one devkit.
PLACES = (".", "data", "CARPK_devkit/data", "PUCPR+_devkit/data")
#: Endings of the pictures, in the order in which they are looked for.
ENDINGS = (".png", ".jpg", ".jpeg")
PROMPT = "cars"


class CARPK(Dataset[CountSample]):
    r"""The pictures of CARPK, or of PUCPR+, each with the box of every car; a point is the centre of its box.

    Convention: the files' integers are taken as they stand, as the edges x0, y0, x1, y1 of a box in pixels. Where a box
    reaches over the picture's border it is cut there; no car is left out.

    The sets come without exemplars. ``exemplars`` takes a picture's own boxes for them, which a counter by example has
    to be shown: where that many cars are is then told. Counters by example whose numbers on these sets are published
    were shown boxes of training pictures, so those numbers are not to be compared with these.

    Args:
        root: the folder ``data`` of a devkit, the devkit, or the folder it is in.
        split: a file of ``ImageSets``: "train" or "test"; None: the pictures of all of them.
        exemplars: boxes of each picture that become its exemplars: those nearest to the median of its boxes'
            sqrt(width x height), of equals the first in the file; 0: none.

    Raises:
        LikewiseError: a folder, list, annotation or picture is missing; an unknown split; a line of an annotation that
            is not five integers with x0 < x1 and y0 < y1, named by file and line; ``exemplars`` below 0. Reading one
            sample: a broken picture, or a box that lies outside it.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as name:
        ...     root = Path(name)
        ...     for folder in ("Images", "Annotations", "ImageSets"):
        ...         (root / folder).mkdir()
        ...     Image.new("RGB", (90, 60)).save(root / "Images" / "1.png")
        ...     written = (root / "Annotations" / "1.txt").write_text("10 10 20 20 1\n40 30 50 45 1\n")
        ...     written = (root / "ImageSets" / "test.txt").write_text("1\n")
        ...     CARPK(root, "test", exemplars=1)[0].count
        2.0
    """

    def __init__(self, root: str | Path, split: str | None = None, *, exemplars: int = 0) -> None:
        if exemplars < 0:
            raise LikewiseError(f"exemplars = {exemplars}: expected at least 0")
        self.root = devkit_data(root)
        self.exemplars = exemplars
        lists = {path.stem: path for path in sorted((self.root / "ImageSets").glob("*.txt"))}
        if split is not None and split not in lists:
            raise LikewiseError(f"{self.root / 'ImageSets'} has no split {split!r}{nearest(split, lists)}")
        chosen = lists.values() if split is None else [lists[split]]
        lines = (line.strip() for path in chosen for line in path.read_text(encoding="utf-8").splitlines())
        stems = dict.fromkeys(line for line in lines if line)
        if not stems:
            raise LikewiseError(
                f"{self.root / 'ImageSets'} names no picture; expected one a line in train.txt or test.txt"
            )
        self.pictures = tuple(_picture(self.root / "Images", stem) for stem in stems)
        self.boxes = tuple(read_boxes(self.root / "Annotations" / f"{stem}.txt") for stem in stems)

    @property
    def names(self) -> tuple[str, ...]:
        """The picture of every sample."""
        return tuple(path.name for path in self.pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> CountSample:
        path = self.pictures[index]
        image = torch.from_numpy(read_image(path)).permute(2, 0, 1)
        limit = torch.tensor([image.shape[2], image.shape[1]], dtype=torch.float32).repeat(2)
        boxes = torch.minimum(self.boxes[index].clamp(min=0.0), limit)
        outside = ((boxes[:, 2:] - boxes[:, :2]) <= 0).any(dim=1)
        if bool(outside.any()):
            line = int(outside.nonzero()[0]) + 1
            raise LikewiseError(
                f"{path.name} is {image.shape[2]} x {image.shape[1]} pixels; box {line} of its annotation lies outside"
            )
        return CountSample(
            image=image,
            points=box_centres(boxes),
            boxes=boxes,
            exemplars=typical_boxes(boxes, self.exemplars),
            name=path.name,
            prompt=PROMPT,
        )


def devkit_data(root: str | Path) -> Path:
    """The folder with ``Images``, ``Annotations`` and ``ImageSets``, in a folder or in one of `PLACES` below it.

    Raises:
        LikewiseError: there is none, or both devkits are there.
    """
    found = [Path(root) / place for place in PLACES if (Path(root) / place / "ImageSets").is_dir()]
    if len(found) > 1:
        raise LikewiseError(f"{root} holds {' and '.join(str(f.relative_to(root)) for f in found)}; give one of them")
    missing = [name for folder in found for name in FOLDERS if not (folder / name).is_dir()]
    if not found or missing:
        there = [path.name for path in (found[0] if found else Path(root)).glob("*")]
        lacking = " and no ".join(missing or ["ImageSets"])
        raise LikewiseError(
            f"{found[0] if found else root} has no {lacking}, which CARPK and PUCPR+ come with"
            f"{nearest(missing[0] if missing else 'ImageSets', there)}"
        )
    return found[0]


def read_boxes(path: Path) -> Tensor:
    """Boxes (N, 4) float32 xyxy of an annotation; empty lines are passed over.

    Raises:
        LikewiseError: no such file; a line that is not five integers with x0 < x1 and y0 < y1.
    """
    if not path.is_file():
        raise LikewiseError(
            f"{path.parent} has no {path.name}; expected an annotation for every picture that is listed"
        )
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    boxes = [_box(line, f"{path}, line {number}") for number, line in lines if line.strip()]
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


def typical_boxes(boxes: Tensor, count: int) -> Tensor:
    """The ``count`` boxes (K, 4) nearest to the median sqrt(width x height), of equals the first; K <= count."""
    if not count or not len(boxes):
        return boxes[:0]
    sizes = box_sizes(boxes)
    return boxes[(sizes - sizes.quantile(0.5)).abs().argsort(stable=True)[:count]]


def _box(line: str, where: str) -> list[int]:
    try:
        x0, y0, x1, y1, _ = (int(word) for word in line.split())
    except ValueError:
        raise LikewiseError(f"{where} is {line.strip()!r}; expected five integers: x0 y0 x1 y1 label") from None
    if x0 >= x1 or y0 >= y1:
        raise LikewiseError(f"{where} is {line.strip()!r}; expected x0 < x1 and y0 < y1")
    return [x0, y0, x1, y1]


def _picture(folder: Path, stem: str) -> Path:
    for ending in ENDINGS:
        if (folder / f"{stem}{ending}").is_file():
            return folder / f"{stem}{ending}"
    raise LikewiseError(f"{folder} has no {stem}.png{nearest(f'{stem}.png', (p.name for p in folder.iterdir()))}")
