from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from skimage import data

import likewise as lw
from likewise.errors import LikewiseError
from likewise.predict import Counter
from likewise.predict.adaptation_card import is_card, read_card, tensors_sha256
from likewise.predict.taught import CandidateError, Taught, TaughtPicture

BOXES = [(81, 39, 120, 74), (189, 170, 237, 217)]


@pytest.fixture(scope="module")
def taught() -> Counter:
    """A counter whose last layer was changed by hand, with examples, negatives and a factor."""
    plain = Counter.load("spdcn-lite", device="cpu")
    sha256 = tensors_sha256(plain.model)
    with torch.no_grad():
        last = plain.model.decoder[-1]
        last.weight.copy_((last.weight * 0.9).half().float())
        last.bias.copy_(last.bias.half().float())
    record = Taught(
        base="spdcn-lite",
        sha256=sha256,
        chosen="the last layers and a factor",
        candidates=(CandidateError("nothing", 0.2, 0.01), CandidateError("the last layers and a factor", 0.1, 0.01)),
        pictures=(TaughtPicture("a.jpg", 24, 20.5, 23.5, "points"),) * 3,
        without_boxes=(CandidateError("nothing", 0.3, 0.02), CandidateError("a factor", 0.15, 0.02)),
        changed=("decoder.3.weight", "decoder.3.bias"),
        seed=7,
        version="1",
    )
    image = lw.Session(plain, data.coins()).image
    examples = plain.encode_prompt(image, lw.Prompt(BOXES, negatives=[(0, 0, 40, 40)]))
    inference = replace(plain.inference, factor=1.25)
    alone = replace(plain.inference, factor=1.5)
    return Counter(
        plain.model,
        "mine",
        device="cpu",
        inference=inference,
        examples=examples,
        by_examples=alone,
        taught=record,
    )


@pytest.fixture
def card(taught: Counter, tmp_path: Path) -> Path:
    return taught.save(tmp_path / "mine.safetensors")


def test_a_card_counts_bit_for_bit_as_what_was_saved(taught: Counter, card: Path):
    loaded = lw.load(card, device="cpu")
    mirrored = np.ascontiguousarray(data.coins()[:, ::-1])
    for prompt in ([], [(384 - 120, 39, 384 - 81, 74)]):
        mine, theirs = taught.count(mirrored, prompt), loaded.count(mirrored, prompt)
        assert mine.grid.tobytes() == theirs.grid.tobytes()
        assert mine.interval == theirs.interval
        assert mine.points.tobytes() == theirs.points.tobytes()
    assert loaded.taught == taught.taught
    assert loaded.name == "mine"
    assert card.stat().st_size < 100_000


def test_the_factor_multiplies_grid_and_count_alike(taught: Counter):
    once = taught.using(replace(taught.inference, factor=1.0)).count(data.coins(), BOXES)
    more = taught.count(data.coins(), BOXES)
    assert more.count == pytest.approx(1.25 * once.count, rel=1e-6)
    assert more.grid.sum(dtype=np.float64) == pytest.approx(more.count, rel=1e-6)


def test_without_boxes_it_counts_by_the_examples_with_their_own_factor(taught: Counter):
    plain = Counter(taught.model, "plain", device="cpu")
    by_theirs = plain.count(data.coins(), like=taught.examples)
    alone = taught.count(data.coins())
    assert alone.count == pytest.approx(1.5 * by_theirs.count, rel=1e-6)
    assert alone.grid.tobytes() == (by_theirs.grid * np.float32(1.5)).tobytes()
    same = Counter(taught.model, "same", device="cpu", examples=taught.examples, taught=taught.taught)
    assert same.count(data.coins()).grid.tobytes() == by_theirs.grid.tobytes()  # without one, as otherwise


def test_boxes_in_the_picture_or_elsewhere_stand_alone(taught: Counter):
    plain = Counter(taught.model, "plain", device="cpu", inference=taught.inference)
    assert taught.count(data.coins(), BOXES).grid.tobytes() == plain.count(data.coins(), BOXES).grid.tobytes()
    like = [(data.coins(), BOXES[0])]
    mirrored = np.ascontiguousarray(data.coins()[:, ::-1])
    assert taught.count(mirrored, like=like).grid.tobytes() == plain.count(mirrored, like=like).grid.tobytes()


def test_explicit_boxes_set_the_scale(taught: Counter):
    small = data.coins()[::2, ::2]
    halved = [tuple(v / 2 for v in box) for box in BOXES]
    assert taught.count(small, halved).count == pytest.approx(taught.count(data.coins(), BOXES).count, rel=0.2)


def _edited(card: Path, config: dict | None = None, tensors: dict | None = None) -> Path:
    with safe_open(card, framework="pt") as file:
        metadata = dict(file.metadata())
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    metadata["config"] = json.dumps(json.loads(metadata["config"]) | (config or {}))
    save_file({k: v for k, v in (held | (tensors or {})).items() if v is not None}, card, metadata=metadata)
    return card


NAN = float("nan")
HOSTILE = [
    ({"sha256": "0" * 64}, {}, r"was taught to spdcn-lite with the hash 000000000000\.\.\., and spdcn-lite here has"),
    ({"base": "nobody"}, {}, r"was taught to 'nobody'; put nobody.safetensors beside it"),
    ({"base": "../../etc/x"}, {}, r"was taught to '../../etc/x'"),
    ({"base": "fwb-lite"}, {}, r"fwb-lite is there to segment"),
    ({"format": 2}, {}, r"has format 2; this version reads 1"),
    ({"chosen": "magic"}, {}, r"'magic' was chosen, of nothing"),
    ({"factor": 2}, {}, r"has no field 'factor'"),
    ({"pictures": [["a", 1, 2, 3]]}, {}, r"pictures = .*expected"),
    ({"changed": 1.5}, {}, r"changed = 1.5, expected tuple"),
    ({"exemplars": None}, {}, r"exemplars = None, expected tuple"),
    ({"changed": ["decoder.3.bias"]}, {}, r"its tensors are not those that it says it changes"),
    ({}, {"other": torch.zeros(1)}, r"its tensors are not those that it says it changes"),
    ({}, {"changed/decoder.3.bias": torch.zeros(2)}, r"decoder.3.bias is .*\(2,\), expected .*\(1,\)"),
    ({}, {"changed/decoder.3.bias": torch.full((1,), NAN)}, r"decoder.3.bias holds numbers that are not finite"),
    ({}, {"examples/vectors": torch.zeros(2, 5)}, r"examples: vectors is .*\(2, 5\); expected .*\(2, 96\)"),
    ({}, {"examples/vectors": None}, r"examples have .*; expected"),
    ({}, {"examples/sizes": torch.zeros(2, 2)}, r"sizes holds a size that is not above 0"),
    ({}, {"examples/kernels": torch.full((2, 96, 3, 3), NAN)}, r"kernels holds numbers that are not finite"),
    ({"exemplars": [[5, 5, 1, 1]]}, {}, r"has swapped corners"),
]


@pytest.mark.parametrize(("config", "tensors", "message"), HOSTILE)
def test_a_card_that_does_not_fit_is_refused(card: Path, config: dict, tensors: dict, message: str):
    with pytest.raises(LikewiseError, match=message):
        lw.load(_edited(card, config, tensors))


def test_a_factor_in_a_card_has_to_be_one(card: Path):
    with safe_open(card, framework="pt") as file:
        inference = json.loads(file.metadata()["config"])["inference"]
    with pytest.raises(LikewiseError, match=r"factor = -1: expected a number from 0.001 to 1000"):
        lw.load(_edited(card, {"inference": inference | {"factor": -1}}))


def test_other_files_are_no_cards(tmp_path: Path):
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    assert not is_card(tmp_path / "x.safetensors")
    assert not is_card(tmp_path / "gone.safetensors")
    with pytest.raises(LikewiseError, match="is not a complete safetensors file"):
        read_card(tmp_path / "x.safetensors")


def test_a_base_in_a_file_lies_beside_its_card(taught: Counter, tmp_path: Path):
    from likewise.registry import load_model
    from likewise.weights import save_checkpoint

    record = replace(taught.taught, base="theirs")
    mine = Counter(
        taught.model,
        "mine",
        device="cpu",
        inference=taught.inference,
        examples=taught.examples,
        by_examples=taught.by_examples,
        taught=record,
    )
    card = mine.save(tmp_path / "mine.safetensors")
    save_checkpoint(tmp_path / "theirs.safetensors", load_model("spdcn-lite")[1])
    assert lw.load(card, device="cpu").count(data.coins()).count == taught.count(data.coins()).count
    with pytest.raises(LikewiseError, match=r"expected a name that ends in .safetensors"):
        mine.save(tmp_path / "mine.card")
