"""The matching loss against places counted by hand and plain cross-entropies."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from likewise.methods.countx.matching_losses import box_loss, decode_boxes, naming_loss, place_loss, places_of

ONE = torch.tensor(1.0)


def test_places_are_those_near_a_point():
    shown, none = places_of(torch.tensor([[20.0, 12.0]]), torch.tensor([40.0]), (8, 8), 8)
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    distance = ((columns * 8 + 4 - 20) ** 2 + (rows * 8 + 4 - 12) ** 2).sqrt()
    assert torch.equal(shown, distance <= 12)
    assert torch.equal(none, distance > 36)
    assert not bool((shown & none).any())


@pytest.mark.parametrize("point", [[8.0, 8.0], [3.9, 12.0], [0.0, 0.0]])
def test_the_smallest_object_has_a_place(point):
    assert bool(places_of(torch.tensor([point]), torch.tensor([1.0]), (4, 4), 8)[0].any())


def test_without_objects_every_place_shows_none():
    shown, none = places_of(torch.zeros(0, 2), torch.zeros(0), (3, 5), 8)
    assert not bool(shown.any())
    assert bool(none.all())


def test_places_against_plain_cross_entropies():
    torch.manual_seed(1)
    places, names = F.normalize(torch.randn(2, 4, 6, 6), dim=1), F.normalize(torch.randn(2, 4), dim=1)
    points = (torch.tensor([[20.0, 20.0]]), torch.zeros(0, 2))
    sizes = (torch.tensor([20.0]), torch.zeros(0))
    scale, bias = torch.tensor(3.0), torch.tensor(-0.5)
    loss = place_loss(places, names, points, sizes, stride=8, scale=scale, bias=bias)
    shown, none = places_of(points[0], sizes[0], (6, 6), 8)
    own, empty = ((places[i] * names[i, :, None, None]).sum(0) * scale + bias for i in range(2))
    sides = [F.binary_cross_entropy_with_logits(own[m], torch.full_like(own[m], v)) for m, v in ((shown, 1), (none, 0))]
    nothing = F.binary_cross_entropy_with_logits(empty, torch.zeros(6, 6))
    assert torch.allclose(loss, torch.stack([torch.stack(sides).mean(), nothing]), atol=1e-6)


#: Two pictures: things called 0, 0 and 1 in the first, one called 3 at the very corner of the second.
POINTS = (torch.tensor([[20.0, 20.0], [4.0, 44.0], [47.9, 0.0]]), torch.tensor([[48.0, 48.0]]))
KINDS = (torch.tensor([0, 0, 1]), torch.tensor([3]))


def test_names_against_plain_cross_entropies():
    torch.manual_seed(2)
    places, names = F.normalize(torch.randn(2, 4, 6, 6), dim=1), F.normalize(torch.randn(4, 4), dim=1)
    wrong = ~torch.eye(4, dtype=torch.bool)
    wrong[0, 2] = False  # name 2 is another right answer for things called 0
    loss = naming_loss(places, names, POINTS, KINDS, wrong, stride=8, scale=torch.tensor(3.0))

    def one(picture, row, column, kind, rivals):
        logits = names[[kind, *rivals]] @ places[picture, :, row, column] * 3
        return F.cross_entropy(logits[None], torch.tensor([0]))

    first = torch.stack([one(0, 2, 2, 0, (1, 3)), one(0, 5, 0, 0, (1, 3)), one(0, 0, 5, 1, (0, 2, 3))]).mean()
    assert torch.allclose(loss, torch.stack([first, one(1, 5, 5, 3, (0, 1, 2))]), atol=1e-6)


def test_nothing_to_name_costs_nothing():
    places = F.normalize(torch.randn(1, 4, 6, 6), dim=1).requires_grad_()
    nothing = (torch.zeros(0, 2),), (torch.zeros(0, dtype=torch.int64),)
    wrong = torch.zeros(1, 1, dtype=torch.bool)
    loss = naming_loss(places, torch.ones(1, 4), *nothing, wrong, stride=8, scale=ONE)
    loss.sum().backward()
    assert loss.tolist() == [0.0]
    assert not bool(places.grad.any())


def test_a_name_without_rivals_costs_nothing():
    places, names = F.normalize(torch.randn(2, 4, 6, 6), dim=1), F.normalize(torch.randn(4, 4), dim=1)
    none = torch.zeros(4, 4, dtype=torch.bool)
    assert naming_loss(places, names, POINTS, KINDS, none, stride=8, scale=ONE).tolist() == [0.0, 0.0]


def test_gradients_are_right():
    places, names = torch.randn(2, 3, 4, 4, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    points, sizes = (torch.tensor([[12.0, 12.0]]), torch.zeros(0, 2)), (torch.tensor([9.0]), torch.zeros(0))
    kinds = (torch.tensor([1]), torch.zeros(0, dtype=torch.int64))
    wrong = ~torch.eye(2, dtype=torch.bool)
    given = [t.requires_grad_() for t in (places, names, torch.tensor(2.0).double(), torch.tensor(0.1).double())]

    def loss(places, names, scale, bias):
        shown = place_loss(places, names, points, sizes, stride=8, scale=scale, bias=bias)
        return shown + naming_loss(places, names, points, kinds, wrong, stride=8, scale=scale)

    assert torch.autograd.gradcheck(loss, given)


#: Two things in the first picture, the second one without a known box; none in the second picture.
BOXED = (torch.tensor([[20.0, 20.0], [50.0, 44.0]]), torch.zeros(0, 2))
BOXES = (torch.tensor([[1.0, 5.0, 49.0, 37.0], [torch.nan] * 4]), torch.zeros(0, 4))


def test_boxes_are_told_by_middle_and_sides():
    raw = torch.zeros(1, 4, 3, 5)
    raw[0, :, 1, 2] = torch.tensor([0.5, -0.25, 1.0, -1.0])
    boxes = decode_boxes(raw, 8)
    width, height = 32 * torch.tensor([1.0, -1.0]).exp()
    x, y = 20 + 0.5 * 32, 12 - 0.25 * 32  # the middle is told in units of sqrt(width x height), which is 32
    expected = torch.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    torch.testing.assert_close(boxes[0, 1, 2], expected)
    torch.testing.assert_close(boxes[0, 0, 0], torch.tensor([-12.0, -12.0, 20.0, 20.0]))


def test_the_box_error_is_that_of_the_places_that_show_something():
    raw = torch.randn(2, 4, 8, 8, dtype=torch.float64, requires_grad=True)
    loss = box_loss(raw, BOXED, BOXES, stride=8)
    shown, _ = places_of(BOXED[0][:1], torch.tensor([1536.0]).sqrt(), (8, 8), 8)
    errors = []
    for row, column in shown.nonzero().tolist():
        x, y, side = 8 * column + 4, 8 * row + 4, 1536**0.5
        wanted = torch.tensor([(25 - x) / side, (21 - y) / side, 48 / 32, 32 / 32])
        wanted[2:] = wanted[2:].log()
        off = (raw[0, :, row, column].float() - wanted).abs()
        errors.append(torch.where(off < 0.1, off.square() / 0.2, off - 0.05).sum())
    assert len(errors) > 1
    torch.testing.assert_close(loss, torch.stack([torch.stack(errors).mean(), torch.tensor(0.0)]))
    loss.sum().backward()
    assert torch.equal(raw.grad[0].abs().sum(0) > 0, shown)


def test_told_boxes_can_be_learnt():
    raw = torch.zeros(1, 4, 8, 8, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        box_loss(raw, BOXED[:1], BOXES[:1], stride=8).sum().backward()
        optimizer.step()
    shown, _ = places_of(BOXED[0][:1], torch.tensor([1536.0]).sqrt(), (8, 8), 8)
    learnt = decode_boxes(raw.detach(), 8)[0][shown]
    torch.testing.assert_close(learnt, BOXES[0][:1].expand_as(learnt), atol=0.5, rtol=0)
