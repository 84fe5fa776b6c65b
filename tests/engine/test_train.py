"""The engine on a small counter: it learns, it goes on exactly where it was, it stops when asked."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from likewise.data.counting.collate import collate
from likewise.data.counting.sample import CountSample
from likewise.data.infinite import MixedDataset
from likewise.engine.best_weights import Best, best_of
from likewise.engine.config import METRICS, TrainConfig
from likewise.engine.segment_eval import SegmentMeter
from likewise.engine.task import StepBatches, _leave_signals_to_the_trainer
from likewise.engine.train import train
from likewise.errors import LikewiseError
from likewise.metrics import CountErrors, Ranks
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
        "previous.ckpt",
    }
    assert torch.load(straight / "last.ckpt", weights_only=True)["global_step"] == 12
    assert torch.load(straight / "previous.ckpt", weights_only=True)["global_step"] == 9
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
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KilledError):
        train(Tiny(), stream(killed_at=31), None, config, tmp_path)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
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


class Worse(Tiny):
    """Learns to see ever more than there is, so that its first validation is its best."""

    def loss(self, density: Tensor, batch: CountBatch) -> dict[str, Tensor]:
        return {"total": (density.sum(dim=(1, 2, 3)) - 1000.0).abs()}


def validated(model: nn.Module, pictures: int = 7) -> list[float]:
    """Absolute errors of the counts."""
    batches = [collate([Blobs()[i]]) for i in range(pictures)]
    with torch.no_grad():
        return [abs(float(model(b.image, b.prompt).sum()) - len(b.points[0])) for b in batches]


def measured(folder: Path, name: str) -> dict[int, float]:
    with (folder / "val.csv").open(newline="") as file:
        return {int(row["step"]): float(row[name]) for row in csv.DictReader(file)}


@pytest.mark.parametrize(("ema", "metric"), [(0.9, ""), (0.0, "rmse")])
def test_the_weights_of_the_best_validation_are_kept(tmp_path: Path, ema: float, metric: str):
    config = replace(CONFIG, workers=0, val_every=2, ema=ema, best=metric)
    train(Worse(), stream(), Blobs(7), config, tmp_path)
    scores = measured(tmp_path, metric or "mae")
    best = best_of(tmp_path)
    assert best is not None
    assert (best.metric, best.step) == (metric or "mae", min(scores, key=scores.__getitem__))
    assert best.value == pytest.approx(min(scores.values()))
    assert best.step < 12
    assert best.value < scores[12]
    model = Tiny().eval()
    model.load_state_dict(read_checkpoint(tmp_path / "best.safetensors").state)
    errors = np.array(validated(model))
    found = np.sqrt(np.mean(errors**2)) if metric else np.mean(errors)
    assert found == pytest.approx(best.value, rel=1e-4)


def test_the_best_validation_is_that_of_the_whole_run_however_often_it_was_stopped(tmp_path: Path):
    config = replace(CONFIG, workers=0, val_every=2)
    train(Worse(), stream(), Blobs(7), config, tmp_path / "straight")
    with pytest.raises(KilledError):
        train(Worse(), stream(killed_at=31), Blobs(7), config, tmp_path / "killed")
    train(Worse(), stream(), Blobs(7), config, tmp_path / "killed")  # later, worse validations
    best = best_of(tmp_path / "killed")
    assert best is not None
    assert best.step == 2
    assert best == best_of(tmp_path / "straight")
    for name in ("best.safetensors", "model.safetensors"):
        ours, theirs = (read_checkpoint(tmp_path / run / name).state for run in ("killed", "straight"))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    train(Tiny(), stream(), Blobs(7), replace(config, steps=3, best="rmse"), tmp_path / "killed", resume=False)
    anew = best_of(tmp_path / "killed")
    assert anew is not None
    assert (anew.metric, anew.step) == ("rmse", 2)


def test_more_is_better_of_shares_and_less_of_errors():
    for metric, direction in METRICS.items():
        low, high = Best(metric, 0.25, 1), Best(metric, 0.5, 2)
        assert low.beaten_by(high) == (direction == "higher")
        assert high.beaten_by(low) == (direction == "lower")
        assert not low.beaten_by(replace(low, step=3))
        assert not low.beaten_by(replace(low, value=float("nan")))
    assert METRICS["iou"] == METRICS["top1"] == "higher"
    assert METRICS["mae"] == METRICS["loss"] == "lower"
    assert set(METRICS) == {
        "loss",
        *CountErrors().summary(),
        *Ranks().summary(),
        *SegmentMeter().summary(),
    }


def test_a_metric_that_is_not_measured_is_refused(tmp_path: Path):
    with pytest.raises(LikewiseError, match="best = 'map' is no metric; did you mean 'mae'"):
        replace(CONFIG, best="map")
    with pytest.raises(LikewiseError, match="best = 'top1' is not measured here; expected one of loss, mae"):
        train(Tiny(), stream(), Blobs(7), replace(CONFIG, workers=0, val_every=1, best="top1"), tmp_path)


def damage(path: Path) -> None:
    """One other byte in the middle of the weights."""
    content = bytearray(path.read_bytes())
    at = content.index(bytes(torch.load(path, weights_only=True)["state_dict"]["model.first.weight"].numpy().tobytes()))
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("broken", ["a byte", "cut", "empty", "gone"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(broken: str, tmp_path: Path, straight: Path):
    config = replace(CONFIG, workers=0, checkpoint_every=3)
    with pytest.raises(KilledError):
        train(Tiny(), stream(killed_at=31), None, config, tmp_path)
    last = tmp_path / "last.ckpt"
    content = last.read_bytes()
    {
        "a byte": lambda: damage(last),
        "cut": lambda: last.write_bytes(content[: len(content) // 2]),
        "empty": lambda: last.write_bytes(b""),
        "gone": last.unlink,
    }[broken]()
    with pytest.warns(
        UserWarning, match=r"last\.ckpt is (damaged|missing); the run goes on from the checkpoint before"
    ):
        train(Tiny(), stream(), None, config, tmp_path)
    assert losses(tmp_path) == losses(straight)
    assert all(torch.equal(weights(tmp_path)[name], value) for name, value in weights(straight).items())


def test_without_a_whole_checkpoint_the_run_is_not_continued(tmp_path: Path):
    config = replace(CONFIG, steps=2, workers=0)
    train(Tiny(), stream(), None, config, tmp_path)
    damage(tmp_path / "last.ckpt")
    with pytest.raises(LikewiseError, match=r"last\.ckpt is damaged, and there is no whole one before it"):
        train(Tiny(), stream(), None, config, tmp_path)
    train(Tiny(), stream(), None, config, tmp_path, resume=False)
    assert len(losses(tmp_path)) == 2


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


GROUP = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
import test_train as t

def slow(self, index):
    if index == 20:
        open(sys.argv[2] + "/reached", "w").close()
    time.sleep(0.01)
    return t.MixedDataset.__getitem__(self, index)

t.KilledAt.__getitem__ = slow
config = t.replace(t.CONFIG, workers=2, prefetch=2, checkpoint_every=1000, steps=500)
t.train(t.Tiny(), t.stream(), None, config, sys.argv[2])
"""


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="a worker cannot tell here who sends a signal")
def test_a_termination_signal_to_the_whole_group_saves_and_stops(tmp_path: Path):
    command = [sys.executable, "-c", GROUP, str(Path(__file__).parent), str(tmp_path)]
    run = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "reached").exists() and run.poll() is None:
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)  # as `timeout` does: its child, and then the group
        os.killpg(run.pid, signal.SIGTERM)
        said = run.communicate(timeout=300)[1]
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 128 + signal.SIGTERM, said
    done = torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"]
    assert 0 < done < 500
    assert len(losses(tmp_path)) == done
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)  # no worker is left behind


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="a worker cannot tell here who sends a signal")
def test_a_worker_ends_when_its_trainer_says_and_only_then():
    context = multiprocessing.get_context("fork")
    listening = context.Event()
    worker = context.Process(target=_wait_as_a_worker, args=(listening,), daemon=True)
    worker.start()
    try:
        assert listening.wait(timeout=300)
        subprocess.run([sys.executable, "-c", f"import os; os.kill({worker.pid}, 15)"], check=True)  # somebody else
        worker.join(timeout=1)
        assert worker.is_alive()
        worker.terminate()
        worker.join(timeout=300)
        assert worker.exitcode == 0
    finally:
        worker.kill()


def _wait_as_a_worker(listening: Event) -> None:
    _leave_signals_to_the_trainer(0)
    listening.set()
    time.sleep(600)


@pytest.mark.parametrize(
    ("accelerator", "gpu", "cpu", "chosen"),
    [
        ("auto", None, (False, False), "32-true"),
        ("auto", None, (True, False), "bf16-mixed"),
        ("auto", None, (False, True), "bf16-mixed"),
        ("cpu", (9, 0), (False, False), "32-true"),
        ("auto", (9, 0), (False, False), "bf16-mixed"),
        ("gpu", (8, 0), (False, False), "bf16-mixed"),
        ("auto", (7, 5), (True, True), "32-true"),
        ("mps", None, (True, True), "32-true"),
    ],
)
def test_the_precision_is_one_that_the_device_is_fast_in(
    accelerator: str,
    gpu: tuple[int, int] | None,
    cpu: tuple[bool, bool],
    chosen: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: gpu)
    for name, has in zip(("_is_amx_tile_supported", "_is_avx512_bf16_supported"), cpu, strict=True):
        monkeypatch.setattr(torch.cpu, name, lambda has=has: has, raising=False)
    assert TrainConfig(precision="auto", accelerator=accelerator).precision == chosen
    assert TrainConfig(precision="bf16-mixed", accelerator=accelerator).precision == "bf16-mixed"


def test_the_warm_up_is_a_tenth_of_a_short_run_at_most():
    short = TrainConfig(steps=30, warmup=50, schedule="constant")
    assert [short.rate(step) for step in range(5)] == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 1])
    assert TrainConfig(steps=5, warmup=50, schedule="constant").rate(0) == 1
    assert TrainConfig(steps=500, warmup=50, schedule="constant").rate(24) == pytest.approx(25 / 51)


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


def test_a_networks_validation_begins_and_ends_once_and_is_told_how_far_the_run_is(tmp_path: Path):
    told: list[float | str] = []

    class Telling(Tiny):
        def begin_validation(self, fraction: float) -> None:
            told.append(fraction)

        def end_validation(self) -> None:
            told.append("end")

    config = TrainConfig(steps=4, batch_size=2, val_every=2, workers=0, accelerator="cpu", progress=False)
    train(Telling(), stream(), Blobs(3), config, tmp_path)
    assert told == [0.5, "end", 1.0, "end"]


def test_steps_and_powers_of_the_published_schedules():
    steps = TrainConfig(steps=60, schedule="multistep", milestones=(40 / 60, 0.9), decay=0.1)
    assert [steps.rate(s) for s in (0, 39, 40, 53, 54, 59)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    for epoch in (1, 7, 374):  # an epoch's length never moves the milestone
        longer = TrainConfig(steps=60 * epoch, schedule="multistep", milestones=(40 / 60,), decay=0.1)
        assert (longer.rate(40 * epoch - 1), longer.rate(40 * epoch)) == pytest.approx((1, 0.1))
    poly = TrainConfig(steps=10, schedule="poly", power=0.9)
    assert [poly.rate(s) for s in (0, 5, 9, 10, 11)] == pytest.approx([1, 0.5**0.9, 0.1**0.9, 0, 0])


def test_schedules():
    half = TrainConfig(steps=110, final=0.1, warmup=10, schedule="half-cosine")
    assert [half.rate(s) for s in (0, 5, 9, 10, 60, 110)] == pytest.approx([0, 0.5, 0.9, 1, 0.55, 0.1])
    assert TrainConfig(steps=9, warmup=10, schedule="half-cosine").rate(0) == 1
    cosine = TrainConfig(steps=101, final=0.1, warmup=4)
    assert cosine.rate(0) == pytest.approx(0.2, rel=1e-3)
    assert cosine.rate(50) == pytest.approx(0.55)
    assert cosine.rate(100) == pytest.approx(0.1)
    epochs = TrainConfig(schedule="exponential", decay=0.95, decay_every=230)
    assert [epochs.rate(s) for s in (0, 229, 230, 690)] == pytest.approx([1, 1, 0.95, 0.95**3])
