"""`adapt_recognizer`: names of one's own, from a few pictures of each, in seconds.

The trunk of a recogniser stays as it is, and what it makes of each picture is worked out once. A linear classifier on
that is computed (`likewise.ops.ridge_classifier`), which tells at the same time what each picture would have been
called had it been left out. Five pictures of a name could not teach a trunk of millions of numbers anything that holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from likewise.data.open_dataset import open_named
from likewise.engine.open_set import FEWEST, fit_open_set
from likewise.errors import LikewiseError
from likewise.methods.s3n import S3N, S3N_LITE
from likewise.nn.spatial_trunk import SpatialTrunk
from likewise.ops.ridge_classifier import RidgeClassifier, ridge_classifier
from likewise.predict import Picture, Recognizer
from likewise.predict.prepared_image import pixels_of, source_of
from likewise.predict.protocols import RecognizerModel
from likewise.predict.recognizer import familiarity
from likewise.predict.taught_names import NamedPicture, TaughtNames
from likewise.results.recognize import NONE_OF_THESE

#: What is told of the work: what is being done, and the share of all of it that is.
Progress = Callable[[str, float], None]
#: Looking at the pictures is taken to be this share of all the work.
LOOKS = 0.95


def adapt_recognizer(
    recognizer: Recognizer,
    named: Iterable[tuple[Picture, str]] | str | Path,
    *,
    split: str | None = None,
    progress: Progress | None = None,
) -> Recognizer:
    """Teach a recogniser names of your own by a few pictures of each; it forgets those that it knew.

    Five to twenty pictures of a name are right, two are the least; the same pictures give the same recogniser. Each
    picture is left out in turn, to see what the others are worth: that is in its ``taught``. From twenty pictures on it
    also learns from these when to say that a picture shows none of the names. Its ``save`` writes it as a file, which
    `likewise.load` takes.

    Args:
        recognizer: whose trunk is used: ``cam-lite`` for pictures of any kind, ``s3n-lite`` for groceries. It is not
            changed.
        named: pictures, each with its name; or a folder of named pictures (`likewise.data.open_dataset.open_named`).
        split: of the folder; None: all of it.
        progress: told what is being done and the share of all that is.

    Raises:
        LikewiseError: fewer than two names, or than two pictures of one; names that differ in case only; a picture
            that cannot be read; a recogniser without a trunk of its own.

    Example:
        >>> import likewise as lw
        >>> from skimage import data
        >>> coins, text = data.coins(), data.page()
        >>> named = [(part, "coins") for part in (coins[:150], coins[150:])]
        >>> named += [(part, "print") for part in (text[:95], text[95:])]
        >>> mine = lw.adapt_recognizer(lw.load("cam-lite"), named)
        >>> mine.labels, mine.taught.right, mine.recognize(coins[:, :190]).label
        (('coins', 'print'), 4, 'coins')
    """
    told = progress or (lambda _what, _share: None)
    pictures = _pictures(named, split)
    labels = labels_of([name for _, _, name in pictures])
    features = features_of(recognizer, [picture for picture, _, _ in pictures], told)
    told("computing the classifier", LOOKS)
    targets = torch.tensor([labels.index(name) for _, _, name in pictures])
    found = ridge_classifier(features, targets, len(labels))
    network = _network(recognizer, labels, found, features)
    answers = [labels[i] for i in found.left_out.argmax(1).tolist()]
    record = [NamedPicture(file, name, said) for (_, file, name), said in zip(pictures, answers, strict=True)]
    taught = TaughtNames(recognizer.name, tuple(record), version("likewise"))
    told("done", 1.0)
    model = cast(RecognizerModel, network)
    return Recognizer(model, f"{recognizer.name}, adapted", device=recognizer.device, taught=taught)


def _pictures(named: Iterable[tuple[Picture, str]] | str | Path, split: str | None) -> list[tuple[Picture, str, str]]:
    """Each picture, its file's name without the way to it, which is nobody else's business, and what it shows."""
    if not isinstance(named, (str, Path)):
        told = ((picture, source_of(picture), name) for picture, name in named)
        return [
            (picture, Path(file).name if file else str(i), name.strip())
            for i, (picture, file, name) in enumerate(told, 1)
        ]
    held = open_named(named, split)
    return [(held.root / file, file, held.labels[i]) for file, i in zip(held.names, held.targets, strict=True)]


def labels_of(names: Sequence[str]) -> tuple[str, ...]:
    """The names of pictures that are to teach, each once, in alphabetical order.

    Raises:
        LikewiseError: they cannot be told apart, are too few, or too few pictures have one of them.
    """
    labels = tuple(sorted(set(names)))
    by_case: dict[str, str] = {}
    for label in labels:
        other = by_case.setdefault(label.casefold(), label)
        if other != label:
            raise LikewiseError(f"{other!r} and {label!r} differ in case only; expected one way to write a name")
    if "" in labels or NONE_OF_THESE in by_case:
        raise LikewiseError(
            f"a picture is called {'' if '' in labels else NONE_OF_THESE!r}; expected the name of a thing"
        )
    if len(labels) < 2:
        known = f", {labels[0]!r}" if labels else ""
        raise LikewiseError(f"{len(labels)} name{'s' * (len(labels) != 1)}{known}; expected at least two to tell apart")
    few = next((label for label in labels if names.count(label) < 2), None)
    if few is not None:
        raise LikewiseError(
            f"one picture of {few!r}; expected at least two of every name, five to twenty are better: each is left out "
            "once, to see what the others are worth"
        )
    return labels


def _trunk_of(recognizer: Recognizer) -> SpatialTrunk:
    found = getattr(recognizer.model, "trunk", None)
    if not isinstance(found, SpatialTrunk):
        raise LikewiseError(f"{recognizer.name} has no trunk that could be taught other names; expected cam-lite")
    return found


def features_of(
    recognizer: Recognizer, pictures: Sequence[Picture], progress: Progress = lambda _what, _share: None
) -> Tensor:
    """(N, D) float32 on the CPU: what a recogniser's trunk makes of each picture as a whole.

    Raises:
        LikewiseError: a picture that cannot be read; a recogniser without a trunk of its own.
    """
    trunk, config, rows = _trunk_of(recognizer), recognizer.model.config, []
    for number, picture in enumerate(pictures):
        progress("looking at the pictures", LOOKS * number / len(pictures))
        seen = torch.tensor(config.view.of(pixels_of(picture)), device=recognizer.device)
        with torch.inference_mode():  # and not while others are told: they may load what is to be trained
            image = config.preprocess.normalised(seen.permute(2, 0, 1)[None].float() / 255)
            rows.append(trunk(image).mean((2, 3)).float().cpu())
    return torch.cat(rows)


def _network(recognizer: Recognizer, labels: tuple[str, ...], found: RidgeClassifier, features: Tensor) -> S3N:
    """The plain network, one look without branches, of the recogniser's trunk and that classifier."""
    used, trunk = recognizer.model.config, _trunk_of(recognizer)
    known = familiarity(found.left_out, features).tolist()
    config = replace(
        S3N_LITE.config,
        classes=len(labels),
        labels=labels,
        trunk=trunk.name,
        folded=trunk.folded,
        same_padding=trunk.same_padding,
        branches="none",
        view=used.view,
        preprocess=used.preprocess,
        open_set=fit_open_set(known) if len(known) >= FEWEST else None,
    )
    network = S3N(config)
    network.trunk.load_state_dict(trunk.state_dict(), strict=True)
    # in the 16 bits that trunks ship with, so that the file may be kept in them
    rounded = {"weight": found.weight.half().float(), "bias": found.bias.half().float()}
    network.origin.load_state_dict(rounded, strict=True)
    return network
