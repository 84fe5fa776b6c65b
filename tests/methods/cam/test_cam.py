"""A classifier of places: its logits before and after pooling, the published weights, and TensorFlow Lite files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from likewise.convert import convert
from likewise.errors import LikewiseError
from likewise.methods.cam import CAM, CAM_LITE, Config, convert_keys
from likewise.predict import load, load_counter
from likewise.registry import load_model
from likewise.types import ClassBatch

#: Photographs whose first name is known, by the set of names.
NAMED = {
    "bird": {"bird.png": "Poecile atricapillus (Black-capped Chickadee)", "parrot.png": "Ara macao (Scarlet Macaw)"},
    "insect": {"dragonfly.png": "dragonfly"},
}


def picture(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None] / 255


@pytest.fixture(scope="module")
def bundled() -> CAM:
    return load_model("cam-lite")[1]


def test_the_logits_of_a_picture_are_the_mean_of_its_places() -> None:
    network = CAM(Config(classes=7)).eval()
    torch.nn.init.normal_(network.classify.weight)
    image = torch.rand(2, 3, 96, 160)
    with torch.inference_mode():
        whole, places = network(image), network.prepare(image)
    assert places.shape == (2, 7, 96 // network.stride, 160 // network.stride)
    torch.testing.assert_close(whole.logits, places.mean((2, 3)), rtol=1e-4, atol=1e-5)
    assert whole.response.shape == whole.peaks.shape == (2, 31, 31)


def test_its_loss_is_the_cross_entropy() -> None:
    network = CAM(Config(classes=3)).eval()
    output = network(torch.rand(2, 3, 64, 64))
    found = network.loss(output, ClassBatch(torch.rand(2, 3, 64, 64), torch.tensor([0, 2])))["total"]
    by_hand = -output.logits.softmax(1)[[0, 1], [0, 2]].log()
    torch.testing.assert_close(found, by_hand)


def test_imagenet_is_as_it_was_published(bundled: CAM, data_dir: Path) -> None:
    """Logits of photographs as timm computed them, from the published weights; the bundled are those in float16."""
    folder, state = data_dir / "weights" / "check", load_file(data_dir / "weights" / "mobilenetv2_100.safetensors")
    published = CAM(Config()).eval()
    published.load_trunk(state)
    published.classify.load_state_dict({name: state[f"classifier.{name}"] for name in ("weight", "bias")})
    expected = np.load(folder / "expected_logits.npz")
    for name in expected.files:
        with torch.inference_mode():
            logits, halved = (each(picture(folder / f"{name}.png")).logits[0] for each in (published, bundled))
        np.testing.assert_allclose(logits.numpy(), expected[name].reshape(-1), atol=1e-3)
        assert int(halved[:1000].argmax()) == int(expected[name].argmax())
    for name, tensor in bundled.classify.state_dict().items():
        assert torch.equal(tensor[:1000], state[f"classifier.{name}"].half().float())
    told = json.loads((data_dir / "weights" / "imagenet_labels.json").read_text(encoding="utf-8"))
    assert bundled.config.labels[88] == told[88]


def test_its_trunk_is_imagenets(bundled: CAM, data_dir: Path) -> None:
    fresh = CAM(Config()).eval()
    fresh.load_trunk(load_file(data_dir / "weights" / "mobilenetv2_100.safetensors"))
    for name, tensor in fresh.trunk.state_dict().items():
        assert torch.equal(bundled.trunk.state_dict()[name], tensor.half().float()), name


def test_it_knows_unions_groceries_and_cells() -> None:
    names = CAM(CAM_LITE.config).names
    assert len(names.classes("birds")) == 59
    assert len(names.classes("dogs")) == 118
    assert {CAM_LITE.config.labels[i].split(", ")[0] for i in names.classes("red apples")} == {
        "pink lady",
        "red delicious",
        "royal gala",
    }
    assert {"strawberry", "avocado"} <= {CAM_LITE.config.labels[i] for i in names.classes("fruit")}
    assert len(names.classes("oranges")) == 3  # ImageNet's, the shop's, and satsumas, which hardly anybody tells apart
    for name in ("red blood cells", "beets", "passion fruits"):
        assert len(names.classes(name)) == 1
    assert names.classes("nuclei") == ()  # countx-lite finds them better by itself
    assert names.classes("discs") == ()  # of which a puck is one
    assert names.classes("people") == names.classes("objects") == ()


@pytest.mark.parametrize("kind", NAMED)
def test_inaturalists_files_name_their_animals(kind: str, data_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("tflite", reason="pip install 'likewise[tflite]'")
    folder = data_dir / "weights" / "inaturalist"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    file = tmp_path / f"{kind}.safetensors"
    published = folder / f"mobilenet_v2_1.0_224_inat_{kind}_quant.tflite"
    convert("cam-lite", published, file, labels=folder / f"inat_{kind}_labels.txt")
    recognizer = load(file)
    for photograph, name in NAMED[kind].items():
        found = recognizer.recognize(data_dir / "weights" / "check" / photograph).label
        assert name == found or (kind == "insect" and found != "background")
    counter = load_counter(file)
    text = "macaws" if kind == "bird" else "skimmers"
    assert counter.namer is not None
    assert counter.namer.knows(text)
    if kind == "bird":
        result = counter.count(data_dir / "weights" / "check" / "parrot.png", text=text)
        assert result.found
        x, y = np.mean([[(b[0] + b[2]) / 2, (b[1] + b[3]) / 2] for b in result.found], axis=0)
        assert 0 < x < 224
        assert 0 < y < 224


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(LikewiseError, match="2 labels for 3 classes"):
        Config(classes=3, labels=("one", "two"))
    with pytest.raises(LikewiseError, match="'bird' names classes beyond the 3 there are"):
        Config(classes=3, kinds=(("bird", (1, 3)),))
    with pytest.raises(LikewiseError, match="1 weights and biases; a MobileNetV2"):
        convert_keys({"layers.0.weight": torch.zeros(1)})
