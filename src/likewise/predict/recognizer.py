"""Recognising: a picture of any size in, its name and the reasons in the caller's pixels out.

Convention
----------
A cell (i, j) of a response map of M x M stands at j / (M - 1) and i / (M - 1) between the centres of the corner pixels
of what the network sees.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.predict.prepared_image import Picture, pixels_of, preview_of, source_of
from likewise.predict.protocols import RecognizerModel
from likewise.predict.taught_names import TaughtNames, taught_names_of
from likewise.registry import load_model
from likewise.results import RecognizeResult
from likewise.types import Box, Task
from likewise.weights import half_is_exact, save_checkpoint


class Recognizer:
    """Recognises what pictures of any size show.

    Args:
        model: a network that meets `likewise.predict.protocols.RecognizerModel`; it is put in eval mode and on the
            device.
        name: for results.
        device: None: a GPU where there is one, else the CPU.
        taught: what few pictures taught it (`likewise.adapt_recognizer`); None: nothing of that kind is known.

    Example:
        >>> from skimage import data
        >>> recognizer = Recognizer.load("s3n-lite")
        >>> result = recognizer.recognize(data.coffee())
        >>> len(recognizer.labels), result.label, result.nearest in recognizer.labels
        (81, 'none of these', True)
    """

    task: Task = "recognize"

    def __init__(
        self,
        model: RecognizerModel,
        name: str,
        *,
        device: str | torch.device | None = None,
        taught: TaughtNames | None = None,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).eval()
        self.name = name
        self.taught = taught

    @classmethod
    def load(cls, name_or_path: str | Path, *, device: str | torch.device | None = None) -> Recognizer:
        """`likewise.load` for what recognises, and nothing else."""
        name, model = load_model(name_or_path, task="recognize")
        return cls(model, name, device=device, taught=taught_names_of(Path(name_or_path)))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; "class 0", "class 1", ... where the weights have none."""
        config = self.model.config
        return config.labels or tuple(f"class {i}" for i in range(config.classes))

    def save(self, path: str | Path) -> Path:
        """Write its weights, with what it was taught, as a file that `likewise.load` takes.

        Args:
            path: of the file, which appears under its name only when it is complete.

        Raises:
            LikewiseError: a name that does not end in ``.safetensors``.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = Recognizer.load("s3n-lite").save(f"{folder}/mine.safetensors")
            ...     len(Recognizer.load(path).labels)
            81
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise LikewiseError(f"{path}: expected a name that ends in .safetensors, so that it is known for a model")
        network: Any = self.model  # of any method
        notes = None if self.taught is None else self.taught.to_notes()
        return save_checkpoint(path, network, half=half_is_exact(network), notes=notes)

    @torch.inference_mode()
    def recognize(self, image: Picture) -> RecognizeResult:
        """Say what a picture shows; the same picture gives the same result.

        Args:
            image: a path, a Pillow picture, an array (H, W), (H, W, 3) or (H, W, 4), or a tensor (3, H, W).

        Raises:
            LikewiseError: an unreadable picture.
        """
        start = time.perf_counter()
        pixels = pixels_of(image)
        height, width = pixels.shape[:2]
        view = self.model.config.view
        seen = view.of(pixels)
        look = self.model(torch.tensor(seen, device=self.device).permute(2, 0, 1)[None].float() / 255)
        if not look.logits.isfinite().all():
            raise LikewiseError(f"{self.name} gave an answer that is not finite: its weights are damaged or unfit")
        response = look.response[0].float().cpu().numpy()
        box = view.box(width, height)
        peaks, scores = _peaks(response, look.peaks[0].cpu().numpy(), box, view.size)
        known = self.model.config.open_set
        familiar = familiarity(look.logits.float(), look.features.float()).item()
        return RecognizeResult(
            labels=self.labels,
            probabilities=look.logits[0].float().softmax(0).cpu().numpy(),
            peaks=peaks,
            scores=scores,
            response=response,
            seen=box,
            magnified=tuple(self._shown(each[0]) for each in look.sampled.values()),
            size=(width, height),
            model=self.name,
            seconds=time.perf_counter() - start,
            image=preview_of(pixels),
            source=source_of(image),
            familiarity=familiar,
            known=known is None or familiar >= known.threshold,
        )

    def _shown(self, normalised: Tensor) -> NDArray[np.uint8]:
        """A picture (3, S, S) as the network was given it, as (S, S, 3) uint8."""
        values = self.model.config.preprocess.denormalised(normalised.float().cpu()).clamp(0, 1) * 255
        return values.round().byte().permute(1, 2, 0).contiguous().numpy()


def familiarity(logits: Tensor, features: Tensor) -> Tensor:
    """(B,) how much pictures look like one of the classes: (largest logit - their mean) / norm of the features.

    The largest logit tells what is known from what is not (Vaze et al., "Open-Set Recognition: A Good Closed-Set
    Classifier Is All You Need?", ICLR 2022). Less what all classes have in common, and for features of unit length, it
    is the cosine between features and class times that class's own length: pictures that excite everything are no
    longer taken for known.

    Args:
        logits: (B, C).
        features: (B, D), which they are a linear function of.
    """
    best = logits.max(1).values - logits.mean(1)
    return best / features.norm(dim=1).clamp(min=torch.finfo(features.dtype).tiny ** 0.5)


def _peaks(
    response: NDArray[np.float32], peaks: NDArray[np.bool_], box: Box, size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Places (N, 2) of the peaks in the picture and the response there, the strongest first."""
    cells = np.argwhere(peaks)
    scores = response[peaks].astype(np.float32)
    best = np.argsort(-scores, kind="stable")
    share = cells[best][:, ::-1] / (np.array(response.shape[::-1]) - 1)  # of the way between the corner pixels
    share = (0.5 + share * (size - 1)) / size
    low, high = np.array(box[:2]), np.array(box[2:])
    return (low + share * (high - low)).astype(np.float32), scores[best]
