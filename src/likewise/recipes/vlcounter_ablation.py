"""What each part of VLCounter adds (M1 to M5 and the controls), at a small size on named scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from likewise.data.asked import AskedByName
from likewise.data.folder import CountingFolder
from likewise.data.sample import CountSample
from likewise.data.transforms import Crop, SceneCrop
from likewise.engine.config import TrainConfig
from likewise.engine.count_eval import evaluate
from likewise.engine.train import train
from likewise.methods.vlcounter import ABLATION, Config, VLCounter, ablated
from likewise.nn.clip import CLIP_MEAN, CLIP_STD, Clip, ClipConfig
from likewise.nn.prompts import sentences
from likewise.predict import Counter

#: CLIP and VLCounter with other numbers than ViT-B/16's; ``image_size`` is the recipe's window.
SMALL_CLIP = ClipConfig(
    image_width=192, image_layers=6, image_heads=4, text_width=128, text_layers=4, text_heads=4, features=128
)
SKIPS = (4, 3, 2)
#: Side in pixels at which the small CLIP is shown single things.
THING = 96


@dataclass(frozen=True, kw_only=True)
class VlcounterAblation(TrainConfig):
    """Settings of every row.

    Attributes:
        data: rendered scenes of named things, of about ``window`` pixels a side.
        val_scenes: others of the same kinds of thing.
        out: gets a folder a row, the small CLIP and ``table.md``.
        limit: how many questions are asked about the val scenes.
        window: side of the network's windows, pixels.
        stride: distance of windows in a picture that is not square.
        jitter: a crop's picture is scaled by a factor from this range.
        clip_steps: steps for which the small CLIP is taught what things are called.
        clip_batch: things in each of these steps.
        clip_lr: AdamW's learning rate in them.
    """

    data: Path
    val_scenes: Path
    out: Path = Path("runs/vlcounter-ablation")
    limit: int = 200
    window: int = 192
    stride: int = 64
    jitter: tuple[float, float] = (0.7, 1.1)
    clip_steps: int = 600
    clip_batch: int = 64
    clip_lr: float = 5e-4
    steps: int = 400
    batch_size: int = 8
    lr: float = 1e-3
    weight_decay: float = 1e-2
    warmup: int = 20
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"
    clip: float = 1.0
    ema: float = 0.98


def vlcounter_ablation(config: VlcounterAblation) -> Path:
    """Train a small VLCounter once for each row of the paper's ablation, each with the same budget, and count by name.

    Command:
        likewise data synth -n 1500 -o named --preset two-kinds --size 256 --seed 31 --no-emoji
        likewise data synth -n 100 -o named-val --preset two-kinds --size 256 --seed 32 --no-emoji
        likewise train vlcounter-ablation --data named --val-scenes named-val
    Time: not measured.
    Score: the table in docs/results.md.

    Published CLIP weights are not needed: a small CLIP is first taught the names of the things in the scenes, by the
    contrastive loss on single things and sentences about them, and then frozen, the same one for every row. The val
    scenes hold the same kinds of thing, since a CLIP that never saw a name cannot know it: drawn shapes, whose some
    700 names are made of some 60 words.
    """
    scenes = CountingFolder(config.data, targets="all")
    val = CountingFolder(config.val_scenes, targets="all")
    base = Config(
        clip=replace(SMALL_CLIP, image_size=config.window), skip_blocks=SKIPS, channels=32, stride=config.stride
    )
    state = small_clip(config, scenes, base.clip)
    rows: list[tuple[str, dict[str, float]]] = []
    for row in ABLATION:
        weights = _train(config, scenes, ablated(row, base), state, config.out / row.replace(" ", "-"))
        rows.append((row, evaluate(Counter.load(weights), val, config.limit).summary()))
        _write(config.out / "table.md", rows, config)
    return config.out / "table.md"


def _train(
    config: VlcounterAblation, scenes: CountingFolder, network: Config, state: dict[str, Tensor], folder: Path
) -> Path:
    torch.manual_seed(config.seed)
    model = VLCounter(network)
    model.clip.load_state_dict(state)
    crop = SceneCrop(Crop(size=config.window, jitter=config.jitter, look=None))
    return train(model, AskedByName([scenes], seed=config.seed, varied=False, transform=crop), None, config, folder)


def small_clip(config: VlcounterAblation, scenes: CountingFolder, towers: ClipConfig) -> dict[str, Tensor]:
    """The weights of a CLIP that knows the things in some scenes by name; from ``out`` where they were made before.

    Args:
        config: the run's.
        scenes: with names and boxes.
        towers: its numbers.
    """
    path = config.out / f"clip-{config.clip_steps}-{config.seed}.safetensors"
    if path.is_file():
        return load_file(path)
    torch.manual_seed(config.seed)
    clip, log_scale = Clip(towers), torch.tensor(math.log(1 / 0.07), requires_grad=True)
    trained = [*clip.parameters(), log_scale]
    optimizer = torch.optim.AdamW(trained, lr=config.clip_lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.clip_lr, total_steps=config.clip_steps + 1)
    rng = np.random.default_rng(config.seed)
    for _ in range(config.clip_steps):
        drawn = [scenes[int(i)] for i in rng.integers(len(scenes), size=config.clip_batch)]
        things = torch.stack([_thing(sample, rng) for sample in drawn])
        loss = contrastive(clip, things, [str(sample.prompt) for sample in drawn], log_scale, rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    config.out.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().contiguous() for name, tensor in clip.state_dict().items()}
    save_file(state, path)
    return state


def contrastive(clip: Clip, things: Tensor, names: list[str], log_scale: Tensor, rng: np.random.Generator) -> Tensor:
    """CLIP's loss: a thing is nearer to a sentence about it than to the others' and the other way round.

    Patches are averaged, so that each of them learns to say what it shows; things of one name share their sentences.

    Args:
        clip: both towers.
        things: (B, 3, S, S), normalised.
        names: of each.
        log_scale: logarithm of the similarities' factor.
        rng: draws a sentence for each name.
    """
    lines = [sentences(name)[int(rng.integers(11))] for name in names]
    patches, _ = clip.image.run(clip.image.embed(things, mode="bilinear", class_twice=True), dense=True)
    seen = F.normalize(clip.image.project(patches, norm=True).mean(1), dim=-1)
    logits = log_scale.exp().clamp(max=100) * seen @ F.normalize(clip.text(lines), dim=-1).T
    same = torch.tensor([[float(a == b) for b in names] for a in names])
    share = same / same.sum(1, keepdim=True)  # symmetric, like `same`
    return (F.cross_entropy(logits, share) + F.cross_entropy(logits.T, share)) / 2


def _thing(sample: CountSample, rng: np.random.Generator) -> Tensor:
    """(3, THING, THING): one of a sample's things with some of its surroundings, normalised."""
    boxes = sample.boxes[sample.known]
    x0, y0, x1, y1 = boxes[int(rng.integers(len(boxes)))].tolist()
    side = max(x1 - x0, y1 - y0) * float(rng.uniform(1.0, 1.6))
    left, top = ((a + b - side) / 2 for a, b in ((x0, x1), (y0, y1)))
    height, width = sample.size
    rows = slice(max(0, math.floor(top)), min(height, max(1, math.ceil(top + side))))
    columns = slice(max(0, math.floor(left)), min(width, max(1, math.ceil(left + side))))
    piece = sample.image[:, rows, columns][None].float() / 255
    shown = F.interpolate(piece, (THING, THING), mode="bilinear", antialias=True)[0]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    return (shown - mean) / std


def _write(path: Path, rows: list[tuple[str, dict[str, float]]], config: VlcounterAblation) -> None:
    lines = [
        f"{config.steps} steps of {config.batch_size} crops, seed {config.seed}; {config.limit} questions at most.",
        "",
        "| small VLCounter | MAE | RMSE | NAE |",
        "|---|---|---|---|",
        *(f"| {name} | {s['mae']:.2f} | {s['rmse']:.2f} | {s['nae']:.3f} |" for name, s in rows),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
