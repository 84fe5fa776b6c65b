"""The sampler against loops that follow its definition, and against what can be said of it without computing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from likewise.ops.saliency_sampling import attention_bumps, saliency_grid, sample_by_saliency


def slow_bumps(weight: Tensor, width: Tensor) -> Tensor:
    """One picture: every bump on its own, place by place."""
    height, breadth = weight.shape
    out = torch.zeros_like(weight)
    for i, j in weight.nonzero().tolist():
        for y in range(height):
            for x in range(breadth):
                out[y, x] += weight[i, j] * math.exp(-((y - i) ** 2 + (x - j) ** 2) / (2 * float(width[i, j]) ** 2))
    return out


def slow_grid(saliency: Tensor, reach: int, fwhm: float) -> Tensor:
    """One picture: border, two-dimensional kernel and sums, as the definition says."""
    height, breadth = saliency.shape
    padded = F.pad(saliency[None, None], (reach,) * 4, mode="replicate")[0, 0]
    out = torch.zeros(height, breadth, 2, dtype=saliency.dtype)
    for i in range(height):
        for j in range(breadth):
            mass, x, y = 0.0, 0.0, 0.0
            for a in range(2 * reach + 1):
                for b in range(2 * reach + 1):
                    kernel = math.exp(-4 * math.log(2) * ((a - reach) ** 2 + (b - reach) ** 2) / fwhm**2)
                    share = float(padded[i + a, j + b]) * kernel
                    mass += share
                    x += share * (j + b - reach) / (breadth - 1)
                    y += share * (i + a - reach) / (height - 1)
            out[i, j] = torch.tensor([2 * x / mass - 1, 2 * y / mass - 1], dtype=out.dtype).clamp(-1, 1)
    return out


def bumps_of(weight: Tensor, width: Tensor) -> Tensor:
    """The bumps round all cells of maps (B, H, W) that have a weight."""
    cells = weight.nonzero()
    picture, row, column = cells.T
    return attention_bumps(cells, weight[picture, row, column], width[picture, row, column], tuple(weight.shape))


def salient(batch: int, height: int, width: int) -> Tensor:
    return 0.1 + torch.rand(batch, height, width, dtype=torch.float64) ** 4


def test_bumps_are_those_of_the_loop():
    weight = torch.rand(2, 9, 7, dtype=torch.float64) * (torch.rand(2, 9, 7) > 0.7)
    width = 0.5 + 3 * torch.rand(2, 9, 7, dtype=torch.float64)
    expected = torch.stack([slow_bumps(w, s) for w, s in zip(weight, width, strict=True)])
    torch.testing.assert_close(bumps_of(weight, width), expected)


def test_a_bump_is_as_high_as_its_weight_and_none_is_nothing():
    weight = torch.zeros(2, 31, 31)
    weight[0, 4, 20] = 0.7
    bumps = bumps_of(weight, torch.full((2, 31, 31), 2.0))
    assert float(bumps[0].max()) == float(bumps[0, 4, 20]) == pytest.approx(0.7)
    assert float(bumps[1].abs().max()) == 0.0


@pytest.mark.parametrize(("height", "width", "reach", "fwhm"), [(6, 9, 4, 3.0), (7, 5, 8, 13.0)])
def test_the_grid_is_that_of_the_loop(height, width, reach, fwhm):
    saliency = salient(3, height, width)
    expected = torch.stack([slow_grid(s, reach, fwhm) for s in saliency])
    torch.testing.assert_close(saliency_grid(saliency, reach=reach, fwhm=fwhm), expected, rtol=1e-12, atol=1e-12)


def test_the_published_grid_is_that_of_a_61_x_61_convolution():
    saliency = salient(2, 31, 31)
    axis = torch.arange(61, dtype=torch.float64) - 30
    kernel = torch.exp(-4 * math.log(2) * (axis[:, None] ** 2 + axis[None] ** 2) / 13**2)[None, None]
    place = torch.arange(-30, 61, dtype=torch.float64) / 30
    padded = F.pad(saliency[:, None], (30,) * 4, mode="replicate")
    mass, x, y = (F.conv2d(v, kernel)[:, 0] for v in (padded, padded * place, padded * place[:, None]))
    expected = (2 * torch.stack([x / mass, y / mass], -1) - 1).clamp(-1, 1)
    torch.testing.assert_close(saliency_grid(saliency), expected, rtol=1e-12, atol=1e-12)


def test_a_flat_map_leaves_the_picture_as_it_is():
    image = torch.rand(2, 3, 40, 56)
    for level in (1e-3, 0.09, 50.0):
        seen = sample_by_saliency(image, torch.full((2, 31, 31), level))
        torch.testing.assert_close(seen, image, rtol=0, atol=1e-4)
    unaligned = sample_by_saliency(image, torch.full((2, 31, 31), 0.09), aligned=False)
    assert float((unaligned - image).abs().max()) > 0.1  # the published reading is half a pixel off at the border


def test_sampling_is_grid_sample_on_the_enlarged_grid():
    image, saliency = torch.rand(2, 3, 24, 30, dtype=torch.float64), salient(2, 7, 7)
    for aligned in (True, False):
        coarse = torch.stack([slow_grid(s, 5, 4.0) for s in saliency]).permute(0, 3, 1, 2)
        grid = F.interpolate(coarse, (18, 20), mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
        expected = F.grid_sample(image, grid, align_corners=aligned)
        seen = sample_by_saliency(image, saliency, size=(18, 20), reach=5, fwhm=4.0, aligned=aligned)
        torch.testing.assert_close(seen, expected)


def test_what_is_salient_is_magnified_and_the_rest_is_still_there():
    # columns are numbered: the share of the result that shows the salient part is read off it
    ramp = torch.linspace(0, 1, 200).expand(1, 1, 200, 200)
    weight = torch.zeros(1, 31, 31)
    weight[0, 15, 8] = 1.0
    saliency = 0.09 + bumps_of(weight, torch.full((1, 31, 31), 2.8))
    row = sample_by_saliency(ramp, saliency)[0, 0, 100]
    part = (row > 8 / 30 - 0.08) & (row < 8 / 30 + 0.08)
    assert float(part.float().mean()) > 1.5 * 0.16
    assert float(row[0]) < 0.12
    assert float(row[-1]) > 0.88
    assert bool((row.diff() >= 0).all())  # nothing is folded over


def test_gradients_of_saliency_and_widths_are_those_of_finite_differences():
    image = torch.rand(1, 2, 9, 8, dtype=torch.float64)
    weight = torch.zeros(1, 6, 5, dtype=torch.float64)
    weight[0, 1, 3], weight[0, 4, 1] = 0.9, 0.6
    beta = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    free = weight.clone().requires_grad_()

    def look(beta: Tensor) -> Tensor:
        saliency = 0.09 + bumps_of(weight, 5 * beta * weight.sqrt())
        return sample_by_saliency(image, saliency, reach=4, fwhm=4.0)

    def bent(saliency: Tensor) -> Tensor:
        return sample_by_saliency(image, 0.2 + saliency, reach=4, fwhm=4.0)

    assert torch.autograd.gradcheck(look, (beta,))
    assert torch.autograd.gradcheck(bent, (free,))


def test_a_bump_without_a_width_is_one_cell():
    width = torch.tensor([0.0, 2.0], requires_grad=True)
    bumps = attention_bumps(torch.tensor([[0, 2, 2], [1, 0, 4]]), torch.tensor([0.8, 0.5]), width, (3, 5, 5))
    bumps.sum().backward()
    bumps = bumps.detach()
    assert bumps[0].nonzero().tolist() == [[2, 2]]
    assert float(bumps[0, 2, 2]) == pytest.approx(0.8)
    assert float(bumps[2].abs().max()) == 0.0
    assert bool(width.grad.isfinite().all())
    assert float(width.grad[1]) > 0  # a wider bump has more mass


def test_half_precision_pictures_are_sampled_in_full_precision():
    image, saliency = torch.rand(1, 3, 64, 64), salient(1, 31, 31).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = sample_by_saliency(image.bfloat16(), saliency)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), sample_by_saliency(image, saliency), rtol=0.02, atol=0.02)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="expected"):
        sample_by_saliency(torch.rand(2, 3, 8, 8), torch.rand(1, 4, 4))
