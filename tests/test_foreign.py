"""Files of torch.save with objects beside the weights: the tensors come out, and nothing in the file is ever called."""

from __future__ import annotations

import argparse
import builtins
import collections
import copyreg
import io
import os
import pickle
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from likewise import foreign
from likewise.errors import LikewiseError
from likewise.foreign import inert_pickle, read_inert
from likewise.foreign.published import look_into_foreign
from likewise.weights import read_foreign

FORMS = {"zip": True, "stream": False}


class CfgNode(dict):  # type: ignore[type-arg]  # as yacs' class of settings: a dictionary with a state
    """Settings by name."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.__dict__["frozen"] = True


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    shared = torch.rand(6, 4)
    return collections.OrderedDict(
        {
            "weight": shared,
            "tied": shared,
            "turned": shared.T,
            "part": shared[2:4, 1:],
            "half": torch.rand(3).half(),
            "rounded": torch.rand(3).bfloat16(),
            "double": torch.rand(2, dtype=torch.float64),
            "count": torch.tensor(7),
            "bytes": torch.arange(5, dtype=torch.uint8),
            "flags": torch.tensor([True, False]),
            "nothing": torch.empty(0, 3),
            "parameter": nn.Parameter(torch.rand(2)),
        }
    )


def beside(state: dict[str, Tensor]) -> dict[str, Any]:
    """A training script's file."""
    optimizer = torch.optim.AdamW([nn.Parameter(torch.rand(2))])
    optimizer.param_groups[0]["params"][0].grad = torch.ones(2)
    optimizer.step()
    return {
        "args": argparse.Namespace(lr=6.25e-6, out=Path("runs")),
        "config": CfgNode({"a": CfgNode({"b": 1})}),
        "best": np.float64(14.31),
        "seen": {1, 2},
        "model": state,
        "optimizer": optimizer.state_dict(),
        "history": collections.defaultdict(list, {3: [1.0]}),
        "epoch": 3,
    }


def check_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("zipped", FORMS.values(), ids=FORMS)
def test_the_tensors_are_torchs_own_to_the_bit(zipped: bool, state: dict[str, Tensor], tmp_path: Path):
    path = tmp_path / "a.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    found = read_inert(path)
    check_same(found.state, torch.load(path, weights_only=True))
    assert found.refused == ()
    assert found.state["weight"].data_ptr() == found.state["tied"].data_ptr()  # read once


@pytest.mark.parametrize("zipped", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_objects_beside_the_weights_are_left_alone_and_named(
    zipped: bool, protocol: int, state: dict[str, Tensor], tmp_path: Path
):
    path = tmp_path / "a.pth"
    torch.save(beside(state), path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    found = look_into_foreign(path)
    check_same(found.state, state)
    assert {"argparse.Namespace", f"{__name__}.CfgNode"} <= set(found.refused)
    assert any(name.endswith("multiarray.scalar") for name in found.refused)


def test_a_lightning_checkpoint_is_read(state: dict[str, Tensor], tmp_path: Path):
    held = {
        "state_dict": {f"module.{name}": tensor for name, tensor in state.items()},
        "callbacks": {"ModelCheckpoint": {"best": np.float32(1), "kind": argparse.Namespace}},
        "hyper_parameters": argparse.Namespace(lr=1.0),
        "loops": {"fit": {"state": {}}},
        "pytorch-lightning_version": "2.0.0",
    }
    torch.save(held, tmp_path / "a.ckpt")
    check_same(read_foreign(tmp_path / "a.ckpt"), state)


class Payload:
    """Runs something when it is unpickled by a reader that lets it."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


def payloads(marker: Path) -> dict[str, Any]:
    """Objects that make a file where they are executed."""
    command = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w')"
    return {
        "system": Payload(os.system, (command,)),
        "subprocess": Payload(subprocess.check_call, (["touch", str(marker)],)),
        "eval": Payload(builtins.eval, (code,)),
        "exec": Payload(builtins.exec, (code,)),
        "getattr": Payload(Payload(getattr, (os, "system")).reduced[0], (Payload(__import__, ("os",)), "system")),
        "state": Payload(argparse.Namespace, (), {"__class__": Payload(os.system, (command,))}),
        "items": Payload(collections.OrderedDict, (), None, None, iter([("a", Payload(os.system, (command,)))])),
        "argument": Payload(collections.OrderedDict, ([("a", Payload(builtins.eval, (code,)))],)),
        "rebuild": Payload(torch._utils._rebuild_parameter, (Payload(os.system, (command,)), True, {})),
        "bytes": Payload(torch.storage._load_from_bytes, (pickle.dumps(Payload(os.system, (command,))),)),
    }


@pytest.mark.parametrize("zipped", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("kind", payloads(Path("x")))
def test_a_payload_beside_the_weights_does_nothing(kind: str, zipped: bool, state: dict[str, Tensor], tmp_path: Path):
    marker = tmp_path / "executed"
    path = tmp_path / "a.pth"
    held = {
        "first": payloads(marker)[kind],
        "model": state,
        "args": argparse.Namespace(),
        "last": payloads(marker)[kind],
    }
    torch.save(held, path, _use_new_zipfile_serialization=zipped)
    found = look_into_foreign(path)
    assert not marker.exists()
    check_same(found.state, state)
    assert found.refused


@pytest.mark.parametrize("kind", payloads(Path("x")))
def test_a_payload_in_the_place_of_weights_does_nothing(kind: str, tmp_path: Path):
    marker = tmp_path / "executed"
    torch.save({"model": {"a": payloads(marker)[kind]}, "b": payloads(marker)[kind]}, tmp_path / "a.pth")
    with pytest.raises(LikewiseError, match="without executing code"):
        read_foreign(tmp_path / "a.pth")
    assert not marker.exists()


def archive(path: Path, program: bytes, storages: dict[str, bytes] | None = None, **kwargs: Any) -> Path:
    """A zip archive in the form of torch.save's, whose pickle is written by hand."""
    with zipfile.ZipFile(path, "w", **kwargs) as file:
        file.writestr("a/data.pkl", program)
        for name, content in (storages or {}).items():
            file.writestr(f"a/{name}", content)
    return path


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def tensor(key: str = "0", numel: int = 4, size: tuple[int, ...] = (4,), stride: tuple[int, ...] = (1,), at: int = 0):
    """The steps that describe a tensor."""
    pointer = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(numel) + b"tQ"
    axes = b"".join(b"(" + b"".join(map(number, axis)) + b"t" for axis in (size, stride))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + pointer + number(at) + axes + b"\x89}tR"


FOUR = struct.pack("<4f", 1, 2, 3, 4)


def test_steps_written_by_hand_are_read(tmp_path: Path):
    path = archive(tmp_path / "a.pth", b"\x80\x02}" + text("w") + tensor() + b"s.", {"data/0": FOUR})
    assert torch.equal(read_inert(path).state["w"], torch.tensor([1.0, 2, 3, 4]))


SYSTEM = b"cposix\nsystem\n"


def tricks(marker: Path) -> dict[str, bytes]:
    """Steps that leave one value and make a file where a reader calls what they name."""
    command = text(f"touch {marker}")
    call = SYSTEM + b"(" + command + b"tR"
    return {
        "reduce": call,
        "reduce a stand-in": b"cx\nY\n)R(" + command + b"tR",
        "reduce what reduce gave": b"c__builtin__\ngetattr\n(cposix\nsystem\n"
        + text("__call__")
        + b"tR("
        + command
        + b"tR",
        "inst": b"(" + command + b"iposix\nsystem\n",
        "obj": b"(" + SYSTEM + command + b"o",
        "newobj": SYSTEM + b"(" + command + b"t\x81",
        "newobj with names": SYSTEM + b"(" + command + b"t}\x92",
        "stack global": text("posix") + text("system") + b"\x93(" + command + b"tR",
        "dotted name": text("builtins") + text("eval.__call__") + b"\x93(" + command + b"tR",
        "build with setstate": b"cx\nY\n)\x81}" + text("__setstate__") + SYSTEM + b"sb" + command + b"b",
        "build a dictionary": b"}}" + text("update") + SYSTEM + b"sb",
        "build a tensor": tensor() + b"}" + text("__class__") + SYSTEM + b"sb",
        "append to a stand-in": b"cx\nY\n)R" + command + b"a(" + command + b"e",
        "items of a stand-in": b"cx\nY\n)R" + text("a") + call + b"s",
        "extension": b"\x82\xf7(" + command + b"tR",
        "wide extension": b"\x84\xf7\x00\x00\x00(" + command + b"tR",
        "memo": SYSTEM + b"r\xff\xff\xff\x7f0j\xff\xff\xff\x7f(" + command + b"tR",
        "a hash": b"}" + SYSTEM + call + b"s",
        "a class of a tensor": b"ctorch._tensor\n_rebuild_from_type_v2\n(" + SYSTEM + b"N(" + command + b"t}tR",
        "a subclass of a dictionary": b"ccollections\nOrderedDict\n(](" + text("a") + call + b"ee(" + b"tR0}",
    }


@pytest.mark.parametrize("kind", tricks(Path("x")))
def test_no_trick_of_the_steps_calls_anything(kind: str, state: dict[str, Tensor], tmp_path: Path):
    marker = tmp_path / "executed"
    copyreg.add_extension("posix", "system", 0xF7)
    copyreg._extension_cache[0xF7] = os.system  # type: ignore[attr-defined]  # as if something had used it before
    try:
        program = b"\x80\x04}" + text("w") + tensor() + b"s" + text("x") + tricks(marker)[kind] + b"s."
        found = _attempt(archive(tmp_path / "a.pth", program, {"data/0": FOUR}))
    finally:
        copyreg.remove_extension("posix", "system", 0xF7)
    assert not marker.exists()
    assert found is None or torch.equal(found["w"], torch.tensor([1.0, 2, 3, 4]))


def _attempt(path: Path) -> dict[str, Tensor] | None:
    try:
        return look_into_foreign(path).state
    except LikewiseError:
        return None


LIES = {
    "more bytes than the file has": (tensor(numel=10**12, size=(10**12,)), "has 16 bytes, not 1000000000000 numbers"),
    "more numbers than the storage": (tensor(size=(5,)), "claims more numbers"),
    "a stride out of it": (tensor(size=(2, 2), stride=(3, 1)), "claims more numbers"),
    "an offset out of it": (tensor(at=1), "claims more numbers"),
    "one number many times": (tensor(size=(10**12,), stride=(0,)), "claims more numbers"),
    "a negative offset": (tensor(at=-1), "no possible shape"),
    "a negative stride": (tensor(stride=(-1,)), "no possible shape"),
    "many axes": (tensor(size=(1,) * 99, stride=(1,) * 99), "no possible shape"),
    "a storage outside": (tensor(key="../../secret"), "no part of it"),
    "a storage that is not there": (tensor(key="7"), "damaged"),
    "fewer than no numbers": (tensor(numel=-4), "claims -4"),
    "no storage": (b"(" + text("module") + b"N" * 4 + b"tQ", "no storage"),
    "a pointer in words": (b"Psecret\n", "asks for PERSID"),
    "a buffer from outside": (b"\x97", "NEXT_BUFFER"),
    "a long text": (b"\x8d" + struct.pack("<Q", 2**62), "damaged"),
    "bytes without end": (b"\x8e" + struct.pack("<Q", 2**62), "damaged"),
    "nothing on the stack": (b"000000", "damaged"),
    "a mark that is not there": (b"t", "damaged"),
    "a memo that is not there": (b"j\xff\xff\xff\x7f", "damaged"),
}


@pytest.mark.parametrize("kind", LIES)
def test_what_claims_more_than_the_file_has_is_refused(kind: str, tmp_path: Path):
    steps, told = LIES[kind]
    path = archive(tmp_path / "a.pth", b"\x80\x04}" + text("w") + steps + b"s.", {"data/0": FOUR})
    with pytest.raises(LikewiseError, match=told):
        read_inert(path)
    with pytest.raises(LikewiseError, match=r"without executing code|does not hold all numbers"):
        read_foreign(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path):
    program = b"\x80\x04}" + text("w") + tensor(numel=10**7, size=(10**7,)) + b"s."
    path = archive(tmp_path / "a.pth", program, {"data/0": bytes(4 * 10**7)}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**6
    for read in (read_inert, read_foreign):
        with pytest.raises(LikewiseError, match="compressed archive"):
            read(path)


def test_a_pickle_takes_so_many_steps_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inert_pickle, "MAX_STEPS", 1000)
    many = archive(tmp_path / "many.pth", b"\x80\x02" + b"N" * 1001 + b".")
    pairs = b"](" + (b"(" + text("a") + b"Nt") * 50 + b"e"
    again = b"\x80\x02" + pairs + b"q\x010" + b"ccollections\nOrderedDict\n(h\x01tR0" * 30 + b"}."
    long = archive(tmp_path / "long.pth", again)  # a long list, asked for again and again
    for path in (many, long):
        with pytest.raises(LikewiseError, match="more than 1000 steps"):
            read_inert(path)


def test_depth_and_circles_end(tmp_path: Path):
    deep = b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    circle = b"\x80\x02}q\x00" + text("model") + b"h\x00s" + text("w") + tensor() + b"s."
    key = b"\x80\x02}" + b")" + b"\x85" * 300_000 + b"Ns" + text("w") + tensor() + b"s."  # hashing it would crash
    assert read_inert(archive(tmp_path / "deep.pth", deep)).state == {}
    for program in (circle, key):
        assert list(read_inert(archive(tmp_path / "a.pth", program, {"data/0": FOUR})).state) == ["w"]


def test_damaged_files_are_told_whatever_is_cut_or_changed(state: dict[str, Tensor], tmp_path: Path):
    rng = np.random.default_rng(0)
    for zipped in FORMS.values():
        file = io.BytesIO()
        torch.save(beside(state), file, _use_new_zipfile_serialization=zipped)
        whole = file.getvalue()
        for trial in range(150):
            broken = bytearray(whole)
            for at in rng.integers(0, len(broken), 5):
                broken[at] = int(rng.integers(256))
            (tmp_path / "a.pth").write_bytes(broken[: rng.integers(len(broken))] if trial % 3 == 0 else broken)
            try:
                found = read_inert(tmp_path / "a.pth").state
            except LikewiseError:
                continue
            assert all(t.numel() * t.element_size() <= len(whole) for t in found.values())


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "damaged"), (b"not a checkpoint", "damaged"), (pickle.dumps({"a": 1}), "no file of torch.save")],
)
def test_other_files_are_refused(content: bytes, told: str, tmp_path: Path):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(LikewiseError, match=told):
        read_inert(tmp_path / "a.pth")


def test_an_archive_of_something_else_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as file:
        file.writestr("word/document.xml", "")
    with pytest.raises(LikewiseError, match=r"no data\.pkl"):
        read_inert(tmp_path / "a.pth")


def test_big_endian_numbers_are_refused(tmp_path: Path):
    with pytest.raises(LikewiseError, match="big endian"):
        read_inert(archive(tmp_path / "a.pth", b"}.", {"byteorder": b"big"}))


def test_the_reader_has_no_way_to_call_what_a_file_names():
    for module in (foreign, inert_pickle):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        for word in ("import pickle\n", "importlib", "getattr(", "eval(", "exec(", "__import__"):
            assert word not in source
