"""Where a unit looks: closed forms, and the gradient of the unit with respect to the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from likewise.errors import LikewiseError
from likewise.methods.dcn import deformable, plot_sampling, sampling_places
from likewise.nn.deform import DeformableConv2d


class Field(nn.Module):
    """An offset branch that gives what it is told, whatever it sees."""

    def __init__(self, draw):
        super().__init__()
        self.draw, self.fields = draw, {}

    def forward(self, x):
        size = ((x.shape[2] - 1) // self.stride + 1, (x.shape[3] - 1) // self.stride + 1)
        if size not in self.fields:
            self.fields[size] = self.draw(*size)
        return self.fields[size].to(x)


def layer(channels, draw, *, stride=1):
    made = DeformableConv2d(nn.Conv2d(channels, channels, 3, stride, 1, bias=False))
    nn.init.uniform_(made.weight, 0.5, 1.0)
    made.offsets = Field(draw)
    made.offsets.stride = stride
    return made


def constant(y, x):
    return lambda h, w: torch.tensor([y, x]).repeat(9).view(1, 18, 1, 1).expand(1, 18, h, w)


def whole(h, w):
    """Whole pixels, other ones for every unit: nothing is interpolated between units."""
    return torch.randint(-2, 3, (1, 18, h, w)).float()


def fractions(h, w):
    return torch.rand(1, 18, h, w) * 4 - 2


def grid(step):
    return {(x * step, y * step) for y in (-1, 0, 1) for x in (-1, 0, 1)}


def rounded(places):
    return sorted({(round(float(x), 6), round(float(y), 6)) for x, y in places})


def test_without_offsets_the_places_are_the_ordinary_grid():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, padding=1))
    deformable(model, ["1", "2"])
    found = sampling_places(model, torch.rand(3, 64, 64), (30, 21), 2)
    # cells of stride 4 have their centres on pixels 0, 4, ..., of stride 2 on 0, 2, ...: 0.5 more in coordinates
    assert found.unit == (28.5, 20.5)
    assert found.layers == ("2", "1")
    assert [p.shape for p in found.places] == [(9, 2), (81, 2)]
    assert rounded(found.places[0]) == sorted((28.5 + x, 20.5 + y) for x, y in grid(4))
    twice = {(28.5 + a + c, 20.5 + b + d) for a, b in grid(4) for c, d in grid(2)}
    assert rounded(found.places[1]) == sorted(twice)
    assert [w.sum() for w in found.weights] == pytest.approx([1, 1])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_k_layers_read_nine_to_the_k_places_as_often_as_paths_lead_there(count):
    """The receptive field of the paper's figure 5: every place of a layer is a unit of the one before."""
    model = deformable(
        nn.Sequential(*(nn.Conv2d(2, 2, 3, padding=1) for _ in range(count))), [str(i) for i in range(count)]
    )
    found = sampling_places(model, torch.rand(2, 15, 15), (7.5, 7.5), count)
    assert [len(p) for p in found.places] == [9**k for k in range(1, count + 1)]
    steps = np.rint(found.places[-1] - found.unit).astype(int)
    paths = np.ones(1, dtype=int)
    for _ in range(count):
        paths = np.convolve(paths, [1, 1, 1])  # ways to a distance along one axis
    expected = np.outer(paths, paths)
    counted = np.zeros_like(expected)
    np.add.at(counted, (steps[:, 1] + count, steps[:, 0] + count), 1)
    np.testing.assert_array_equal(counted, expected)


def test_constant_offsets_shift_them_by_so_many_cells():
    model = nn.Sequential(
        nn.Conv2d(1, 1, 1, 2), layer(1, constant(0.5, -1.25)), nn.MaxPool2d(2), layer(1, constant(1, 2.0))
    )
    found = sampling_places(model, torch.rand(1, 80, 80), (40, 40), 2)
    # the last layer's cells are 4 pixels wide, the first's 2; the pool's cells are centred between the first's
    assert found.unit == (41.5, 41.5)
    assert rounded(found.places[0]) == sorted((41.5 + 8 + x, 41.5 + 4 + y) for x, y in grid(4))
    all_of_them = {(49.5 + a + c - 2.5, 45.5 + b + d + 1) for a, b in grid(4) for c, d in grid(2)}
    assert rounded(found.places[1]) == sorted(all_of_them)


def gradient(model, image, found, reading_stride):
    """Pixels (x, y) that the unit answers to."""
    x = image[None].clone().requires_grad_()
    column, row = (int((c - 0.5) / reading_stride) for c in found.unit)
    model(x)[0, :, row, column].sum().backward()
    rows, columns = x.grad[0].abs().sum(0).nonzero(as_tuple=True)
    return {(c + 0.5, r + 0.5) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)}


def test_through_three_layers_the_unit_answers_to_these_places_and_no_others():
    model = nn.Sequential(
        layer(2, whole, stride=2), nn.ReLU(), layer(2, whole), nn.Conv2d(2, 2, 1), layer(2, whole, stride=2)
    )
    nn.init.constant_(model[3].weight, 1.0)
    image = torch.rand(2, 64, 72)
    found = sampling_places(model, image, (37, 30), 3)
    places, weights = found.places[-1], found.weights[-1]
    assert places.shape == (729, 2)
    assert gradient(model, image, found, 4) == {
        tuple(p) for p, w in zip(places.tolist(), weights, strict=True) if w > 0
    }


def test_between_pixels_the_unit_answers_to_the_four_round_each_place():
    model, image = nn.Sequential(layer(2, fractions)), torch.rand(2, 20, 20)
    found = sampling_places(model, image, (10.2, 9.7))
    around = {
        (np.floor(x - 0.5) + dx + 0.5, np.floor(y - 0.5) + dy + 0.5)
        for x, y in found.places[0]
        for dx in (0, 1)
        for dy in (0, 1)
    }
    assert gradient(model, image, found, 1) == around


@pytest.mark.parametrize("at", [(2, 15), (28, 29)])
def test_what_the_weights_say_is_what_the_unit_feels(at):
    """Of one channel, through whole offsets, the gradient at a pixel is the sum of the weights of its places."""
    model, image = nn.Sequential(layer(1, whole), layer(1, whole)), torch.rand(1, 30, 30)
    found = sampling_places(model, image, at, 2)  # near the border: some places lie outside
    x = image[None].clone().requires_grad_()
    column, row = (int(c - 0.5) for c in found.unit)
    model(x)[0, 0, row, column].backward()
    felt = torch.zeros(30, 30, dtype=torch.float64)
    for (px, py), weight in zip(found.places[-1], found.weights[-1], strict=True):
        if weight > 0:
            felt[int(py), int(px)] += weight
    expected = x.grad[0, 0].double()
    assert found.weights[-1].min() == 0
    torch.testing.assert_close(felt / felt.sum(), expected / expected.sum(), rtol=1e-4, atol=1e-8)


def test_between_units_the_offsets_are_interpolated():
    def growing(h, w):  # to the right by a tenth of a cell more from column to column, down by a fifth from row to row
        field = torch.stack([0.2 * torch.arange(h)[:, None].expand(h, w), 0.1 * torch.arange(w).expand(h, w)])
        return field.repeat(9, 1, 1)[None]

    model = nn.Sequential(layer(1, growing), layer(1, constant(0.25, 0.5)))
    found = sampling_places(model, torch.rand(1, 40, 40), (10.5, 20.5), 2)
    between = {(10 + 0.5 + x, 20 + 0.25 + y) for x, y in grid(1)}
    expected = {(1.1 * c + x + 0.5, 1.2 * r + y + 0.5) for c, r in between for x, y in grid(1)}
    np.testing.assert_allclose(rounded(found.places[1]), rounded(expected))


def test_a_rescaled_picture_is_answered_in_its_own_pixels():
    model = nn.Sequential(nn.Conv2d(3, 3, 3, 2, 1), layer(3, constant(0.0, 1.0)))
    pixels = np.zeros((40, 120, 3), np.uint8)
    seen = sampling_places(model, torch.zeros(3, 80, 60), (30, 40))
    found = sampling_places(
        model, pixels, (60, 20), prepare=lambda p: nn.functional.interpolate(p, (80, 60), mode="bilinear")
    )
    assert np.array_equal(found.places[0], seen.places[0] * [2, 0.5])


def test_modulation_weighs_the_places():
    model = deformable(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1)), "0", modulated=True)
    nn.init.constant_(model[0].weight, 1.0)
    model[0].offsets.bias.data[18] = -100.0  # the first position of the kernel is not read at all
    found = sampling_places(model, torch.rand(1, 9, 9), (4.5, 4.5))
    assert found.weights[0] == pytest.approx([0] + [1 / 9] * 8)


def test_the_layer_can_be_chosen_and_what_is_not_there_is_said():
    model = deformable(nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))), ["0", "1"])
    image = torch.rand(3, 9, 9)
    assert sampling_places(model, image, (4, 4), layer="0").layers == ("0",)
    for arguments, message in (
        ({"layer": "2"}, "no deformable layer named '2'; there are 0, 1"),
        ({"layers": 3}, "layers = 3: the picture comes to 1 through 2 deformable layers"),
        ({"at": (10, 4)}, r"at = \(10, 4\) is outside the picture of 9 x 9 pixels"),
    ):
        with pytest.raises(LikewiseError, match=message):
            sampling_places(model, image, **{"at": (4, 4)} | arguments)
    with pytest.raises(LikewiseError, match="no deformable layer; make some"):
        sampling_places(nn.Conv2d(3, 3, 3), image, (4, 4))
    many = deformable(nn.Sequential(*(nn.Conv2d(1, 1, 7, padding=3) for _ in range(4))), ["0", "1", "2", "3"])
    with pytest.raises(LikewiseError, match="5764801 places"):
        sampling_places(many, torch.rand(1, 9, 9), (4, 4), 4)


def test_the_way_back_is_the_one_the_picture_came():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.near, self.far, self.last = (layer(1, constant(0.0, x)) for x in (1.0, 5.0, 0.0))

        def forward(self, x):
            near, far = self.near(x), self.far(x)
            return self.last(near) + far

    found = sampling_places(Branches(), torch.rand(1, 30, 30), (10.5, 10.5), 2, layer="last")
    assert found.layers == ("last", "near")
    assert found.places[1].mean(0) == pytest.approx([11.5, 10.5])


def test_the_picture_has_dots_where_the_places_are():
    model = nn.Sequential(nn.Conv2d(3, 3, 1, 4), layer(3, constant(1.0, 0.0)))
    black = Image.new("RGB", (60, 40))
    drawn = np.asarray(plot_sampling(model, black, (28, 20), 1))
    found = sampling_places(model, black, (28, 20))
    factor = drawn.shape[1] / 60
    assert factor == 15
    bright = np.zeros(drawn.shape[:2], bool)
    for x, y in found.places[0] * factor:
        assert drawn[int(y), int(x)].max() > 150
        bright[max(0, int(y) - 25) : int(y) + 26, max(0, int(x) - 25) : int(x) + 26] = True
    column, row = (int(c * factor) for c in found.unit)
    bright[row - 35 : row + 36, column - 35 : column + 36] = True
    assert drawn[~bright].max() == 0
