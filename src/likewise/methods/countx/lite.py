"""CounTX-lite, the bundled counter by name: the numbers and the weights of a small `likewise.methods.countx`."""

from __future__ import annotations

from likewise.methods.countx import PAPER, Config, CounTX
from likewise.types import Preprocess
from likewise.weights import Preset, WeightCard, bundled_config

COUNTX_LITE_CONFIG = Config(
    image_tower="mobilenetv2",
    text_tower="words",
    width=128,
    layers=2,
    heads=4,
    mixing="convolution",
    gated=True,
    similarity=True,
    examples=True,
    by_example="spdcn-lite",
    expansion=2,
    decoder=(64, 32),
    normed=False,
    rectified=True,
    density_factor=30.0,
    sigma=0.12,
    sigma_unit="objects",
    least_sigma=3.0,
    loss_stride=4,
    match_weight=1.0,
    preprocess=Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3, fit=(768, 768), multiple=32, tile=0),
)

COUNTX_LITE = Preset(
    name="countx-lite",
    model=CounTX,
    config=bundled_config(Config, "countx-lite.safetensors", COUNTX_LITE_CONFIG),
    card=WeightCard(
        licence="Apache-2.0",
        data="13200 rendered scenes of named things (sprites, shapes, grocery and nuclei cut-outs on photographs of "
        "groceries and clothing); train splits of nuclei (CC0) and of blood's white cells and platelets (MIT)",
        file="countx-lite.safetensors",
        sha256="9b9330b711d8bc4f9fa1591c76a919f120ed4a05f808f9caf0a1b528cdbaafd2",
        source="likewise train countx-lite, seed 0, 5000 steps of 16 crops, then 800 of seed 3 and 1800 of "
        "seed 4; the trunk started from ImageNet MobileNetV2 (github.com/google-coral/test_data, Apache-2.0), every "
        "layer was trained; what it finds is counted by spdcn-lite",
        paper=PAPER,
        scores={
            "fresh scenes of two kinds": "120 pictures, NAE 0.215",
            "a name that is not in the picture": "counted as 0.079 of the things that are",
        },
        notes=(
            "It refuses names that it was not taught; open vocabulary needs CLIP (vlcounter, countx). Counting by "
            "example is more exact: where you can draw a box, use spdcn-lite.",
        ),
    ),
)
