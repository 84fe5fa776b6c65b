"""The experiment on digits compares what it says, and writes what it found."""

from __future__ import annotations

import csv

import pytest
import torch
from PIL import Image

from likewise.errors import LikewiseError
from likewise.lab.experiments.dcn_digits import SHOWN, TESTS, DcnDigits, rows
from likewise.recipes import recipe


def size(model):
    return sum(p.numel() for p in model.parameters())


def test_plain_and_deformable_start_as_one_and_the_wider_network_is_larger():
    nets = {}
    for name, row in rows(2).items():
        torch.manual_seed(3)
        nets[name] = row.make().eval()
    plain, wider, *moved = nets.values()
    digits = torch.rand(2, 1, 56, 56)
    for net in moved:
        torch.testing.assert_close(net(digits), plain(digits), rtol=1e-5, atol=1e-6)
        assert size(plain) < size(net) <= size(wider)


def test_one_command_trains_tests_and_draws(data_dir, tmp_path):
    experiment = recipe("dcn-digits")
    quick = {"steps": 2, "seeds": 2, "seed": 5, "batch_size": 4, "limit": 10, "warmup": 0, "progress": False}
    table = experiment.run(experiment.settings(data=data_dir, out=tmp_path, **quick))
    lines = table.read_text().splitlines()
    for name in rows(2):
        assert sum(line.startswith(f"| {name} |") for line in lines) == 2  # upright and mild
    with (tmp_path / "accuracy.csv").open() as file:
        found = list(csv.DictReader(file))
    assert len(found) == 2 * len(rows(2)) * 2 * len(TESTS)
    assert {row["seed"] for row in found} == {"5", "6"}
    assert all(float(row["accuracy"]) * 10 % 1 == pytest.approx(0) for row in found)  # of ten digits
    assert SHOWN in (tmp_path / "reach.md").read_text()
    with Image.open(tmp_path / "sampling.png") as sheet:
        assert sheet.width > 3 * sheet.height / 2  # four columns, two rows


def test_a_setting_that_would_do_nothing_is_refused(tmp_path):
    with pytest.raises(LikewiseError, match="has no ema, precision"):
        DcnDigits(data=tmp_path, ema=0.9, precision="bf16-mixed")
