"""Cached pictures of a frozen trunk: what is trained on them is what the whole network would be trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from likewise import registry
from likewise.methods.fwb.frozen_trunk import CachedEpisodes, CachedFeatures, start_projection
from likewise.types import SegmentBatch, SupportBatch

SIZES = ((200, 240), (220, 180), (240, 240), (190, 230))


class Halves:
    """Pictures of their own sizes; the left half of each shows the one class there is."""

    def __init__(self) -> None:
        self.classes = {7: "left"}
        self.pictures = {7: tuple(range(len(SIZES)))}
        self.reads = 0

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int, kind: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.reads += 1
        height, width = SIZES[index]
        noise = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(index))
        image = (255 * F.interpolate(noise, (height, width), mode="bilinear")[0]).to(torch.uint8)
        mask = torch.zeros(height, width, dtype=torch.uint8)
        mask[:, : width // 2] = kind == 7
        mask[:4] = 255
        return image, mask


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    preset = registry.preset("fwb-lite")
    return preset.model(replace(preset.config, hidden=8, projection=12, trunk_rate=0.0)).eval()


@pytest.fixture(scope="module")
def cached(model):
    return CachedFeatures(Halves(), model, progress=False)


def test_the_loss_of_an_episode_is_that_of_the_whole_network(model, cached, monkeypatch):
    episodes = CachedEpisodes(model, [cached], seed=3)
    monkeypatch.setattr("likewise.methods.fwb.frozen_trunk._coins", lambda seed, place: np.zeros(2, bool))
    drawn = episodes.streams[0][1].drawn(2)
    shown = {}
    for index in (drawn.query, *drawn.support):
        image, mask = cached.labelled.read(index, 7)
        size = cached.levels(index).size
        small = F.interpolate(image[None].float() / 255, size, mode="bilinear", antialias=True, align_corners=False)
        shown[index] = small[0], F.interpolate(mask[None, None].float(), size, mode="nearest-exact")[0, 0]
    query, example = shown[drawn.query], shown[drawn.support[0]]
    support = SupportBatch(((example[0],),), ((example[1] == 1,),))
    with torch.no_grad():
        logits = model(query[0][None], support)
        whole = model.loss(logits, SegmentBatch(query[0][None], support, query[1][None].long()))["total"].mean()
        own = episodes.loss(2)
    assert float(own) == pytest.approx(float(whole), rel=0.02)  # half precision, and another way of resizing


def test_a_mirrored_episode_is_mirrored_in_picture_and_mask(model, cached, monkeypatch):
    losses = []
    for flips in ((False, False), (True, True)):
        monkeypatch.setattr("likewise.methods.fwb.frozen_trunk._coins", lambda seed, place, f=flips: np.array(f))
        with torch.no_grad():
            losses.append(float(CachedEpisodes(model, [cached], seed=3).loss(0)))
    assert losses[1] == pytest.approx(losses[0], rel=0.05)  # the head is nearly the same for mirror images


def test_pictures_are_looked_at_once_whatever_they_are_labelled_by(model):
    first, other = Halves(), Halves()
    cached = CachedFeatures(first, model, progress=False)
    assert first.reads == len(SIZES)
    again = cached.labelled_by(other)
    assert torch.equal(again.levels(1).late, cached.levels(1).late)
    assert other.reads == 0
    assert set(again.mask(0, 7).unique().tolist()) == {0, 1, 255}
    again.mask(0, 7)
    assert (first.reads, other.reads) == (len(SIZES), 1)


def test_the_projection_starts_as_principal_components_of_what_is_seen(model, cached):
    start_projection(model, [cached])
    places = torch.cat([cached.levels(i).late.flatten(1)[:, ::7] for i in range(len(SIZES))], 1).double().T
    projected = model.projection(places.float().T[None, :, :, None])[0, :, :, 0].double().detach()
    assert projected.mean(1).abs().max() < 1e-3 * projected.std()
    spread = torch.linalg.svdvals(places - places.mean(0))[:12] ** 2 / (len(places) - 1)
    torch.testing.assert_close(projected.var(1), spread, rtol=1e-3, atol=1e-6)
