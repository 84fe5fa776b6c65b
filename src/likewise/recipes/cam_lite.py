"""CAM-lite: ImageNet's classifier as published, and classes beside its own, for counting by name in photographs."""

# No `from __future__ import annotations` here, for the reason that likewise.engine.config gives.
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.class_names import ANYTHING, ClassNames
from likewise.data.classification.wordnet import Synset, ancestors, read_nouns
from likewise.data.development import imagenet_trunk
from likewise.data.images import read_image
from likewise.engine.config import Precision, TrainConfig
from likewise.methods.cam import CAM, Config
from likewise.weights import save_checkpoint

#: What kinds of groceries are called besides: what a shopper sees of them.
ALSO = {
    "golden delicious": "yellow apple",
    "granny smith": "green apple",
    "pink lady": "red apple",
    "red delicious": "red apple",
    "royal gala": "red apple",
    "anjou": "pear",
    "conference": "pear",
    "kaiser": "pear",
    "red beet": "beet, beetroot",
    "satsumas": "mandarin orange, orange",
    "brown cap mushroom": "brown mushroom",
    "cabbage": "head cabbage",
    "bell pepper": "bell pepper",
}
#: Kinds of pictures under the microscope, which are no photographs of things. Nuclei are none: countx-lite knows them
#: better by itself.
CELLS = {"red_cells": "red blood cell, erythrocyte", "blood": "red blood cell, erythrocyte"}
#: Crops of each picture of a set, and the least share of its shorter side that one shows.
CROPS = {"red_cells": (4, 0.4), "nuclei": (1, 0.4), "blood": (2, 0.4), "clothing": (1, 0.3)}
#: Times that each picture of groceries is cropped, once a round.
ROUNDS = 2
#: Sides, in pixels, to which crops are brought, and crops a batch.
SIDES, BATCH = (96, 128, 160, 192), 16
#: Kinds of more classes than this say nothing ("object"), and those of people are too few to stand for them.
MOST, PERSON = 400, "00007846"
#: What groceries are: of the meanings of a word, the one that is a kind of this.
FOOD = {"07555863", "00021265", "07881800"}


@dataclass(frozen=True, kw_only=True)
class CamLite(TrainConfig):
    """Settings of the bundled weights.

    Attributes:
        data: folder with the sets ``grocery``, ``clothing``, ``red_cells``, ``nuclei``, ``blood`` and
            ``weights`` (mobilenetv2_100.safetensors, imagenet_labels.json).
        out: the run's folder.
        wordnet: WordNet's nouns; Debian's package wordnet-base has them here.
        epochs: passes over all crops.
        decay: price of the squared weights of a class.
    """

    data: Path = Path("data")
    out: Path = Path("runs/cam-lite")
    wordnet: Path = Path("/usr/share/wordnet/data.noun")
    epochs: int = 30
    batch_size: int = 256
    lr: float = 3e-3
    decay: float = 0.02
    precision: Precision = "32-true"


def cam_lite(config: CamLite) -> Path:
    """Make the bundled cam-lite: ImageNet's MobileNetV2 as it is, with classes of groceries and cells beside its own.

    Command: likewise train cam-lite --data DATA --wordnet /usr/share/wordnet/data.noun
    Time: about five minutes of one CPU core.
    Score: likewise eval countx-lite --data DATA --suite names

    Nothing of ImageNet's network is changed. The new classes are linear in its features and compete with its own for
    crops of groceries and cells; crops of street photographs teach them what they are not. What several
    classes are called together ("bird", "fruit") comes from WordNet.
    """
    numbers, grocery = names_of(config)
    model = CAM(numbers).eval()
    state = imagenet_trunk(config.data)
    model.load_trunk(state)
    features, classes = crop_features(model, config, grocery)
    weight, bias = fit_classes(config, features, classes, state, model.names)
    with torch.no_grad():
        model.classify.weight.copy_(torch.cat([state["classifier.weight"], weight]))
        model.classify.bias.copy_(torch.cat([state["classifier.bias"], bias]))
    return save_checkpoint(config.out / "model.safetensors", model, half=True)


def names_of(config: CamLite) -> tuple[Config, list[int]]:
    """The network's numbers, with all names, and the class of each fine kind of groceries."""
    labels: list[str] = json.loads((config.data / "weights" / "imagenet_labels.json").read_text(encoding="utf-8"))
    shop = json.loads((config.data / "grocery" / "classes.json").read_text(encoding="utf-8"))
    imagenet = [_also(_without(label, "sweet potato")) for label in labels]  # as an ocarina is called as well
    coarse = [each["name"].replace("-", " ").lower() for each in shop["coarse"]]
    groceries = [_grocery_names(each["text"], coarse[each["coarse"]]) for each in shop["fine"]]
    cells = list(dict.fromkeys(CELLS.values()))
    nouns = read_nouns(config.wordnet)
    synsets = (files("timm.data") / "_info" / "imagenet_synsets.txt").read_text(encoding="utf-8").split()
    keys: list[str | None] = [name.removeprefix("n") for name in synsets]
    keys += [_food(nouns, coarse[each["coarse"]]) for each in shop["fine"]]
    kinds = _kinds(nouns, keys)
    for index, each in enumerate(shop["fine"]):
        kinds.setdefault(coarse[each["coarse"]], set()).add(len(imagenet) + index)
    every = (*imagenet, *groceries, *cells)
    held = tuple((name, tuple(sorted(classes))) for name, classes in sorted(kinds.items()))
    return Config(classes=len(every), labels=every, kinds=held), [len(imagenet) + i for i in range(len(groceries))]


def crop_features(model: CAM, config: CamLite, grocery: list[int]) -> tuple[Tensor, list[int]]:
    """Pooled features (N, D) of crops at random, and the class of each; -1: none of the new ones."""
    rng = random.Random(config.seed)  # noqa: S311  # draws crops, no secrets
    found: list[Tensor] = []
    classes: list[int] = []
    waiting: dict[int, list[tuple[Tensor, int]]] = {}

    def look(side: int) -> None:
        with torch.inference_mode():
            found.append(model(torch.cat([crop for crop, _ in waiting[side]])).features)
        classes.extend(kind for _, kind in waiting.pop(side))

    for path, kind, crops, least in _pictures(config, grocery, model):
        image = torch.from_numpy(read_image(path)).permute(2, 0, 1)[None].float() / 255
        for _ in range(crops):
            side, crop = _crop(image, least, rng)
            waiting.setdefault(side, []).append((crop, kind))
            if len(waiting[side]) == BATCH:
                look(side)
    for side in list(waiting):
        look(side)
    return torch.cat(found), classes


def fit_classes(
    config: CamLite, features: Tensor, classes: list[int], state: dict[str, Tensor], names: ClassNames
) -> tuple[Tensor, Tensor]:
    """Weights (K, D) and biases (K,) of the new classes, by the cross-entropy of a softmax over all of them.

    A new class and those of ImageNet that have its name are one: together they are right.
    """
    first = len(state["classifier.bias"])
    old, kind = F.linear(features, state["classifier.weight"], state["classifier.bias"]), torch.tensor(classes)
    others, same = old.logsumexp(1), torch.full((len(features),), -math.inf)
    for each in set(classes) - {-1}:
        if rows := [row for row in names.sharing(each) if row < first]:
            same[kind == each] = old[kind == each][:, rows].logsumexp(1)
    new = names.size - first
    weight = torch.zeros(new, features.shape[1], requires_grad=True)
    bias = torch.full((new,), 3.0, requires_grad=True)
    optimizer = torch.optim.AdamW([weight, bias], lr=config.lr, weight_decay=0)
    rng = torch.Generator().manual_seed(config.seed)
    for epoch in range(config.epochs):
        for some in torch.randperm(len(features), generator=rng).split(config.batch_size):
            logits = F.linear(features[some], weight, bias)
            right = torch.logaddexp(logits.gather(1, (kind[some] - first).clamp(min=0)[:, None])[:, 0], same[some])
            right = torch.where(kind[some] < 0, others[some], right)
            loss = (torch.logaddexp(logits.logsumexp(1), others[some]) - right).mean()
            optimizer.zero_grad()
            (loss + config.decay * weight.square().sum() / new).backward()
            optimizer.step()
        optimizer.param_groups[0]["lr"] = config.lr * (1 - epoch / config.epochs)
    return weight.detach(), bias.detach()


def _pictures(config: CamLite, grocery: list[int], model: CAM) -> Iterator[tuple[Path, int, int, float]]:
    """Every picture of the train splits: its file, its new class or -1, how often and how closely it is cropped."""
    for name, (crops, least) in CROPS.items():
        kind = model.config.labels.index(CELLS[name]) if name in CELLS else -1
        index = "index.json" if name == "clothing" else "annotations.json"
        for record in _records(config.data / name / index):
            yield config.data / name / (record.get("file_name") or record["image"]), kind, crops, least
    for _ in range(ROUNDS):
        for record in _records(config.data / "grocery" / "index.json"):
            yield config.data / "grocery" / record["file_name"], grocery[record["fine"]], 1, 0.4


def _records(path: Path) -> Iterator[dict[str, Any]]:
    images = json.loads(path.read_text(encoding="utf-8"))["images"]
    return (each for each in images if each["split"] == "train")


def _crop(image: Tensor, least: float, rng: random.Random) -> tuple[int, Tensor]:
    """A square of a picture (1, 3, H, W), mirrored or not: its side, and it as (1, 3, side, side)."""
    height, width = image.shape[2:]
    shown = min(height, width) * rng.uniform(least, 1)
    top, left = rng.randint(0, int(height - shown)), rng.randint(0, int(width - shown))
    side, end = rng.choice(SIDES), int(shown)
    part = image[:, :, top : top + end, left : left + end]
    crop = F.interpolate(part, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return side, crop.flip(3) if rng.random() < 0.5 else crop


def _grocery_names(text: str, coarse: str) -> str:
    """All names of a fine kind of groceries, behind commas."""
    full = text if coarse in text else f"{text} {coarse}"
    pepper = ALSO["bell pepper"] if text.endswith("bell pepper") else None
    return ", ".join(dict.fromkeys(name for name in (text, full, ALSO.get(text), pepper) if name))


def _also(label: str) -> str:
    """A label with what a shopper sees of it."""
    return ", ".join((label, *([ALSO[label.lower()]] if label.lower() in ALSO else [])))


def _without(label: str, name: str) -> str:
    return ", ".join(each for each in label.split(", ") if each != name)


def _food(nouns: dict[str, Synset], word: str) -> str | None:
    """The meaning of a word that is something to eat or drink; None: it has none."""
    keys = (key for key, each in nouns.items() if word.rstrip("s") in each.words or word in each.words)
    return next((key for key in keys if FOOD.intersection(ancestors(nouns, key))), None)


def _kinds(nouns: dict[str, Synset], keys: list[str | None]) -> dict[str, set[int]]:
    """What several classes are called together, by name, from the meaning of each."""
    under: dict[str, set[int]] = {}
    for index, key in enumerate(keys):
        for above in () if key is None else ancestors(nouns, key):
            under.setdefault(above, set()).add(index)
    kinds: dict[str, set[int]] = {}
    for key, classes in under.items():
        if len(classes) <= MOST and key != PERSON:
            for name in set(nouns[key].words) - ANYTHING:
                kinds.setdefault(name, set()).update(classes)
    return kinds
