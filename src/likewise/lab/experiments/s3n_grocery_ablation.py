"""What S3N's branches add on groceries, at a small size: the table in docs/results.md."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from likewise.data.open_dataset import open_named
from likewise.engine.config import Precision
from likewise.engine.recognize_eval import evaluate
from likewise.errors import LikewiseError
from likewise.methods.s3n import Branches
from likewise.predict import Recognizer
from likewise.recipes.s3n_lite import S3nLiteGrocery, train_lite

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
class S3nGroceryAblation(S3nLiteGrocery):
    """Settings of every run; ``seed`` is that of the first of them.

    Attributes:
        data: folder with the set ``grocery`` and ``weights/mobilenetv2_100.safetensors``.
        out: gets a folder a run and ``table.md``.
        seeds: runs of each row.
    """

    out: Path = Path("runs/s3n-grocery-ablation")
    seeds: int = 3
    size: int = 128
    area: float = 0.3
    light: float = 1.0
    dropout: float = 0.0
    pack_shots: int = 0
    epochs: float = 3
    ema: float = 0.99
    precision: Precision = "bf16-mixed"
    val_every: int = 0


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
    report = evaluate(Recognizer.load(train_lite(own)), open_named(own.pictures, "val"))
    score = {name: report.summary()[name] for name in ("top1", "top5")}
    record = {"score": score, "settings": settings}
    (folder / SCORE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return score


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
