"""Digits are where they should be, and warps do what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from likewise.errors import LikewiseError
from likewise.lab.experiments.digits import Warp, load_digits, on_canvas, warped


@pytest.fixture(scope="module")
def blob():
    """A smooth, lopsided picture, so that resampling changes little and every side is another."""
    y, x = torch.meshgrid(torch.arange(56.0) - 27.5, torch.arange(56.0) - 27.5, indexing="ij")
    return torch.exp(-((x - 4) ** 2 / 60 + (y + 3) ** 2 / 25 + x * y / 120))[None, None]


@pytest.mark.parametrize(
    ("kind", "amount", "matrix"),
    [
        ("scale", 1.5, lambda s: [[1.5**s, 0], [0, 1.5**s]]),
        (
            "rotate",
            30.0,
            lambda s: [
                [math.cos(s * math.pi / 6), math.sin(s * math.pi / 6)],
                [-math.sin(s * math.pi / 6), math.cos(s * math.pi / 6)],
            ],
        ),
        ("shear", 0.4, lambda s: [[1, 0.4 * s], [0, 1]]),
    ],
)
def test_an_affine_warp_is_scipys_to_one_side_or_the_other(blob, kind, amount, matrix):
    pictures = blob.expand(8, -1, -1, -1)
    out = warped(pictures, Warp(kind, amount), torch.Generator().manual_seed(0))
    sides = []
    for side in (-1, 1):
        forward = np.array(matrix(side))  # moves (x, y) about the middle
        backward = np.linalg.inv(forward)[::-1, ::-1]  # (row, column) of the result -> of the picture
        offset = 27.5 - backward @ [27.5, 27.5]
        sides.append(affine_transform(blob[0, 0].numpy(), backward, offset, order=3))
    errors = np.array([[np.abs(o[0].numpy() - side).max() for side in sides] for o in out])
    assert (errors.min(1) < 0.02).all()
    assert (errors.max(1) > 0.1).all()
    assert set(errors.argmin(1).tolist()) == {0, 1}  # both sides come up


def test_an_elastic_warp_moves_by_its_amount_and_keeps_neighbours_together():
    ramp = torch.linspace(0, 1, 56).expand(16, 1, 56, 56)
    moved = (warped(ramp, Warp("elastic", 1.0), torch.Generator().manual_seed(3)) - ramp)[..., 10:-10, 10:-10] * 55
    assert moved.square().mean().sqrt().item() == pytest.approx(1.0, rel=0.15)
    assert (moved.diff(dim=-1).square().mean().sqrt() / moved.square().mean().sqrt()).item() < 0.3


@pytest.mark.parametrize("kind", ["scale", "rotate", "shear", "elastic"])
def test_a_seed_gives_the_same_warp_again_and_another_another(blob, kind):
    pictures = blob.expand(8, -1, -1, -1)
    first, again, other = (warped(pictures, Warp(kind, 1.3), torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_digits_stand_in_the_middle_of_the_canvas_or_where_they_are_moved():
    images = torch.randint(0, 256, (2, 28, 28), dtype=torch.uint8)
    canvas = on_canvas(images, 56, torch.tensor([[0, 0], [-4, 14]]))
    assert torch.equal(canvas[0, 0, 14:42, 14:42] * 255, images[0].float())
    assert torch.equal(canvas[1, 0, 10:38, 28:56] * 255, images[1].float())
    torch.testing.assert_close(canvas.sum() * 255, images.float().sum())


def test_the_split_is_the_files(data_dir):
    train, test = load_digits(data_dir / "digits", "train"), load_digits(data_dir / "digits", "test")
    assert (len(train), len(test)) == (8000, 2000)
    with np.load(data_dir / "digits" / "mnist_t10k.npz") as file:
        assert np.array_equal(test.images.numpy(), file["images"][4::5])
        assert np.array_equal(test.labels.numpy(), file["labels"][4::5])


@pytest.mark.parametrize(
    ("kind", "amount", "message"),
    [
        ("scales", 1.5, "no warp named 'scales'; did you mean 'scale'"),
        ("scale", 0.5, "amount = 0.5 of scale: expected a number above 1"),
        ("rotate", math.nan, "expected a number above 0"),
    ],
)
def test_a_warp_that_is_none_is_refused(kind, amount, message):
    with pytest.raises(LikewiseError, match=message):
        Warp(kind, amount)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LikewiseError, match=r"mnist_t10k\.npz"):
        load_digits(tmp_path, "test")
