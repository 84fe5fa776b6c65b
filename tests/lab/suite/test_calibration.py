"""The sets that the bundled counters learn from: none of them is the generalisation suite's."""

from __future__ import annotations

from pathlib import Path

import pytest

from likewise.errors import LikewiseError
from likewise.lab.suite import calibration, generalisation
from likewise.lab.suite.calibration import BY_EXAMPLE, BY_NAME, FOLDERS, PICTURES, sets

DATA = Path("../shared/data")


def test_no_scene_is_rendered_twice_and_none_is_the_suites():
    seeds = [seed for seed, _ in (*BY_EXAMPLE.values(), *BY_NAME.values())]
    assert len(set(seeds)) == len(seeds)
    assert generalisation.SEED not in seeds


def test_what_is_missing_is_named(tmp_path: Path):
    for name in FOLDERS[1:]:
        (tmp_path / name).mkdir()
    with pytest.raises(LikewiseError, match=f"lacks {FOLDERS[0]}; the calibration suite needs"):
        sets(tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason="the development sets are not here")
def test_sets_are_of_pictures_that_the_suite_does_not_show():
    by_example, by_name = sets(DATA), sets(DATA, by_name=True)
    assert len(by_example) == 17
    assert len(by_name) == 6
    shown = {
        (name, each) for name in ("nuclei", "blood") for each in generalisation.CountingFolder(DATA / name, "val").names
    }
    for name in ("red cells", "nuclei", "blood, white cells", "blood, platelets"):
        pictures = by_example[name]()
        assert len(pictures) == PICTURES
        own = {(name.split(",")[0], pictures.dataset.names[i]) for i in pictures.indices}
        assert not own & shown
    scenes = by_example["few"]()
    assert len(scenes) == PICTURES
    assert (scenes.config.split, by_name["everyday"]().config.split) == ("val", "train")
    assert not any("backgrounds" in folder for folder in scenes.config.backgrounds)
    assert calibration.BY_EXAMPLE["few"][1].backgrounds == ()
