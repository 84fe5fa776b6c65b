"""Windows of one size over a picture, and their densities put together again, as counters by name are evaluated.

Convention
----------
Windows are half-open boxes ``(y0, x0, y1, x1)`` in whole pixels; they start at multiples of the stride, and the last
one in each direction ends flush with the picture. Densities are objects per pixel. At every pixel the weights of the
windows that cover it sum to one.

Two blends: "average" fades each window out towards its inner borders (`likewise.ops.density.tiling.blend_weights`);
"paper" is the evaluation of VLCounter and CounTX as published: window after window, the overlap with the one before
becomes (running value + new window) / 2, so that of three windows over a pixel the last weighs 1/2 and the others 1/4.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.ops.density.maps import resize_density
from likewise.ops.density.tiling import Span, blend_weights

WindowBlend = Literal["average", "paper"]

#: Windows that go through a network together.
TOGETHER = 8
#: A picture's longer side is not enlarged beyond this.
LONGEST = 8192
#: Side in pixels of the squares that `without_doubles` looks at: a patch of the published networks.
SQUARE = 16


class Windows(NamedTuple):
    """Pictures cut into windows.

    Attributes:
        content: (B N, ...), picture by picture: the windows' pixels, or what a network made of them.
        shape: of the pictures, (B, 3, H, W).
        fitted: (H', W'), the size they were brought to before they were cut.
        inside: (h, w), the picture's size in that.
    """

    content: Tensor
    shape: torch.Size
    fitted: tuple[int, int]
    inside: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """How much memory they take."""
        return self.content.nbytes

    def through(self, see: Callable[[Tensor], Tensor]) -> Windows:
        """The same windows with what ``see`` makes of their content, `TOGETHER` at a time."""
        return self._replace(content=torch.cat([see(some) for some in self.content.split(TOGETHER)]))


def window_spans(length: int, window: int, stride: int) -> list[Span]:
    """Half-open spans of ``window`` pixels that cover ``length``.

    Raises:
        LikewiseError: a window longer than the picture, or a stride outside 1 .. window.
    """
    if not 1 <= stride <= window <= length:
        raise LikewiseError(f"expected 1 <= stride <= window <= length, got {stride=}, {window=}, {length=}")
    starts = [*range(0, length - window, stride), length - window]
    return [(start, start + window) for start in starts]


def cut_windows(image: Tensor, window: int, stride: int) -> Tensor:
    """The windows of pictures, row by row of windows.

    Args:
        image: (B, C, H, W), neither side shorter than the window.
        window: side in pixels.
        stride: distance of neighbours' starts in pixels.

    Returns:
        (B, N, C, window, window).

    Example:
        >>> cut_windows(torch.rand(1, 3, 8, 20), window=8, stride=6).shape
        torch.Size([1, 3, 3, 8, 8])
    """
    rows, columns = (window_spans(length, window, stride) for length in image.shape[2:])
    return torch.stack([image[:, :, y0:y1, x0:x1] for y0, y1 in rows for x0, x1 in columns], dim=1)


def blend_windows(densities: Tensor, size: tuple[int, int], stride: int, blend: WindowBlend = "average") -> Tensor:
    """The density of whole pictures from those of their windows.

    Args:
        densities: (B, N, 1, window, window), in the order of `cut_windows`.
        size: (H, W) of the pictures.
        stride: distance of neighbours' starts in pixels.
        blend: how overlapping windows are weighted.

    Returns:
        (B, 1, H, W).

    Raises:
        LikewiseError: another number of windows than the size and stride give.

    Example:
        >>> picture = torch.rand(1, 1, 8, 20)
        >>> blended = blend_windows(cut_windows(picture, 8, 6), (8, 20), stride=6)
        >>> torch.allclose(blended, picture)
        True
    """
    window = densities.shape[-1]
    rows, columns = (window_spans(length, window, stride) for length in size)
    if densities.shape[1] != len(rows) * len(columns):
        raise LikewiseError(f"{densities.shape[1]} windows: expected {len(rows)} x {len(columns)} for {size}")
    down, across = (_weights(spans, window - stride, blend) for spans in (rows, columns))
    out = densities.new_zeros(len(densities), densities.shape[2], *size)
    pairs = [(i, j) for i in range(len(rows)) for j in range(len(columns))]
    for n, (i, j) in enumerate(pairs):
        weight = (down[i][:, None] * across[j]).to(densities)
        out[:, :, rows[i][0] : rows[i][1], columns[j][0] : columns[j][1]] += weight * densities[:, n]
    return out


def fitted(image: Tensor, window: int, multiple: int) -> tuple[Tensor, tuple[int, int]]:
    """Pictures at the scale at which their shorter side is one window.

    Both sides are rounded down to multiples of ``multiple``, as in the evaluation of VLCounter and CounTX as published.
    A strip is not enlarged beyond `LONGEST`; its edge is then drawn out at the bottom or right to fill the window.

    Args:
        image: (B, C, H, W).
        window: side of a window in pixels, a multiple of ``multiple``.
        multiple: see above.

    Returns:
        (B, C, H', W') with neither side below ``window``, and the size (h, w) of the picture in it.
    """
    sides = image.shape[2:]
    # exact, since rounding errors would take a whole multiple from a side that is one
    scale = min(Fraction(window, min(sides)), max(Fraction(1), Fraction(LONGEST, max(sides))))
    height, width = (max(1, int(side * scale / multiple)) * multiple for side in sides)
    image = _at_size(image, (height, width))
    missing = (0, max(0, window - width), 0, max(0, window - height))
    return F.pad(image, missing, mode="replicate") if any(missing) else image, (height, width)


def windows_of(
    image: Tensor, *, window: int, multiple: int, stride: int, size: tuple[int, int] | None = None
) -> Windows:
    """Pictures (B, 3, H, W) of any size and shape, fitted and cut into windows that a network can look at.

    Args:
        image: the pictures.
        window: side of a window in pixels.
        multiple: see `fitted`.
        stride: distance of windows in pixels.
        size: (height, width) that every picture is brought to instead, whatever its shape.

    Raises:
        ValueError: a size that is smaller than a window.
    """
    seen, inside = fitted(image, window, multiple) if size is None else (_at_size(image, size), size)
    cut = cut_windows(seen, window, stride).flatten(0, 1)
    return Windows(cut, image.shape, (seen.shape[2], seen.shape[3]), inside)


def check_window_rules(size: tuple[int, int] | None, square_limit: float | None, window: int) -> None:
    """See that pictures can be brought to a size, and squares be limited so; None of either is no rule.

    Raises:
        LikewiseError: a size below a window, or a limit below one object.
    """
    if size is not None and min(size) < window:
        raise LikewiseError(f"size = {size}: expected a height and a width of at least a window, {window} pixels")
    if square_limit is not None and square_limit < 1:
        raise LikewiseError(f"square_limit = {square_limit}: expected at least 1 object, or None")


def _at_size(image: Tensor, size: tuple[int, int]) -> Tensor:
    if size == tuple(image.shape[2:]):
        return image
    return F.interpolate(image, size, mode="bilinear", antialias=True)


def without_doubles(density: Tensor, limit: float) -> Tensor:
    """A density with one object less in every square of 16 x 16 pixels that holds more than ``limit``.

    It is how VLCounter is evaluated on CARPK, where such a square shows a part of one car, counted twice. What is left
    of the square's mass stays where it was, so that the sum is the published count: the sum before, less the number of
    such squares.

    Args:
        density: (B, 1, H, W) objects per pixel; squares at the far edges may be cut.
        limit: objects; at least 1, so that no square is left with less than nothing.

    Returns:
        (B, 1, H, W).
    """
    held = F.avg_pool2d(density, SQUARE, ceil_mode=True, divisor_override=1)
    kept = torch.where(held > limit, 1 - 1 / held.clamp(min=limit), 1.0)
    spread = kept.repeat_interleave(SQUARE, 2).repeat_interleave(SQUARE, 3)
    return density * spread[:, :, : density.shape[2], : density.shape[3]]


def density_of_windows(
    windows: Windows,
    texts: Tensor,
    look: Callable[[Tensor, Tensor], Tensor],
    *,
    stride: int,
    blend: WindowBlend,
    square_limit: float | None = None,
) -> Tensor:
    """The density of whole pictures from a network that sees windows of one size.

    Args:
        windows: of `windows_of`, or what was made of them.
        texts: (B, C), what is counted in each picture.
        look: from some windows' content (N, ...) and a text for each (N, C) to their densities (N, 1, window, window).
        stride: distance of windows in pixels.
        blend: see `blend_windows`.
        square_limit: what a square of the picture, as it is cut, may hold: see `without_doubles`; None: anything.

    Returns:
        (B, 1, H, W) objects per pixel.
    """
    pictures, height, width = windows.shape[0], *windows.inside
    each = len(windows.content) // pictures
    groups = zip(windows.content.split(TOGETHER), texts.repeat_interleave(each, 0).split(TOGETHER), strict=True)
    densities = torch.cat([look(some, asked) for some, asked in groups]).unflatten(0, (pictures, each))
    whole = blend_windows(densities, windows.fitted, stride, blend)[:, :, :height, :width]
    kept = whole if square_limit is None else without_doubles(whole, square_limit)
    return resize_density(kept, (windows.shape[2], windows.shape[3]))


def _weights(spans: list[Span], overlap: int, blend: WindowBlend) -> list[Tensor]:
    return paper_weights(spans) if blend == "paper" else blend_weights(spans, overlap)


def paper_weights(spans: list[Span]) -> list[Tensor]:
    """One weight vector a span: what repeated (running value + new) / 2 over overlaps comes to."""
    weights = [torch.ones(end - start) for start, end in spans]
    for k in range(1, len(spans)):
        start, end = spans[k][0], spans[k - 1][1]  # the overlap with the span before
        weights[k][: max(0, end - start)] /= 2
        for (low, high), weight in zip(spans[:k], weights[:k], strict=True):
            weight[max(start - low, 0) : max(min(end, high) - low, 0)] /= 2
    return weights
