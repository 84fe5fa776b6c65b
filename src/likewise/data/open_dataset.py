"""Which layout is this folder? One table of the layouts of all three tasks, and a function a task that opens them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from torch.utils.data import Dataset

from likewise.data.classification import formats
from likewise.data.classification.dataset import NamedPictures
from likewise.data.counting import fsc147, mcac, shanghaitech
from likewise.data.counting.carpk import CARPK, PLACES, PROMPT
from likewise.data.counting.folder import ANNOTATIONS, CountingFolder
from likewise.data.counting.fscd147 import FSCD147
from likewise.data.counting.fscd147 import PLACES as FSCD_PLACES
from likewise.data.counting.sample import CountSample
from likewise.data.fewshot.coco20i import Coco20i
from likewise.data.fewshot.labelled import InFolds, LabelFolder, Part
from likewise.data.fewshot.pascal5i import VOC_PLACES, Pascal5i
from likewise.errors import LikewiseError, nearest

Task = Literal["count", "segment", "recognize"]
Prompts = Literal["classes", "texts"]
Open = TypeVar("Open", bound=Callable[..., Any])

#: Stands between the parts of a mark that must all be there.
AND = " + "


@dataclass(frozen=True)
class Layout(Generic[Open]):
    """One way in which a data set lies in a folder.

    Attributes:
        name: as an error calls it.
        marks: what tells it: paths below the folder, with wildcards; one of them is enough. Of a mark ``a + b`` both
            must be there.
        open: makes the data set of a folder that has it.
        shown: its first mark as an error shows it, where that is not the mark itself.
    """

    name: str
    marks: tuple[str, ...]
    open: Open
    shown: str = ""

    def holds(self, root: Path) -> bool:
        """Whether a folder has this layout."""
        return any(all(_there(root, part) for part in mark.split(AND)) for mark in self.marks)

    def nearness(self, root: Path) -> float:
        """How much of it a folder has, in [0, 1]; a part that is there under a similar name counts for less."""
        marks = [[_similar(root, part)[0] for part in mark.split(AND)] for mark in self.marks]
        return max(sum(parts) / len(parts) for parts in marks)


@dataclass(frozen=True)
class CountChoice:
    """What of a counting set is wanted; see `open_counting`."""

    category: str | Sequence[str] | None = None
    prompts: Prompts | None = None
    exemplars: int | None = None


def open_counting(
    root: str | Path,
    split: str | None = None,
    category: str | Sequence[str] | None = None,
    *,
    prompts: Prompts | None = None,
    exemplars: int | None = None,
) -> Dataset[CountSample]:
    """The counting set in a folder: one of `COUNTING`, such as FSC-147, or a `CountingFolder` (also by its .json file).

    Args:
        root: the folder.
        split: of its splits, or None for all pictures.
        category: what to count, or None for what the exemplars show.
        prompts: of FSC-147, whether the text is the class's name, as when None, or FSC-147-D's description.
        exemplars: of CARPK and PUCPR+, which come without any, how many of a picture's own boxes become its exemplars;
            of MCAC, whose boxes are all known, how many of the best visible do (None: 3); of the others nothing: theirs
            are given.

    Raises:
        LikewiseError: a folder of none of these layouts, and what the layout's own reader refuses; several classes
            asked for of FSC-147, its prompts of another layout, or a category that a layout of one kind does not have.

    Example:
        >>> import tempfile
        >>> from likewise.scenes import SceneConfig, write_scenes
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_scenes(SceneConfig(side=(64, 96), objects=(3, 9), emoji=False), 1, folder)
        ...     type(open_counting(folder)).__name__
        'CountingFolder'
    """
    path = Path(root)
    choice = CountChoice(category, prompts, exemplars)
    if path.suffix == ".json":
        return _counting_folder(path, split, choice)
    return layout_of(path, "count", COUNTING).open(path, split, choice)


def open_labelled(root: str | Path, split: str | None = None, fold: int | None = None, part: Part = "all") -> InFolds:
    """The few-shot segmentation set in a folder: PASCAL-5i, COCO-20i, or a `LabelFolder`.

    Args:
        root: the folder.
        split: of its splits; None: "val".
        fold: one of its folds; None: the classes of all.
        part: of a fold's classes.

    Raises:
        LikewiseError: a folder of none of these layouts, and what the layout's own reader refuses.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     written = (Path(name) / "index.json").write_text('{"images": [{"image": "1.jpg", "split": "val", '
        ...         '"label": "1.png", "class_fraction": {"7": 0.5}}]}')
        ...     written = (Path(name) / "folds.json").write_text('{"folds": [{"novel": [{"id": 7, "name": "coin"}]}]}')
        ...     open_labelled(name).classes
        {7: 'coin'}
    """
    path = Path(root)
    return layout_of(path, "segment", SEGMENTATION).open(path, split or "val", fold, part)


def open_named(root: str | Path, split: str | None = None) -> NamedPictures:
    """The recognition set in a folder: CUB-200-2011, FGVC-Aircraft, Stanford Cars, an index, or a folder a class.

    Args:
        root: the folder.
        split: of its splits: "train" and "test" of CUB-200-2011 and Stanford Cars, "train", "val", "trainval" and
            "test" of FGVC-Aircraft, those that an index names, the folders train, val and test; of a plain folder of
            classes "val" is a fixed fifth of the pictures, drawn by their names, and "train" is the rest. None: every
            picture, once.

    Raises:
        LikewiseError: a folder of none of these layouts, a file that is missing or broken, an unknown split (the known
            are named), or no picture.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as name:
        ...     for label in ("apple", "pear"):
        ...         (Path(name) / label).mkdir()
        ...         Image.new("RGB", (4, 4)).save(Path(name) / label / "1.png")
        ...     open_named(name).labels
        ('apple', 'pear')
    """
    path = Path(root)
    return layout_of(path, "recognize", RECOGNITION).open(path, split)


def layout_of(root: Path, task: Task, layouts: Sequence[Layout[Open]]) -> Layout[Open]:
    """The first of a task's layouts that a folder has.

    Raises:
        LikewiseError: there is no such folder, or it has none of them: what was looked for is told, and the nearest.
    """
    found = next((layout for layout in layouts if layout.holds(root)), None)
    if found is not None:
        return found
    if not root.exists():
        siblings = [p.name for p in root.parent.iterdir() if p.is_dir()] if root.parent.is_dir() else []
        raise LikewiseError(f"no such folder: {root}{nearest(root.name, siblings)}")
    expected = ", ".join(f"{each.name} ({each.shown or each.marks[0]})" for each in reversed(layouts))
    raise LikewiseError(f"{root} has no {PICTURES[task]}; expected {expected}{_nearest_layout(root, task)}")


def _nearest_layout(root: Path, task: Task) -> str:
    """The end of a message: another task's layout that the folder has, or what it lacks of the nearest of this task."""
    for other, layouts in LAYOUTS.items():
        for layout in layouts:
            if other != task and not layout.shown and layout.holds(root):
                return f"; it is {layout.name}, which has {PICTURES[other]}"
    best = max(LAYOUTS[task], key=lambda layout: layout.nearness(root))
    if not best.nearness(root):
        return ""
    mark = max(best.marks, key=lambda m: Layout("", (m,), best.open).nearness(root))
    parts = mark.split(AND)
    missing = [part for part in parts if not _there(root, part)]
    similar = {_similar(root, part)[1] for part in missing} - {"", *(Path(part).name for part in parts)}
    instead = f"; {', '.join(sorted(similar))} is there instead" if similar else ""
    return f"; the nearest is {best.name}, of which it lacks {' and '.join(missing)}{instead}"


def _there(root: Path, part: str) -> bool:
    return next(root.glob(part), None) is not None


def _similar(root: Path, part: str) -> tuple[float, str]:
    """How near a folder comes to a part of a mark: 1 where it is there, below 1/2 where a similar name is, and that."""
    if _there(root, part):
        return 1.0, ""
    place = root / Path(part).parent
    names = [p.name for p in place.iterdir()] if "*" not in part and place.is_dir() else []
    close = difflib.get_close_matches(Path(part).name, names, n=1)
    return (difflib.SequenceMatcher(None, Path(part).name, close[0]).ratio() / 2, close[0]) if close else (0.0, "")


def _fsc147(root: Path, split: str | None, choice: CountChoice) -> Dataset[CountSample]:
    return fsc147.FSC147(root, split, _one_class(choice), prompts=choice.prompts or "classes")


def _fscd147(root: Path, split: str | None, choice: CountChoice) -> Dataset[CountSample]:
    return FSCD147(root, split, _one_class(choice), prompts=choice.prompts or "classes")


def _one_class(choice: CountChoice) -> str | None:
    category = choice.category
    if category is not None and not isinstance(category, str):
        raise LikewiseError(f"FSC-147 pictures have one class each; expected one category, got {', '.join(category)}")
    return category


def _carpk(root: Path, split: str | None, choice: CountChoice) -> Dataset[CountSample]:
    _refuse_prompts(root, choice)
    _refuse_others(root, choice, (PROMPT, PROMPT.removesuffix("s")))
    return CARPK(root, split, exemplars=choice.exemplars or 0)


def _shanghaitech(root: Path, split: str | None, choice: CountChoice) -> Dataset[CountSample]:
    _refuse_prompts(root, choice)
    _refuse_others(root, choice, (shanghaitech.PROMPT, "person"))
    return shanghaitech.ShanghaiTech(root, split)


def _mcac(root: Path, split: str | None, choice: CountChoice) -> Dataset[CountSample]:
    _refuse_prompts(root, choice)
    _refuse_others(root, choice, ())
    return mcac.MCAC(root, split, exemplars=3 if choice.exemplars is None else choice.exemplars)


def _refuse_others(root: Path, choice: CountChoice, known: Sequence[str]) -> None:
    """Refuse categories that a set of one kind of thing, or of kinds without names, does not have."""
    for category in [choice.category] if isinstance(choice.category, str) else choice.category or ():
        if category.lower() not in known:
            raise LikewiseError(f"{root} has no category {category!r}{nearest(category, known)}")


def _counting_folder(root: Path, split: str | None, choice: CountChoice) -> Dataset[CountSample]:
    _refuse_prompts(root, choice)
    return CountingFolder(root, split, choice.category)


def _refuse_prompts(root: Path, choice: CountChoice) -> None:
    if choice.prompts is not None:
        raise LikewiseError(
            f"prompts = {choice.prompts!r} is a choice that FSC-147 gives; {root} has no {fsc147.ANNOTATIONS}"
        )


def _named(read: formats.Reader, root: Path, split: str | None) -> NamedPictures:
    return formats.pictures_of(root, *read(root), split)


COUNTING: tuple[Layout[Callable[[Path, str | None, CountChoice], Dataset[CountSample]]], ...] = (
    Layout("FSCD-147", tuple(AND.join((fsc147.ANNOTATIONS, place)) for place in FSCD_PLACES), _fscd147),
    Layout("FSC-147", (fsc147.ANNOTATIONS,), _fsc147),
    Layout(
        "CARPK or PUCPR+",
        tuple(
            AND.join((Path(place) / name).as_posix() for name in ("Images", "Annotations", "ImageSets"))
            for place in PLACES
        ),
        _carpk,
    ),
    Layout(
        "ShanghaiTech",
        tuple(
            (Path(place) / folder / "images").as_posix()
            for place in shanghaitech.PLACES
            for folder in shanghaitech.SPLITS.values()
        ),
        _shanghaitech,
    ),
    Layout(
        "MCAC",
        tuple(f"{split}/*/{mcac.ANNOTATION}" for split in mcac.SPLITS),
        _mcac,
        shown=f"train/1/{mcac.ANNOTATION}",
    ),
    Layout("a counting folder", (ANNOTATIONS,), _counting_folder),
)
SEGMENTATION: tuple[Layout[Callable[[Path, str, int | None, Part], InFolds]], ...] = (
    Layout("PASCAL-5i", VOC_PLACES, Pascal5i),
    Layout("COCO-20i", ("annotations/instances_*.json",), Coco20i),
    Layout("labels in a folder", ("index.json + folds.json",), LabelFolder),
)
RECOGNITION: tuple[Layout[Callable[[Path, str | None], NamedPictures]], ...] = (
    Layout("CUB-200-2011", ("image_class_labels.txt",), partial(_named, formats.read_cub)),
    Layout("FGVC-Aircraft", ("variants.txt", "data/variants.txt"), partial(_named, formats.read_aircraft)),
    Layout("Stanford Cars", ("cars_annos.mat", "devkit/cars_meta.mat"), partial(_named, formats.read_cars)),
    Layout("an index", ("index.json + classes.json",), partial(_named, formats.read_index)),
    Layout("a folder a class", ("*/*",), partial(_named, formats.read_class_folders), shown="apple/1.jpg"),
)
LAYOUTS: dict[Task, tuple[Layout[Any], ...]] = {
    "count": COUNTING,
    "segment": SEGMENTATION,
    "recognize": RECOGNITION,
}
#: What a set of a task holds, in the words of an error.
PICTURES: dict[Task, str] = {
    "count": "pictures to count",
    "segment": "labelled pictures",
    "recognize": "named pictures",
}
