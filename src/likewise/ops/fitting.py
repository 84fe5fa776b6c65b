"""Pictures of any size brought to where a network that sees square windows can look at them.

Convention
----------
Sizes are (height, width) in pixels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

#: A picture's longer side is not enlarged beyond this.
LONGEST = 8192


def fitted(image: Tensor, window: int, multiple: int) -> tuple[Tensor, tuple[int, int]]:
    """Pictures at the scale at which their shorter side is one window.

    Both sides become multiples of ``multiple``. A strip is not enlarged beyond `LONGEST`; its edge is then drawn out
    at the bottom or right to fill the window.

    Args:
        image: (B, C, H, W).
        window: side of a window in pixels, a multiple of ``multiple``.
        multiple: see above.

    Returns:
        (B, C, H', W') with neither side below ``window``, and the size (h, w) of the picture in it.
    """
    sides = image.shape[2:]
    scale = min(window / min(sides), max(1.0, LONGEST / max(sides)))
    height, width = (max(1, round(side * scale / multiple)) * multiple for side in sides)
    if (height, width) != tuple(sides):
        image = F.interpolate(image, (height, width), mode="bilinear", antialias=True)
    missing = (0, max(0, window - width), 0, max(0, window - height))
    return F.pad(image, missing, mode="replicate") if any(missing) else image, (height, width)
