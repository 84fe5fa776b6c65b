"""What deformable convolution adds: upright digits in training, scaled, turned, sheared and warped ones in the test."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import mean
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from likewise.draw import contact_sheet
from likewise.engine.config import TrainConfig
from likewise.errors import LikewiseError
from likewise.lab.experiments.digits import Digits, Warp, load_digits, on_canvas, warped
from likewise.lab.experiments.spatial_transformer import SpatialTransformer
from likewise.methods.dcn import deformable, parameter_groups, plot_sampling, sampling_places
from likewise.nn.deform import DeformableConv2d

#: The fields of the engine's settings that mean something here.
USED = (
    "steps",
    "batch_size",
    "seed",
    "lr",
    "weight_decay",
    "warmup",
    "schedule",
    "final",
    "decay",
    "decay_every",
    "progress",
)

#: Column of the tables -> how the test digits are deformed.
TESTS: dict[str, Warp | None] = {
    "upright": None,
    "scale 1.3": Warp("scale", 1.3),
    "1.6": Warp("scale", 1.6),
    "turn 20°": Warp("rotate", 20),
    "40°": Warp("rotate", 40),
    "shear 0.3": Warp("shear", 0.3),
    "0.6": Warp("shear", 0.6),
    "elastic 1": Warp("elastic", 1.0),
    "2": Warp("elastic", 2.0),
}
#: What the second table's networks see in training, up to these amounts.
MILD = (Warp("scale", 1.3), Warp("rotate", 20), Warp("shear", 0.3), Warp("elastic", 1.0))
#: Sizes of the digits at which the sampling places are looked at, the number of layers, and the digit that is drawn.
SIZES = (0.625, 1.0, 1.6)
LAYERS = 2
DRAWN = 8
#: Row whose first network is shown.
SHOWN = "deformable, offsets at 1 x"


@dataclass(frozen=True, kw_only=True)
class DcnDigits(TrainConfig):
    """Settings of every row.

    Attributes:
        data: folder with ``digits/mnist_t10k.npz``.
        out: gets ``table.md``, ``accuracy.csv``, ``reach.md`` and ``sampling.png``.
        seeds: how many times each row is trained, from ``seed`` on.
        stages: how many of the last stages are deformable.
        side: of the canvas a digit of 28 pixels lies on.
        shift: largest move of a training digit along each axis, pixels.
        limit: how many test digits are used.
    """

    data: Path
    out: Path = Path("runs/dcn-digits")
    seeds: int = 3
    stages: int = 2
    side: int = 56
    shift: int = 4
    limit: int = 2000
    steps: int = 400
    batch_size: int = 64
    lr: float = 2e-3
    warmup: int = 50
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        standard = {f.name: f.default for f in fields(TrainConfig) if f.name not in USED}
        changed = [name for name, value in standard.items() if getattr(self, name) != value]
        if changed:
            raise LikewiseError(f"dcn-digits trains in a loop of its own, which has no {', '.join(changed)}")


class DigitNet(nn.Module):
    """Six 3x3 convolutions in three stages (strides 2, 4, 8), mean over places, ten logits.

    Args:
        channels: of the stages.
    """

    def __init__(self, channels: tuple[int, int, int] = (16, 32, 48)) -> None:
        super().__init__()
        a, b, c = channels
        layers = [_layer(1, a, 2), _layer(a, b, 2), _layer(b, b, 1), _layer(b, c, 2), _layer(c, c, 1), _layer(c, c, 1)]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(c, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, S, S) -> (B, 10)."""
        return self.head(self.features(x).mean((2, 3)))


def _layer(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU())


class Row(NamedTuple):
    """What makes a row's network, and the factor on its offsets' learning rate."""

    make: Callable[[], nn.Module]
    offset_factor: float = 1.0


def rows(stages: int) -> dict[str, Row]:
    """The rows of the tables; the wider network has more parameters than the deformable one."""
    return {
        "plain": Row(DigitNet),
        "plain, wider": Row(lambda: DigitNet((16, 48, 64))),
        "spatial transformer": Row(lambda: SpatialTransformer(DigitNet())),
        "deformable, offsets at 0.1 x": Row(lambda: deformable(DigitNet(), stages), 0.1),
        "deformable, offsets at 1 x": Row(lambda: deformable(DigitNet(), stages), 1.0),
    }


@dataclass(frozen=True)
class Result:
    """One trained network: what it saw, how large it is, and the share of right answers to each test."""

    training: str
    row: str
    seed: int
    parameters: int
    accuracy: dict[str, float]


def dcn_digits(config: DcnDigits) -> Path:
    """Train one small network plain, behind a spatial transformer and with deformable stages; test on deformed digits.

    Command: likewise train dcn-digits --data DATA
    Time: about 14 minutes of one CPU core.
    Score: the tables in docs/results.md.

    Once upright digits are all that is seen in training, once mild deformations are seen too. The deformable network
    differs from the plain one by its offset convolutions alone; the spatial transformer by a network that reads one
    affine map off the picture; "plain, wider" has more parameters than all of them.
    """
    data = {split: load_digits(config.data / "digits", split) for split in ("train", "test")}
    tests = _tests(data["test"], config)
    results: list[Result] = []
    for training in ("upright", "mild"):
        for name, row in rows(config.stages).items():
            for seed in range(config.seed, config.seed + config.seeds):
                torch.manual_seed(seed)
                net = row.make()
                batches = _batches(data["train"], config, seed, mild=training == "mild")
                _fit(net, batches, config, row.offset_factor, f"{name}, {training}, seed {seed}")
                size = sum(p.numel() for p in net.parameters())
                results.append(Result(training, name, seed, size, {n: _accuracy(net, *t) for n, t in tests.items()}))
                _write(config, results)
                if name == SHOWN and training == "upright" and seed == config.seed:
                    _show(config, net, data["test"])
    return config.out / "table.md"


def _tests(digits: Digits, config: DcnDigits) -> dict[str, tuple[Tensor, Tensor]]:
    """Pictures and labels of every test; the same for all networks, whatever the seed of the run."""
    images, labels = digits.images[: config.limit], digits.labels[: config.limit]
    upright = on_canvas(images, config.side)
    return {
        name: (upright if warp is None else warped(upright, warp, torch.Generator().manual_seed(i)), labels)
        for i, (name, warp) in enumerate(TESTS.items())
    }


def _batches(digits: Digits, config: DcnDigits, seed: int, *, mild: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Digits near the middle of the canvas; with ``mild``, each batch deformed by one of `MILD`, in turn."""
    generator = torch.Generator().manual_seed(seed)
    for step in range(config.steps):
        chosen = torch.randint(len(digits), (config.batch_size,), generator=generator)
        shift = torch.randint(-config.shift, config.shift + 1, (config.batch_size, 2), generator=generator)
        pictures = on_canvas(digits.images[chosen], config.side, shift)
        if mild:
            most = MILD[step % len(MILD)]
            share = torch.rand((), generator=generator).clamp(min=1e-3).item()
            amount = most.amount**share if most.kind == "scale" else most.amount * share
            pictures = warped(pictures, replace(most, amount=amount), generator)
        yield pictures, digits.labels[chosen]


def _fit(net: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], config: DcnDigits, factor: float, name: str) -> None:
    groups = parameter_groups(net, config.lr, offset_factor=factor)
    optimizer = AdamW(groups, weight_decay=config.weight_decay)
    schedule = LambdaLR(optimizer, config.rate)
    net.train()
    for pictures, labels in track(batches, name, config.steps, disable=not config.progress, transient=True):
        optimizer.zero_grad()
        F.cross_entropy(net(pictures), labels).backward()
        optimizer.step()
        schedule.step()
    net.eval()


@torch.inference_mode()
def _accuracy(net: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    answers = torch.cat([net(part).argmax(1) for part in pictures.split(500)])
    return float((answers == labels).float().mean())


def _write(config: DcnDigits, results: Sequence[Result]) -> None:
    """``accuracy.csv``, a line a test, and ``table.md``, a table for each kind of training."""
    config.out.mkdir(parents=True, exist_ok=True)
    with (config.out / "accuracy.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("training", "row", "seed", "parameters", "test", "accuracy"))
        for r in results:
            writer.writerows((r.training, r.row, r.seed, r.parameters, n, f"{a:.4f}") for n, a in r.accuracy.items())
    lines = [
        f"Right answers in %, mean of {config.seeds} seeds (from {config.seed}) and half of the range; "
        f"{config.steps} steps of {config.batch_size} digits, {min(config.limit, 2000)} test digits.",
    ]
    for training in dict.fromkeys(r.training for r in results):
        lines += ["", f"| {training} in training | parameters | {' | '.join(TESTS)} |", "|---" * (len(TESTS) + 2) + "|"]
        for row in dict.fromkeys(r.row for r in results):
            same = [r for r in results if (r.training, r.row) == (training, row)]
            lines += [f"| {row} | {same[0].parameters} | {' | '.join(_cell(same, n) for n in TESTS)} |"] if same else []
    (config.out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cell(results: Sequence[Result], test: str) -> str:
    values = [100 * r.accuracy[test] for r in results]
    return f"{mean(values):.1f} ± {(max(values) - min(values)) / 2:.1f}"


def _placed(digits: Tensor, factor: float, degrees: float = 0.0) -> Tensor:
    """Digits (B, 1, S, S) of another size, turned; a known side, where a `Warp` draws one."""
    cos, sin = math.cos(math.radians(degrees)) / factor, math.sin(math.radians(degrees)) / factor
    grid = F.affine_grid(torch.tensor([[[cos, sin, 0], [-sin, cos, 0]]]), [1, *digits.shape[1:]], align_corners=False)
    return F.grid_sample(digits, grid.expand(len(digits), -1, -1, -1), align_corners=False)


def _reach(net: nn.Module, digits: Tensor) -> float:
    """How far from its centre the unit in the middle looks, pixels: root mean square over places and digits."""
    middle = digits.shape[-1] / 2
    looks = [sampling_places(net, digit, (middle, middle), LAYERS) for digit in digits]
    return float(np.sqrt(np.mean([np.square(look.places[-1] - look.unit).sum(1).mean() for look in looks])))


def _show(config: DcnDigits, net: nn.Module, digits: Digits) -> None:
    """``reach.md``, how far is looked at digits of three sizes, and ``sampling.png``, where."""
    pictures = on_canvas(digits.images[: min(config.limit, 100)], config.side)
    told = ", ".join(f"{_reach(net, _placed(pictures, f)):.2f} at {f:g}" for f in SIZES)
    (config.out / "reach.md").write_text(
        f"How far from its centre the unit in the middle looks through {LAYERS} layers ({SHOWN}, trained upright, seed "
        f"{config.seed}): root mean square over places and {len(pictures)} test digits, in pixels, for digits of three "
        f"sizes: {told}; {_reach(_unmoved(net), pictures[:1]):.2f} before training.\n",
        encoding="utf-8",
    )
    _draw(net, pictures[DRAWN % len(pictures)], config.out / "sampling.png")


def _unmoved(net: nn.Module) -> nn.Module:
    """A copy whose offsets are zero, as before training."""
    copy = deepcopy(net)
    for layer in copy.modules():
        for parameter in layer.offsets.parameters() if isinstance(layer, DeformableConv2d) else ():
            nn.init.zeros_(parameter)
    return copy


def _draw(net: nn.Module, digit: Tensor, path: Path) -> None:
    """Where the middle unit looks at one digit, at three sizes and turned: before training above, after it below."""
    pictures = [*(_placed(digit[None], f) for f in SIZES), _placed(digit[None], 1, 40)]
    middle = digit.shape[-1] / 2
    tiles = [
        plot_sampling(model, picture[0, 0].numpy(), (middle, middle), LAYERS, prepare=lambda p: p[:, :1])
        for model in (_unmoved(net), net)
        for picture in pictures
    ]
    contact_sheet(tiles, columns=len(pictures), side=240).save(path, optimize=True)
