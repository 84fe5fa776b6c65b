"""The rule for numbers that are not finite, where it holds and where it steps aside."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from likewise.errors import LikewiseError
from likewise.ops.checks import check_finite, differentiable_once, has_values, shapes_only, without_autocast


@given(
    st.lists(st.integers(1, 4), max_size=3),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.data(),
)
def test_the_first_number_that_is_not_finite_is_named(shape, dtype, bad, data):
    tensor = torch.full(shape, torch.finfo(dtype).max, dtype=dtype)  # whose sum overflows
    check_finite("cost", tensor)
    places = [data.draw(st.tuples(*(st.integers(0, n - 1) for n in shape))) for _ in range(2)]
    for place in places:
        tensor[place] = bad
    first = min(places)
    name = f"cost[{', '.join(map(str, first))}]" if shape else "cost"
    with pytest.raises(LikewiseError) as error:
        check_finite("cost", tensor)
    assert str(error.value).startswith(f"{name} is {bad:g}; expected finite")


def test_infinities_that_cancel_are_seen():
    with pytest.raises(LikewiseError, match=r"x\[0\] is inf"):
        check_finite("x", torch.tensor([math.inf, -math.inf]))


def test_whole_numbers_and_nothing_pass():
    check_finite("x", torch.arange(3))
    check_finite("x", torch.zeros(0, 4))


def test_what_has_no_values_is_let_pass():
    held = []
    with FakeTensorMode():
        fake = torch.ones(2)
        for tensor in (fake, torch.ones(2, device="meta")):
            check_finite("x", tensor)
            held.append((has_values(tensor), shapes_only(tensor)))
    assert held == [(False, True)] * 2
    assert has_values(torch.ones(2))
    assert not shapes_only(torch.ones(2))


def test_a_graph_is_taken_down_as_if_there_were_no_check():
    def checked(x):
        check_finite("x", x)
        assert not shapes_only(x)
        with without_autocast(x.device):
            return x @ x

    x = torch.rand(3, 3)
    assert torch.equal(torch.compile(checked, fullgraph=True, backend="eager")(x), x @ x)


def test_autocast_is_off_inside_on_every_device():
    x = torch.rand(2, 2)
    with torch.autocast("cpu", torch.bfloat16), without_autocast(x.device):
        assert (x @ x).dtype == torch.float32
    with without_autocast(torch.device("meta")):
        assert (x.to("meta") @ x.to("meta")).shape == (2, 2)


def test_a_second_derivative_is_refused_by_name_and_the_first_is_not():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @differentiable_once("squares")
        def backward(ctx, grad):
            return (2 * ctx.saved_tensors[0] * grad,)

    x = torch.tensor(3.0, requires_grad=True)
    (first,) = torch.autograd.grad(Square.apply(x), x, create_graph=True)
    assert first.item() == 6
    with pytest.raises(LikewiseError, match="squares can be differentiated once"):
        first.backward()
    Square.apply(x).backward()
    assert x.grad.item() == 6
