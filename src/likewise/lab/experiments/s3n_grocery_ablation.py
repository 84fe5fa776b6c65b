"""What S3N's branches add on groceries, at a small size: the table in docs/results.md."""

# No `from __future__ import annotations` here, for the reason that likewise.engine.config gives.
import json
import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from likewise.data.development import imagenet_trunk
from likewise.data.open_dataset import open_named
from likewise.engine.recognize_eval import evaluate
from likewise.engine.recognize_train import LiteRecognizeConfig, train_recognizer
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.methods.s3n import S3N, S3N_LITE, Branches
from likewise.predict import Recognizer

#: Name of a row, and what is looked at.
ROWS: tuple[tuple[str, Branches], ...] = (
    ("plain trunk", "none"),
    ("+ discriminative branch", "discriminative"),
    ("+ complementary branch", "complementary"),
    ("both branches", "both"),
)
SCORE = "score.json"
#: Settings in which a finished run may differ from those asked for and still be the run that is meant.
INCIDENTAL = ("out", "data", "trunk", "progress", "workers", "prefetch", "checkpoint_every", "val_every", "log_every")


@dataclass(frozen=True, kw_only=True)
class S3nGroceryAblation(LiteRecognizeConfig):
    """Settings of every run; ``seed`` is that of the first of them.

    Attributes:
        data: folder with the set ``grocery`` and ``weights/mobilenetv2_100.safetensors``.
        out: gets a folder a run and ``table.md``.
        trunk: ImageNet weights of MobileNetV2 under timm's names; none: those of ``data``.
        dropout: on the pooled features of each look.
        branches: what a run looks at; each row sets its own.
        seeds: runs of each row.
    """

    out: Path = Path("runs/s3n-grocery-ablation")
    trunk: Path | None = None
    dropout: float = 0.0
    branches: Branches = "both"
    seeds: int = 3
    size: int = 128
    epochs: float = 3
    val_every: int = 0

    @property
    def pictures(self) -> Path:
        """The set among the others."""
        return self.data / "grocery"


def s3n_grocery_ablation(config: S3nGroceryAblation) -> Path:
    """Train S3N-lite without branches, with each alone and with both, three seeds each, and measure them on val.

    Command: likewise train s3n-grocery-ablation --data DATA
    Time: not measured.
    Score: the table in docs/results.md.

    A run that is finished is kept in its folder and not done again: started again after a stop, the recipe goes on
    where it was. Every row sees the same pictures equally often, in the same order.
    """
    found: dict[str, list[dict[str, float]]] = {name: [] for name, _ in ROWS}
    for seed in range(config.seed, config.seed + config.seeds):
        for name, branches in ROWS:
            found[name].append(_run(config, branches, seed))
            _write(config, found)
    return config.out / "table.md"


def _run(config: S3nGroceryAblation, branches: Branches, seed: int) -> dict[str, float]:
    """Top-1 and top-5 of one run on val; from its folder where it was done before.

    Raises:
        LikewiseError: the folder holds a run with other settings.
    """
    folder = config.out / f"{branches}-{seed}"
    own = replace(config, out=folder, branches=branches, seed=seed)
    settings = {name: str(value) for name, value in asdict(own).items() if name not in INCIDENTAL}
    if (folder / SCORE).is_file():
        held: dict[str, Any] = json.loads((folder / SCORE).read_text(encoding="utf-8"))
        changed = [name for name, value in settings.items() if held["settings"].get(name) != value]
        if changed:
            raise LikewiseError(f"{folder} holds a run with another {changed[0]}; choose another --out, or delete it")
        return dict(held["score"])
    report = evaluate(Recognizer.load(_train(own)), open_named(own.pictures, "val"))
    score = {name: report.summary()[name] for name in ("top1", "top5")}
    record = {"score": score, "settings": settings}
    (folder / SCORE).write_text(json_text(record, what="the score", indent=2) + "\n", encoding="utf-8")
    return score


def _train(config: S3nGroceryAblation) -> Path:
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    pictures = open_named(config.pictures, "train")
    view = replace(S3N_LITE.config.view, size=config.size)
    chosen = {"branches": config.branches, "dropout": config.dropout, "view": view}
    model = S3N(replace(S3N_LITE.config, classes=len(pictures.labels), labels=pictures.labels, **chosen))
    model.load_trunk(imagenet_trunk(config.data) if config.trunk is None else load_file(config.trunk))
    return train_recognizer(model, view, config, pictures)


def _write(config: S3nGroceryAblation, found: dict[str, list[dict[str, float]]]) -> None:
    lines = [
        f"{config.steps} steps of {config.batch_size} pictures of {config.size} x {config.size} pixels; mean and, in "
        "brackets, lowest and highest of the seeds.",
        "",
        "| S3N-lite on grocery val | seeds | top-1 | top-5 |",
        "|---|---|---|---|",
        *(f"| {name} | {len(s)} | {_spread(s, 'top1')} | {_spread(s, 'top5')} |" for name, s in found.items() if s),
    ]
    config.out.mkdir(parents=True, exist_ok=True)
    (config.out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _spread(scores: list[dict[str, float]], name: str) -> str:
    values = [100 * score[name] for score in scores]
    return f"{statistics.fmean(values):.1f} % ({min(values):.1f} to {max(values):.1f})"
