"""Networks made deformable stay what they were; stages are those that their makers name; where a unit looks is true."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
import torchvision
from torch import nn

from likewise.errors import LikewiseError
from likewise.methods.dcn import deformable, parameter_groups
from likewise.methods.dcn.stages import find_stages
from likewise.nn.deform import DeformableConv2d
from likewise.nn.deform_roi import DeformRoIPool

TORCHVISION = ("resnet18", "resnet50", "vgg11", "mobilenet_v2", "convnext_tiny", "efficientnet_b0", "densenet121")
TIMM = ("resnet18", "mobilenetv2_050", "convnext_atto", "tf_efficientnet_b0", "regnety_002")


def build(name, device="cpu"):
    torch.manual_seed(0)
    with torch.device(device):
        if name.startswith("timm "):
            return timm.create_model(name.removeprefix("timm "), pretrained=False).eval()
        return getattr(torchvision.models, name)(weights=None).eval()


def layers(model):
    return {n: m for n, m in model.named_modules() if isinstance(m, DeformableConv2d)}


def stirred(model, std=0.02):
    """The model with offsets that are not zero."""
    for layer in layers(model).values():
        nn.init.normal_(layer.offsets.weight, std=std)
        nn.init.normal_(layer.offsets.bias, std=0.5)
    return model


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2", *(f"timm {n}" for n in TIMM)])
def test_the_output_is_the_originals_until_it_is_trained(name):
    model = build(name)
    image, before = torch.rand(2, 3, 65, 78), dict(model.named_parameters())
    with torch.inference_mode():
        expected = model(image)
        assert deformable(model, 2) is model
        out = model(image)
    assert float((out - expected).abs().max()) < 1e-5 * float(expected.abs().max())
    after = dict(model.named_parameters())
    assert all(after[n] is p for n, p in before.items())
    new = {n.rsplit(".offsets.")[0] for n in after.keys() - before.keys()}
    assert new == set(layers(model)) == {n for stage in find_stages(build(name, "meta"))[-2:] for n in stage}


def test_vgg_keeps_its_features_too():
    # without its head, which would be nearly all of the time
    trunk = torchvision.models.vgg.make_layers([8, "M", 16, "M", 16, 16, "M"])
    image = torch.rand(1, 3, 40, 40)
    with torch.inference_mode():
        expected = trunk(image)
        torch.testing.assert_close(deformable(trunk, 1)(image), expected, rtol=1e-5, atol=1e-6)
    assert list(layers(trunk)) == ["6", "8"]


def test_every_kind_of_convolution_larger_than_1x1_is_taken():
    model = deformable(build("resnet50"), 1)
    assert list(layers(model)) == ["layer4.0.conv2", "layer4.1.conv2", "layer4.2.conv2"]
    assert layers(model)["layer4.0.conv2"].stride == (2, 2)
    assert not isinstance(model.layer4[0].conv1, DeformableConv2d)  # 1 x 1
    atto = deformable(build("timm convnext_atto"), 1)
    assert layers(atto)["stages.3.blocks.0.conv_dw"].groups == 320  # depthwise
    assert layers(atto)["stages.3.downsample.1"].kernel_size == (2, 2)


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("resnet18", ["conv1", "layer1.0.conv1", "layer2.0.conv1", "layer3.0.conv1", "layer4.0.conv1"]),
        ("vgg11", ["features.0", "features.3", "features.6", "features.11", "features.16"]),
        ("convnext_tiny", ["features.0.0", "features.2.1", "features.4.1", "features.6.1"]),
        ("timm resnet18", ["conv1", "layer1.0.conv1", "layer2.0.conv1", "layer3.0.conv1", "layer4.0.conv1"]),
        ("timm vgg11", ["features.0", "features.3", "features.6", "features.11", "features.16"]),
        ("timm mobilenetv2_050", ["conv_stem", *(f"blocks.{i}.0.conv_dw" for i in (1, 2, 3, 5))]),
        ("timm regnety_002", ["stem.conv", *(f"s{i}.b1.conv2.conv" for i in (1, 2, 3, 4))]),
    ],
)
def test_stages_begin_where_they_are_known_to(name, starts):
    assert [stage[0] for stage in find_stages(build(name, "meta"))] == starts


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_stage_is_what_has_one_resolution(name):
    model, sizes = build(name, "meta"), {}
    stages = find_stages(model)
    for n, m in model.named_modules():
        if isinstance(m, nn.Conv2d):
            m.register_forward_hook(lambda _, __, out, n=n: sizes.__setitem__(n, out.shape[-1]))
    with torch.inference_mode():
        model(torch.rand(1, 3, 96, 96, device="meta"))
    found = [{sizes[n] for n in stage} for stage in stages]
    assert all(len(sides) == 1 for sides in found)
    assert sorted(map(max, found), reverse=True) == [max(sides) for sides in found]
    assert {n for stage in stages for n in stage} == {
        n for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1
    }


def test_a_network_inside_another_and_a_plain_sequence_have_stages_too():
    wrapped = nn.ModuleDict({"backbone": build("resnet18"), "head": nn.Conv2d(512, 8, 3)})
    assert find_stages(wrapped)[-1][-1] == "backbone.layer4.1.conv2"
    parts = timm.create_model("convnext_atto", pretrained=False, features_only=True)
    assert find_stages(parts)[-1][0] == "stages_3.downsample.1"
    blocks = nn.Sequential(nn.Conv2d(3, 64, 3), *build("resnet18").layer2, nn.Conv2d(128, 8, 3))
    assert [len(stage) for stage in find_stages(blocks)] == [1, 5]
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, 2), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3))
    assert find_stages(plain) == [("0",), ("1", "3")]


def test_modules_can_be_named_instead():
    model = deformable(build("resnet18"), ["layer3.1", "layer4.1.conv2"])
    assert list(layers(model)) == ["layer3.1.conv1", "layer3.1.conv2", "layer4.1.conv2"]
    assert list(layers(deformable(build("resnet18"), "layer2.0.conv2"))) == ["layer2.0.conv2"]


def test_a_convolution_that_hangs_in_two_places_is_replaced_in_both():
    shared = nn.Conv2d(4, 4, 3, padding=1)
    model = deformable(nn.Sequential(nn.Conv2d(3, 4, 3, 2), shared, nn.ReLU(), shared), "1")
    assert model[1] is model[3]
    assert isinstance(model[1], DeformableConv2d)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (6, r"stages = 6: ResNet has 5 stages .*\(1: conv1 \.\. conv1; .*5: layer4\.0\.conv1 \.\. layer4\.1\.conv2\)"),
        (0, "stages = 0: .*expected 1 to 5, or the names of modules"),
        ("layer5", r"no module named 'layer5'; did you mean 'layer\d'\?"),
        ("fc", r"fc \(Linear\) has no convolution larger than 1 x 1"),
    ],
)
def test_what_cannot_be_found_is_said(stages, message):
    model = build("resnet18")
    with pytest.raises(LikewiseError, match=message):
        deformable(model, stages)
    assert not layers(model)


def test_a_network_without_convolutions_and_one_made_twice_are_refused():
    with pytest.raises(LikewiseError, match="Linear has 0 stages"):
        deformable(nn.Linear(3, 3))
    for model, names in ((nn.Conv2d(3, 3, 3), ""), (nn.Sequential(nn.Conv2d(3, 3, 3)), [])):
        with pytest.raises(LikewiseError, match="names no part of the network"):  # it could not be put back in place
            deformable(model, names)
    model = deformable(build("resnet18"), "layer4.1.conv2")
    with pytest.raises(LikewiseError, match=r"layer4\.1\.conv2: DeformableConv2d is no ordinary convolution"):
        deformable(model, 1)
    assert list(layers(model)) == ["layer4.1.conv2"]  # nothing was changed on the way


def test_a_state_is_read_back_and_still_deformed():
    image = torch.rand(1, 3, 64, 64)
    trained = stirred(deformable(build("resnet18"), 2, modulated=True))
    other = deformable(build("resnet18"), 2, modulated=True)
    with torch.inference_mode():
        plain = other(image)
        other.load_state_dict(copy.deepcopy(trained.state_dict()), strict=True)
        assert torch.equal(other(image), trained(image))
        assert not torch.allclose(other(image), plain, rtol=1e-3)


def test_offsets_learn_at_the_full_rate_and_pooled_ones_at_a_hundredth():
    model = nn.ModuleDict({"trunk": deformable(build("resnet18"), 1), "pool": DeformRoIPool(4, 2)})
    plain, branches, pooling = parameter_groups(model, 1e-3)
    assert [g["lr"] for g in (plain, branches, pooling)] == pytest.approx([1e-3, 1e-3, 1e-5])
    assert {id(p) for p in pooling["params"]} == {id(p) for p in model["pool"].offset.parameters()}
    own = [p for layer in layers(model).values() for p in layer.offsets.parameters()]
    assert [id(p) for p in branches["params"]] == [id(p) for p in own]
    assert len(plain["params"]) + len(own) + 2 == len(list(model.parameters()))


def test_a_step_moves_the_offsets_at_a_tenth_of_the_rate_where_that_is_asked_for():
    model = deformable(build("timm mobilenetv2_050"), 1)
    groups = parameter_groups(model, 1e-3, offset_factor=0.1)
    assert [g["lr"] for g in groups] == pytest.approx([1e-3, 1e-4])
    assert sorted(id(p) for g in groups for p in g["params"]) == sorted(id(p) for p in model.parameters())
    # Adam's first step is the rate itself wherever there is a gradient
    model.train()(torch.rand(4, 3, 96, 96)).square().mean().backward()
    optimizer = torch.optim.Adam(groups)
    optimizer.step()
    for layer in layers(model).values():
        assert layer.offsets.weight.abs().max().item() == pytest.approx(1e-4, rel=1e-2)
    assert [len(g["params"]) for g in parameter_groups(build("resnet18").requires_grad_(requires_grad=False), 1)] == []


def test_the_papers_modulation_starts_at_a_half():
    torch.manual_seed(0)
    conv, x = nn.Conv2d(3, 4, 3, padding=1), torch.rand(2, 3, 9, 9)
    expected = 0.5 * nn.functional.conv2d(x, conv.weight, None, 1, 1) + conv.bias[:, None, None]
    (made,) = deformable(nn.Sequential(conv), "0", modulated=True, modulation_scale=1.0)
    torch.testing.assert_close(made(x), expected)


def test_a_layer_of_another_librarys_is_read_by_its_order_of_channels():
    """There the branch is cut into three: the first two are offsets, the third is taken through a sigmoid."""
    branch = nn.Conv2d(4, 27, 3, padding=1)
    weight, x = torch.randn(6, 4, 3, 3), torch.rand(1, 4, 8, 8)
    first, second, third = branch(x).chunk(3, 1)
    theirs = torchvision.ops.deform_conv2d(x, torch.cat([first, second], 1), weight, None, 1, 1, 1, third.sigmoid())
    (made,) = deformable(
        nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, bias=False)), "0", modulated=True, modulation_scale=1.0
    )
    made.load_state_dict({"weight": weight, "offsets.weight": branch.weight, "offsets.bias": branch.bias}, strict=True)
    torch.testing.assert_close(made(x), theirs, rtol=1e-4, atol=1e-5)


def test_under_autocast_in_bfloat16_it_is_near():
    model, image = deformable(build("resnet18"), 2), torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = model(image)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(image)
    assert float((out - expected).norm() / expected.norm()) < 0.05


def test_it_can_be_exported():
    model, image = stirred(deformable(build("resnet18"), 1)), torch.rand(1, 3, 64, 64)
    exported = torch.export.export(model, (image,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(image), model(image), rtol=1e-4, atol=1e-5)
