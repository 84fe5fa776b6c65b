"""What each part of VLCounter adds (M1 to M5 and the controls), at a small size on named scenes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Literal

import torch
from torch import Tensor

from likewise.data.counting.by_text import TextPromptDataset
from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.transforms import Crop, SceneCrop
from likewise.engine.config import TrainConfig
from likewise.engine.count_eval import evaluate
from likewise.engine.train import train
from likewise.lab.experiments.error_table import write_error_table
from likewise.lab.experiments.small_clip import SmallClip
from likewise.methods.vlcounter import ABLATION, Config, VLCounter, ablated
from likewise.metrics import CountErrors
from likewise.nn.clip import ClipConfig
from likewise.predict import Counter

#: CLIP and VLCounter with other numbers than ViT-B/16's; ``image_size`` is the recipe's window.
SMALL_CLIP = ClipConfig(
    image_width=192, image_layers=6, image_heads=4, text_width=128, text_layers=4, text_heads=4, features=128
)
SKIPS = (4, 3, 2)


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
        clip_batch: crops in each of these steps.
        clip_lr: AdamW's learning rate in them.
    """

    data: Path
    val_scenes: Path
    out: Path = Path("runs/vlcounter-ablation")
    limit: int = 200
    window: int = 192
    stride: int = 64
    jitter: tuple[float, float] = (0.7, 1.1)
    clip_steps: int = 1000
    clip_batch: int = 16
    clip_lr: float = 5e-4
    steps: int = 1000
    batch_size: int = 8
    lr: float = 1e-3
    weight_decay: float = 1e-2
    warmup: int = 20
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"
    clip: float = 1.0
    ema: float = 0.99
    checkpoint_every: int = 250


def vlcounter_ablation(config: VlcounterAblation) -> Path:
    """Train a small VLCounter once for each row of the paper's ablation, each with the same budget, and count by name.

    Command:
        likewise data synth -n 1500 -o named --preset plain --size 256 --seed 31 --no-emoji
        likewise data synth -n 100 -o named-val --preset plain --size 256 --seed 32 --no-emoji
        likewise train vlcounter-ablation --data named --val-scenes named-val
    Time: about 50 minutes of one CPU core.
    Score: the table in docs/results.md.

    Published CLIP weights are not needed: a small CLIP is first taught the names of the things in the scenes, by
    matching patches with sentences about what lies in them (`likewise.lab.experiments.small_clip`), and then frozen,
    the same one for every row. The val scenes hold the same kinds of thing, since a CLIP that never saw a name cannot
    know it: eight shapes in eight colours. Of richer scenes so small a transformer learns too little in minutes. A
    run that was stopped goes on where it was.
    """
    scenes = CountingFolder(config.data, targets="all")
    val = CountingFolder(config.val_scenes, targets="all")
    base = Config(
        clip=replace(SMALL_CLIP, image_size=config.window), skip_blocks=SKIPS, channels=32, stride=config.stride
    )
    state = small_clip(config, scenes, base.clip)
    rows = [("always the median", _guessed(val, config.limit))]
    trained = f"{config.steps} steps of {config.batch_size} crops, seed {config.seed}"
    remark = f"{trained}; {config.limit} questions at most."
    for row in ABLATION:
        weights = _train(config, scenes, ablated(row, base), state, config.out / row.replace(" ", "-"))
        rows.append((row, evaluate(Counter.load(weights), val, config.limit).summary()))
        write_error_table(config.out / "table.md", remark, "small VLCounter", rows)
    return config.out / "table.md"


def _guessed(val: CountingFolder, limit: int) -> dict[str, float]:
    """What counting without looking gives: the median of the truths, whatever is asked."""
    truths = [float(len(target.points)) for target in val.targets[:limit]]
    return CountErrors([median(truths)] * len(truths), truths).summary()


def _train(
    config: VlcounterAblation, scenes: CountingFolder, network: Config, state: dict[str, Tensor], folder: Path
) -> Path:
    torch.manual_seed(config.seed)
    model = VLCounter(network)
    model.clip.load_state_dict(state)
    crop = SceneCrop(Crop(size=config.window, jitter=config.jitter, look=None))
    return train(
        model, TextPromptDataset([scenes], seed=config.seed, varied=False, transform=crop), None, config, folder
    )


def small_clip(config: VlcounterAblation, scenes: CountingFolder, towers: ClipConfig) -> dict[str, Tensor]:
    """The weights of a CLIP that knows the things in some scenes by name, trained in the run's folder "clip".

    Args:
        config: the run's.
        scenes: with names and boxes.
        towers: its numbers.
    """
    torch.manual_seed(config.seed)
    model = SmallClip(towers)
    crop = SceneCrop(Crop(size=config.window, jitter=config.jitter, look=None))
    chosen = {"steps": config.clip_steps, "batch_size": config.clip_batch, "lr": config.clip_lr}
    settings = replace(config, **chosen)  # type: ignore[arg-type]  # fields by name
    train(model, TextPromptDataset([scenes], seed=config.seed, transform=crop), None, settings, config.out / "clip")
    return model.clip.state_dict()
