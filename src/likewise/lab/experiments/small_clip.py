"""A small CLIP, taught the names of the things in rendered scenes: what stands in for the published one."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.methods.countx.matching import BIAS, Match
from likewise.methods.vlcounter.prompts import sentences
from likewise.nn.clip import CLIP_MEAN, CLIP_STD, Clip, ClipConfig, as_map
from likewise.preprocess.rules import Preprocess
from likewise.types import CountBatch, PromptBatch


class SmallClip(nn.Module):
    """Both towers of a CLIP, as the engine trains them on counting pictures.

    Published CLIPs learn from pictures with captions and come to know what single patches show; with little data this
    one is told: patches are matched with sentences about what lies in them. Nothing is counted.

    Args:
        config: numbers of the towers; the patch is the grid that things are looked for in.
    """

    method = "small-clip"
    task = "count"
    prompts = ("text",)

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.clip = Clip(config)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.bias = nn.Parameter(torch.tensor(-0.5))

    def forward(self, image: Tensor, prompt: PromptBatch) -> Tensor:
        """Unit vectors (B, F, h, w) of the patches of pictures (B, 3, H, W), as VLCounter computes them."""
        del prompt
        tower = self.clip.image
        tokens = tower.embed(Preprocess(CLIP_MEAN, CLIP_STD).normalised(image), mode="bilinear", class_twice=True)
        patches = tower.project(tower.run(tokens, dense=True)[0], norm=True)
        return F.normalize(
            as_map(patches, (image.shape[2] // self.config.patch, image.shape[3] // self.config.patch)), dim=1
        )

    def loss(self, places: Tensor, batch: CountBatch) -> dict[str, Tensor]:
        """How badly patches match sentences about what lies in them: terms (B,) by name, and "total".

        "naming" tells everything in the pictures from all other names in the batch, "place" what was asked for from
        the rest of its picture.

        Raises:
            LikewiseError: samples that do not tell what everything in them is called.
        """
        things = batch.things
        if things is None or batch.prompt.text is None:
            raise LikewiseError("a small CLIP learns from named things: expected samples of AskedByName")
        known, asked = self._say(things.asked), self._say(batch.prompt.text)
        match = Match(places, asked, self.log_scale.exp().clamp(max=100), BIAS * self.bias)
        naming = match.naming_loss(known, things, self.config.patch)
        place = match.place_loss(batch, self.config.patch)
        return {"naming": naming, "place": place, "total": naming + place}

    def _say(self, names: tuple[str, ...]) -> Tensor:
        """Unit vectors (K, F) of a sentence about each of K names, any of those that VLCounter asks by."""
        drawn = torch.randint(len(sentences("thing")), (len(names),)).tolist()
        return F.normalize(self.clip.text([sentences(name)[k] for name, k in zip(names, drawn, strict=True)]), dim=1)
