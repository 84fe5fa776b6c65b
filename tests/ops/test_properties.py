"""What holds for every operator: numbers that are not finite, precisions, devices without values, derivatives.

Each operator stands in a table with what makes its arguments: maps, which networks make, and what a caller gives. The
deformable ones have their own tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck

from likewise.errors import LikewiseError
from likewise.methods.countx.matching_losses import box_loss, decode_boxes, naming_loss, place_loss
from likewise.methods.fwb.gated_conv import GatedConv
from likewise.methods.fwb.prototypes import inside_and_outside, relevance, resemblance
from likewise.methods.spdcn.block_count import block_count_error
from likewise.methods.vlcounter.rank_loss import rank_loss
from likewise.ops import fused
from likewise.ops.counting_loss import bayesian_loss, generalized_loss, l2_loss
from likewise.ops.density.maps import dots_map, gaussian_density, resize_density
from likewise.ops.density.peaks import density_peaks, peak_basins
from likewise.ops.density.windows import blend_windows, cut_windows
from likewise.ops.polygon import inside_polygon, polygon_coverage
from likewise.ops.response_peaks import class_response, entropy_gate, response_means, response_peaks
from likewise.ops.saliency_sampling import attention_bumps, saliency_grid, sample_by_saliency
from likewise.ops.similarity import (
    correlate_kernels,
    cosine_similarity_map,
    masked_pool,
    pool_boxes,
    similarity_to_examples,
)
from likewise.ops.transport import sinkhorn
from likewise.ops.transport.grid_cost import GridCost
from likewise.ops.transport.point_cost import PointCost

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BAD = (math.nan, math.inf, -math.inf)
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Operator:
    """One operator.

    Attributes:
        run: from maps and what is given to its result; tuples are joined.
        maps: of B pictures, by name: what makes them; their results are their pictures' own.
        given: by name, what a caller gives and the door checks.
        smooth: whether finite differences are its derivative.
        once: whether a second derivative is refused, by this name.
    """

    run: Callable[..., Tensor]
    maps: Callable[[int], Tensors] = lambda pictures: {}
    given: Callable[[int], Tensors] = lambda pictures: {}
    smooth: bool = True
    once: str = ""


def features(pictures: int) -> Tensors:
    return {"features": torch.randn(pictures, 3, 5, 6)}


def dotted(pictures: int) -> Tensors:
    return {"points": torch.rand(pictures, 4, 2) * 5}


def density(pictures: int) -> Tensors:
    return {"density": torch.rand(pictures, 1, 5, 6) + 0.1}


def boxes(pictures: int) -> Tensors:
    corners = torch.rand(pictures, 2, 2) * 3
    return {"boxes": torch.cat([corners, corners + 1 + torch.rand(pictures, 2, 2)], 2)}


def scene(pictures: int) -> Tensors:
    return {"points": torch.rand(pictures, 3, 2) * 20, "sizes": 3 + torch.rand(pictures, 3)}


def stacked(parts, like: Tensor) -> Tensor:
    return torch.stack(list(parts)) if len(parts) else like.sum() * like.new_zeros(0)


def unit(shape: tuple[int, ...]) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(shape), dim=1)


OPERATORS = {
    "pool_boxes": Operator(
        lambda features, boxes: stacked(pool_boxes(features, list(boxes), size=2, scale=1.0), features), features, boxes
    ),
    "masked_pool": Operator(lambda features: masked_pool(features, torch.ones_like(features[:, :1]) > 0), features),
    "cosine_similarity_map": Operator(
        cosine_similarity_map,
        lambda n: features(n) | {"vectors": torch.randn(n, 2, 3)},
    ),
    "similarity_to_examples": Operator(
        lambda features, vectors: similarity_to_examples(features, list(vectors)),
        lambda n: features(n) | {"vectors": torch.randn(n, 2, 3)},
    ),
    "correlate_kernels": Operator(
        correlate_kernels,
        lambda n: features(n) | {"kernels": torch.randn(n, 3, 3, 3)},
    ),
    "generalized_loss": Operator(
        lambda density, points: generalized_loss(density, list(points), tol=1e-9),
        density,
        dotted,
        smooth=False,
        once="sinkhorn",
    ),
    "generalized_loss, reference": Operator(
        lambda density, points: generalized_loss(density, list(points), solver="reference"),
        density,
        dotted,
        smooth=False,
        once="sinkhorn",
    ),
    "bayesian_loss": Operator(
        lambda density, points: bayesian_loss(density, list(points), background=5.0), density, dotted
    ),
    "l2_loss": Operator(lambda density, points: l2_loss(density, list(points)), density, dotted),
    "block_count_error": Operator(lambda density, points: block_count_error(density, list(points), 2), density, dotted),
    "resize_density": Operator(lambda density: resize_density(density, (7, 4)), density),
    "blend_windows": Operator(lambda density: blend_windows(cut_windows(density, 4, 2), (5, 6), 2, "paper"), density),
    "rank_loss": Operator(
        lambda similarity, density: rank_loss(similarity, density, "clean"),
        lambda n: density(n) | {"similarity": torch.randn(n, 1, 5, 6)},
        smooth=False,
    ),
    "place_loss": Operator(
        lambda places, names, points, sizes: place_loss(
            places, names, list(points), list(sizes), stride=4, scale=places.new_tensor(3), bias=places.new_tensor(-1)
        ),
        lambda n: {"places": unit((n, 3, 5, 6)), "names": unit((n, 3))},
        scene,
    ),
    "box_loss": Operator(
        lambda raw: box_loss(
            raw,
            [torch.tensor([[6.0, 7.0]], device=raw.device)] * len(raw),
            [torch.tensor([[3.0, 5.0, 9.0, 9.0]], device=raw.device)] * len(raw),
            stride=4,
        ),
        lambda n: {"raw": torch.randn(n, 4, 5, 6)},
        smooth=False,
    ),
    "naming_loss": Operator(
        lambda places, points: naming_loss(
            places,
            torch.eye(3, device=places.device, dtype=places.dtype),
            list(points),
            [torch.zeros(len(p), dtype=torch.int64, device=p.device) for p in points],
            ~torch.eye(3, dtype=torch.bool, device=places.device),
            stride=4,
            scale=places.new_tensor(3),
        ),
        lambda n: {"places": unit((n, 3, 5, 6))},
        lambda n: {"points": torch.rand(n, 3, 2) * 20},
    ),
    "decode_boxes": Operator(lambda raw: decode_boxes(raw, 4), lambda n: {"raw": torch.randn(n, 4, 5, 6)}),
    "inside_and_outside": Operator(
        lambda features: torch.stack(inside_and_outside(features, torch.ones_like(features[:, :1]).triu()), 1),
        features,
    ),
    "relevance": Operator(relevance, lambda n: {"difference": torch.randn(n, 5)}),
    "resemblance": Operator(
        lambda features, vectors: resemblance(features, vectors, (4, 7)),
        lambda n: features(n) | {"vectors": torch.randn(n, 2, 3)},
    ),
    "class_response": Operator(
        lambda features, shares: class_response(features, torch.eye(4, 3).to(features), shares, (6, 7)),
        lambda n: features(n) | {"shares": torch.rand(n, 4)},
    ),
    "response_means": Operator(
        lambda features: response_means(features, torch.eye(4, 3).to(features), features.new_ones(4), (6, 7)), features
    ),
    "entropy_gate": Operator(entropy_gate, lambda n: {"logits": torch.randn(n, 7)}, smooth=False),
    "response_peaks": Operator(response_peaks, lambda n: {"response": torch.rand(n, 5, 6)}, smooth=False),
    "saliency_grid": Operator(
        lambda saliency: saliency_grid(saliency, reach=3, fwhm=2.0), lambda n: {"saliency": torch.rand(n, 5, 6) + 0.1}
    ),
    "sample_by_saliency": Operator(
        lambda image, saliency: sample_by_saliency(image, saliency, size=(6, 7), reach=3, fwhm=2.0),
        lambda n: {"image": torch.rand(n, 2, 9, 8), "saliency": torch.rand(n, 5, 6) + 0.1},
    ),
    "attention_bumps": Operator(
        lambda weight, width: attention_bumps(
            torch.arange(len(weight), device=weight.device)[:, None].expand(-1, 3), weight, width, (len(weight), 4, 5)
        ),
        lambda n: {"weight": torch.rand(n), "width": 1 + torch.rand(n)},
    ),
    "linear": Operator(
        lambda x: fused.linear(x, torch.eye(4, 3).to(x), activation="gelu"), lambda n: {"x": torch.randn(n, 3)}
    ),
    "conv2d": Operator(
        lambda features: fused.conv2d(features, torch.eye(3)[:, :, None, None].to(features), activation="relu6"),
        features,
        smooth=False,
    ),
    "gated_conv": Operator(
        lambda features, gate: stacked(
            [
                GatedConv(f, torch.ones(2, 3, 3, 3).to(f), f.new_ones(2), products=True)(g)
                for f, g in zip(features, gate, strict=True)
            ],
            features,
        ),
        lambda n: features(n) | {"gate": torch.rand(n, 5, 6)},
    ),
    "sinkhorn": Operator(
        lambda cost, a, b: sinkhorn(cost, a, b, eps=0.2, rho=0.5, tol=1e-10).value,
        given=lambda n: {"cost": torch.rand(n + 2, 3), "a": torch.rand(n + 2) + 0.1, "b": torch.rand(3) + 0.1},
        once="sinkhorn",
    ),
    "sinkhorn of points": Operator(
        lambda x, y: (
            sinkhorn(
                PointCost(x, y, power=2), x.new_ones(len(x)), y.new_ones(len(y)), eps=0.2, rho=0.5, tol=1e-10
            ).value
        ),
        given=lambda n: {"x": torch.rand(n + 2, 2), "y": torch.rand(3, 2)},
        once="sinkhorn",
    ),
    "sinkhorn of grids": Operator(
        lambda x, y: sinkhorn(GridCost((x, y)), *2 * [x.new_ones(len(x) * len(y))], eps=0.2, rho=0.5).value,
        given=lambda n: {"x": torch.rand(n + 2), "y": torch.rand(3)},
        smooth=False,
    ),
    "polygon_coverage": Operator(
        lambda corners: polygon_coverage(corners, 6, 7),
        given=lambda n: {"corners": torch.rand(n + 3, 2) * 8 - 1},
        smooth=False,
    ),
    "inside_polygon": Operator(
        inside_polygon,
        given=lambda n: {"points": torch.rand(n, 2) * 8, "corners": torch.rand(n + 3, 2) * 8 - 1},
        smooth=False,
    ),
    "dots_map": Operator(
        lambda point: dots_map(point, (6, 7)), given=lambda n: {"point": torch.rand(n, 2) * 5}, smooth=False
    ),
    "gaussian_density": Operator(
        lambda point: gaussian_density(point, 1.5, (6, 7)), given=lambda n: {"point": torch.rand(n, 2) * 5}
    ),
    "density_peaks": Operator(
        lambda density: density_peaks(density, radius=1.5, threshold=0.2)[1],
        given=lambda n: {"density": torch.rand(n, 6)},
        smooth=False,
    ),
    "peak_basins": Operator(
        lambda points: peak_basins(points, (6, 7), 2.0), given=lambda n: {"points": torch.rand(n, 2) * 5}, smooth=False
    ),
}
#: Results to which every number of a map adds, so that one which is not finite has to show.
WHOLE = {
    *("masked_pool", "cosine_similarity_map", "similarity_to_examples", "correlate_kernels", "generalized_loss"),
    *("generalized_loss, reference", "bayesian_loss", "l2_loss", "block_count_error", "resize_density"),
    *("blend_windows", "inside_and_outside", "class_response", "response_means", "saliency_grid", "sample_by_saliency"),
}
#: These say that a map without values has no number of peaks.
VALUES_NEEDED = {"density_peaks"}

every = pytest.mark.parametrize("name", OPERATORS)
few = settings(max_examples=8, deadline=None)


def arguments(operator: Operator, pictures: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensors:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = operator.maps(pictures) | operator.given(pictures)
    return {name: tensor.to(dtype) for name, tensor in made.items()}


@every
@few
@given(st.integers(0, 3), st.sampled_from(DTYPES), st.integers(0, 99))
def test_finite_numbers_of_any_precision_give_finite_results(name, pictures, dtype, seed):
    """Refusing them by name would do too; an error of torch's would not."""
    operator = OPERATORS[name]
    made = arguments(operator, pictures, dtype, seed)
    if dtype.itemsize == 2 and name == "sinkhorn of grids":
        made = {key: tensor.float() for key, tensor in made.items()}
    result = operator.run(**made)
    assert bool(result.isfinite().all())
    if operator.maps(1):
        assert len(result) == pictures


@every
@few
@given(st.sampled_from(BAD), st.integers(0, 99), st.data())
def test_what_a_caller_gives_is_refused_by_name_where_it_is_not_finite(name, bad, seed, data):
    operator = OPERATORS[name]
    made = arguments(operator, 2, torch.float32, seed)
    if not operator.given(1):
        return
    argument = data.draw(st.sampled_from(sorted(operator.given(1))))
    place = tuple(data.draw(st.integers(0, n - 1)) for n in made[argument].shape)
    made[argument][place] = bad
    named = argument if not name.startswith("sinkhorn of grids") else "coordinates"
    with pytest.raises(LikewiseError, match=rf"\b{named}\b.* is ({bad:g})|point \(.*{bad:g}"):
        operator.run(**made)


@every
@few
@given(st.sampled_from(BAD), st.integers(0, 99), st.data())
def test_a_map_that_is_not_finite_spoils_its_own_picture_only(name, bad, seed, data):
    """Neither the value nor the gradient of another picture notices it, and it does not pass for a number itself."""
    operator = OPERATORS[name]
    if not operator.maps(1) or name in ("linear", "conv2d"):
        return
    made = arguments(operator, 3, torch.float64, seed)
    spoilt = {key: tensor.clone() for key, tensor in made.items()}
    argument = data.draw(st.sampled_from(sorted(operator.maps(1))))
    picture = data.draw(st.integers(0, 2))
    place = tuple(data.draw(st.integers(0, n - 1)) for n in made[argument].shape[1:])
    spoilt[argument][(picture, *place)] = bad
    if name.startswith("generalized_loss") and bad < 0:
        with pytest.raises(LikewiseError, match="goes down to -inf"):
            operator.run(**spoilt)
        return
    (clean, clean_slopes), (result, slopes) = derived(operator, made), derived(operator, spoilt)
    if name in WHOLE:
        assert not bool(result[picture].isfinite().all())
    others = [i for i in range(3) if i != picture]
    torch.testing.assert_close(result[others], clean[others])
    for key in clean_slopes:
        torch.testing.assert_close(slopes[key][others], clean_slopes[key][others])


def derived(operator: Operator, made: Tensors) -> tuple[Tensor, Tensors]:
    """The result, and the gradients of the sum of what is finite of it in all maps that have one."""
    maps = {key: made[key].clone().requires_grad_() for key in operator.maps(1)}
    result = operator.run(**(made | maps))
    if not result.requires_grad:
        return result, {}
    picked = torch.where(result.isfinite(), result, 0.0).sum()
    found = torch.autograd.grad(picked, list(maps.values()), allow_unused=True)
    return result.detach(), {key: slope for key, slope in zip(maps, found, strict=True) if slope is not None}


@every
@pytest.mark.parametrize("fake", [False, True])
@pytest.mark.parametrize("pictures", [0, 2])
def test_without_values_shapes_come_out(name, fake, pictures):
    operator = OPERATORS[name]
    made = arguments(operator, pictures, torch.float32)
    if fake:
        with FakeTensorMode() as mode:
            bare = {key: mode.from_tensor(tensor) for key, tensor in made.items()}
    else:
        bare, mode = {key: tensor.to("meta") for key, tensor in made.items()}, nullcontext()
    with mode:
        if name in VALUES_NEEDED:
            with pytest.raises(LikewiseError, match=f"{name}: .* values"):
                operator.run(**bare)
            return
        result = operator.run(**bare)
    expected = operator.run(**made)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)


@every
def test_derivatives_are_finite_differences(name):
    operator = OPERATORS[name]
    if not operator.smooth:
        return
    made = arguments(operator, 2)
    names = list(made)
    moved = operator.maps(1) or made
    leaves = [made[key].clone().requires_grad_(key in moved) for key in names]

    def run(*tensors: Tensor) -> Tensor:
        return operator.run(**dict(zip(names, tensors, strict=True)))

    assert gradcheck(run, leaves, eps=1e-6, atol=1e-5)
    if name in SECOND:
        assert gradgradcheck(run, leaves, eps=1e-6, atol=1e-5)


@every
def test_a_second_derivative_is_there_or_refused_by_name(name):
    operator = OPERATORS[name]
    made = {key: tensor.clone().requires_grad_() for key, tensor in arguments(operator, 2).items()}
    result = operator.run(**made)
    if not result.requires_grad:
        return
    first = torch.autograd.grad(result.sum(), list(made.values()), create_graph=True, allow_unused=True)
    slopes = [f.square().sum() for f in first if f is not None and f.requires_grad]
    if operator.once:
        with pytest.raises(LikewiseError, match=f"{operator.once} can be differentiated once"):
            sum(slopes).backward()
    elif name in REFUSED_BY_LIBRARY:
        with pytest.raises(RuntimeError, match=REFUSED_BY_LIBRARY[name]):
            sum(slopes).backward()
    elif slopes:
        sum(slopes).backward()


#: Operators of torch's and torchvision's that refuse a second derivative themselves, and by whose name.
REFUSED_BY_LIBRARY = {"pool_boxes": "double backwards on roi_align not supported"}
#: Second derivatives that are compared with finite differences.
SECOND = {"masked_pool", "cosine_similarity_map", "correlate_kernels", "l2_loss", "place_loss", "class_response"}


@every
@pytest.mark.parametrize("turned", [False, True])
def test_how_numbers_lie_in_memory_does_not_matter(name, turned):
    operator = OPERATORS[name]
    made = arguments(operator, 2, torch.float32)
    order = {key: list(range(t.ndim))[::-1] if turned else list(range(t.ndim)) for key, t in made.items()}
    scattered = {key: torch.stack([t, t], -1)[..., 0] for key, t in made.items()}
    scattered = {key: t.permute(order[key]).contiguous().permute(order[key]) for key, t in scattered.items()}
    torch.testing.assert_close(operator.run(**scattered), operator.run(**made), rtol=1e-4, atol=1e-5)
