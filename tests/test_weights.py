"""Checkpoints: what is written comes back, what is broken is told, nothing is executed."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from likewise import registry
from likewise.errors import LikewiseError
from likewise.preprocess.rules import Preprocess
from likewise.types import PromptBatch
from likewise.weights import (
    OldFields,
    RemovedField,
    WeightCard,
    config_from,
    file_sha256,
    load_strict,
    read_checkpoint,
    read_foreign,
    save_checkpoint,
)


@pytest.fixture
def lite():
    return registry.preset("spdcn-lite").build().eval()


def test_a_saved_model_comes_back_with_its_config_and_counts_the_same(lite, tmp_path):
    path = save_checkpoint(tmp_path / "new" / "mine.safetensors", lite)
    name, loaded = registry.load_model(path)
    assert (name, loaded.config) == ("mine", lite.config)
    image, prompt = torch.rand(1, 3, 64, 64), PromptBatch((torch.tensor([[5.0, 5, 30, 30]]),))
    with torch.inference_mode():
        assert torch.equal(loaded(image, prompt), lite(image, prompt))
    assert [p.name for p in path.parent.iterdir()] == ["mine.safetensors"]  # nothing unfinished is left


def test_every_field_of_a_config_travels_even_when_changed(lite, tmp_path):
    rules = replace(lite.config.inference.preprocess, object_size=24.0, fit=(9, 8))
    changed = replace(
        lite.config,
        sigma=0.2,
        loss="bayesian",
        inference=replace(lite.config.inference, preprocess=rules),
    )
    lite.config = changed
    read = read_checkpoint(save_checkpoint(tmp_path / "a.safetensors", lite))
    assert config_from(type(changed), read.config) == changed


def test_half_precision_files_are_half_as_large_and_come_back_as_float32(lite, tmp_path):
    full = save_checkpoint(tmp_path / "full.safetensors", lite)
    half = save_checkpoint(tmp_path / "half.safetensors", lite, half=True)
    assert half.stat().st_size < 0.6 * full.stat().st_size
    for name, tensor in read_checkpoint(half).state.items():
        assert torch.equal(tensor, lite.state_dict()[name].half().float()), name


def test_a_missing_a_truncated_and_a_foreign_file_are_told_apart(lite, tmp_path):
    whole = save_checkpoint(tmp_path / "whole.safetensors", lite)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:1000])
    bare = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(2)}, bare)
    for path, message in (
        (tmp_path / "no.safetensors", "no checkpoint at"),
        (cut, "not a complete"),
        (bare, "convert"),
    ):
        with pytest.raises(LikewiseError, match=message):
            read_checkpoint(path)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s, "epoch": 3}, lambda s: {"state_dict": s}])
def test_published_files_are_unwrapped(wrap, tmp_path):
    torch.save(wrap({"module.conv.weight": torch.ones(2)}), tmp_path / "a.pth")
    state = read_foreign(tmp_path / "a.pth")
    assert list(state) == ["conv.weight"]


class Attack:
    def __reduce__(self):
        return (open, ("/dev/null", "w"))


@pytest.mark.parametrize("content", [pickle.dumps(Attack()), b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_file_that_would_execute_code_or_is_garbage_is_refused(content, tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(LikewiseError, match="without executing code"):
        read_foreign(path)


def test_a_pickle_that_torch_wrapped_cannot_execute_code_either(tmp_path):
    torch.save({"model": Attack()}, tmp_path / "a.pth")
    with pytest.raises(LikewiseError, match=r"without executing code: it holds no state dict but \w+\.open"):
        read_foreign(tmp_path / "a.pth")


def test_a_tensor_that_is_one_number_seen_many_times_is_no_weight(tmp_path):
    torch.save({"a": torch.zeros(1).expand(10**12)}, tmp_path / "a.pth")
    with pytest.raises(LikewiseError, match="does not hold all numbers of a"):
        read_foreign(tmp_path / "a.pth")


def test_a_file_without_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(LikewiseError, match="holds no state dict"):
        read_foreign(tmp_path / "a.pth")


def test_missing_unexpected_and_misshapen_weights_are_named():
    model = torch.nn.Linear(2, 3)
    with pytest.raises(LikewiseError, match=r"missing: bias; unexpected: bais; weight has shape \(3, 3\), expected"):
        load_strict(model, {"weight": torch.zeros(3, 3), "bais": torch.zeros(3)}, "a.pth")


@dataclass(frozen=True)
class Outer:
    inner: Preprocess = field(default=Preprocess())
    rows: tuple[tuple[int, int], ...] = ((1, 2),)


def test_nested_configs_survive_json():
    outer = Outer(Preprocess(fit=(3, 4)), ((5, 6), (7, 8)))
    assert config_from(Outer, json.loads(json.dumps(asdict(outer)))) == outer


@dataclass(frozen=True)
class Later:
    outer: Outer = field(default=Outer())
    way: str = field(default="new", metadata={"absent": "old"})


def test_a_field_that_a_file_is_too_old_for_means_what_was_done_then():
    assert Later().way == "new"
    assert config_from(Later, {"outer": asdict(Outer())}).way == "old"
    assert config_from(Later, {"way": "new"}).way == "new"
    assert config_from(Later, json.loads(json.dumps(asdict(Later())))) == Later()


def test_an_unknown_config_field_names_the_nearest():
    with pytest.raises(LikewiseError, match="no field 'object_sise'; did you mean 'object_size'"):
        config_from(Outer, {"inner": {"object_sise": 3}})


@dataclass(frozen=True)
class Moved:
    inner: Preprocess = field(default=Preprocess())
    width: int = 3
    OLD_FIELDS: ClassVar[OldFields] = {
        "breadth": "width",
        "fit": "inner.fit",
        "tile": "inner.tile",
        "pair": lambda both: {"inner.multiple": both[0], "width": both[1]},
        "blur": RemovedField(),
        "kind": RemovedField("plain"),
    }


def test_values_under_old_names_find_their_place():
    old = {"breadth": 5, "fit": [3, 4], "tile": 7, "blur": 0.3, "kind": "plain"}
    assert config_from(Moved, old) == Moved(Preprocess(fit=(3, 4), tile=7), 5)
    assert config_from(Moved, asdict(Moved(width=4))) == Moved(width=4)
    assert config_from(Moved, {"pair": [8, 9], "tile": 7}) == Moved(Preprocess(multiple=8, tile=7), 9)
    with pytest.raises(LikewiseError, match="kind = 'fancy': such a network is no longer built; expected 'plain'"):
        config_from(Moved, {**old, "kind": "fancy"})
    with pytest.raises(LikewiseError, match="Moved has no field 'widht'; did you mean 'width'"):
        config_from(Moved, {"widht": 5})
    with pytest.raises(LikewiseError, match="Moved has no field 'OLD_FIELDS'"):
        config_from(Moved, {"OLD_FIELDS": {}})


#: Fields of the flat configs of older versions -> where they are now.
INFERENCE = {
    "preprocess": "inference.preprocess",
    "margin": "inference.margin",
    "settle": "inference.snap_peaks",
    "trust": "inference.calibration",
    "trust_full": "inference.calibration_full",
}
#: The configuration of the spdcn-lite that was bundled before today's, which has the form of older versions.
OLD_SPDCN = "old_spdcn_lite.json"


def old_file(folder: Path) -> Path:
    """The tensors that ship under a configuration of the older form, which they fit as well."""
    path, shipped = folder / "old.safetensors", registry.preset("spdcn-lite").card.path
    held = (Path(__file__).parent / OLD_SPDCN).read_text(encoding="utf-8")
    save_file(load_file(shipped), path, {"method": "spdcn", "config": json.dumps(json.loads(held))})
    return path


#: What older versions had one configuration for, and what of it the small network does not have.
COUNTX = INFERENCE | {"by_example": "inference.counted_by"}
FIXED = {
    "image_tower", "text_tower", "clip", "heads", "mixing", "gated", "similarity", "normed", "rectified", "window",
    "decoder_grid", "stride", "blend", "sigma_unit",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "moved", "gone"),
    [
        ("spdcn-lite", {}, set()),
        (OLD_SPDCN, INFERENCE, set()),
        ("countx-lite", COUNTX, FIXED),
        ("fwb-lite", {}, set()),
        ("s3n-lite", {}, set()),
    ],
)
def test_bundled_files_are_read_value_by_value_and_written_in_the_form_of_today(name, moved, gone, tmp_path):
    path = old_file(tmp_path) if name == OLD_SPDCN else registry.preset(name).card.path
    with safe_open(path, framework="pt") as file:
        raw = json.loads(file.metadata()["config"])
    _, model = registry.load_model(path)
    now = json.loads(json.dumps(asdict(model.config)))
    for key, value in raw.items():
        if key not in gone:
            found = now
            for step in moved.get(key, key).split("."):
                found = found[step]
            if isinstance(value, dict):  # of today's form, which may have more
                found = {part: found[part] for part in value}
            assert found == value, key
    if moved:
        otherwise = {"margin": 0.0, "snap_peaks": None, "calibration": None, "calibration_full": None}
        otherwise["counted_by"] = raw.get("by_example", "")
        otherwise["named_by"] = "cam-lite" if otherwise["counted_by"] else ""  # which there was not yet
        otherwise |= {"protocol": "", "whole_boxes": False, "factor": 1.0, "colour_groups": False}
        said = {place.removeprefix("inference."): raw[key] for key, place in INFERENCE.items() if key in raw}
        said["preprocess"] = said["preprocess"] | {"canvas": False}
        assert now["inference"] == otherwise | said
    written = read_checkpoint(save_checkpoint(tmp_path / "new.safetensors", model))
    assert written.config == now
    assert written.method == model.method
    again = registry.build(written, "new")
    assert again.config == model.config
    assert type(again) is type(model)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"inner": {"multiple": "16"}}, r"multiple = '16', expected int"),
        ({"inner": {"multiple": True}}, "multiple = True, expected int"),
        ({"inner": None}, "inner = None, expected Preprocess"),
        ({"inner": {"fit": [3, "4"]}}, "fit = "),
        ({"rows": [[1, 2, 3]]}, "rows = "),
        ({"inner": {"mean": [0.1, 0.2, math.nan]}}, "finite"),
        ({"inner": {"multiple": 10**6}}, "multiple = 1000000, expected from 1 to 1024"),
        ({"inner": {"scale_range": [0.1, 1e9]}}, "scale_range"),
        ({"inner": {"std": [0.1, 0.2, 0]}}, "std"),
    ],
)
def test_a_config_of_impossible_values_is_refused(values, told):
    with pytest.raises(LikewiseError, match=told):
        config_from(Outer, values)


def test_a_config_that_is_no_json_table_is_refused(tmp_path):
    for text, told in (("[1]", "no table"), ("{", "no JSON"), ("[" * 100_000, "no JSON")):
        save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors", metadata={"method": "spdcn", "config": text})
        with pytest.raises(LikewiseError, match=told):
            read_checkpoint(tmp_path / "a.safetensors")


def test_every_bundled_file_is_the_one_on_its_card():
    bundled = [registry.preset(name).card for name in registry.model_names()]
    for card in [card for card in bundled if card.path is not None]:
        assert card.path.stat().st_size <= 8_000_000
        assert file_sha256(card.path) == card.sha256
        with safe_open(card.path, framework="pt") as file:
            assert {"method", "config"} <= set(file.metadata())


def test_a_card_without_a_file_has_no_path():
    assert WeightCard(licence="", data="").path is None
