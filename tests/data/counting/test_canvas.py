"""The published canvas of FSC-147: the picture, its boxes and its points are where the paper has them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from likewise.data.counting.canvas import FSC147Canvas
from likewise.data.counting.sample import CountSample
from likewise.data.images import read_image


@pytest.mark.parametrize(
    ("size", "inner"),
    [
        ((384, 512), (384, 512)),
        ((384, 1000), (384, 576)),  # each side on its own
        ((384, 683), (384, 576)),
        ((384, 510), (384, 512)),
        ((384, 575), (384, 576)),
        ((700, 384), (384, 384)),
        ((384, 200), (384, 192)),
        ((600, 600), (384, 576)),
        ((97, 131), (96, 128)),
        ((5, 9), (16, 16)),
    ],
)
def test_the_canvas_holds_the_picture_shrunk_and_centred(size: tuple[int, int], inner: tuple[int, int]):
    height, width = size
    points = torch.tensor([[width * 0.25, height * 0.5], [0.0, 0.0], [width - 1e-3, height - 1e-3]])
    boxes = torch.tensor([[0.0, 0.0, width, height]]).repeat(3, 1)
    white = torch.full((3, height, width), 255, dtype=torch.uint8)
    out = FSC147Canvas()(CountSample(white, points, boxes, boxes[:1]))
    assert out.image.shape == (3, 384, 576)
    top, left = (384 - inner[0]) // 2, (576 - inner[1]) // 2
    expected = torch.zeros(384, 576, dtype=torch.uint8)
    expected[top : top + inner[0], left : left + inner[1]] = 255
    assert torch.equal(out.image, expected.expand(3, -1, -1))
    frame = torch.tensor([left, top, left + inner[1], top + inner[0]], dtype=torch.float32)
    torch.testing.assert_close(out.exemplars[0], frame)
    torch.testing.assert_close(out.points[0], torch.tensor([left + inner[1] * 0.25, top + inner[0] * 0.5]))
    torch.testing.assert_close(out.points[1], frame[:2])


def test_the_canvas_moves_dots_with_the_picture(data_dir: Path):
    """White dots are drawn into a picture; on the canvas they must be found where the points say."""
    size = read_image(data_dir / "fsc147" / "mini" / "images_384_VarV2" / "900001.jpg").shape[:2]
    points = torch.tensor([[100.5, 80.5], [300.5, 200.5], [40.5, 350.5]])
    image = torch.zeros(3, *size, dtype=torch.uint8)
    for x, y in points.long().tolist():
        image[:, y - 2 : y + 3, x - 2 : x + 3] = 255
    out = FSC147Canvas((192, 288))(CountSample(image, points, torch.full((3, 4), torch.nan), torch.zeros(0, 4)))
    grey = out.image[0].float()
    for x, y in out.points.tolist():
        window = grey[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5]
        rows, columns = torch.meshgrid(
            torch.arange(int(y) - 4, int(y) + 5), torch.arange(int(x) - 4, int(x) + 5), indexing="ij"
        )
        centre = ((columns + 0.5) * window).sum() / window.sum(), ((rows + 0.5) * window).sum() / window.sum()
        assert centre[0].item() == pytest.approx(x, abs=0.05)
        assert centre[1].item() == pytest.approx(y, abs=0.05)


def test_on_whole_pixels_boxes_are_rounded_and_dots_of_one_pixel_are_one():
    """Twice as large as the canvas, so that every coordinate is halved."""
    points = torch.tensor([[10.0, 12.0], [11.9, 12.4], [8.9, 12.0], [1151.9, 767.9], [0.0, 0.0]])
    boxes = torch.arange(20.0).view(5, 4)
    exemplars = torch.tensor([[20.8, 31.0, 60.9, 77.1], [1151.2, 0.0, 1152.0, 0.4], [1.0, 1.0, 9.0, 9.0]])
    sample = CountSample(
        torch.zeros(3, 768, 1152, dtype=torch.uint8),
        points,
        boxes,
        exemplars,
        visible=torch.arange(5.0),
        kinds=torch.arange(5),
    )
    out = FSC147Canvas(to_pixels=True, exemplars=2)(sample)
    # 5 and 5.95 are apart, 4.45 goes down to 4; the last pixel takes what rounds beyond it
    assert out.points.tolist() == [[5.5, 6.5], [6.5, 6.5], [4.5, 6.5], [575.5, 383.5], [0.5, 0.5]]
    assert out.exemplars.tolist() == [[10, 16, 30, 39], [575, 0, 576, 1]]
    merged = FSC147Canvas(to_pixels=True)(
        CountSample(sample.image, points * torch.tensor([0.1, 1.0]), boxes, exemplars, visible=sample.visible)
    )
    assert merged.points.tolist() == [[0.5, 6.5], [1.5, 6.5], [58.5, 383.5], [0.5, 0.5]]
    assert merged.visible is not None
    assert merged.visible.tolist() == [0, 1, 3, 4]
    torch.testing.assert_close(merged.boxes, boxes[[0, 1, 3, 4]] / 2)
