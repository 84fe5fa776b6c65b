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
    data="23950 rendered scenes (sprites, shapes, solids, grocery, clothing and nuclei cut-outs on grocery and "
    "clothing photographs), and the train splits of nuclei (CC0), of blood's white cells and platelets (MIT), of "
    "red_cells (MIT) and of orchard (CC BY 4.0, see NOTICE)",
    file="spdcn-lite.safetensors",
    sha256="e34ca78f57815a3e539a0aa6da08ad237715a0b9e83e8acaa6f40d2a257d9883",
    source="likewise train spdcn-lite, seed 0: 3600 steps of 16 crops without negatives, 2000 with them and "
    "4000 (seed 1) with crowds, the average of those and of 1250 more (seed 2) with loose boxes, 1500 (seed 3) "
    "with cells of unequal size, the average of those and of 2600 more (seed 6) with hidden things, red cells and "
    "orchards, peaks from 0.5 to 1.5 read as one by a script, then likewise calibrate "
    "--object-size 32 --colour-groups --suite calibration; the trunk started from ImageNet MobileNetV2 "
    "(github.com/google-coral/test_data, Apache-2.0), every layer was trained",
    paper="Lin et al., Scale-Prior Deformable Convolution for Exemplar-Guided Class-Agnostic Counting, BMVC 2022",
    scores={
        "generalisation suite": "mean of the first 15 sets, NAE 0.136; of all 18, 0.261",
        "nuclei val": "81 pictures, NAE 0.127, MAE 4.55",
        "blood val, white cells": "86 pictures, NAE 0.000, MAE 0.00",
        "blood val, platelets": "45 pictures, NAE 0.122, MAE 0.25",
        "red_cells val": "15 pictures, NAE 0.129, MAE 11.55",
        "orchard val": "63 pictures, NAE 1.188, MAE 11.10",
        "crowds of kinds never trained on": "40 pictures, NAE 0.195, MAE 42.03",
        "marrow val, never trained on": "7 pictures, NAE 0.152, MAE 20.37",
        "adipocytes val, never trained on": "50 pictures, NAE 0.197, MAE 31.34",
        "vgg_cells val, never trained on": "50 pictures, NAE 0.148, MAE 26.20",
        "crates of fruit, counted by eye": "9 photographs, NAE 0.147, MAE 3.91",
        "intervals that should hold 90 %": "693 pictures of the suite, 89 % held; hidden things 74 %, adipocytes 76 %",
    },
    notes=(
        "NAE is the mean of |error| / count; the commands are in docs/results.md.",
        "It misses a fifth of small cells that touch (vgg_cells, adipocytes), and in marrow counts a seventh "
        "too many, other nuclei among them.",
        "Of fruit among leaves it makes a guess: half of the orchards are more than 38 % off, a few several times.",
        "It takes boxes only, of what is to be counted and of look-alikes; text is refused.",
    ),
)
