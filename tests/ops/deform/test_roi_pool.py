"""Deformable RoI pooling against a slow loop, torchvision's plain pooling, closed forms and gradcheck."""

from __future__ import annotations

import math

import pytest
import torch
import torchvision.ops

from likewise.errors import LikewiseError
from likewise.nn.deform_roi import DeformPSRoIPool, DeformRoIPool, ModulatedDeformRoIPool
from likewise.ops.deform import roi_pool as operator
from likewise.ops.deform.roi_pool import deform_roi_pool

#: Index, x0, y0, x1, y1: inside, sticking out on either side, all outside, tiny, inverted, halves to be rounded.
ROIS = torch.tensor(
    [
        [0, 2, 3, 9, 11],
        [1, -6, -4, 5, 3],
        [1, 7, 8, 30, 19],
        [0, 50, 60, 70, 80],
        [1, 4, 4, 4, 4],
        [0, 8, 9, 2, 3],
        [0, 0.5, 2.5, 7.5, 8.4],
        [1, -2.5, -0.5, 3.49, 6.5],
    ],
    dtype=torch.float64,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def slow_roi_pool(features, rois, offset, shape, scale=1.0, samples=4, gamma=0.1, *, sensitive=False, within=0.5):
    """Every region, bin, channel, sample and neighbouring feature, one at a time, by the definition."""
    height, width = features.shape[2:]
    channels = features.shape[1] // (math.prod(shape) if sensitive else 1)
    out = torch.zeros(len(rois), channels, *shape, dtype=torch.float64)
    for r, (index, *corners) in enumerate(rois.tolist()):
        x0, y0, x1, y1 = (math.copysign(math.floor(abs(v) + 0.5), v) for v in corners)
        low = (x0 * scale - 0.5, y0 * scale - 0.5)
        size = (max((x1 + 1) * scale - 0.5 - low[0], 0.1), max((y1 + 1) * scale - 0.5 - low[1], 0.1))
        for c, i, j in torch.cartesian_prod(*(torch.arange(n) for n in out.shape[1:])).tolist():
            dx, dy = (0, 0) if offset is None else [gamma * offset[r, a, i, j].item() * size[a] for a in (0, 1)]
            plane = features[int(index), (c * shape[0] + i) * shape[1] + j if sensitive else c]
            values = []
            for sy in range(samples):
                for sx in range(samples):
                    x = low[0] + (j + (sx + within) / samples) * size[0] / shape[1] + dx
                    y = low[1] + (i + (sy + within) / samples) * size[1] / shape[0] + dy
                    if -0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5:
                        values.append(read(plane, min(max(x, 0), width - 1), min(max(y, 0), height - 1)))
            out[r, c, i, j] = sum(values) / max(1, len(values))
    return out


def read(plane, x, y):
    return sum(
        plane[q, p].item() * max(0, 1 - abs(p - x)) * max(0, 1 - abs(q - y))
        for q in {math.floor(y), math.ceil(y)}
        for p in {math.floor(x), math.ceil(x)}
    )


def ramps(height=24, width=30):
    """Features (1, 2, H, W) that are x and y themselves."""
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    return torch.stack([x, y])[None]


@pytest.mark.parametrize("sample_at", ["centre", "corner"])
@pytest.mark.parametrize("scale", [1.0, 0.4])
@pytest.mark.parametrize("moved", [False, True], ids=["plain", "deformed"])
@pytest.mark.parametrize("sensitive", [False, True], ids=["all maps", "position-sensitive"])
def test_agrees_with_the_definition(sensitive, moved, scale, sample_at):
    shape, samples = ((2, 3), 4) if scale == 1 else ((3, 2), 3)
    features = torch.randn(2, 12 if sensitive else 2, 9, 12, dtype=torch.float64)
    offset = 2 * torch.randn(len(ROIS), 2, *shape, dtype=torch.float64) if moved else None
    out = deform_roi_pool(
        features, ROIS, offset, shape, scale, samples, 0.3, position_sensitive=sensitive, sample_at=sample_at
    )
    within = 0.5 if sample_at == "centre" else 0
    expected = slow_roi_pool(features, ROIS, offset, shape, scale, samples, 0.3, sensitive=sensitive, within=within)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)
    assert not out[3].any() or scale != 1  # a region off the map
    assert out.abs().sum() > 0


@pytest.mark.parametrize("sample_at", ["centre", "corner"])
@pytest.mark.parametrize("sensitive", [False, True], ids=["all maps", "position-sensitive"])
def test_every_class_moves_and_weighs_its_own_part_of_the_channels(sensitive, sample_at):
    shape, classes, own = (2, 3), 3, 2
    features = torch.randn(2, classes * own * (6 if sensitive else 1), 9, 12, dtype=torch.float64)
    offset = 2 * torch.randn(len(ROIS), 2 * classes, *shape, dtype=torch.float64)
    mask = torch.rand(len(ROIS), classes, *shape, dtype=torch.float64)
    settings = {"position_sensitive": sensitive, "sample_at": sample_at}
    out = deform_roi_pool(features, ROIS, offset, shape, 0.7, 3, 0.3, mask=mask, **settings)
    assert out.shape == (len(ROIS), classes * own, *shape)
    per_class = features.shape[1] // classes
    for k in range(classes):
        part = features[:, k * per_class : (k + 1) * per_class]
        within = 0.5 if sample_at == "centre" else 0
        moved = offset[:, 2 * k : 2 * k + 2]
        expected = slow_roi_pool(part, ROIS, moved, shape, 0.7, 3, 0.3, sensitive=sensitive, within=within)
        expected = expected * mask[:, k : k + 1]
        torch.testing.assert_close(out[:, k * own : (k + 1) * own], expected, rtol=1e-10, atol=1e-10)


def test_modulation_alone_weighs_the_bins():
    features, mask = torch.randn(2, 4, 9, 12), torch.rand(len(ROIS), 1, 2, 2)
    plain = deform_roi_pool(features, ROIS, None, 2)
    torch.testing.assert_close(deform_roi_pool(features, ROIS, None, 2, mask=mask), plain * mask)
    two = torch.rand(len(ROIS), 2, 2, 2)
    expected = plain * two.repeat_interleave(2, 1)
    torch.testing.assert_close(deform_roi_pool(features, ROIS, None, 2, mask=two), expected)


def test_modulated_gradients_agree_with_finite_differences_twice():
    features = torch.randn(2, 4, 5, 6, dtype=torch.float64, requires_grad=True)
    offset = torch.randn(3, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)

    def pool(features, offset, mask):
        return deform_roi_pool(features, ROIS[:3], offset, 2, 0.6, 2, mask=mask, sample_at="corner")

    assert torch.autograd.gradcheck(pool, (features, offset, mask))
    assert torch.autograd.gradgradcheck(pool, (features, offset, mask))


@pytest.mark.parametrize("sensitive", [False, True], ids=["all maps", "position-sensitive"])
def test_gradients_agree_with_finite_differences(sensitive):
    features = torch.randn(2, 8 if sensitive else 2, 6, 7, dtype=torch.float64, requires_grad=True)
    offset = torch.randn(len(ROIS), 2, 2, 2, dtype=torch.float64, requires_grad=True)

    def pool(features, offset):
        return deform_roi_pool(features, ROIS, offset, 2, 0.6, 2, position_sensitive=sensitive)

    assert torch.autograd.gradcheck(pool, (features, offset))


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_inside_the_map_plain_pooling_is_aligned_pooling_of_whole_pixels(scale):
    corners = torch.tensor([[0, 2, 3, 9, 11], [1, 5, 1, 17, 8], [1, 4, 6, 6, 6]]).double()
    ends = corners + torch.tensor([0, 0, 0, 1, 1])
    features = torch.randn(2, 12, 20, 22, dtype=torch.float64)
    expected = torchvision.ops.roi_align(features, ends, (2, 3), scale, 4, aligned=True)
    torch.testing.assert_close(deform_roi_pool(features, corners, None, (2, 3), scale), expected)
    expected = torchvision.ops.ps_roi_align(features, ends, (2, 3), scale, 4)
    sensitive = deform_roi_pool(features, corners, None, (2, 3), scale, position_sensitive=True)
    torch.testing.assert_close(sensitive, expected)


@pytest.mark.parametrize("sensitive", [False, True])
def test_zero_offsets_are_plain_pooling_and_any_offset_with_gamma_zero_too(sensitive):
    features, offset = torch.randn(2, 18, 9, 12), torch.randn(len(ROIS), 2, 3, 3)
    plain = deform_roi_pool(features, ROIS, None, 3, position_sensitive=sensitive)
    zero = deform_roi_pool(features, ROIS, 0 * offset, 3, position_sensitive=sensitive)
    assert torch.equal(zero, plain)
    assert torch.equal(deform_roi_pool(features, ROIS, offset, 3, gamma=0, position_sensitive=sensitive), plain)


def test_a_constant_map_pools_to_the_constant_wherever_a_bin_touches_it():
    for offset in (torch.randn(len(ROIS), 2, 3, 3), None):
        out = deform_roi_pool(torch.full((2, 1, 9, 12), 7.0), ROIS, offset, 3)
        torch.testing.assert_close(out, 7.0 * (out != 0))
    touched = out[:, 0] != 0
    assert touched[[4, 6]].all()
    assert touched[2].nonzero().tolist() == [[0, 0]]  # only its first bin begins on the map
    assert not touched[3].any()


@pytest.mark.parametrize(("sample_at", "late"), [("centre", 0.0), ("corner", 0.5)])
def test_a_ramp_pools_to_the_bins_centre_and_an_offset_moves_it_by_gamma_times_the_size(sample_at, late):
    rois = torch.tensor([[0, 8, 6, 19, 13]])  # spans 7.5 .. 19.5 and 5.5 .. 13.5: 12 x 8
    xs = 7.5 + 12 * (torch.arange(3).double() + 0.5 - late / 4) / 3
    ys = 5.5 + 8 * (torch.arange(2).double() + 0.5 - late / 4) / 2
    expected = torch.stack([xs.expand(2, 3), ys[:, None].expand(2, 3)])[None]
    torch.testing.assert_close(deform_roi_pool(ramps(), rois, None, (2, 3), sample_at=sample_at), expected)
    offset = 0.8 * torch.randn(1, 2, 2, 3).double()
    out = deform_roi_pool(ramps(), rois, offset, (2, 3), gamma=0.25, sample_at=sample_at)
    size = torch.tensor([12.0, 8.0])[:, None, None]
    torch.testing.assert_close(out, expected + 0.25 * offset * size)


def test_a_bin_moved_by_its_own_width_is_the_next_bin():
    features, rois = torch.randn(1, 3, 24, 30), torch.tensor([[0, 8, 6, 19, 13]])
    plain = deform_roi_pool(features, rois, None, 4)
    moved = deform_roi_pool(features, rois, torch.tensor([2.5, 0])[None, :, None, None].expand(1, 2, 4, 4), 4)
    torch.testing.assert_close(moved[..., :-1], plain[..., 1:])
    moved = deform_roi_pool(features, rois, torch.tensor([0, 2.5])[None, :, None, None].expand(1, 2, 4, 4), 4)
    torch.testing.assert_close(moved[..., :-1, :], plain[..., 1:, :])


def test_at_integer_places_the_offset_gradient_is_the_difference_towards_the_next_feature():
    features = torch.randn(1, 1, 5, 6, dtype=torch.float64)
    for x, y in ((2, 3), (0, 0), (5, 4)):
        offset = torch.zeros(1, 2, 1, 1, dtype=torch.float64, requires_grad=True)
        roi = torch.tensor([[0, x, y, x, y]])  # one feature, sampled once, at its centre
        out = deform_roi_pool(features, roi, offset, 1, samples_per_part=1)
        (gradient,) = torch.autograd.grad(out, offset)
        right, down = features[0, 0, y, min(x + 1, 5)], features[0, 0, min(y + 1, 4), x]
        expected = 0.1 * torch.stack([right, down]) - 0.1 * features[0, 0, y, x]
        torch.testing.assert_close(out.item(), features[0, 0, y, x].item())
        torch.testing.assert_close(gradient.flatten(), expected)


def test_a_list_of_boxes_per_picture_is_the_table_with_indices():
    features, offset = torch.randn(3, 4, 9, 12), torch.randn(len(ROIS), 2, 2, 2)
    order = torch.cat([ROIS[ROIS[:, 0] == 0], ROIS[ROIS[:, 0] == 1]])
    boxes = [ROIS[ROIS[:, 0] == i, 1:] for i in range(3)]  # the third picture has none
    assert torch.equal(deform_roi_pool(features, boxes, offset, 2), deform_roi_pool(features, order, offset, 2))


@pytest.mark.parametrize("rois", [torch.zeros(0, 5), [torch.zeros(0, 4), torch.zeros(0, 4)]])
@pytest.mark.parametrize("sensitive", [False, True])
def test_no_regions_pool_to_nothing_and_still_have_gradients(rois, sensitive):
    features, offset = torch.randn(2, 8, 9, 12, requires_grad=True), torch.zeros(0, 2, 2, 2, requires_grad=True)
    out = deform_roi_pool(features, rois, offset, 2, position_sensitive=sensitive)
    assert out.shape == (0, 2 if sensitive else 8, 2, 2)
    gradients = torch.autograd.grad(out.sum(), (features, offset))
    assert not gradients[0].any()
    assert deform_roi_pool(torch.zeros(0, 8, 9, 12), [], None, 2).shape == (0, 8, 2, 2)


def test_regions_carry_no_gradient_and_offsets_far_out_harm_nothing():
    features, rois = torch.randn(2, 2, 9, 12), ROIS.clone().requires_grad_()
    assert not deform_roi_pool(features, rois, None, 2).requires_grad
    for far in (1e9, -math.inf, math.nan):
        offset = torch.full((len(ROIS), 2, 2, 2), far, requires_grad=True)
        out = deform_roi_pool(features, ROIS, offset, 2)
        assert not out.any()
        assert not torch.autograd.grad(out.sum(), offset)[0].any()


@pytest.mark.parametrize("sensitive", [False, True])
def test_regions_pooled_in_parts_are_the_same_with_their_gradients(sensitive, monkeypatch):
    features = torch.randn(2, 8, 9, 12, dtype=torch.float64, requires_grad=True)
    offset = torch.randn(len(ROIS), 2, 2, 2, dtype=torch.float64, requires_grad=True)
    results = []
    for limit in (1 << 24, 12 * 4 * 16 * 3):  # all at once, three at a time
        monkeypatch.setattr(operator, "PART_NUMBERS", limit)
        out = deform_roi_pool(features, ROIS, offset, 2, position_sensitive=sensitive)
        upstream = torch.arange(out.numel(), dtype=out.dtype).cos().view(out.shape)
        results.append((out, *torch.autograd.grad(out, (features, offset), upstream)))
    for parts, whole in zip(*results[::-1], strict=True):
        torch.testing.assert_close(parts, whole)


def test_half_precision_is_pooled_in_float32_and_autocast_cannot_change_that():
    features, offset = torch.randn(2, 4, 9, 12), torch.randn(len(ROIS), 2, 2, 2)
    exact = deform_roi_pool(features, ROIS, offset, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(deform_roi_pool(features, ROIS, offset, 2), exact)
    half = deform_roi_pool(features.bfloat16(), ROIS, offset, 2)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, deform_roi_pool(features.bfloat16().float(), ROIS, offset, 2).bfloat16())


def test_the_module_starts_as_plain_pooling_and_every_parameter_learns():
    pool, features = DeformRoIPool(4, (2, 3), 0.5), torch.randn(2, 4, 9, 12)
    out = pool(features, ROIS)
    assert torch.equal(out, deform_roi_pool(features, ROIS, None, (2, 3), 0.5))
    (out * torch.randn_like(out)).sum().backward()
    assert all(p.grad.any() for p in pool.parameters())


def test_the_modules_layer_reads_the_plainly_pooled_features():
    pool, features = DeformRoIPool(4, 2, gamma=0.3), torch.randn(2, 4, 9, 12)
    torch.nn.init.normal_(pool.offset.weight)
    plain = deform_roi_pool(features, ROIS, None, 2)
    offset = (plain.flatten(1) @ pool.offset.weight.T).view(-1, 2, 2, 2)
    torch.testing.assert_close(pool(features, ROIS), deform_roi_pool(features, ROIS, offset, 2, gamma=0.3))


def test_the_position_sensitive_module_starts_as_plain_pooling_and_every_parameter_learns():
    pool, features = DeformPSRoIPool(4, 5, (2, 3), 0.5), torch.randn(2, 4, 9, 12)
    out = pool(features, ROIS)
    expected = deform_roi_pool(pool.score(features), ROIS, None, (2, 3), 0.5, position_sensitive=True)
    assert out.shape == (len(ROIS), 5, 2, 3)
    assert torch.equal(out, expected)
    (out * torch.randn_like(out)).sum().backward()
    assert all(p.grad.any() for p in pool.parameters())


def test_the_position_sensitive_modules_fields_move_the_bins():
    pool, rois = DeformPSRoIPool(2, 1, (2, 3), gamma=0.2), torch.tensor([[0, 8, 6, 19, 13]])
    torch.nn.init.zeros_(pool.score.bias)
    pool.score.weight.data[:, :, 0, 0] = torch.tensor([1.0, 100.0])  # every score is x + 100 y
    before = pool(ramps().float(), rois)
    moved = torch.randn(2, 2, 3)
    pool.offset.bias.data = moved.flatten()
    shift = 0.2 * (12 * moved[0] + 100 * 8 * moved[1])
    torch.testing.assert_close(pool(ramps().float(), rois) - before, shift[None, None], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("sample_at", ["centre", "corner"])
def test_modules_sample_where_they_are_told_and_move_each_class_by_its_own_offsets(sample_at):
    features = torch.randn(2, 4, 9, 12)
    pool = DeformRoIPool(4, 2, gamma=0.3, sample_at=sample_at, classes=2)
    torch.nn.init.normal_(pool.offset.weight, std=0.3)
    plain = deform_roi_pool(features, ROIS, None, 2, sample_at=sample_at)
    offset = (plain.flatten(1) @ pool.offset.weight.T).view(-1, 4, 2, 2)
    expected = [
        deform_roi_pool(features[:, c : c + 2], ROIS, offset[:, c : c + 2], 2, gamma=0.3, sample_at=sample_at)
        for c in (0, 2)
    ]
    torch.testing.assert_close(pool(features, ROIS), torch.cat(expected, 1))
    pool = DeformPSRoIPool(4, 3, 2, sample_at=sample_at, classes=3)
    torch.nn.init.normal_(pool.offset.weight)
    settings = {"position_sensitive": True, "sample_at": sample_at}
    offset = deform_roi_pool(pool.offset(features), ROIS, None, 2, **settings)
    scores = pool.score(features)
    expected = [
        deform_roi_pool(scores[:, 4 * c : 4 * c + 4], ROIS, offset[:, 2 * c : 2 * c + 2], 2, **settings)
        for c in range(3)
    ]
    torch.testing.assert_close(pool(features, ROIS), torch.cat(expected, 1))
    for make in (lambda: DeformRoIPool(4, classes=3), lambda: DeformPSRoIPool(4, 5, classes=2)):
        with pytest.raises(LikewiseError, match=r"classes = .: expected a divisor of . channels"):
            make()


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_modulated_module_starts_as_plain_pooling_times_a_sigmoid_of_zero(scale):
    pool, features = ModulatedDeformRoIPool(4, (2, 3), 0.5, modulation_scale=scale, width=32), torch.randn(2, 4, 9, 12)
    out = pool(features, ROIS)
    plain = deform_roi_pool(features, ROIS, None, (2, 3), 0.5)
    torch.testing.assert_close(out, 0.5 * scale * plain)
    # by hand: offsets first, then the modulation
    torch.nn.init.normal_(pool.branch[4].weight, std=3.0)
    hidden = plain.flatten(1)
    for layer in (pool.branch[0], pool.branch[2]):
        hidden = (hidden @ layer.weight.T + layer.bias).clamp(min=0)
    fields = (hidden @ pool.branch[4].weight.T).view(-1, 3, 2, 3)
    moved = deform_roi_pool(features, ROIS, fields[:, :2], (2, 3), 0.5)
    out = pool(features, ROIS)
    torch.testing.assert_close(out, moved * (scale * fields[:, 2:].sigmoid()), rtol=1e-4, atol=1e-5)
    (out * torch.randn_like(out)).sum().backward()
    assert all(p.grad.any() for p in pool.parameters())


def test_the_meta_device_knows_its_shape():
    meta = [t.to("meta") for t in (torch.zeros(2, 8, 9, 12), ROIS, torch.zeros(len(ROIS), 2, 2, 2))]
    assert deform_roi_pool(*meta, 2).shape == (len(ROIS), 8, 2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": torch.zeros(8, 9, 12)}, r"features have shape \(8, 9, 12\); expected \(B, C, H, W\)"),
        ({"rois": torch.zeros(3, 4)}, r"rois have shape \(3, 4\); expected \(R, 5\)"),
        ({"rois": [torch.zeros(3, 4)]}, "rois of 1 pictures for a batch of 2"),
        ({"rois": [torch.zeros(3, 4), torch.zeros(3, 5)]}, r"\[\(3, 4\), \(3, 5\)\]; expected \(R, 4\) each"),
        ({"rois": torch.full((3, 5), 2.0)}, "a region is of picture 2; expected an index from 0 to 1"),
        ({"rois": torch.full((3, 5), -1.0)}, "a region is of picture -1; expected"),
        ({"offset": torch.zeros(3, 2, 3, 2)}, r"offset has shape \(3, 2, 3, 2\); expected \(3, 2, 2, 3\)"),
        ({"output_size": 3, "offset": None}, "8 channels cannot be shared by 3 x 3 bins; expected a multiple of 9"),
        ({"output_size": 0}, "output_size is 0; expected at least 1"),
        ({"offset": torch.zeros(3, 3, 2, 3)}, r"offset has shape \(3, 3, 2, 3\); expected \(3, 2, 2, 3\)"),
        ({"offset": torch.zeros(3, 6, 2, 3)}, "8 output channels cannot be shared by 3 classes"),
        ({"mask": torch.zeros(3, 2, 2, 3)}, r"mask has shape \(3, 2, 2, 3\); expected \(3, 1, 2, 3\)"),
        ({"rois": torch.full((3, 5), math.nan)}, "a region is not finite"),
        ({"samples_per_part": 0}, "samples_per_part 0"),
        ({"spatial_scale": 0}, "spatial_scale 0"),
        ({"sample_at": "edge"}, "sample_at is 'edge'; expected one of"),
    ],
)
def test_what_does_not_belong_together_is_named(change, message):
    sensible = {
        "features": torch.zeros(2, 8, 9, 12),
        "rois": torch.zeros(3, 5),
        "offset": torch.zeros(3, 2, 2, 3),
        "output_size": (2, 3),
        "position_sensitive": "output_size" in change,
    }
    with pytest.raises(ValueError, match=message):
        deform_roi_pool(**(sensible | change))
