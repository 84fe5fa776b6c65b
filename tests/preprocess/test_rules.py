"""What a network is shown: torchvision's normalisation, and back."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import functional

from likewise.preprocess.rules import Preprocess


def test_normalizing_is_torchvisions_and_can_be_undone() -> None:
    rules = Preprocess(mean=(0.5, 0.25, 0.125), std=(0.5, 0.3, 0.2))
    image = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    normalized = rules.normalised(image)
    torch.testing.assert_close(normalized, functional.normalize(image, list(rules.mean), list(rules.std)))
    torch.testing.assert_close(rules.denormalised(normalized), image)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_result_has_the_pictures_type(dtype: torch.dtype) -> None:
    assert Preprocess().normalised(torch.rand(3, 4, 4).to(dtype)).dtype == dtype


def test_a_network_cast_to_bfloat16_still_takes_the_mean_off_exactly() -> None:
    image = torch.tensor(Preprocess().mean).view(3, 1, 1).expand(3, 2, 2)
    assert not Preprocess().normalised(image).any()
    rounded = torch.tensor(Preprocess().mean).bfloat16().view(3, 1, 1)
    assert float((image - rounded).abs().max()) > 0.2 / 255  # what a buffer would be off by, in grey values
