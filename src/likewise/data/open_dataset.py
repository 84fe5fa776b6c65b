"""A counting data set by the look of its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from torch.utils.data import Dataset

from likewise.data.counting import fsc147
from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.sample import CountSample
from likewise.data.fewshot.coco20i import Coco20i
from likewise.data.fewshot.labelled import InFolds, LabelFolder, Part
from likewise.data.fewshot.pascal5i import VOC_PLACES, Pascal5i
from likewise.errors import LikewiseError


def open_counting(
    root: str | Path,
    split: str | None = None,
    category: str | Sequence[str] | None = None,
    *,
    prompts: Literal["classes", "texts"] | None = None,
) -> Dataset[CountSample]:
    """The data set in a folder: FSC-147 where its annotation file is there, else a `CountingFolder`.

    Args:
        root: the folder.
        split: of its splits, or None for all pictures.
        category: what to count, or None for what the exemplars show.
        prompts: of FSC-147, whether the text is the class's name, as when None, or FSC-147-D's description.

    Raises:
        LikewiseError: as those two do; several classes asked for of FSC-147, or its prompts of another folder.
    """
    if not (Path(root) / fsc147.ANNOTATIONS).is_file():
        if prompts is not None:
            raise LikewiseError(
                f"prompts = {prompts!r} is a choice that FSC-147 gives; {root} has no {fsc147.ANNOTATIONS}"
            )
        return CountingFolder(root, split, category)
    if category is not None and not isinstance(category, str):
        raise LikewiseError(f"FSC-147 pictures have one class each; expected one category, got {', '.join(category)}")
    return fsc147.FSC147(root, split, category, prompts=prompts or "classes")


def open_labelled(root: str | Path, split: str | None = None, fold: int | None = None, part: Part = "all") -> InFolds:
    """The few-shot segmentation set in a folder: PASCAL-5i, COCO-20i, or a `LabelFolder`.

    Args:
        root: the folder.
        split: of its splits; None: "val".
        fold: one of its folds; None: the classes of all.
        part: of a fold's classes.

    Raises:
        LikewiseError: as those do.
    """
    folder = Path(root)
    if any((folder / place).is_dir() for place in VOC_PLACES):
        return Pascal5i(folder, split or "val", fold, part)
    if (folder / "annotations").is_dir() and any((folder / "annotations").glob("instances_*.json")):
        return Coco20i(folder, split or "val", fold, part)
    return LabelFolder(folder, split or "val", fold, part)
