"""Deformable RoI pooling with what makes its offsets: Dai et al., ICCV 2017, figures 3 and 4; Zhu et al., CVPR 2019.

Shapes: B batch, C channels, R regions of interest, (kh, kw) bins. `likewise.ops.deform.roi_pool` has the conventions;
networks that were published sample at corners (``sample_at="corner"``).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.ops.deform.checks import pair
from likewise.ops.deform.roi_pool import SampleAt, deform_roi_pool

#: Width of the two layers before the last in DCNv2's branch, and the standard deviation of their weights at first.
BRANCH_WIDTH = 1024
BRANCH_STD = 0.01


class _Pooling(nn.Module):
    """The settings that every layer here pools with."""

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float,
        samples_per_part: int,
        gamma: float,
        sample_at: SampleAt,
    ) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = pair(output_size, "output_size", least=1), spatial_scale
        self.samples_per_part, self.gamma, self.sample_at = samples_per_part, gamma, sample_at
        self.bins = self.output_size[0] * self.output_size[1]

    def _pool(
        self,
        features: Tensor,
        rois: Tensor | Sequence[Tensor],
        offset: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        position_sensitive: bool = False,
    ) -> Tensor:
        settings = (self.output_size, self.spatial_scale, self.samples_per_part, self.gamma)
        return deform_roi_pool(
            features,
            rois,
            offset,
            *settings,
            position_sensitive=position_sensitive,
            sample_at=self.sample_at,
            mask=mask,
        )


class DeformRoIPool(_Pooling):
    """Plain pooling, a fully connected layer that reads offsets off it, and deformable pooling (Dai et al., fig. 3).

    The layer starts at zero: until it is trained this is plain pooling. The authors let it learn at 0.01 x the rate of
    the rest (`likewise.methods.dcn.parameter_groups`).

    Args:
        channels: C.
        output_size: number of bins (kh, kw), or one number for both.
        spatial_scale: features per pixel of the picture.
        samples_per_part: samples a bin and axis.
        gamma: share of the region's size that an offset of 1 stands for.
        sample_at: where in its cell a sample lies.
        classes: parts of the channels with offsets of their own; must divide them.

    Raises:
        LikewiseError: classes that do not divide the channels.

    Example:
        >>> import torch
        >>> layer = DeformRoIPool(channels=4, output_size=3)
        >>> layer(torch.rand(1, 4, 16, 16), [torch.tensor([[2.0, 2.0, 12.0, 12.0]])]).shape
        torch.Size([1, 4, 3, 3])
    """

    def __init__(
        self,
        channels: int,
        output_size: int | tuple[int, int] = 7,
        spatial_scale: float = 1.0,
        samples_per_part: int = 4,
        gamma: float = 0.1,
        sample_at: SampleAt = "centre",
        classes: int = 1,
    ) -> None:
        super().__init__(output_size, spatial_scale, samples_per_part, gamma, sample_at)
        _check_classes(classes, channels)
        self.offset = nn.Linear(channels * self.bins, 2 * classes * self.bins)
        _zero(self.offset)

    def forward(self, features: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        """Pool ``features`` (B, C, H, W) in ``rois``: (R, C, kh, kw)."""
        offset = self.offset(self._pool(features, rois).flatten(1))
        return self._pool(features, rois, offset.unflatten(1, (-1, *self.output_size)))


class DeformPSRoIPool(_Pooling):
    """Position-sensitive score maps, fields of offsets, and deformable pooling of the first (Dai et al., fig. 4).

    One 1x1 convolution makes ``out_channels * kh * kw`` score maps, another, which starts at zero, ``2 * kh * kw``
    fields a class. Pooled position-sensitively themselves, the fields give every bin its offset. Until it is trained
    this is plain position-sensitive pooling.

    Args:
        channels: C.
        out_channels: scores.
        output_size: see `DeformRoIPool`, as for the rest.
        spatial_scale: as there.
        samples_per_part: as there.
        gamma: as there.
        sample_at: as there.
        classes: parts of the scores with offsets of their own, ``out_channels`` for one each; must divide them.

    Raises:
        LikewiseError: classes that do not divide the scores.

    Example:
        >>> import torch
        >>> layer = DeformPSRoIPool(channels=4, out_channels=5, output_size=3)
        >>> layer(torch.rand(1, 4, 16, 16), [torch.tensor([[2.0, 2.0, 12.0, 12.0]])]).shape
        torch.Size([1, 5, 3, 3])
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        output_size: int | tuple[int, int] = 7,
        spatial_scale: float = 1.0,
        samples_per_part: int = 4,
        gamma: float = 0.1,
        sample_at: SampleAt = "centre",
        classes: int = 1,
    ) -> None:
        super().__init__(output_size, spatial_scale, samples_per_part, gamma, sample_at)
        _check_classes(classes, out_channels)
        self.score = nn.Conv2d(channels, out_channels * self.bins, 1)
        self.offset = nn.Conv2d(channels, 2 * classes * self.bins, 1)
        _zero(self.offset)

    def forward(self, features: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        """Score ``features`` (B, C, H, W) and pool the scores in ``rois``: (R, out_channels, kh, kw)."""
        offset = self._pool(self.offset(features), rois, position_sensitive=True)
        return self._pool(self.score(features), rois, offset, position_sensitive=True)


class ModulatedDeformRoIPool(_Pooling):
    """Deformable pooling whose bins are weighed too: DCNv2's (Zhu et al., section 3.2).

    A branch reads the plainly pooled features through two fully connected layers with ReLU (1024 wide, weights from
    N(0, 0.01)) and a third, which starts at zero: two offsets and one modulation a bin. The modulation is a sigmoid,
    so that every bin counts half at first; ``modulation_scale=2`` lets it start at 1.

    Args:
        channels: C.
        output_size: see `DeformRoIPool`, as for the rest.
        spatial_scale: as there.
        samples_per_part: as there.
        gamma: as there.
        sample_at: as there.
        modulation_scale: what the sigmoid is multiplied by.
        width: of the branch.
    """

    def __init__(
        self,
        channels: int,
        output_size: int | tuple[int, int] = 7,
        spatial_scale: float = 1.0,
        samples_per_part: int = 4,
        gamma: float = 0.1,
        sample_at: SampleAt = "centre",
        modulation_scale: float = 1.0,
        width: int = BRANCH_WIDTH,
    ) -> None:
        super().__init__(output_size, spatial_scale, samples_per_part, gamma, sample_at)
        self.modulation_scale = modulation_scale
        first, second = nn.Linear(channels * self.bins, width), nn.Linear(width, width)
        for layer in (first, second):
            nn.init.normal_(layer.weight, std=BRANCH_STD)
            nn.init.zeros_(layer.bias)
        last = nn.Linear(width, 3 * self.bins)
        _zero(last)
        self.branch = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)

    def forward(self, features: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        """Pool ``features`` (B, C, H, W) in ``rois``: (R, C, kh, kw)."""
        fields = self.branch(self._pool(features, rois).flatten(1)).unflatten(1, (3, *self.output_size))
        return self._pool(features, rois, fields[:, :2], self.modulation_scale * fields[:, 2:].sigmoid())


def _check_classes(classes: int, channels: int) -> None:
    if classes < 1 or channels % classes:
        raise LikewiseError(f"classes = {classes}: expected a divisor of {channels} channels")


def _zero(layer: nn.Linear | nn.Conv2d) -> None:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
