"""DCN: deformable convolutional networks, made of any timm or torchvision CNN, and a picture of where they look.

Paper: Dai et al., "Deformable Convolutional Networks", ICCV 2017; the modulation is that of Zhu et al., "Deformable
ConvNets v2", CVPR 2019. Written from the papers. Licence of this code: Apache-2.0. There are no weights: what is made
deformable keeps its own and starts as the network it was.

Modulation is 2 sigmoid, as in the authors' example of DCNv2, so that it starts at 1 and changes nothing; the paper's
sigmoid, which starts at a half, is ``modulation_scale=1``. Deviations:
The offset branch has the replaced convolution's kernel, stride and dilation, but never its groups: also on a depthwise
convolution it sees all channels, and is then far larger than the convolution itself.

Convention
----------
Places are (x, y) in float pixels of the caller's picture, the centre of the top left pixel is (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from likewise.data.images import ImageSource, read_image
from likewise.draw import BOX_COLOUR, CASING, POINT_COLOUR, canvas, heat_colours
from likewise.errors import LikewiseError, nearest
from likewise.methods.dcn.feature_geometry import Reading, deformable_readings
from likewise.methods.dcn.stages import find_stages, spatial_convolutions
from likewise.nn.deform import DeformableConv2d, places_read
from likewise.nn.deform_roi import DeformRoIPool
from likewise.types import Point

_Model = TypeVar("_Model", bound=nn.Module)
#: What a picture (1, 3, H, W) in [0, 1] goes through before it enters a network, such as a normalisation.
Prepare = Callable[[Tensor], Tensor]
#: More places than this are not worth drawing, nor room for.
_MOST_PLACES = 1_000_000


def deformable(
    model: _Model,
    stages: int | str | Sequence[str] = 1,
    *,
    modulated: bool = False,
    offset_groups: int = 1,
    modulation_scale: float = 2.0,
) -> _Model:
    """Make the last stages of a CNN deformable, in place: its output stays what it was until it is trained.

    Every convolution larger than 1 x 1 in these stages (strided, dilated, grouped and depthwise ones too) gets a
    zero-initialised offset convolution and samples where that tells it to (Dai et al., section 2.1). Weights are kept:
    the same Parameters under the same names; the new ones are called ``<name>.offsets.weight`` and ``.bias``.

    Args:
        model: any network of `torch.nn.Conv2d`, such as timm's and torchvision's.
        stages: how many of the last stages, as `likewise.methods.dcn.stages.find_stages` finds them; or names of
            modules: a convolution, or a part of the network, all convolutions of which are meant.
        modulated: also learn how much each sample counts (DCNv2).
        offset_groups: groups of channels with offsets of their own.
        modulation_scale: what the modulation's sigmoid is multiplied by; 2 starts at 1, the paper's 1 at a half.

    Returns:
        ``model`` itself.

    Raises:
        LikewiseError: too few stages, no such module, none with a spatial convolution, or one that is deformable
            already or computes more than an ordinary convolution. Nothing is changed then.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
        >>> type(deformable(network, "2")[2]).__name__
        'DeformableConv2d'
    """
    modules = dict(model.named_modules())
    names = _last_stages(model, stages) if isinstance(stages, int) else _named(modules, stages)
    made = {}
    for name in names:
        try:
            conv = modules[name]
            made[id(conv)] = DeformableConv2d(
                conv, modulated=modulated, offset_groups=offset_groups, modulation_scale=modulation_scale
            )
        except LikewiseError as error:
            raise LikewiseError(f"{name}: {error}") from None
    for parent in modules.values():  # a convolution may hang in several places
        for key, child in list(parent._modules.items()):
            if id(child) in made:
                parent._modules[key] = made[id(child)]
    return model


def _last_stages(model: nn.Module, count: int) -> list[str]:
    stages = find_stages(model)
    if not 1 <= count <= len(stages):
        told = "; ".join(f"{i + 1}: {stage[0]} .. {stage[-1]}" for i, stage in enumerate(stages))
        raise LikewiseError(
            f"stages = {count}: {type(model).__name__} has {len(stages)} stages with convolutions larger than 1 x 1"
            f"{f' ({told})' if told else ''}; expected 1 to {len(stages)}, or the names of modules"
        )
    return [name for stage in stages[-count:] for name in stage]


def _named(modules: dict[str, nn.Module], names: str | Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for name in [names] if isinstance(names, str) else names:
        if name not in modules:
            raise LikewiseError(f"no module named {name!r}{nearest(name, filter(None, modules))}")
        inside = spatial_convolutions(modules[name], name)
        if not inside:
            raise LikewiseError(f"{name} ({type(modules[name]).__name__}) has no convolution larger than 1 x 1")
        found.update(dict.fromkeys(inside))
    if not found or "" in found:
        raise LikewiseError(f"stages = {names!r} names no part of the network; expected names of its modules")
    return list(found)


def parameter_groups(
    model: nn.Module, lr: float, *, offset_factor: float = 1.0, roi_factor: float = 0.01
) -> list[dict[str, object]]:
    """Optimiser groups: offset branches, and what makes the offsets of RoI pooling, at rates of their own.

    The defaults are those of Dai et al.: convolutions' offsets learn as fast as all else, the fully connected layer of
    deformable RoI pooling at a hundredth. A tenth for the convolutions' is Zhu et al.'s (DCNv2).

    Args:
        model: with or without deformable layers.
        lr: learning rate of the rest.
        offset_factor: of the rate of the offset branches of `DeformableConv2d`.
        roi_factor: of the rate of the fully connected layer of `likewise.nn.deform_roi.DeformRoIPool`.

    Returns:
        Groups with ``params`` and ``lr``: the rest, and the others where there are any. Frozen parameters are left
        out.

    Example:
        >>> network = deformable(nn.Sequential(nn.Conv2d(3, 8, 3)), "0")
        >>> [group["lr"] for group in parameter_groups(network, lr=0.5, offset_factor=0.5)]
        [0.5, 0.25]
    """
    branches = [layer.offsets for layer in model.modules() if isinstance(layer, DeformableConv2d)]
    linears = [layer.offset for layer in model.modules() if isinstance(layer, DeformRoIPool)]
    moving = {id(p) for branch in branches for p in branch.parameters()}
    pooling = {id(p) for linear in linears for p in linear.parameters()}
    parts: tuple[list[nn.Parameter], ...] = ([], [], [])
    for parameter in model.parameters():
        if parameter.requires_grad:
            parts[2 if id(parameter) in pooling else 1 if id(parameter) in moving else 0].append(parameter)
    every = zip(parts, (lr, offset_factor * lr, roi_factor * lr), strict=True)
    return [{"params": parameters, "lr": rate} for parameters, rate in every if parameters]


@dataclass(frozen=True)
class Sampling:
    """Where one unit looks, in pixels of the caller's picture.

    Attributes:
        unit: (x, y) of the unit's own centre.
        places: for each layer, from the unit's back to the picture, the (x, y) places read through it: 9, 81, ...
            rows for 3 x 3 kernels.
        weights: how much each place counts: the product, layer by layer, of its kernel position's share of the
            kernel's norm and of the modulation; 0 for what lies outside a map.
        layers: the layers' names, in the same order.
    """

    unit: Point
    places: tuple[NDArray[np.float64], ...]
    weights: tuple[NDArray[np.float64], ...]
    layers: tuple[str, ...]


def sampling_places(
    model: nn.Module,
    image: ImageSource | Tensor,
    at: Point,
    layers: int = 1,
    *,
    layer: str | None = None,
    prepare: Prepare | None = None,
) -> Sampling:
    """Where the unit of a deformable layer above a point of the picture looks, through one or several such layers.

    Layers are followed back from ``layer`` along the way the picture came. Between them, maps lie on the picture as
    strides and paddings put them; ordinary convolutions count as looking at their centre.

    Args:
        model: with deformable layers; run once in eval mode and left as it was.
        image: a picture, or a tensor (C, H, W) or (1, C, H, W) that the network takes as it is.
        at: (x, y) in pixels of the picture; the unit with the nearest centre is taken.
        layers: through how many layers: 9 places through one of 3 x 3, 9^k through k.
        layer: the name of the layer the unit belongs to; None: the last deformable one that runs.
        prepare: what a picture, (1, 3, H, W) in [0, 1], goes through before the network: a normalisation, or a
            rescaling of the whole picture.

    Raises:
        LikewiseError: a point outside the picture, no such layer, or fewer layers on the way than asked for.

    Example:
        >>> network = deformable(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1)), "0")
        >>> found = sampling_places(network, torch.rand(3, 32, 32), at=(16.5, 16.5))
        >>> found.unit, found.places[0].shape
        ((16.5, 16.5), (9, 2))
    """
    x, size = _as_input(image, prepare)
    if not (0 <= at[0] <= size[1] and 0 <= at[1] <= size[0]):
        raise LikewiseError(f"at = {at} is outside the picture of {size[1]} x {size[0]} pixels")
    device = next(model.parameters(), x).device
    chain = _chain(deformable_readings(model, x.to(device)), layer, layers)
    ratio = np.divide(size, x.shape[-2:])  # rows and columns of the picture in one of the input's
    unit = _nearest_unit(chain[0], (np.array(at)[::-1] / ratio - 0.5))
    units, weight = torch.from_numpy(unit[None]).to(device), torch.ones(1, device=device)
    places, weights = [], []
    for reading, before in zip(chain, [*chain[1:], None], strict=True):
        read, share = places_read(reading.layer, reading.input, units)
        weight = (weight[:, None] * share).flatten()
        on_input = read.flatten(0, 1) * read.new_tensor(reading.grid.step) + read.new_tensor(reading.grid.start)
        places.append(_in_pixels(on_input.cpu().numpy(), ratio))
        weights.append(weight.cpu().numpy())
        if before is not None:
            units = (on_input - on_input.new_tensor(before.out.start)) / on_input.new_tensor(before.out.step)
    centre = np.multiply(unit, chain[0].out.step) + chain[0].out.start
    own = _in_pixels(centre[None], ratio)[0]
    return Sampling((float(own[0]), float(own[1])), tuple(places), tuple(weights), tuple(r.name for r in chain))


def plot_sampling(
    model: nn.Module,
    image: ImageSource,
    at: Point,
    layers: int = 3,
    *,
    layer: str | None = None,
    prepare: Prepare | None = None,
) -> Image.Image:
    """Draw where a unit looks: a dot at every place, cyan rings where its own layer reads, a green ring round itself.

    The more a place counts, the brighter and larger it is; what lies outside the picture is not drawn.

    Args:
        model: see `sampling_places`, as for the rest.
        image: a picture.
        at: (x, y) in its pixels.
        layers: through how many layers.
        layer: the layer of the unit.
        prepare: what the picture goes through before the network.

    Returns:
        A copy of the picture, at a size good to look at, drawn on.

    Raises:
        LikewiseError: as `sampling_places`.

    Example:
        >>> network = deformable(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1)), "0")
        >>> plot_sampling(network, np.zeros((100, 200, 3), np.uint8), at=(60, 40), layers=1).size
        (900, 450)
    """
    pixels = read_image(image)
    found = sampling_places(model, pixels, at, layers, layer=layer, prepare=prepare)
    picture, factor = canvas(pixels)
    _draw_places(picture, found.places[-1] * factor, found.weights[-1])
    if layers > 1:
        _draw_rings(picture, found.places[0] * factor, BOX_COLOUR, 14)
    _draw_rings(picture, np.array([found.unit]) * factor, POINT_COLOUR, 22)
    return picture


def _draw_places(picture: Image.Image, places: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """Dots, the weightiest last, so that they lie on top."""
    pen, unit = ImageDraw.Draw(picture), max(picture.size) / 1000
    level = (weights / max(weights.max(initial=0), np.finfo(np.float64).tiny)) ** 0.5
    size = unit * (10 if len(places) < 100 else 6)
    colours = heat_colours(0.35 + 0.65 * level)
    for i in np.argsort(level)[np.count_nonzero(level == 0) :]:
        (x, y), radius = places[i], size * (0.4 + 0.6 * level[i])
        pen.ellipse((x - radius - unit, y - radius - unit, x + radius + unit, y + radius + unit), fill=CASING)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(colours[i].tolist()))


def _draw_rings(picture: Image.Image, places: NDArray[np.float64], colour: tuple[int, int, int], size: float) -> None:
    pen, unit = ImageDraw.Draw(picture), max(picture.size) / 1000
    for x, y in places:
        for radius, width, ink in ((size + 1.5, 7, CASING), (size, 4, colour)):
            box = (x - radius * unit, y - radius * unit, x + radius * unit, y + radius * unit)
            pen.ellipse(box, outline=ink, width=max(1, round(width * unit)))


def _as_input(image: ImageSource | Tensor, prepare: Prepare | None) -> tuple[Tensor, tuple[int, int]]:
    """The network's input (1, C, H, W), and the rows and columns of the picture."""
    if isinstance(image, Tensor):
        x = image if image.dim() == 4 else image[None]
    else:
        x = torch.from_numpy(read_image(image)).permute(2, 0, 1)[None].float() / 255
    if x.dim() != 4 or len(x) != 1:
        raise LikewiseError(f"the image has shape {tuple(image.shape)}; expected (C, H, W), one picture")  # type: ignore[union-attr]  # only a tensor's can be
    size = (x.shape[-2], x.shape[-1])
    return x if prepare is None else prepare(x), size


def _chain(readings: Sequence[Reading], layer: str | None, layers: int) -> list[Reading]:
    """The calls on the way back from a layer, its own first."""
    names = [reading.name for reading in readings]
    if not names:
        raise LikewiseError("the network has no deformable layer; make some with deformable(model)")
    if layer is not None and layer not in names:
        raise LikewiseError(f"no deformable layer named {layer!r}{nearest(layer, names)}")
    number = len(names) - 1 if layer is None else names.index(layer)
    chain = []
    while number >= 0:
        chain.append(readings[number])
        number = readings[number].grid.via_layer
    if not 1 <= layers <= len(chain):
        raise LikewiseError(
            f"layers = {layers}: the picture comes to {chain[0].name} through {len(chain)} deformable layers"
        )
    places = math.prod(reading.layer.samples for reading in chain[:layers])
    if places > _MOST_PLACES:
        raise LikewiseError(
            f"layers = {layers} would be {places} places; expected fewer layers, at most {_MOST_PLACES}"
        )
    return chain[:layers]


def _nearest_unit(reading: Reading, place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row and column of the unit with the centre nearest to a row and column of the input."""
    unit = np.rint((place - reading.out.start) / reading.out.step)
    return np.clip(unit, 0, np.subtract(reading.size, 1))


def _in_pixels(places: NDArray[np.float64], ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows and columns of the input, first centre at 0 -> x and y in the caller's pixels."""
    return ((places + 0.5) * ratio)[:, ::-1]
