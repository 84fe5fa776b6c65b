"""Counting under a published protocol: the same weights, told otherwise."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image

from likewise import predict
from likewise.cli import main
from likewise.data.counting.sample import CountSample
from likewise.engine.count_eval import evaluate, protocol_of
from likewise.errors import LikewiseError
from likewise.inference import EvalProtocol, InferenceConfig
from likewise.methods.countx import Config as CounTXConfig
from likewise.methods.countx import CounTX
from likewise.methods.spdcn import SPDCN
from likewise.methods.spdcn import Config as SPDCNConfig
from likewise.methods.vlcounter import Config, VLCounter
from likewise.nn.clip import ClipConfig
from likewise.predict import Counter
from likewise.predict.published_protocol import under_protocol
from likewise.weights import config_from

CLIP = ClipConfig(192, 16, 32, 4, 2, 32, 2, 2, 32, quick_gelu=True)


@pytest.fixture(scope="module")
def counter() -> Counter:
    torch.manual_seed(7)
    model = VLCounter(Config(clip=CLIP, skip_blocks=(2, 1, 0), channels=16, stride=96))
    return Counter(model, "small", device="cpu")


def test_a_protocol_is_other_numbers_of_the_config_for_the_same_weights(counter: Counter):
    before = counter.model.config
    for name, expected in (
        ("fsc147", {"blend": "paper"}),
        ("carpk", {"blend": "paper", "size": (384, 683), "square_limit": 1.224}),
    ):
        other = under_protocol(counter, name)
        assert other.model.config == replace(before, **expected)
        assert other.model.decoder is counter.model.decoder
        picture = torch.randint(0, 256, (3, 72, 128), dtype=torch.uint8)
        same = VLCounter(other.model.config)
        same.load_state_dict(counter.model.state_dict())
        expected_count = Counter(same, "small", device="cpu").count(picture, text="cars").count
        assert other.count(picture, text="cars").count == expected_count
    assert counter.model.config == before


def test_countx_has_protocols_too():
    small = CounTXConfig(
        clip=ClipConfig(32, 16, 32, 2, 2, 32, 2, 2, 32), width=32, heads=2, decoder=(16, 16), window=64, decoder_grid=16
    )
    counter = Counter(CounTX(replace(small, stride=32)), "small", device="cpu")
    assert under_protocol(counter, "carpk").model.config.blend == "paper"


def test_weights_name_the_protocol_that_they_are_measured_by():
    torch.manual_seed(7)
    small = SPDCNConfig(trunk="stem", channels=16, decoder=((16, 1),))
    counter = Counter(SPDCN(small), "small", device="cpu")
    boxes = torch.tensor([[4.0, 4, 24, 24], [30, 4, 50, 24], [4, 30, 24, 50], [30, 30, 50, 50]])
    points = torch.tensor([[10.0, 10], [10.1, 10.1], [40, 10]])
    shown = torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8)
    sample = CountSample(shown, points, torch.full((3, 4), torch.nan), boxes, "a.png")
    plain = counter.using(replace(counter.inference, protocol=""))
    assert protocol_of(counter) == EvalProtocol(exemplars=3, merge_points=True)
    assert protocol_of(plain) == EvalProtocol()
    counted = {
        each: evaluate(each, [sample]).per_image[0] for each in (counter, plain, under_protocol(plain, "fsc147"))
    }
    published, otherwise, told = ((each.count, each.truth) for each in counted.values())
    assert published == told == (counter.count(shown, boxes[:3].tolist()).count, 2.0)
    assert otherwise == (counter.count(shown, boxes.tolist()).count, 3.0)
    with pytest.raises(LikewiseError, match=r"no protocol 'fsc148'.*fsc147"):
        evaluate(plain.using(replace(plain.inference, protocol="fsc148")), [sample])


def test_configs_that_wrote_their_protocol_out_are_read():
    held = asdict(SPDCNConfig().inference)
    del held["protocol"]
    for merge_points, name in ((True, "fsc147"), (False, "")):
        written = held | {"evaluation": {"exemplars": 3 * merge_points, "merge_points": merge_points}}
        assert config_from(InferenceConfig, written).protocol == name


def test_a_protocol_that_there_is_not_is_refused(counter: Counter):
    with pytest.raises(LikewiseError, match=r"no protocol 'carpx'.*carpk.*fsc147, carpk"):
        under_protocol(counter, "carpx")
    with pytest.raises(LikewiseError, match="countx-lite has no published protocol"):
        under_protocol(predict.load("countx-lite"), "carpk")


def test_eval_counts_carpk_under_its_protocol(counter: Counter, tmp_path, monkeypatch, capsys):
    for name in ("Images", "Annotations", "ImageSets"):
        (tmp_path / name).mkdir()
    rng = np.random.default_rng(0)
    for stem in ("a", "b"):
        Image.fromarray(rng.integers(0, 256, (72, 128, 3), np.uint8)).save(tmp_path / "Images" / f"{stem}.png")
        (tmp_path / "Annotations" / f"{stem}.txt").write_text("1 2 9 12 1\n20 20 40 30 1\n")
    (tmp_path / "ImageSets" / "test.txt").write_text("a\nb\n")
    monkeypatch.setattr(predict, "load", lambda name: counter)
    found = {}
    for options in ((), ("--protocol", "carpk")):
        with pytest.raises(SystemExit) as stopped:
            main(["eval", "small", "--data", str(tmp_path), "--split", "test", "--json", *options])
        assert stopped.value.code == 0
        found[options] = [each["count"] for each in json.loads(capsys.readouterr().out)["per_image"]]
    plain, published = found.values()
    other = under_protocol(counter, "carpk")
    assert published == [other.count(tmp_path / "Images" / f"{s}.png", text="cars").count for s in ("a", "b")]
    assert plain != published
