"""What weighting and boosting add on clothing: four folds of classes never trained on, one and five examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import mean
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor

from likewise.data.development import imagenet_trunk
from likewise.data.fewshot.episodes import Episodes
from likewise.data.fewshot.labelled import LabelFolder, Part
from likewise.engine.config import TrainConfig
from likewise.engine.segment_eval import Memory, SegmentReport, evaluate
from likewise.engine.unbatched import check_settings, train_unbatched
from likewise.json_text import json_text
from likewise.methods.fwb import FWB, FWB_LITE, Config
from likewise.methods.fwb.frozen_trunk import CachedEpisodes, CachedFeatures, start_projection
from likewise.methods.fwb.prototypes import inside_and_outside
from likewise.methods.fwb.support import Levels
from likewise.ops.similarity import cosine_similarity_map
from likewise.predict.protocols import SegmenterModel
from likewise.predict.segmenter import Segmenter
from likewise.weights import save_checkpoint

FOLDS = 4
#: Row of the table -> whether features are weighted (which is trained for) and whether boosted (at test time).
ROWS = {
    "baseline": (False, False),
    "+ weighting": (True, False),
    "+ boosting": (False, True),
    "+ both": (True, True),
}
PEER = "nearest prototype, frozen trunk"
#: Channels of the trunk's last stage, which tells classes apart best: what the peer goes by.
LAST = 160


@dataclass(frozen=True, kw_only=True)
class FwbClothing(TrainConfig):
    """Settings of every row.

    Attributes:
        data: folder with ``clothing`` and ``weights/mobilenetv2_100.safetensors``.
        out: gets ``table.md``, and a file for each run that is finished: those are not done again.
        seeds: how many times each row is trained and tested, from ``seed`` on; each seed has its own episodes.
        each: test episodes of each novel class, for each seed.
        split: of the pictures that are tested on.
    """

    data: Path
    out: Path = Path("runs/fwb-clothing")
    seeds: int = 3
    each: int = 6
    split: str = "val"
    steps: int = 400
    batch_size: int = 4
    lr: float = 1e-2
    warmup: int = 10
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings("fwb-clothing", self)


def fwb_clothing(config: FwbClothing) -> Path:
    """Train fwb-lite's head with and without weighting on 18 classes, test on the other 6 with and without boosting.

    Command: likewise train fwb-clothing --data DATA
    Time: about 40 minutes of one CPU core.
    Score: the table in docs/results.md.

    Four folds, one and five shots; what novel classes cover is left out of the training's loss. The trunk is ImageNet's
    MobileNetV2 throughout, not trained further, unlike that of the bundled weights. It is also all that the peer has:
    each pixel goes to the nearer of two prototypes, the mean feature of the thing and that of its background.
    """
    torch.manual_seed(config.seed)
    trunk = FWB(_config(weighting=True))
    trunk.load_trunk(imagenet_trunk(config.data))
    train = LabelFolder(config.data / "clothing", "train")
    cached = CachedFeatures(train, trunk, progress=config.progress) if _missing(config) else None
    memory = Memory()
    for fold in range(FOLDS):
        base = LabelFolder(config.data / "clothing", "train", fold, "base")
        for seed in range(config.seed, config.seed + config.seeds):
            for weighting in (False, True):
                path = _path(config, fold, seed, weighting)
                if not path.is_file() and cached is not None:
                    model = _model(trunk, seed, weighting=weighting)
                    run = f"fold {fold}, seed {seed}, {'weighted' if weighting else 'plain'}"
                    _train(model, cached.labelled_by(base), replace(config, seed=seed), run)
                    save_checkpoint(path.with_suffix(".safetensors"), model, half=True)
                    _write(path, _scores(model, config, fold, seed, memory))
                    write_table(config)
    return write_table(config)


class _ReadOnce(LabelFolder):
    """Pictures that many rows are tested on, decoded once."""

    def __init__(self, root: Path, split: str, fold: int, part: Part) -> None:
        super().__init__(root, split, fold, part)
        self._read = lru_cache(maxsize=400)(super().read)

    def read(self, index: int, kind: int) -> tuple[Tensor, Tensor]:
        """As `LabelFolder.read`."""
        return self._read(index, kind)


class Prototypes(torch.nn.Module):
    """The peer: the nearer of two prototypes, on what a frozen trunk sees."""

    task = "segment"

    def __init__(self, trunk: FWB) -> None:
        super().__init__()
        self.config, self.trunk = trunk.config, trunk

    def look(self, images: Sequence[Tensor]) -> list[Levels]:
        """What the trunk sees."""
        return self.trunk.look(images)

    def prototype(self, shots: Sequence[tuple[Levels, Tensor]]) -> Tensor:
        """The two prototypes (2, C), means over the shots: of the background and of the thing."""
        pooled = [inside_and_outside(seen.late[None, -LAST:], mask[None, None].float()) for seen, mask in shots]
        inside, difference = (torch.cat(parts).mean(0) for parts in zip(*pooled, strict=True))
        return torch.stack([inside - difference, inside])

    def answer(self, seen: Levels, prototype: Tensor) -> Tensor:
        """(2, H, W): the cosine with each, ten times, as logits."""
        alike = 10 * cosine_similarity_map(seen.late[None, -LAST:], prototype[None])
        return F.interpolate(alike, seen.size, mode="bilinear", align_corners=True)[0]


def _config(*, weighting: bool, boosting: bool = False) -> Config:
    """fwb-lite's numbers, but for the trunk: 24 runs are cheap only where it stays as it is, and none of them ships.

    Edges stay coarse: what is compared is the paper's.
    """
    lite: Config = FWB_LITE.config
    steps = lite.boosting if boosting else 0
    return replace(lite, weighting=weighting, boosting=steps, trunk_rate=0.0, edges=0.0)


def _model(trunk: FWB, seed: int, *, weighting: bool) -> FWB:
    """A network with fresh weights on the given trunk."""
    torch.manual_seed(seed)
    model = FWB(_config(weighting=weighting))
    model.trunk = trunk.trunk
    return model


def _train(model: FWB, pictures: CachedFeatures, config: FwbClothing, run: str) -> None:
    start_projection(model, [pictures])
    train_unbatched(model, CachedEpisodes(model, [pictures], config.seed).loss, config, run)


def _scores(model: FWB, config: FwbClothing, fold: int, seed: int, memory: Memory) -> dict[str, Any]:
    """Row -> shots -> mean IoU, FB-IoU and IoU by class of one trained network, and of the peer beside the first."""
    weighted = model.config.weighting
    tested: dict[str, torch.nn.Module] = {} if weighted else {PEER: Prototypes(model)}
    for row, (weighting, boosting) in ROWS.items():
        if weighting == weighted:
            tested[row] = copied = FWB(_config(weighting=weighting, boosting=boosting))
            copied.load_state_dict(model.state_dict())
    novel = _ReadOnce(config.data / "clothing", config.split, fold, "novel")
    found: dict[str, Any] = {}
    for row, network in track(tested.items(), "testing", disable=not config.progress, transient=True):
        for shots in (1, 5):
            episodes = Episodes(novel, shots, seed=seed, length=config.each * len(novel.classes))
            segmenter = Segmenter(cast(SegmenterModel, network), row, device="cpu")
            report = evaluate(segmenter, episodes, memory=memory)
            found.setdefault(row, {})[str(shots)] = _numbers(report)
    return found


def _numbers(report: SegmentReport) -> dict[str, Any]:
    classes = {name: report.overlaps.of(name) for name in report.overlaps.counts}
    return {**report.summary(), "classes": classes}


def _path(config: FwbClothing, fold: int, seed: int, weighting: bool) -> Path:
    return config.out / f"fold{fold}_seed{seed}_{'weighted' if weighting else 'plain'}.json"


def _missing(config: FwbClothing) -> bool:
    seeds = range(config.seed, config.seed + config.seeds)
    return not all(_path(config, f, s, w).is_file() for f in range(FOLDS) for s in seeds for w in (False, True))


def _write(path: Path, scores: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json_text(scores, what="the score", indent=1), encoding="utf-8")
    part.replace(path)


def write_table(config: FwbClothing) -> Path:
    """``table.md`` of the runs that are finished: mean IoU in %, a fold's and the mean's, over the seeds."""
    found: dict[str, dict[tuple[int, int, int], float]] = {}
    background: dict[str, dict[tuple[int, int, int], float]] = {}
    for fold in range(FOLDS):
        for seed in range(config.seed, config.seed + config.seeds):
            for weighting in (False, True):
                path = _path(config, fold, seed, weighting)
                held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
                for row, by_shots in held.items():
                    for shots, numbers in by_shots.items():
                        found.setdefault(row, {})[fold, seed, int(shots)] = 100 * numbers["miou"]
                        background.setdefault(row, {})[fold, seed, int(shots)] = 100 * numbers["fb_iou"]
    seeds = range(config.seed, config.seed + config.seeds)
    lines = [
        f"Mean IoU in % on novel classes, clothing {config.split}: mean of {config.seeds} seeds ± half of their range; "
        f"{config.each} episodes a class and seed; {config.steps} steps of {config.batch_size} episodes.",
        "",
        f"| shots | | {' | '.join(f'fold {f}' for f in range(FOLDS))} | mean | FB-IoU |",
        "|---" * (FOLDS + 4) + "|",
    ]
    for shots in (1, 5):
        for row in (PEER, *ROWS):
            values, both = found.get(row, {}), background.get(row, {})
            folds = [_cell([values.get((f, s, shots)) for s in seeds]) for f in range(FOLDS)]
            means = [_over_folds(values, s, shots) for s in seeds]
            lines.append(
                f"| {shots} | {row} | {' | '.join(folds)} | {_cell(means)} | "
                f"{_cell([_over_folds(both, s, shots) for s in seeds])} |"
            )
    config.out.mkdir(parents=True, exist_ok=True)
    path = config.out / "table.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (config.out / "settings.json").write_text(json_text(asdict(config), indent=1, default=str), encoding="utf-8")
    return path


def _over_folds(values: dict[tuple[int, int, int], float], seed: int, shots: int) -> float | None:
    """One seed's mean over the folds; None as long as one is missing."""
    held = [values.get((fold, seed, shots)) for fold in range(FOLDS)]
    return None if None in held else mean(v for v in held if v is not None)


def _cell(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    return f"{mean(there):.1f} ± {(max(there) - min(there)) / 2:.1f}" if there else ""
