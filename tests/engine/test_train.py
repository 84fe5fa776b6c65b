"""The engine on a small counter: it learns, it goes on exactly where it was, it stops when asked."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from likewise.data.counting.collate import collate
from likewise.data.counting.sample import CountSample
from likewise.data.infinite import MixedDataset
from likewise.engine.config import TrainConfig
from likewise.engine.task import StepBatches
from likewise.engine.train import train
from likewise.errors import LikewiseError
from likewise.types import CountBatch, PromptBatch
from likewise.weights import read_checkpoint

CONFIG = TrainConfig(
    steps=12, batch_size=4, lr=3e-3, warmup=2, ema=0.9, clip=1.0, checkpoint_every=3, accelerator="cpu", progress=False
)


@dataclass(frozen=True)
class Config:
    width: int = 4


class Blobs(Dataset[CountSample]):
    """Black pictures with some white dots to be counted; it may break, or call, at a position."""

    def __init__(self, length: int = 8) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> CountSample:
        rng = np.random.default_rng(index)
        points = rng.integers(1, 31, (int(rng.integers(1, 6)), 2)).astype(np.float32) + 0.5
        image = torch.zeros(3, 32, 32, dtype=torch.uint8)
        for x, y in points.astype(int):
            image[:, y, x] = 255
        boxes = torch.from_numpy(np.concatenate((points - 1.5, points + 1.5), axis=1))
        return CountSample(image, torch.from_numpy(points), boxes, boxes[:1], name=f"{index}.png")


class Tiny(nn.Module):
    """A counter with everything that could break a resumption: dropout, batch norm, two learning rates."""

    method = "tiny"
    task = "count"

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.config = Config(width)
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor, prompt: PromptBatch) -> Tensor:
        assert len(prompt.exemplars) == len(image)
        return self.last(self.drop(self.norm(self.first(image)).relu())).float().exp() / 100

    def loss(self, density: Tensor, batch: CountBatch) -> dict[str, Tensor]:
        truth = torch.tensor([float(len(p)) for p in batch.points])
        square = (density.sum(dim=(1, 2, 3)) - truth) ** 2
        return {"total": square + 0.1, "square": square}

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        return [
            {"params": list(self.first.parameters()), "lr": 0.1 * lr},
            {"params": [*self.norm.parameters(), *self.last.parameters()], "lr": lr},
        ]


class KilledError(Exception):
    """Stands for a power cut: nothing is cleaned up after it."""


class KilledAt(MixedDataset):
    """Data that kills the run when a position is read."""

    position = -1

    def __getitem__(self, index: int) -> CountSample:
        if index == self.position:
            raise KilledError
        return super().__getitem__(index)


def stream(killed_at: int = -1) -> MixedDataset:
    data = KilledAt([Blobs()], seed=5)
    data.position = killed_at
    return data


def losses(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights(folder: Path) -> dict[str, Tensor]:
    return read_checkpoint(folder / "model.safetensors").state


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("straight")
    train(Tiny(), stream(), None, replace(CONFIG, workers=0), folder)
    return folder


def test_a_run_writes_what_it_says(straight: Path):
    assert [row["step"] for row in losses(straight)] == [str(i) for i in range(1, 13)]
    assert {p.name for p in straight.iterdir()} == {
        "config.json",
        "last.ckpt",
        "logs",
        "losses.csv",
        "model.safetensors",
    }
    assert json.loads((straight / "config.json").read_text())["steps"] == 12
    assert list((straight / "logs").glob("events.out.tfevents.*"))


def check_continued(folder: Path, straight: Path, config: TrainConfig) -> None:
    """What was logged so far is a part of the straight run, and going on ends where it ended."""
    before = losses(folder)
    assert before == losses(straight)[: len(before)]
    assert 6 <= len(before) < 12
    train(Tiny(), stream(), None, config, folder)
    assert losses(folder) == losses(straight)
    ours, theirs = weights(folder), weights(straight)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_failed_run_goes_on_with_the_same_losses_and_weights(tmp_path: Path, straight: Path):
    # step 8 reads position 31: step 7 was logged after the checkpoint at 6; the worker is ahead of the steps
    config = replace(CONFIG, workers=1)
    with pytest.raises(KilledError):
        train(Tiny(), stream(killed_at=31), None, config, tmp_path)
    check_continued(tmp_path, straight, config)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import test_train as t

def die(self, index):
    if index == 31:
        os.kill(os.getpid(), signal.SIGKILL)
    return t.MixedDataset.__getitem__(self, index)

t.KilledAt.__getitem__ = die
t.train(t.Tiny(), t.stream(), None, t.replace(t.CONFIG, workers=0), sys.argv[2])
"""


def test_a_killed_process_leaves_what_is_needed_to_go_on(tmp_path: Path, straight: Path):
    here = str(Path(__file__).parent)
    killed = subprocess.run([sys.executable, "-c", KILLED, here, str(tmp_path)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    check_continued(tmp_path, straight, replace(CONFIG, workers=0))


def test_accumulated_batches_resume_at_the_same_step(tmp_path: Path):
    config = replace(CONFIG, steps=5, batch_size=2, accumulate=2, checkpoint_every=2, workers=0)
    train(Tiny(), stream(), None, config, tmp_path / "straight")
    with pytest.raises(KilledError):
        train(Tiny(), stream(killed_at=14), None, config, tmp_path / "killed")
    train(Tiny(), stream(), None, config, tmp_path / "killed")
    assert losses(tmp_path / "killed") == losses(tmp_path / "straight")
    assert len(losses(tmp_path / "straight")) == 5


def test_the_losses_are_those_of_a_plain_loop(tmp_path: Path):
    config = replace(CONFIG, steps=6, ema=0.0, workers=0, schedule="constant", warmup=0, clip=0.5)
    model = Tiny()
    model.drop.p = 0.0
    optimizer = torch.optim.AdamW(model.parameter_groups(config.lr), weight_decay=config.weight_decay)
    expected, data = [], stream()
    for step in range(6):
        batch = collate([data[i] for i in range(4 * step, 4 * step + 4)])
        loss = model.loss(model(batch.image, batch.prompt), batch)["total"].mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        expected.append(loss.item())
    ours = Tiny()
    ours.drop.p = 0.0
    path = train(ours, stream(), None, config, tmp_path)
    np.testing.assert_allclose([float(r["loss"]) for r in losses(tmp_path)], expected, rtol=1e-5)
    for name, value in read_checkpoint(path).state.items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_the_moving_average_is_what_is_written(tmp_path: Path):
    config = replace(CONFIG, steps=1, ema=0.9, workers=0)
    train(Tiny(), stream(), None, config, tmp_path / "one")
    train(Tiny(), stream(), None, replace(config, steps=2), tmp_path / "two")
    train(Tiny(), stream(), None, replace(config, steps=2, ema=0.0), tmp_path / "raw")
    one, two, raw = (weights(tmp_path / name)["last.weight"] for name in ("one", "two", "raw"))
    # the first average is the first step's weights; the second step's decay is min(0.9, 2 / 11)
    torch.testing.assert_close(two, one * 2 / 11 + raw * 9 / 11)
    assert not torch.equal(one, raw)


def test_the_returned_network_is_the_written_one_even_when_the_run_was_over(tmp_path: Path, straight: Path):
    for _ in range(2):
        model = Tiny()
        train(model, stream(), None, replace(CONFIG, workers=0), tmp_path)
        assert all(torch.equal(model.state_dict()[n], v) for n, v in weights(straight).items())
        (tmp_path / "model.safetensors").unlink()


def test_validation_is_logged_and_changes_nothing(tmp_path: Path, straight: Path):
    config = replace(CONFIG, workers=0, val_every=4, val_batch_size=3)
    model = Tiny()
    train(model, stream(), Blobs(7), config, tmp_path)
    assert losses(tmp_path) == losses(straight)
    with (tmp_path / "val.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows] == [4, 8, 12]
    model.eval()
    errors = []
    for i in range(7):
        batch = collate([Blobs()[i]])
        errors.append(abs(model(batch.image, batch.prompt).sum().item() - len(batch.points[0])))
    assert float(rows[-1]["mae"]) == pytest.approx(np.mean(errors), rel=1e-4)


def test_a_run_is_not_continued_with_other_settings(tmp_path: Path):
    config = replace(CONFIG, steps=2, workers=0)
    train(Tiny(), stream(), None, config, tmp_path)
    with pytest.raises(LikewiseError, match=r"lr: 0.003 -> 0.1.*choose another folder"):
        train(Tiny(), stream(), None, replace(config, lr=0.1), tmp_path)
    train(Tiny(), stream(), None, replace(config, steps=4), tmp_path)
    assert len(losses(tmp_path)) == 4
    train(Tiny(), stream(), None, replace(config, lr=0.1, steps=3), tmp_path, resume=False)
    assert len(losses(tmp_path)) == 3


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_ends_the_run_after_a_saved_step(
    tmp_path: Path, straight: Path, number: int, error: type[BaseException]
):
    class Interrupting(MixedDataset):
        def __getitem__(self, index: int) -> CountSample:
            if index == 17:
                os.kill(os.getpid(), number)
            return super().__getitem__(index)

    config = replace(CONFIG, workers=0, checkpoint_every=100)
    before = signal.getsignal(number)
    with pytest.raises(error):
        train(Tiny(), Interrupting([Blobs()], seed=5), None, config, tmp_path)
    assert signal.getsignal(number) is before
    stopped = len(losses(tmp_path))
    assert 4 <= stopped < 12
    train(Tiny(), stream(), None, config, tmp_path)
    assert losses(tmp_path) == losses(straight)


def test_mixed_precision_and_channels_last_learn_on_a_cpu(tmp_path: Path):
    config = replace(CONFIG, precision="bf16-mixed", channels_last=True, steps=60, ema=0.0, lr=0.03, workers=0)
    train(Tiny(width=8), stream(), None, config, tmp_path)
    rows = [float(r["loss"]) for r in losses(tmp_path)]
    assert np.mean(rows[-10:]) < 0.5 * np.mean(rows[:10])


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path):
    model = Tiny()
    torch.nn.init.constant_(model.last.bias, 1e4)
    with pytest.raises(LikewiseError, match="loss became inf at step 0"):
        train(model, stream(), None, replace(CONFIG, workers=0), tmp_path)


def test_data_shorter_than_the_run_is_refused(tmp_path: Path):
    with pytest.raises(LikewiseError, match=r"needs 48 samples in order, the data has 8.*ShuffledDataset"):
        train(Tiny(), Blobs(), None, CONFIG, tmp_path)


def test_every_position_is_trained_on_by_one_device_once():
    alone = [i for batch in StepBatches(6, 4) for i in batch]
    shared = [i for rank in range(3) for batch in StepBatches(2, 4, rank=rank, world=3) for i in batch]
    assert alone == list(range(24)) == sorted(shared)
    assert list(StepBatches(6, 4, start=4)) == [[16, 17, 18, 19], [20, 21, 22, 23]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"steps": 0}, "steps = 0: expected at least 1"), ({"lr": float("nan")}, "lr = nan"), ({"ema": 1.0}, "ema = 1.0")],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float], message: str):
    with pytest.raises(LikewiseError, match=message):
        replace(CONFIG, **wrong)


def test_schedules():
    cosine = TrainConfig(steps=101, final=0.1, warmup=4)
    assert cosine.rate(0) == pytest.approx(0.2, rel=1e-3)
    assert cosine.rate(50) == pytest.approx(0.55)
    assert cosine.rate(100) == pytest.approx(0.1)
    epochs = TrainConfig(schedule="exponential", decay=0.95, decay_every=230)
    assert [epochs.rate(s) for s in (0, 229, 230, 690)] == pytest.approx([1, 1, 0.95, 0.95**3])
