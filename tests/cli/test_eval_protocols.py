"""``likewise eval --protocol``: PairTally's and PrACo's tests, of a counter that is none."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from likewise import predict
from likewise.cli import main
from likewise.scenes import SceneConfig, write_scenes

#: How many there are of each kind in each picture, which is as grey as its number.
SCENES = ({"apples": 8, "bolts": 2}, {"cats": 4})


class Greedy:
    """Counts everything, whatever is asked for."""

    name, task = "greedy", "count"
    model = SimpleNamespace(prompts=("text",), protocols={})

    def summed(self) -> Greedy:
        return self

    def count(self, image, *, text):
        rows = [float(sum(SCENES[round(float(image.pixels[row].mean()) / 100)].values())) for row in (0, -1)]
        grid = np.array([[rows[0]], [rows[1] if rows[0] != rows[1] else 0.0]])
        return SimpleNamespace(count=float(grid.sum()), grid=grid, seconds=0.0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    kinds = ["apples", "bolts", "cats"]
    notes = []
    for index, scene in enumerate(SCENES):
        Image.fromarray(np.full((20, 30, 3), 100 * index, np.uint8)).save(tmp_path / f"{index}.png")
        for kind, count in scene.items():
            notes += [{"image_id": index, "category_id": kinds.index(kind), "bbox": [1, 1, 5, 5]}] * count
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "split": "val"} for i in range(len(SCENES))],
        "annotations": notes,
        "categories": [{"id": i, "name": name} for i, name in enumerate(kinds)],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    monkeypatch.setattr(predict, "load", lambda _: Greedy())
    return str(tmp_path)


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["eval", "greedy", *arguments])
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def test_pairtally_asks_for_each_kind(folder, capsys):
    code, out, _ = run(capsys, "--data", folder, "--split", "val", "--protocol", "pairtally", "--sum", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["pictures"], found["all"]["prompts"], found["inter"]["mae"]) == (1, 2, 5.0)
    assert found["intra"]["mae"] is None
    _, table, _ = run(capsys, "--data", folder, "--protocol", "pairtally")
    assert "1 pictures that show several kinds" in table
    assert "beside kinds of other names" in table
    assert "adjectives" not in table


def test_praco_asks_for_what_is_not_there(folder, capsys):
    code, out, _ = run(capsys, "--data", folder, "--protocol", "praco", "--json")
    found = json.loads(out)
    assert code == 0
    # apples: 10 for 8, and 10 for cats; bolts: 10 for 2, 10 for cats; cats: 4 for 4, 4 for apples and for bolts
    assert found["nmn"] == pytest.approx((10 / 8 + 10 / 2 + 1) / 3)
    assert found["pccn"] == 0.0
    assert found["cnt_precision"] == pytest.approx((8 / 14 + 2 / 14 + 4 / 14) / 3)
    assert found["cnt_recall"] == 1.0
    _, table, _ = run(capsys, "--data", folder, "--protocol", "praco", "--limit", "1")
    assert "negative labels" in table
    assert "cnt_f1" in table


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--protocol", "pracco"), "no protocol 'pracco'; did you mean 'praco'"),
        (("--protocol", "praco", "--protocol", "pairtally"), "expected one of them"),
        (("--protocol", "praco", "--category", "cats"), "--category is not for the protocol 'praco'"),
        (("--protocol", "praco", "--protocol", "fsc147"), "greedy has no published protocol"),
        (("--protocol", "praco", "--suite", "generalisation"), "is not for the suite"),
    ],
)
def test_what_does_not_go_together_is_refused(given, told, folder, capsys):
    code, _, error = run(capsys, "--data", folder, *given)
    assert code != 0
    assert told in " ".join(error.split())


def test_a_bundled_counter_is_put_to_both(tmp_path, capsys):
    write_scenes(SceneConfig(side=(96, 128), objects=(3, 8), kinds=(2, 2), emoji=False), 2, tmp_path)
    for model, protocol in (("spdcn-lite", "pairtally"), ("countx-lite", "praco")):
        with pytest.raises(SystemExit) as stopped:
            main(["eval", model, "--data", str(tmp_path), "--protocol", protocol, "--limit", "1", "--json"])
        found = json.loads(capsys.readouterr().out)
        assert (stopped.value.code, found["errors"]) == (0, [])
