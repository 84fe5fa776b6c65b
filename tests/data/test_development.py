"""The folder that the recipes of the bundled weights are given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from likewise.data.development import IMAGENET, blood, imagenet_trunk, nuclei
from likewise.errors import LikewiseError


def test_the_trunk_is_read_or_missed(tmp_path: Path):
    (tmp_path / "weights").mkdir()
    with pytest.raises(LikewiseError, match=r"no trunk at .*mobilenetv2_100\.safetensors; expected"):
        imagenet_trunk(tmp_path)
    save_file({"conv_stem.weight": torch.arange(4.0)}, tmp_path / IMAGENET)
    assert imagenet_trunk(tmp_path)["conv_stem.weight"].tolist() == [0, 1, 2, 3]


def test_of_the_blood_set_only_kinds_that_are_boxed_completely(data_dir: Path):
    assert {t.prompt for t in blood(data_dir, "train").targets} == {"white blood cells", "platelets"}
    assert {t.prompt for t in nuclei(data_dir, "val").targets} == {"nuclei"}
