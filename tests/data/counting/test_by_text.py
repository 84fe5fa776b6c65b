"""Questions about rendered scenes: what counts is what answers, and what is absent counts nothing."""

from __future__ import annotations

import pytest
import torch

from likewise.data.counting.by_text import TextPromptDataset, known_names
from likewise.data.counting.collate import collate
from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.transforms import Crop, SceneCrop
from likewise.errors import LikewiseError
from likewise.scenes import SceneConfig, write_scenes
from likewise.vocabulary import answers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes")
    small = SceneConfig(
        seed=3, side=(160, 200), objects=(5, 12), size=(16.0, 30.0), emoji=False, two_kinds=True, second_share=1.0
    )
    write_scenes(small, 4, path)
    return CountingFolder(path, targets="all")


def everything(folder, sample):
    """(name, points) of every kind in the sample's picture."""
    return [(t.prompt, torch.from_numpy(t.points)) for t in folder.targets if t.file_name == sample.name]


def test_what_counts_is_what_answers_to_the_question(folder):
    data = TextPromptDataset([folder], seed=1, absent=0.0)
    for i in range(40):
        sample = data[i]
        wanted = [p for name, p in everything(folder, sample) if answers(name, sample.prompt)]
        assert wanted
        assert torch.equal(sample.points, torch.cat(wanted))
        assert len(sample.boxes) == len(sample.points)


def test_an_absent_name_is_known_elsewhere_and_counts_nothing(folder):
    data = TextPromptDataset([folder], seed=2, absent=1.0)
    for i in range(40):
        sample = data[i]
        assert sample.count == 0
        assert not any(answers(name, sample.prompt) for name, _ in everything(folder, sample))
        assert any(answers(name, sample.prompt) for name in data.kinds)


def test_names_as_they_are_and_the_share_of_absent_ones(folder):
    data = TextPromptDataset([folder], seed=3, absent=0.3, varied=False, length=200)
    samples = [data[i] for i in range(len(data))]
    assert {s.prompt for s in samples} <= set(data.kinds) == set(known_names([folder]))
    assert sum(s.count == 0 for s in samples) / 200 == pytest.approx(0.3, abs=0.1)


def test_a_position_is_the_same_sample_every_time(folder):
    data = TextPromptDataset([folder, folder], (1.0, 3.0), seed=4, transform=SceneCrop(Crop(size=96)))
    first, again = data[7], data[7]
    assert first.size == (96, 96)
    assert first.prompt == again.prompt
    assert torch.equal(first.image, again.image)
    assert len({data[i].prompt for i in range(20)}) > 5


def test_a_crop_keeps_what_it_shows(folder):
    crop = SceneCrop(Crop(size=128, jitter=(0.8, 1.3), look=None))
    data = TextPromptDataset([folder], seed=5, absent=0.0, transform=crop)
    samples = [data[i] for i in range(30)]
    for sample in samples:
        assert sample.size == (128, 128)
        assert len(sample.exemplars) == 0
        assert bool(((sample.points >= 0) & (sample.points < 128)).all())
    assert sum(len(s.points) for s in samples) > 30


def test_everything_that_has_a_name_comes_along(folder):
    data = TextPromptDataset([folder], seed=6, absent=0.3)
    for i in range(20):
        sample = data[i]
        things = sample.things
        by_name = dict(everything(folder, sample))
        assert set(things.names) == set(by_name)
        for kind, (name, asked) in enumerate(zip(things.names, things.asked, strict=True)):
            assert torch.equal(things.points[things.kinds == kind], by_name[name])
            assert answers(name, asked)
        batch = collate([sample, data[i + 1]])
        first = len(things.names)
        assert batch.things.names[:first] == things.names
        assert [batch.things.names[k] for k in batch.things.kinds[1].tolist()] == [
            data[i + 1].things.names[k] for k in data[i + 1].things.kinds.tolist()
        ]


def test_crops_are_placed_at_what_is_asked_for(folder):
    def shares(at_object):
        crop = SceneCrop(Crop(size=48, jitter=(1.0, 1.0), look=None, at_object=at_object, reflect=0.0))
        data = TextPromptDataset([folder], seed=7, absent=0.0, transform=crop)
        return sum(data[i].count > 0 for i in range(60)) / 60

    assert shares(1.0) > 0.95 > shares(0.0)


def test_errors(folder, tmp_path):
    with pytest.raises(LikewiseError, match="expected 0 numbers"):
        TextPromptDataset([])
    with pytest.raises(LikewiseError, match="shares"):
        TextPromptDataset([folder], (1.0, 2.0))
