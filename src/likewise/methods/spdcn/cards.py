"""Cards of SPDCN's weights: licence, data, source and measured scores."""

from __future__ import annotations

from likewise.weights import WeightCard

SPDCN_PAPER_CARD = WeightCard(
    licence="not bundled; the authors state none for their checkpoint",
    data="FSC-147 train split",
    source="https://github.com/Elin24/SPDCN-CAC",
    how_to="get the authors' checkpoint, then 'likewise convert spdcn CHECKPOINT -o spdcn.safetensors'",
    paper="Lin et al., Scale-Prior Deformable Convolution for Exemplar-Guided Class-Agnostic Counting, BMVC 2022",
    scores={
        "FSC-147 val (published)": "MAE 14.59, RMSE 49.97",
        "FSC-147 test (published)": "MAE 13.51, RMSE 96.80",
    },
)

SPDCN_LITE_CARD = WeightCard(
    licence="Apache-2.0",
    data="19150 rendered scenes (sprites, shapes, solids, grocery, clothing and nuclei cut-outs on grocery and "
    "clothing photographs), and the train splits of nuclei (CC0), of blood's white cells and platelets (MIT), of red "
    "cells (MIT) and of young apples and green cherries in their trees (CC BY 4.0, Kodors et al., Drones 8(12), 2024)",
    file="spdcn-lite.safetensors",
    sha256="340f297d18467c13f71d402cd5faa065705648499a960f651f41e83a62aa8c65",
    source="likewise train spdcn-lite, seed 0: 3600 steps of 16 crops without negatives, 2000 with them and "
    "4000 (seed 1) with crowds, the average of those and of 1250 more (seed 2) with loose boxes, 1500 (seed 3) "
    "with cells of unequal size, the average of those and of 850 more (seed 5) with hidden things, red cells and "
    "orchards, then likewise calibrate --object-size 32 --colour-groups --suite calibration; the trunk started "
    "from ImageNet MobileNetV2 (github.com/google-coral/test_data, Apache-2.0), every layer was trained",
    paper="Lin et al., Scale-Prior Deformable Convolution for Exemplar-Guided Class-Agnostic Counting, BMVC 2022",
    scores={
        "generalisation suite": "mean of 18 sets, NAE 0.240; of the first 15, 0.147",
        "nuclei val": "81 pictures, NAE 0.130, MAE 5.15",
        "blood val, white cells": "86 pictures, NAE 0.000, MAE 0.00",
        "blood val, platelets": "45 pictures, NAE 0.206, MAE 0.38",
        "red_cells val": "15 pictures, NAE 0.146, MAE 13.06",
        "orchard val": "63 pictures, NAE 0.760, MAE 7.50",
        "crowds of kinds never trained on": "40 pictures, NAE 0.201, MAE 42.48",
        "things hidden in their ground, of kinds never trained on": "40 pictures, NAE 1.208, MAE 39.64",
        "marrow val, never trained on": "7 pictures, NAE 0.185, MAE 24.01",
        "adipocytes val, never trained on": "50 pictures, NAE 0.199, MAE 31.72",
        "vgg_cells val, never trained on": "50 pictures, NAE 0.158, MAE 27.94",
        "crates of fruit, counted by eye": "9 photographs, NAE 0.153, MAE 4.06",
        "intervals that should hold 90 %": "693 pictures of the suite, 88% held, at least 69% of each set",
    },
    notes=(
        "NAE is the mean of |error| / count; the commands are in docs/results.md.",
        "It misses a sixth of small cells that touch (vgg_cells, adipocytes), and in marrow counts over a fifth "
        "too many, other nuclei among them.",
        "It takes boxes only, of what is to be counted and of look-alikes; text is refused.",
    ),
)
