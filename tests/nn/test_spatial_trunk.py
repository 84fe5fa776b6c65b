"""Any timm network as a trunk: its own features, with norms folded or not, and weights under timm's names."""

from __future__ import annotations

import pytest
import timm
import torch

from likewise.errors import LikewiseError
from likewise.nn.spatial_trunk import SpatialTrunk


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_050", "convnext_atto"])
def test_features_are_timms(name):
    torch.manual_seed(1)
    whole = timm.create_model(name, pretrained=False, num_classes=5).eval()
    trunk = SpatialTrunk(name).eval()
    trunk.load_imagenet(whole.state_dict() | {"unrelated": torch.zeros(1)})
    image = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        features = trunk(image)
        torch.testing.assert_close(features, whole.forward_features(image))
    assert features.shape[:2] == (2, trunk.channels)


def test_folding_the_norms_changes_nothing_but_that_a_batch_never_matters():
    torch.manual_seed(1)
    whole = timm.create_model("mobilenetv2_050", pretrained=False, pad_type="same")
    with torch.no_grad():
        whole.train()(torch.rand(8, 3, 64, 64))  # statistics that are not those of the start
    whole.eval()
    trunk = SpatialTrunk("mobilenetv2_050", folded=True, same_padding=True)
    trunk.load_imagenet(whole.state_dict())
    image = torch.rand(2, 3, 65, 70)
    with torch.no_grad():
        torch.testing.assert_close(trunk.eval()(image), whole.forward_features(image), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(trunk.train()(image)[:1], trunk(image[:1]), rtol=1e-3, atol=1e-4)


def test_what_is_no_convolutional_network_is_refused():
    with pytest.raises(LikewiseError, match=r"timm has no network 'resnet51'; did you mean 'resnet5\w+'"):
        SpatialTrunk("resnet51")
    with pytest.raises(LikewiseError, match=r"does not give a map of features \(B, 192, h, w\)"):
        SpatialTrunk("vit_tiny_patch16_224")


def test_weights_of_another_network_are_refused():
    other = timm.create_model("resnet26", pretrained=False).state_dict()
    with pytest.raises(LikewiseError, match="the weights are not of mobilenetv2_050"):
        SpatialTrunk("mobilenetv2_050").load_imagenet(other)
