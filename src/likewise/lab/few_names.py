"""How well a recogniser names what a few pictures of each name taught it: the table in docs/results.md.

Data: grocery, 81 kinds; taught by pictures of its train split, tried on its val split, which is from other places. The
trunk is cam-lite's, ImageNet's MobileNetV2 as published, which saw none of them. The peer is the mean of a name's
pictures on the same features, by cosine (a "nearest centroid"). What shows none of the names are the photographs among
the backgrounds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.adaptation.recognizer import features_of
from likewise.data.open_dataset import open_named
from likewise.engine.open_set import fit_open_set
from likewise.ops.ridge_classifier import ridge_classifier
from likewise.predict import Recognizer
from likewise.predict.recognizer import familiarity

MODEL = "cam-lite"
SHOTS = (5, 10, 20)
#: How many of grocery's kinds are told apart, drawn anew for each seed where it is not all of them.
NAMES = (81, 10)
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Looked:
    """What the trunk makes of pictures: features (N, D), and the class (N,) of each."""

    features: Tensor
    targets: Tensor


@dataclass(frozen=True)
class FewScore:
    """Shares, of one draw of teaching pictures or the mean of several.

    Attributes:
        peer: of the val pictures, those that the nearest mean names right.
        right: those that the taught recogniser names right.
        left_out: those of the teaching pictures that are right when they are left out.
        accepted: val pictures that are taken for one of the names.
        refused: backgrounds that are none of these.
    """

    peer: float
    right: float
    left_out: float
    accepted: float
    refused: float


def looked(data: Path, cache: Path, tell: Callable[[str], object]) -> dict[str, Looked]:
    """The features of grocery's splits and of the backgrounds, worked out once and kept in the cache."""
    held = cache / f"few_names_{MODEL}.npz"
    if not held.is_file():
        recognizer = Recognizer.load(MODEL)
        arrays: dict[str, Any] = {}
        for name, files, targets in _sets(data):
            found = features_of(recognizer, files, _telling(name, tell))
            arrays |= {f"{name} features": found.numpy(), f"{name} targets": np.array(targets)}
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(held, **arrays)
    with np.load(held) as read:
        tensors = {name: torch.from_numpy(read[name]) for name in read.files}
    names = [name.removesuffix(" targets") for name in tensors if name.endswith("targets")]
    return {name: Looked(tensors[f"{name} features"], tensors[f"{name} targets"]) for name in names}


def _telling(name: str, tell: Callable[[str], object]) -> Callable[[str, float], None]:
    """What is told of a set while its pictures are looked at."""

    def progress(_what: str, share: float) -> None:
        tell(f"{name}: {share:.0%}")

    return progress


def _sets(data: Path) -> list[tuple[str, list[Path], Sequence[int]]]:
    splits = {split: open_named(data / "grocery", split) for split in ("train", "val")}
    root = data / "backgrounds"
    photographs = json.loads((root / "index.json").read_text(encoding="utf-8"))["images"]
    others = [root / each["file_name"] for each in photographs if each["photo_like"]]
    sets = [(name, [each.root / file for file in each.names], each.targets) for name, each in splits.items()]
    return [*sets, ("others", others, [-1] * len(others))]


def measure(sets: dict[str, Looked], names: int, shots: int, seed: int) -> FewScore:
    """Teach with so many pictures of each of so many kinds, drawn by a seed, and try on all of val that shows these."""
    rng = np.random.default_rng(seed)
    train, val = sets["train"], sets["val"]
    kinds = np.sort(rng.permutation(int(train.targets.max()) + 1)[:names])
    own = [rng.permutation(np.flatnonzero(train.targets.numpy() == kind))[:shots] for kind in kinds]
    features = train.features[np.concatenate(own)]
    targets = torch.arange(names).repeat_interleave(torch.tensor([len(each) for each in own]))
    shown = torch.isin(val.targets, torch.from_numpy(kinds))
    asked, truth = val.features[shown], torch.from_numpy(np.searchsorted(kinds, val.targets[shown].numpy()))
    found = ridge_classifier(features, targets, names)
    threshold = fit_open_set(familiarity(found.left_out, features).tolist()).threshold
    logits, others = asked @ found.weight.T + found.bias, sets["others"].features
    return FewScore(
        peer=_share(_nearest_mean(features, targets, asked) == truth),
        right=_share(logits.argmax(1) == truth),
        left_out=_share(found.left_out.argmax(1) == targets),
        accepted=_share(familiarity(logits, asked) >= threshold),
        refused=_share(familiarity(others @ found.weight.T + found.bias, others) < threshold),
    )


def mean_score(scores: Sequence[FewScore]) -> FewScore:
    """Of several draws."""
    return FewScore(**{name: float(np.mean([vars(each)[name] for each in scores])) for name in vars(scores[0])})


def _nearest_mean(features: Tensor, targets: Tensor, asked: Tensor) -> Tensor:
    unit = F.normalize(features)
    means = torch.stack([unit[targets == i].mean(0) for i in targets.unique()])
    return (asked @ F.normalize(means).T).argmax(1)


def _share(right: Tensor) -> float:
    return right.double().mean().item()
