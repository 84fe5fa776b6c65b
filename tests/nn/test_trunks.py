"""Trunks against the networks they are cut from."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file

from likewise.methods.spdcn.scale_prior import ScalePriorConv, ScalePriorTrunk
from likewise.nn.trunks import (
    StageInfo,
    at_grid,
    channels_at_stride,
    load_mobilenetv2,
    mobilenetv2_stages,
    vgg19_stages,
)


def randomise_norms(net):
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.weight.data, module.running_var):
                values.uniform_(0.5, 1.5)
            for values in (module.bias.data, module.running_mean):
                values.normal_(std=0.3)


def test_mobilenetv2_stages_are_timms_and_say_their_shapes():
    source = timm.create_model("mobilenetv2_100", pretrained=False, pad_type="same").eval()
    randomise_norms(source)
    stages, infos = mobilenetv2_stages()
    load_mobilenetv2(stages, source.state_dict())
    whole = timm.create_model("mobilenetv2_100", pretrained=False, pad_type="same", features_only=True).eval()
    whole.load_state_dict(source.state_dict(), strict=False)  # the head is left out on purpose
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        expected = whole(x)[:4]
        for stage, info, features in zip(stages, infos, expected, strict=True):
            x = stage(x)
            torch.testing.assert_close(x, features, rtol=1e-3, atol=1e-3)
            assert tuple(x.shape[1:]) == (info.channels, 64 // info.stride, 96 // info.stride)


def test_vgg19_with_ordinary_last_convolutions_is_torchvisions():
    theirs = torchvision.models.vgg19()
    trunk = ScalePriorTrunk("vgg19", "none", 32).eval()
    for conv in theirs.features:
        if isinstance(conv, torch.nn.Conv2d):
            torch.nn.init.normal_(conv.bias, std=0.1)
    for replaced in (2, 7, 16, 25):
        theirs.features[replaced].bias.data.zero_()  # the original drops the bias of what it replaces
    trunk.load_imagenet(theirs.state_dict())
    x = torch.randn(1, 3, 32, 48)
    with torch.inference_mode():
        torch.testing.assert_close(
            trunk(trunk.start(x, x.shape, 8), torch.ones(1, 2))[0], theirs.features[:27](x), rtol=1e-3, atol=1e-4
        )  # to conv4_4


def test_vgg19_stages_say_their_shapes():
    stages, infos = vgg19_stages()
    x = torch.randn(1, 3, 32, 48)
    with torch.inference_mode():
        for stage, info in zip(stages, infos, strict=True):
            x = stage(x)
            assert tuple(x.shape[1:]) == (info.channels, 32 // info.stride, 48 // info.stride)


@pytest.mark.parametrize(("stride", "channels"), [(4, 5 * 4), (8, 5), (16, 5)])
def test_stages_are_brought_to_one_grid_without_losing_places(stride, channels):
    stage = torch.randn(2, 5, 64 // stride, 96 // stride)
    joined = at_grid(stage, (8, 12))
    assert tuple(joined.shape) == (2, channels, 8, 12)
    assert channels_at_stride(StageInfo(5, stride), 8) == channels
    if stride == 4:  # every value of the finer stage is still there
        assert torch.equal(joined.flatten().sort().values, stage.flatten().sort().values)


def test_shared_imagenet_weights_give_their_recorded_answers_through_the_stages(data_dir):
    folder = data_dir / "weights"
    state = load_file(folder / "mobilenetv2_100.safetensors")
    whole = timm.create_model("mobilenetv2_100", pretrained=False, pad_type="same").eval()
    whole.load_state_dict(state, strict=True)
    stages, _ = mobilenetv2_stages()
    load_mobilenetv2(stages, state)
    expected = np.load(folder / "check" / "expected_logits.npz")
    assert len(json.loads((folder / "check" / "expected.json").read_text())) >= 8
    for name in expected.files:
        picture = np.asarray(Image.open(folder / "check" / f"{name}.png").convert("RGB"), dtype=np.float32)
        x = torch.from_numpy(picture / 127.5 - 1).permute(2, 0, 1)[None]
        with torch.inference_mode():
            for stage in stages:
                x = stage(x)
            rest = whole.blocks[6](whole.blocks[5](x))
            logits = whole.forward_head(whole.bn2(whole.conv_head(rest)))[0]
        assert float((logits - torch.from_numpy(expected[name])).abs().max()) < 1e-2


@pytest.mark.parametrize("use_size", [True, False])
def test_scale_prior_block_starts_as_an_ordinary_convolution_and_every_layer_has_a_gradient(use_size):
    block = ScalePriorConv(6, 4, use_size=use_size)
    x, size = torch.randn(2, 6, 9, 7), torch.tensor([[1.0, 2.0], [0.5, 0.3]])
    out = block(x, size)
    plain = torch.conv2d(x, block.conv.weight, padding=1)
    assert bool(((out - plain).abs() < 0.05 * plain.abs().max()).all())
    out.square().sum().backward()
    for name, parameter in block.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_scale_prior_block_looks_elsewhere_for_objects_of_another_size():
    block = ScalePriorConv(6, 4)
    torch.nn.init.normal_(block.fuse[-1].weight, std=0.5)
    x = torch.randn(1, 6, 9, 7)
    small, large = (block(x, torch.full((1, 2), s)) for s in (0.3, 3.0))
    assert not torch.allclose(small, large)
    local = ScalePriorConv(6, 4, use_size=False)
    assert torch.equal(local(x, torch.full((1, 2), 0.3)), local(x, torch.full((1, 2), 3.0)))


def test_a_deep_mobilenetv2_has_one_more_stage():
    deep, infos = mobilenetv2_stages(deep=True)
    load_mobilenetv2(deep, timm.create_model("mobilenetv2_100", pretrained=False, pad_type="same").state_dict())
    x = torch.rand(1, 3, 64, 96)
    for stage, info in zip(deep, infos, strict=True):
        x = stage(x)
        assert tuple(x.shape) == (1, info.channels, 64 // info.stride, 96 // info.stride)
    assert infos[-1].stride == 32
    assert len(mobilenetv2_stages()[0]) == len(deep) - 1
