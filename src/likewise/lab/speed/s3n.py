"""S3N's peaks, saliency and sampling for a batch of pictures, against a loop over pictures and peaks.

The loop does what its definition says, one picture after another: it finds the picture's peaks, draws one Gaussian a
peak over the whole map and adds it to the discriminative and to the complementary saliency, pads each, convolves it
with the 61 x 61 kernel three times, and samples. Responses are smooth fields, whose number of peaks is that of real
ones; every peak enters both maps, as in the first stage of training. The last step, looking up the pixels, is the same
call of torch's in both, so the rows tell the time with it and without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.lab.speed.timing import Comparison, aimed, interleave
from likewise.ops.response_peaks import response_peaks
from likewise.ops.saliency_sampling import attention_bumps, saliency_grid, sample_by_saliency

PICTURES = 16
SIZE = 448
CELLS = 31
REACH = 30
FWHM = 13.0
BASE = 0.09
RADII = (0.09, 0.3)
#: Wanted of finding the peaks and placing the samples, at least.
AIM = 20.0


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """Two rows: from the response maps to the sampling grids, and to the sampled pictures."""
    pictures, size = (2, 32) if quick else (PICTURES, SIZE)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(pictures, 3, size, size, generator=generator)
    response = smooth_responses(pictures, generator)
    peaks = int(response_peaks(response).sum())
    ways: tuple[tuple[str, Callable[[], Tensor], Callable[[], Tensor]], ...] = (
        ("peaks and sampling grids", lambda: grids(response), lambda: looped_grids(response)),
        ("the same, and the pictures", lambda: sampled(image, response), lambda: looped_sampled(image, response)),
    )
    # in a picture of noise the pixels next to each other differ by all there is
    for (what, mine, theirs), aim, tolerance in zip(ways, (AIM, None), (1e-4, 1e-2), strict=True):
        seconds = interleave(mine, theirs, 1 if quick else 5)
        yield Comparison(
            what=f"s3n, {what}",
            shape=f"{pictures} × {size} × {size}, {peaks} peaks",
            against="a loop over pictures and peaks",
            threads=threads,
            ratio=seconds[1] / seconds[0],
            error=float((mine() - theirs()).abs().max()),
            aim=None if aim is None else aimed(aim, threads, quick=quick),
            tolerance=tolerance,
        )


def smooth_responses(pictures: int, generator: torch.Generator) -> Tensor:
    """(B, 31, 31) from 0 to 1: random fields at a trunk's 14 x 14 places, enlarged as responses are."""
    maps = torch.rand(pictures, 1, 14, 14, generator=generator)
    maps = F.interpolate(maps, (CELLS, CELLS), mode="bilinear", align_corners=True)[:, 0]
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low)


def saliencies(response: Tensor) -> list[Tensor]:
    """The discriminative and the complementary saliency (B, 31, 31) by the operators."""
    peaks = response_peaks(response)
    cells, height = peaks.nonzero(), response[peaks]
    shape = (len(response), CELLS, CELLS)
    return [
        BASE + attention_bumps(cells, weight, CELLS * radius * height.sqrt(), shape)
        for weight, radius in zip((height, 1 / height), RADII, strict=True)
    ]


def grids(response: Tensor) -> Tensor:
    """(2, B, 31, 31, 2) by the operators."""
    return torch.stack([saliency_grid(s, reach=REACH, fwhm=FWHM) for s in saliencies(response)])


def sampled(image: Tensor, response: Tensor) -> Tensor:
    """(2, B, 3, H, W) by the operators."""
    return torch.stack([sample_by_saliency(image, s, reach=REACH, fwhm=FWHM) for s in saliencies(response)])


def looped_grids(response: Tensor) -> Tensor:
    """The same as `grids`, one picture and one peak after another."""
    each = [[_grid(saliency) for saliency in _looped_saliencies(picture)] for picture in response]
    return torch.stack([torch.stack(maps) for maps in zip(*each, strict=True)])


def looped_sampled(image: Tensor, response: Tensor) -> Tensor:
    """The same as `sampled`, one picture and one peak after another."""
    each = [
        [_sample(picture, _grid(saliency)) for saliency in _looped_saliencies(field)]
        for picture, field in zip(image, response, strict=True)
    ]
    return torch.stack([torch.stack(maps) for maps in zip(*each, strict=True)])


def _looped_saliencies(response: Tensor) -> list[Tensor]:
    highest = F.max_pool2d(response[None, None], 3, stride=1, padding=1)[0, 0]
    peaks = ((response == highest) & (response >= response.mean())).nonzero().tolist()
    rows, columns = torch.meshgrid(torch.arange(CELLS), torch.arange(CELLS), indexing="ij")
    maps = [torch.full((CELLS, CELLS), BASE) for _ in RADII]
    for row, column in peaks:
        height = float(response[row, column])
        distance = (rows - row) ** 2 + (columns - column) ** 2
        for index, weight in enumerate((height, 1 / height)):
            width = CELLS * RADII[index] * math.sqrt(height)
            maps[index] += weight * torch.exp(-distance / (2 * width**2))
    return maps


def _grid(saliency: Tensor) -> Tensor:
    axis = torch.arange(2 * REACH + 1) - REACH
    distance = axis[:, None] ** 2 + axis[None] ** 2
    kernel = torch.exp(-4 * math.log(2) * distance / FWHM**2)[None, None]
    place = torch.arange(-REACH, CELLS + REACH) / (CELLS - 1)
    padded = F.pad(saliency[None, None], (REACH,) * 4, mode="replicate")
    mass, x, y = (F.conv2d(part, kernel)[0, 0] for part in (padded, padded * place, padded * place[:, None]))
    return (2 * torch.stack([x / mass, y / mass], dim=-1) - 1).clamp(-1, 1)


def _sample(picture: Tensor, grid: Tensor) -> Tensor:
    size = (picture.shape[1], picture.shape[2])
    fine = F.interpolate(grid.permute(2, 0, 1)[None].contiguous(), size, mode="bilinear", align_corners=True)
    return F.grid_sample(picture[None], fine.permute(0, 2, 3, 1), align_corners=True)[0]
