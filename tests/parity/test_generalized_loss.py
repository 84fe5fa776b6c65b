"""The published implementation's loss and gradient, through the loss a training run calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likewise.ops.counting_loss import generalized_loss

LOSS_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def fixture(parity_dir: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    stem = parity_dir / "generalized_loss"
    if not stem.with_suffix(".npz").is_file():
        pytest.skip(f"{stem}.npz is missing")
    with np.load(stem.with_suffix(".npz")) as arrays:
        return json.loads(stem.with_suffix(".json").read_text()), dict(arrays)


@pytest.mark.parametrize("scale", ["scale_sensitive", "fixed_scale"])
def test_loss_and_gradient_are_the_references(fixture, scale: str):
    meta, arrays = fixture
    assert meta["p"] == 1, "the cost is a distance: other exponents are not part of the loss"
    factor = meta["factor"]
    density = torch.from_numpy(arrays["density"].astype(np.float32)) / factor
    density.requires_grad_()
    # (row, column) of an annotated pixel -> x y of its centre
    points = [torch.from_numpy(np.argwhere(d[0])[:, ::-1] + 0.5).float() for d in arrays["dots"]]
    loss = generalized_loss(
        density,
        points,
        exemplar_sizes=torch.from_numpy(arrays["box_size"]) if scale == "scale_sensitive" else None,
        solver="reference",
        blur=meta["blur"],
        reach=meta["reach"],
        tau=meta["tau"],
        factor=factor,
        scaling=meta["scaling"],
    ).mean()
    loss.backward()
    assert loss.item() == pytest.approx(arrays[f"loss_{scale}"].item(), rel=LOSS_TOLERANCE)
    wanted = arrays[f"grad_{scale}"]
    error = np.abs(density.grad.numpy() / factor - wanted).max()
    assert error <= GRADIENT_TOLERANCE * np.abs(wanted).max()
