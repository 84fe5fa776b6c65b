"""Pictures fitted to windows: sizes, what they show, and strips."""

from __future__ import annotations

import pytest
import torch

from likewise.ops.fitting import LONGEST, fitted


@pytest.mark.parametrize(
    ("size", "expected"),
    [((384, 576), (384, 576)), ((192, 100), (736, 384)), ((768, 1024), (384, 512)), ((1, 1), (384, 384))],
)
def test_the_shorter_side_becomes_a_window(size, expected):
    out, inside = fitted(torch.rand(2, 3, *size), 384, 16)
    assert tuple(out.shape) == (2, 3, *expected)
    assert inside == expected


def test_a_picture_of_the_right_size_is_left_alone():
    image = torch.rand(1, 3, 384, 400)
    assert torch.equal(fitted(image, 384, 16)[0], image)


def test_a_strip_is_not_enlarged_without_end_and_its_edge_fills_the_window():
    out, inside = fitted(torch.rand(1, 1, 4, LONGEST), 64, 16)
    assert tuple(out.shape) == (1, 1, 64, LONGEST)
    assert inside == (16, LONGEST)
    assert torch.equal(out[..., 16:, :], out[..., 15:16, :].expand(-1, -1, 48, -1))
