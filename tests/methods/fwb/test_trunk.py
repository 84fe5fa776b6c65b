from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torchvision.models import resnet101, vgg16_bn

from likewise.methods.fwb.trunk import DilatedTrunk


@pytest.mark.parametrize(
    ("name", "channels"), [("resnet101", (256, 2048)), ("vgg16", (128, 512)), ("mobilenetv2", (24, 288))]
)
def test_two_levels_at_strides_4_and_8_the_deep_one_signed(name, channels):
    trunk = DilatedTrunk(name).eval()
    assert trunk.channels == channels
    with torch.inference_mode():
        early, late = trunk(torch.randn(1, 3, 49, 64))
    assert early.shape == (1, channels[0], 13, 16)
    assert late.shape == (1, channels[1], 7, 8)
    assert float(late.min()) < 0 < float(late.max())


def test_a_dilated_resnet_sees_what_the_ordinary_one_sees_at_its_places():
    """Spaced-out taps on the finer grid are the ordinary network's taps on its own, at the places the two share."""
    ordinary = resnet101(weights=None).double().eval()  # the last layer is not compared: its places are one in four
    trunk = DilatedTrunk("resnet101").double().eval()
    trunk.load_imagenet(ordinary.state_dict())
    image = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.inference_mode():
        early, late = trunk(image)
        x = ordinary.maxpool(ordinary.relu(ordinary.bn1(ordinary.conv1(image))))
        torch.testing.assert_close(early, ordinary.layer1(x))
        x = ordinary.layer3(ordinary.layer2(ordinary.layer1(x)))
        kept = trunk.late.layer3(trunk.late.layer2(early))
        torch.testing.assert_close(kept[:, :, ::2, ::2], x)
    assert late.shape == (1, 2048, 8, 8)


def test_vgg_loads_torchvisions_weights_and_keeps_its_kernels():
    ordinary = vgg16_bn(weights=None)
    trunk = DilatedTrunk("vgg16")
    trunk.load_imagenet(ordinary.state_dict())
    kept = [m.weight for part in (trunk.early, trunk.late) for m in part if isinstance(m, nn.Conv2d)]
    whole = [m.weight for m in ordinary.features if isinstance(m, nn.Conv2d)]
    assert len(kept) == len(whole) == 13
    assert all(torch.equal(a, b) for a, b in zip(kept, whole, strict=True))


def test_mobilenet_loads_timms_weights_and_is_timms_network_at_stride_8():
    ordinary = timm.create_model("mobilenetv2_100", pretrained=False, pad_type="same", output_stride=8).eval()
    trunk = DilatedTrunk("mobilenetv2")
    trunk.load_imagenet(ordinary.state_dict())
    image = torch.randn(1, 3, 64, 72)
    with torch.inference_mode():
        x = ordinary.bn1(ordinary.conv_stem(image))
        for block in ordinary.blocks[:6]:
            x = block(x)
        torch.testing.assert_close(trunk(image)[1][:, -160:], x, rtol=1e-3, atol=1e-4)
