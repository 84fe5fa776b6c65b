from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from likewise.cli.convert import convert as command
from likewise.convert import convert
from likewise.errors import LikewiseError
from likewise.registry import build, preset
from likewise.weights import read_checkpoint


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return preset("spdcn").build().state_dict()


WRAPPINGS = {
    "bare": lambda s: s,
    "model": lambda s: {"model": s, "epoch": 3},
    "state_dict": lambda s: {"state_dict": s},
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_every_wrapping_gives_the_same_file(wrap, state, tmp_path):
    torch.save(wrap(state), tmp_path / "in.pth")
    out = convert("spdcn", tmp_path / "in.pth", tmp_path / "new" / "out.safetensors")
    read = read_checkpoint(out)
    assert read.method == "spdcn"
    assert read.state.keys() == state.keys()
    assert all(torch.equal(read.state[name], state[name]) for name in state)
    assert build(read, "test").config == preset("spdcn").config


def test_command_prints_where_it_wrote(state, tmp_path, capsys):
    save_file(state, tmp_path / "in.safetensors")
    command("spdcn", tmp_path / "in.safetensors", output=tmp_path / "out.safetensors")
    assert capsys.readouterr().out.strip() == str(tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").is_file()


def test_settings_beside_the_weights_are_named_and_left_alone(state, tmp_path, capsys):
    held = {"model": state, "args": argparse.Namespace(lr=1e-5), "best": np.float64(14.3), "epoch": 9}
    torch.save(held, tmp_path / "in.pth")
    command("spdcn", tmp_path / "in.pth", output=tmp_path / "out.safetensors")
    written, said = capsys.readouterr()
    assert written.strip() == str(tmp_path / "out.safetensors")
    assert f"took {len(state)} tensors from {tmp_path / 'in.pth'}; left alone, unread: argparse.Namespace" in said
    read = read_checkpoint(tmp_path / "out.safetensors")
    assert all(torch.equal(read.state[name], state[name]) for name in state)


def test_names_that_do_not_fit_are_named_and_nothing_is_written(state, tmp_path):
    wrong = dict(state)
    wrong["to_classes.waits"] = wrong.pop("to_classes.weight")
    torch.save(wrong, tmp_path / "in.pth")
    with pytest.raises(LikewiseError, match=r"missing: to_classes\.weight.*unexpected: to_classes\.waits"):
        convert("spdcn", tmp_path / "in.pth", tmp_path / "out.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["in.pth"]


def test_a_tensor_of_another_shape_is_refused(state, tmp_path):
    torch.save({**state, "to_classes.bias": torch.zeros(7)}, tmp_path / "in.pth")
    with pytest.raises(LikewiseError, match=r"to_classes\.bias has shape \(7,\), expected \(512,\)"):
        convert("spdcn", tmp_path / "in.pth", tmp_path / "out.safetensors")


class Mischief:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_never_executes_code(tmp_path):
    marker = tmp_path / "executed"
    for name, write in (
        ("a.pth", torch.save),
        ("b.pth", lambda held, path: path.write_bytes(pickle.dumps(held, protocol=2))),
    ):
        write({"model": Mischief(marker)}, tmp_path / name)
        with pytest.raises(LikewiseError, match="without executing code"):
            convert("spdcn", tmp_path / name, tmp_path / "out.safetensors")
    assert not marker.exists()
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(
    ("method", "checkpoint", "out", "said"),
    [
        ("spdnc", "in.pth", "out.safetensors", "did you mean 'spdcn'"),
        ("countx-lite", "in.pth", "out.safetensors", "there is nothing to convert"),
        ("spdcn", "gone.pth", "out.safetensors", "no checkpoint at"),
        ("spdcn", "text.pth", "out.safetensors", "cannot be read"),
        ("spdcn", "in.pth", "out.pth", r"ends in \.safetensors"),
    ],
)
def test_mistakes_are_told(method, checkpoint, out, said, tmp_path):
    (tmp_path / "text.pth").write_text("these are not weights")
    with pytest.raises(LikewiseError, match=said):
        convert(method, tmp_path / checkpoint, tmp_path / out)
    assert not (tmp_path / out).exists()
