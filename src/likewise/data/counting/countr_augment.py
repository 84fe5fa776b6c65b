"""CounTR's augmentation: noise, colours, blur, affine maps, flips, crops and mosaics.

CounTX is trained with all of it, VLCounter with all but the mosaics.

Source: Liu et al., "CounTR: Transformer-based Generalised Visual Counting", BMVC 2022, section 3.3. The geometry is
`torchvision.transforms.v2`'s, on pictures and key points alike.

Convention: points x y and boxes xyxy in float pixels, the centre of the top left pixel is (0.5, 0.5). torchvision's own
resize, crop and affine map of key points agree with that; its flip takes x to W - 1 - x, one less than here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from likewise.data.counting.sample import CountSample
from likewise.data.infinite import ENDLESS, ShuffledDataset
from likewise.ops.density.tiling import blend_weights


@dataclass(frozen=True)
class Augmentation:
    """Strengths and probabilities; CounTR's, as far as its paper says them.

    Attributes:
        side: of the square pictures that come out; pictures are scaled until their shorter side is this.
        mosaic: probability of a mosaic of four pieces.
        vary: probability of noise, colours, blur, an affine map and a flip instead; otherwise there is a crop only.
        crowded: pictures with at least so many objects are put together from pieces of themselves, others from pieces
            of four pictures.
        piece: smallest share of `side` that a piece of a crowded picture's mosaic shows.
        sparse_piece: likewise of the others' mosaics.
        seam: pixels over which neighbouring pieces fade into each other.
        noise: standard deviation of the noise, of values in [0, 1].
        brightness: largest change of each: the factor is 1 +- this.
        contrast: likewise.
        saturation: likewise.
        hue: likewise, as a share of the colour circle.
        blur: kernel size (x, y) in pixels; its sigma is drawn from 0.1 to 2.
        angle: largest rotation in degrees.
        scale: smallest and largest enlargement.
        shear: largest angle in degrees.
        shift: largest shift as a share of the side.
    """

    side: int = 384
    mosaic: float = 0.25
    vary: float = 0.15
    crowded: int = 70
    piece: float = 0.4
    sparse_piece: float = 0.65
    seam: int = 16
    noise: float = 0.1
    brightness: float = 0.25
    contrast: float = 0.15
    saturation: float = 0.15
    hue: float = 0.15
    blur: tuple[int, int] = (7, 9)
    angle: float = 15.0
    scale: tuple[float, float] = (0.8, 1.2)
    shear: float = 10.0
    shift: float = 0.2


@dataclass(frozen=True, eq=False)
class View:
    """A picture (3, H, W) uint8 and key points in it: the objects' first, then four corners for every exemplar."""

    image: Tensor
    points: tv_tensors.KeyPoints
    objects: int

    @classmethod
    def of(cls, sample: CountSample) -> View:
        """A sample, its exemplars as corners."""
        corners = sample.exemplars[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
        points = tv_tensors.KeyPoints(torch.cat([sample.points, corners]), canvas_size=sample.size)
        return cls(sample.image, points, len(sample.points))

    def sample(self, sample: CountSample) -> CountSample:
        """The sample with this picture and the points inside it; objects' boxes are no longer known."""
        height, width = self.image.shape[1:]
        points = self.points.as_subclass(Tensor)[: self.objects]
        inside = ((points >= 0) & (points < points.new_tensor([width, height]))).all(dim=1)
        corners = self.points.as_subclass(Tensor)[self.objects :].view(-1, 4, 2)
        return replace(
            sample,
            image=self.image,
            points=points[inside].clone(),
            boxes=torch.full((int(inside.sum()), 4), torch.nan),
            exemplars=torch.cat([corners.amin(1), corners.amax(1)], dim=1),
            visible=None,
        )

    def resized(self, size: tuple[int, int]) -> View:
        """The view at (height, width)."""
        return replace(self, image=TF.resize(self.image, list(size)), points=TF.resize(self.points, list(size)))

    def cropped(self, top: int, left: int, side: int) -> View:
        """A square of the view."""
        box = (top, left, side, side)
        return replace(self, image=TF.crop(self.image, *box), points=TF.crop(self.points, *box))


class AugmentedDataset(Dataset[CountSample]):
    """A data set over and over, every epoch in a new order, augmented; position i is the same sample every time.

    Args:
        dataset: not empty; what is counted in each picture is told by its prompt.
        seed: of the orders and of the augmentation.
        augmentation: strengths.
        length: what `len` says.

    Raises:
        LikewiseError: the data set is empty.
    """

    def __init__(
        self,
        dataset: Dataset[CountSample],
        seed: int = 0,
        augmentation: Augmentation | None = None,
        *,
        length: int = ENDLESS,
    ) -> None:
        self.stream = ShuffledDataset(dataset, seed)
        self.seed = seed
        self.augmentation = augmentation or Augmentation()
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> CountSample:
        augmentation = self.augmentation
        rng = np.random.default_rng((self.seed, index, 2))
        sample = self.stream[index]
        kind = rng.random()
        if kind < augmentation.mosaic:
            return mosaic(sample, self._others(sample, rng), augmentation, rng)
        view = fitted_view(sample, augmentation.side)
        if kind < augmentation.mosaic + augmentation.vary:
            view = varied(view, augmentation, rng)
        return _random_crop(view, augmentation.side, rng).sample(sample)

    def _others(self, sample: CountSample, rng: np.random.Generator) -> list[CountSample]:
        """The pictures of the other three pieces; the sample itself where it is crowded."""
        if len(sample.points) >= self.augmentation.crowded:
            return [sample] * 3
        return [self.stream.dataset[int(i)] for i in rng.integers(self.stream.size, size=3)]


def fitted_view(sample: CountSample, side: int) -> View:
    """A sample scaled until its shorter side is ``side``; both become multiples of 16 or stay ``side``."""
    scale = side / min(sample.size)
    height, width = (max(side, int(length * scale) // 16 * 16) for length in sample.size)
    return View.of(sample).resized((height, width))


def varied(view: View, how: Augmentation, rng: np.random.Generator) -> View:
    """Noise, other colours, changed in any order, blur, an affine map and, half the time, a mirror image."""
    values = view.image.float() / 255
    values = (values + torch.from_numpy(rng.standard_normal(values.shape, np.float32)) * how.noise).clamp(0, 1)
    factors = 1 + rng.uniform(-1, 1, 3) * (how.brightness, how.contrast, how.saturation)
    changes = (TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation, TF.adjust_hue)
    amounts = (*factors, rng.uniform(-how.hue, how.hue))
    for index in rng.permutation(4):
        values = changes[index](values, float(amounts[index]))
    values = TF.gaussian_blur(values, list(how.blur), [float(rng.uniform(0.1, 2.0))])
    view = replace(view, image=(values * 255).round().to(torch.uint8))
    view = _moved(view, how, rng)
    return mirrored(view) if rng.random() < 0.5 else view


def mirrored(view: View) -> View:
    """The view, left and right exchanged."""
    # torchvision mirrors indices of pixels, which are half a pixel less than coordinates here, on both sides
    points = TF.horizontal_flip(view.points).as_subclass(Tensor) + torch.tensor([1.0, 0.0])
    return replace(view, image=TF.horizontal_flip(view.image), points=tv_tensors.wrap(points, like=view.points))


def mosaic(sample: CountSample, others: list[CountSample], how: Augmentation, rng: np.random.Generator) -> CountSample:
    """Four pieces of pictures, each a quarter of the result, fading into each other along the seams.

    Objects count in pieces whose prompt is the sample's; in pieces of other prompts there is nothing to count.

    Args:
        sample: whose prompt it is; the exemplars are its, at the size they have in its piece.
        others: three further pictures.
        how: strengths.
        rng: decides on the pieces and their places.
    """
    half, fade = how.side // 2, how.seam // 2
    spans = [(0, half + fade), (half - fade, how.side)]
    weights = blend_weights(spans, 2 * fade)
    canvas, found, exemplars = torch.zeros(3, how.side, how.side), [], sample.exemplars
    smallest = how.piece if len(sample.points) >= how.crowded else how.sparse_piece
    order = rng.permutation(4)
    for place, source in zip(order, (sample, *others), strict=True):
        (y0, y1), (x0, x1) = spans[place // 2], spans[place % 2]
        shown = round(how.side * float(rng.uniform(smallest, 1.0)))
        piece = _piece(source, half + fade, shown, how.side, rng).sample(source)
        canvas[:, y0:y1, x0:x1] += weights[place // 2][:, None] * weights[place % 2] * piece.image
        points = piece.points + torch.tensor([x0, y0])
        exemplars = piece.exemplars if source is sample else exemplars
        # of what is in the seam, each piece keeps what is on its side
        own = (points.div(half, rounding_mode="floor") == torch.tensor([place % 2, place // 2])).all(dim=1)
        found.append(points[own] if source.prompt == sample.prompt else points[:0])
    points = torch.cat(found)
    unknown = torch.full((len(points), 4), torch.nan)
    image = canvas.round().to(torch.uint8)
    return replace(sample, image=image, points=points, boxes=unknown, exemplars=exemplars, visible=None, others=None)


def _piece(sample: CountSample, side: int, shown: int, whole: int, rng: np.random.Generator) -> View:
    """A square of ``shown`` pixels of a picture whose shorter side is ``whole`` pixels, at another size."""
    return _random_crop(fitted_view(sample, whole), shown, rng).resized((side, side))


def _random_crop(view: View, side: int, rng: np.random.Generator) -> View:
    height, width = view.image.shape[1:]
    return view.cropped(int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1)), side)


def _moved(view: View, how: Augmentation, rng: np.random.Generator) -> View:
    """Rotated, scaled, sheared and shifted about the middle; black where nothing is."""
    shift = rng.uniform(-how.shift, how.shift, 2) * view.image.shape[:0:-1]
    angle, shear = float(rng.uniform(-how.angle, how.angle)), float(rng.uniform(-how.shear, how.shear))
    scale, translate = float(rng.uniform(*how.scale)), [int(v) for v in shift]
    image = TF.affine(view.image, angle, translate, scale, [shear, 0.0], interpolation=InterpolationMode.BILINEAR)
    return replace(view, image=image, points=TF.affine(view.points, angle, translate, scale, [shear, 0.0]))
