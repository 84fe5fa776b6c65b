"""Boosting a class vector on the pictures that it was taken from: an ensemble of experts.

Source: Nguyen & Todorovic, "Feature Weighting and Boosting for Few-Shot Segmentation", ICCV 2019, section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

#: From a class vector (C,) to the margin (H, W) at every pixel of one support picture: above 0 is the thing.
Margin = Callable[[Tensor], Tensor]


def boost(start: Tensor, shots: Sequence[tuple[Margin, Tensor]], steps: int, lr: float) -> tuple[Tensor, Tensor]:
    """Let a class vector follow the gradient of its own cross-entropy, and keep every place it passes.

    Each expert is weighed by how well it segments the support pictures *before* its step: the mean intersection over
    union with their masks. Nothing of a query is looked at. Works inside ``torch.inference_mode`` where what the
    margins close over was made outside it.

    Args:
        start: (C,), the first expert.
        shots: of each support picture the margins that a vector gives, and its mask (H, W), bool.
        steps: of Adam.
        lr: its rate.

    Returns:
        ``steps`` + 1 experts (N, C), and their weights (N,); where no expert finds anything, all weigh the same.
    """
    experts, weights = [], []
    with torch.inference_mode(mode=False), torch.enable_grad():
        vector = start.detach().clone().requires_grad_()
        adam = torch.optim.Adam([vector], lr=lr)
        for step in range(steps + 1):
            margins = [margin(vector) for margin, _ in shots]
            experts.append(vector.detach().clone())
            weights.append(sum(overlap(m > 0, mask) for m, (_, mask) in zip(margins, shots, strict=True)) / len(shots))
            if step < steps:
                losses = [_cross_entropy(m, mask) for m, (_, mask) in zip(margins, shots, strict=True)]
                (vector.grad,) = torch.autograd.grad(torch.stack(losses).sum(), vector)
                adam.step()
    weighed = torch.stack([torch.as_tensor(w) for w in weights])
    return torch.stack(experts), torch.where(weighed.any(), weighed, torch.ones_like(weighed))


def overlap(found: Tensor, mask: Tensor) -> Tensor:
    """Intersection over union of two masks (H, W), bool; 0 where both are empty."""
    return (found & mask).sum() / (found | mask).sum().clamp_min(1)


def _cross_entropy(margin: Tensor, mask: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(margin, mask.to(margin.dtype))
