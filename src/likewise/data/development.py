"""The folder of data sets that the recipes of the bundled weights are given: what of it several of them use.

It holds a folder a set (``nuclei``, ``blood``, ``clothing``, ``grocery``, ...) and ImageNet weights in ``weights``.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from likewise.data.counting.folder import CountingFolder
from likewise.errors import LikewiseError

#: ImageNet weights of MobileNetV2 under timm's names, which every bundled network starts from.
IMAGENET = Path("weights") / "mobilenetv2_100.safetensors"
#: Kinds of the blood set that are boxed nearly completely; its red cells are not.
BLOOD_KINDS = ("white blood cells", "platelets")


def imagenet_trunk(data: Path) -> dict[str, Tensor]:
    """The ImageNet weights of MobileNetV2 in the folder.

    Raises:
        LikewiseError: there are none.
    """
    return load_trunk(data / IMAGENET)


def load_trunk(path: Path) -> dict[str, Tensor]:
    """ImageNet weights of MobileNetV2 in a file.

    Raises:
        LikewiseError: there is none; says how to make it.
    """
    if not path.is_file():
        raise LikewiseError(
            f"no trunk at {path}; expected ImageNet's MobileNetV2 as a safetensors file under timm's names "
            "(mobilenetv2_100), which docs/training.md tells how to make, under 'Where a bundled network starts'"
        )
    return load_file(path)


def nuclei(data: Path, split: str) -> CountingFolder:
    """The nuclei of a split, to train on or to validate."""
    return CountingFolder(data / "nuclei", split, targets="all")


def blood(data: Path, split: str) -> CountingFolder:
    """Of the blood set's split, the kinds whose boxes are complete."""
    return CountingFolder(data / "blood", split, BLOOD_KINDS, targets="all")


def red_cells(data: Path, split: str) -> CountingFolder:
    """The red cells of a split, a dot each; boxes are estimated."""
    return CountingFolder(data / "red_cells", split, targets="all")


def orchard(data: Path, split: str) -> CountingFolder:
    """Young apples and green cherries in their trees; fruit of the rows behind has no boxes."""
    return CountingFolder(data / "orchard", split, targets="all")
