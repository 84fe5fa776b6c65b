"""Segmenting: a picture of any size and examples in, a mask of the caller's pixels out.

Convention
----------
Masks, boxes and clicks of the support are in the pixels of their own pictures.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.predict.edges import refined
from likewise.predict.marks import Mark, MaskSource, mark_of
from likewise.predict.prepared_image import Picture, pixels_of, preview_of, source_of
from likewise.predict.protocols import Encoded, SegmenterModel
from likewise.preprocess.rules import Preprocess
from likewise.preprocess.scaled_view import View, network_scale
from likewise.registry import load_model
from likewise.results import SegmentResult
from likewise.results.segment import THRESHOLD
from likewise.types import Task

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Support:
    """What examples say, made by `Segmenter.set_support`; it serves for any number of queries.

    Attributes:
        prototype: the model's own.
        shots: how many examples there were.
    """

    prototype: object
    shots: int


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """A picture as the network sees it, made by `Segmenter.encode`: it may be a query and an example, again and again.

    Attributes:
        seen: the model's own.
        size: (width, height) of the picture.
        preview: (h, w, 3) uint8, the picture or a reduced copy of it.
        source: the picture's file name, where it has one.
    """

    seen: Encoded
    size: tuple[int, int]
    preview: np.ndarray
    source: str | None


class Segmenter:
    """Finds, in pictures of any size, what examples with masks show.

    Args:
        model: a network that meets `likewise.predict.protocols.SegmenterModel`; it is put in eval mode and on the
            device.
        name: for results.
        device: None: a GPU where there is one, else the CPU.

    Example:
        >>> from skimage import data
        >>> segmenter = Segmenter.load("fwb-lite")
        >>> coins = segmenter.encode(data.coins()[:110])
        >>> coin = segmenter.set_support([(coins, (81, 39, 120, 74))])
        >>> segmenter.segment(coins, coin).mask.shape
        (110, 384)
    """

    task: Task = "segment"

    def __init__(self, model: SegmenterModel, name: str, *, device: str | torch.device | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).eval()
        self.name = name

    @classmethod
    def load(cls, name_or_path: str | Path, *, device: str | torch.device | None = None) -> Segmenter:
        """`likewise.load` for what segments, and nothing else."""
        name, model = load_model(name_or_path, task="segment")
        return cls(model, name, device=device)

    @property
    def preprocess(self) -> Preprocess:
        """How pictures become the model's input."""
        return self.model.config.preprocess

    @torch.inference_mode()
    def segment(
        self, query: Picture | EncodedImage, support: Sequence[tuple[Picture | EncodedImage, MaskSource]] | Support
    ) -> SegmentResult:
        """Find in a picture what the support shows.

        Args:
            query: a path, a Pillow picture, an array (H, W), (H, W, 3) or (H, W, 4), a tensor (3, H, W), or what
                `encode` made of one.
            support: (picture, mask) pairs, at least one, or what `set_support` made of them. A mask is an array (H, W)
                or a picture file of its picture's size, in which anything but 0 is the thing and what is transparent
                is not; a box (x0, y0, x1, y1) round the thing; or clicks [(x, y), ...] on it.

        Raises:
            LikewiseError: an unreadable picture or mask; a mask of another size than its picture, or an empty one; a
                box or click outside the picture; no support.

        Example:
            >>> from skimage import data
            >>> coins = data.coins()[:110, :260]
            >>> result = Segmenter.load("fwb-lite").segment(coins, [(coins, (81, 39, 120, 74))])
            >>> bool(result.mask[56, 100]), bool(result.mask[5, 5])  # on the coin, and beside all coins
            (True, False)
        """
        start = time.perf_counter()
        held = support if isinstance(support, Support) else self.set_support(support)
        looked = query if isinstance(query, EncodedImage) else self.encode(query)
        return SegmentResult(
            grid=self._score(looked, held.prototype),
            size=looked.size,
            model=self.name,
            seconds=time.perf_counter() - start,
            image=looked.preview,
            source=looked.source,
        )

    @torch.inference_mode()
    def set_support(self, support: Sequence[tuple[Picture | EncodedImage, MaskSource]]) -> Support:
        """Look at examples once, to segment many pictures by them: pass the result as ``support``.

        Args:
            support: as in `segment`.

        Raises:
            LikewiseError: as `segment` does.
        """
        if len(support) == 0:
            raise LikewiseError("nothing to go by; expected support=[('ref.jpg', 'ref_mask.png'), ...]")
        shots = []
        for index, pair in enumerate(support):
            if len(pair) != 2:
                raise LikewiseError(f"support[{index}] has {len(pair)} parts; expected a picture and its mask")
            try:
                shots.append(self._shot(*pair))
            except LikewiseError as error:
                raise LikewiseError(f"support[{index}]: {error}") from error
        return Support(self.model.prototype(shots), len(shots))

    @torch.inference_mode()
    def encode(self, image: Picture) -> EncodedImage:
        """Get a picture ready to be a query or an example many times; exactly the same comes out, sooner.

        Raises:
            LikewiseError: an unreadable picture.
        """
        pixels = pixels_of(image)
        height, width = pixels.shape[:2]
        view = View.of(pixels, network_scale(self.preprocess, None, width, height), self.preprocess.multiple)
        (seen,) = self.model.look([view.tensor((0, 0, view.height, view.width))[0].to(self.device)])
        return EncodedImage(seen, (width, height), preview_of(pixels), source_of(image))

    def _score(self, looked: EncodedImage, prototype: object) -> NDArray[np.float32]:
        """How much each place of a picture looks like the thing, (h, w), at its edges where the model asks for that."""
        score = self.model.answer(looked.seen, prototype).float().softmax(0)[1].cpu()
        if not score.isfinite().all():
            raise LikewiseError(f"{self.name} gave an answer that is not finite: its weights are damaged or unfit")
        reach = self.model.config.edges
        return refined(score.numpy(), looked.preview, reach) if reach else score.numpy()

    def _shot(self, picture: Picture | EncodedImage, mask: MaskSource) -> tuple[Encoded, Tensor]:
        looked = picture if isinstance(picture, EncodedImage) else self.encode(picture)
        mark = mark_of(mask, *looked.size)
        if not mark.pixels.any():
            raise LikewiseError("the mask is empty; it must cover the thing to be found")
        return looked.seen, torch.from_numpy(self._marked(looked, mark)).to(self.device)

    def _marked(self, looked: EncodedImage, mark: Mark) -> Bools:
        """A mask at the network's size; of a box or clicks that of the thing that they mark.

        What a box or clicks stand for is taken for an example, by which the same picture is segmented: what of the box
        is not like the thing goes, and what is like the clicked places comes. Where nothing is left, they stay.
        """
        mask = _shrunk(mark.pixels, looked.seen.size)
        if mark.kind == "mask":
            return mask
        prototype = self.model.prototype([(looked.seen, torch.from_numpy(mask).to(self.device))])
        found = _shrunk(self._score(looked, prototype) > THRESHOLD, looked.seen.size)
        found = found & mask if mark.kind == "box" else found | mask
        return found if found.any() else mask


def _shrunk(mask: Bools, size: tuple[int, int]) -> Bools:
    """A mask at a network's size (height, width): pixels covered by half or more, or else the best covered ones."""
    whole = Image.fromarray(mask.astype(np.float32))
    share = np.asarray(whole.resize((size[1], size[0]), Image.Resampling.BOX))
    found: Bools = share >= min(0.5, float(share.max()))
    return found
