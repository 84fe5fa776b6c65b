"""CounTX-lite, the bundled counter by name: rendered scenes of named things, from ImageNet's MobileNetV2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from likewise import registry
from likewise.data.counting.by_text import TextPromptDataset, known_names
from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.sample import CountSample, Things
from likewise.data.counting.transforms import Crop, SceneCrop
from likewise.data.development import blood, imagenet_trunk, nuclei
from likewise.data.photometric import ColorJitter
from likewise.engine.config import LiteConfig
from likewise.engine.train import train
from likewise.methods.countx.discriminant import discriminants, word_vectors
from likewise.methods.countx.lite import COUNTX_LITE_CONFIG, CounTXLite
from likewise.methods.countx.mobile_tower import STRIDE
from likewise.nn.trunks import with_new_inputs
from likewise.vocabulary import vocabulary
from likewise.weights import load_strict

#: Changes of light and sharpness that leave things the colour they are called by.
TRUE_COLOURS = ColorJitter(field=0.6, gain=0.4, tint=0.08, offset=0.05, saturation=0.3, hue=0.08, grey=0.0, invert=0.0)


@dataclass(frozen=True, kw_only=True)
class CountxLite(LiteConfig):
    """Settings of the bundled weights.

    Attributes:
        data: folder with the counting sets ``nuclei`` and ``blood``, and ``weights/mobilenetv2_100.safetensors``.
        scenes: rendered training scenes, from ``likewise data synth``; the option may be repeated.
        assortments: rendered scenes of many kinds each (``--preset assortment``), which teach names; likewise.
        assortment_share: of the training crops that are cut from them.
        val_scenes: the same to validate on; none: no validation.
        out: the run's folder.
        weights: of an earlier run, to go on from rather than from ImageNet's and statistics.
        start_pictures: of the assortments, from whose statistics the network begins to know names.
        absent: share of the questions that ask for what is not in the picture.
        crop_size: side of the training crops.
        at_object: share of the crops that are placed to hold one of the things asked for.
        jitter: crops show their picture enlarged by a factor from this range.
        width: channels of features and text.
        layers: of the feature interaction.
        match_weight: of the loss that teaches places and names a common space.
    """

    data: Path
    scenes: tuple[Path, ...]
    assortments: tuple[Path, ...] = ()
    assortment_share: float = 0.5
    val_scenes: tuple[Path, ...] = ()
    out: Path = Path("runs/countx-lite")
    weights: Path | None = None
    start_pictures: int = 1800
    absent: float = 0.15
    crop_size: int = 256
    at_object: float = 0.7
    jitter: tuple[float, float] = (0.6, 1.4)
    width: int = COUNTX_LITE_CONFIG.width
    layers: int = COUNTX_LITE_CONFIG.layers
    match_weight: float = COUNTX_LITE_CONFIG.match_weight
    steps: int = 4000
    weight_decay: float = 1e-3


def countx_lite(config: CountxLite) -> Path:
    """Train countx-lite on rendered scenes of named things, every layer of it.

    Command:
        likewise data synth -n 2400 -o two --preset two-kinds --size 512 --seed 11 --backgrounds DATA/grocery
        --backgrounds DATA/clothing --cutouts DATA/grocery_iconic --cutouts DATA/nuclei
        likewise data synth -n 3000 -o two-more --preset two-kinds --size 512 --seed 14 (and the same folders)
        likewise data synth -n 1400 -o mixed --size 512 --seed 12 (and the same folders)
        likewise data synth -n 900 -o many --preset assortment --size 448 --seed 31 (and the same folders)
        likewise data synth -n 900 -o many-more --preset assortment --size 448 --seed 32 (and the same folders)
        likewise data synth -n 120 -o fresh --preset two-kinds --size 512 --seed 13 (and the same folders)
        likewise train countx-lite --data DATA --scenes two --scenes two-more --scenes mixed --assortments many
        --assortments many-more --val-scenes fresh --crop-size 224 --steps 5000
    and then, from its weights, on scenes with more sorts of things:
        likewise data synth -n 1400 -o two-new --preset two-kinds --size 512 --seed 42 (and the same folders)
        likewise data synth -n 900 -o many-new --preset assortment --size 448 --seed 41 (and the same folders)
        likewise train countx-lite --data DATA --scenes two-new --assortments many-new --val-scenes fresh
        --weights runs/countx-lite/model.safetensors --crop-size 224 --steps 1350 --lr 7e-4 --seed 3
        --precision 32-true --out runs/countx-lite-2
    and again from those, to tell boxes:
        likewise data synth -n 1600 -o two-last --preset two-kinds --size 512 --seed 51 (and the same folders)
        likewise data synth -n 700 -o many-last --preset assortment --size 448 --seed 52 (and the same folders)
        likewise train countx-lite --data DATA --scenes two-new --scenes two-last --assortments many-new
        --assortments many-last --val-scenes fresh --weights runs/countx-lite-2/model.safetensors --crop-size 224
        --steps 1800 --lr 7e-4 --seed 4 --precision 32-true --out runs/countx-lite-3
    Time: of the last run, 85 minutes of one CPU core.
    Score: on the weights' card (``likewise models countx-lite``).

    A crop of each picture comes with a question: the name of one of the kinds in it, with adjectives left out and
    synonyms used at random, or a name of which there is nothing there. Everything else in it teaches what it is called.
    """
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    many = [CountingFolder(path, targets="all") for path in config.assortments]
    folders = [CountingFolder(path, targets="all") for path in config.scenes]
    folders += [nuclei(config.data, "train"), blood(config.data, "train")]
    known = vocabulary([*known_names([*folders, *many]), *vocabulary_of(config.weights)])
    chosen = {"width": config.width, "layers": config.layers, "match_weight": config.match_weight}
    model = CounTXLite(replace(COUNTX_LITE_CONFIG, vocabulary=known, **chosen))  # type: ignore[arg-type]  # fields by name
    if config.weights is not None:
        go_on_from(model, config.weights)
    else:
        model.load_trunk(imagenet_trunk(config.data))
        if many:
            start_from_statistics(model, TextPromptDataset(many, seed=config.seed, absent=0.0), config.start_pictures)
    crop = SceneCrop(Crop(size=config.crop_size, jitter=config.jitter, at_object=config.at_object, look=TRUE_COLOURS))
    shares = _shares(folders, many, config.assortment_share)
    data = TextPromptDataset([*folders, *many], shares, config.seed, absent=config.absent, transform=crop)
    return train(model, data, _val(config, model), config, config.out)


def go_on_from(model: CounTXLite, weights: Path) -> None:
    """Load earlier weights; what they never met, new words and inputs of the decoder, begins at next to nothing."""
    earlier = registry.load_model(weights, task="count")[1]
    state, own = earlier.state_dict(), model.state_dict()
    first, words = "decoder.convs.0.weight", "words.embedding.weight"
    state[first] = with_new_inputs(state[first], own[first])
    if model.second is not None:
        model.second.start_as_identity()
    vectors = 0.02 * torch.randn_like(own[words])
    places = model.words.index
    for word, row in earlier.words.index.items():
        vectors[places[word]] = state[words][row]
    load_strict(model, {**own, **state, words: vectors}, str(weights))


def vocabulary_of(weights: Path | None) -> tuple[str, ...]:
    """The names that earlier weights were taught; none where there are no such weights."""
    found: tuple[str, ...] = () if weights is None else registry.load_model(weights)[1].config.vocabulary
    return found


def start_from_statistics(model: CounTXLite, data: TextPromptDataset, pictures: int) -> None:
    """Let a network begin with what plain statistics of the untrained trunk's features tell of names.

    Its features become their linear discriminants, the words' vectors those that explain the things of a name best,
    and places and texts are compared as they are.

    Args:
        model: changed in place.
        data: whole pictures of named things.
        pictures: how many of them are looked at.
    """
    words = model.words
    features, names = _named_features(model, [data[i] for i in range(pictures)])
    index: dict[str, int] = {}
    kinds = torch.tensor([index.setdefault(name, len(index)) for name in names])
    mean, directions = discriminants(features.double(), kinds, model.config.width)
    model.tower.start_from(mean.float(), directions.float())
    vectors = word_vectors((features - mean) @ directions, words.ids(names), len(words.index))
    words.start_from(vectors.float())
    model.similarity.start_as_identity()


@torch.no_grad()
def _named_features(model: CounTXLite, samples: Sequence[CountSample]) -> tuple[Tensor, list[str]]:
    """The tower's stacked stages (N, D) at every named thing of some pictures, and the N names."""
    tower = model.tower.eval()
    features, names = [], []
    for sample in samples:
        things: Things = sample.things  # type: ignore[assignment]  # these samples have them
        stacked = tower.stacked(model.normalised(sample.image[None].float() / 255))[0]
        columns, rows = (things.points / STRIDE).long().unbind(1)
        features.append(stacked[:, rows.clamp(0, stacked.shape[1] - 1), columns.clamp(0, stacked.shape[2] - 1)].T)
        names += [things.names[kind] for kind in things.kinds.tolist()]
    tower.train()
    return torch.cat(features), names


def _shares(folders: list[CountingFolder], many: list[CountingFolder], share: float) -> list[float]:
    """By numbers of pictures, and all assortments together as large a part as is wanted."""
    pictures, assorted = ([float(len({t.file_name for t in f.targets})) for f in group] for group in (folders, many))
    scale = share / (1 - share) * sum(pictures) / sum(assorted) if many else 0.0
    return [*pictures, *(scale * each for each in assorted)]


def _val(config: CountxLite, model: CounTXLite) -> TextPromptDataset | None:
    """128 questions about crops of other scenes, names as they are, a quarter of them about what is not there."""
    if not config.val_scenes:
        return None
    crop = SceneCrop(Crop(size=config.crop_size, jitter=(1.0, 1.0), turns=False, look=None))
    folders = [_known(path, model) for path in config.val_scenes]
    return TextPromptDataset(folders, seed=1, absent=0.25, varied=False, transform=crop, length=128)


def _known(path: Path, model: CounTXLite) -> CountingFolder:
    """The kinds of a folder that the model has a word for."""
    names = known_names([CountingFolder(path, targets="all")])
    return CountingFolder(path, category=[n for n in names if model.knows(n)], targets="all")
