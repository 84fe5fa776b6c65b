"""From counts and hand counts to a total: what comes out, what holds, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import likewise as lw
from likewise.errors import LikewiseError
from likewise.estimation import Counts, Estimate, Sample, estimate, read_counts, read_sample, sample
from likewise.estimation.control import control_of
from likewise.estimation.estimators import ESTIMATORS


def population(n: int = 60, seed: int = 0) -> tuple[dict[str, float], dict[str, float]]:
    """Counts and truth of n pictures: a fifth too few, with an error of a fifth."""
    generator = np.random.default_rng(seed)
    truth = generator.poisson(generator.lognormal(3, 0.6, n)).astype(float)
    counts = truth * 0.8 * generator.lognormal(0, 0.2, n)
    names = [f"plate{i % 2}/{i:03}.jpg" for i in range(n)]
    return dict(zip(names, counts.tolist(), strict=True)), dict(zip(names, truth.tolist(), strict=True))


def counted(drawn: Sample, truth: dict[str, float]) -> Sample:
    return drawn.filled({name: truth[name] for name in drawn.names})


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("design", ["proportional", "random", "stratified"])
def test_intervals_hold_and_are_narrower_than_by_hand_alone(design: str):
    counts, truth = population()
    total, held, widths, alone = sum(truth.values()), 0, [], []
    for seed in range(200):
        drawn = counted(sample(counts, 12, design, seed), truth)
        found = estimate(counts, drawn)
        held += found.total.low <= total <= found.total.high
        widths.append(found.total.relative)
        by_hand = estimate(counts, drawn, estimator="hand")
        alone.append(by_hand.total.relative)
    assert 0.9 <= held / 200 <= 0.99
    if design == "random":
        assert np.mean(widths) < 0.5 * np.mean(alone)
    assert np.mean(widths) < 0.13


def test_two_rounds_are_one_sample_and_hold():
    counts, truth = population()
    total, held, errors = sum(truth.values()), 0, []
    for seed in range(200):
        first = counted(sample(counts, 8, seed=seed), truth)
        both = counted(sample(counts, 8, seed=seed + 1000, after=first), truth)
        assert len(set(both.names)) == 16
        found = estimate(counts, both)
        held += found.total.low <= total <= found.total.high
        errors.append(found.total.value / total - 1)
    assert 0.9 <= held / 200 <= 0.99
    assert abs(np.mean(errors)) < 3 * np.std(errors) / math.sqrt(200)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_and_interval_gives_a_total(estimator: str):
    counts, truth = population()
    drawn = counted(sample(counts, 20, "random", 5), truth)
    symmetric = estimate(counts, drawn, estimator=estimator, interval="t").total
    assert symmetric.value - symmetric.low == pytest.approx(symmetric.high - symmetric.value)
    for interval in ("log", "bootstrap"):
        found = estimate(counts, drawn, estimator=estimator, interval=interval).total
        assert found.value == symmetric.value
        assert found.high - found.low == pytest.approx(symmetric.high - symmetric.low, rel=0.5)


def test_wider_levels_are_wider_and_the_total_is_never_below_what_was_seen():
    counts, truth = population(20)
    drawn = counted(sample(counts, 15, seed=1), truth)
    narrow, wide = (estimate(counts, drawn, level=level).total for level in (0.8, 0.99))
    assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high
    assert wide.low >= sum(drawn.hand.values())


def test_the_same_seed_draws_the_same_and_the_file_comes_back(tmp_path: Path):
    counts, truth = population()
    drawn = counted(sample(counts, 10, seed=3), truth)
    assert drawn.names == sample(counts, 10, seed=3).names != sample(counts, 10, seed=4).names
    read = read_sample(drawn.save(tmp_path / "sample.csv"))
    assert read.names == drawn.names
    assert read.hand == drawn.hand
    assert read.draws[0].digest == read.draws[0].written
    assert estimate(counts, read).total.value == pytest.approx(estimate(counts, drawn).total.value, rel=1e-6)


def test_a_spreadsheets_file_is_read_as_well(tmp_path: Path):
    counts, truth = population()
    drawn = counted(sample(counts, 10, seed=3), truth)
    text = drawn.save(tmp_path / "sample.csv").read_text()
    changed = text.replace(",0.", ";0,").replace(",", ";").replace(";0;", ";0,").replace("\r\n", "\n")
    (tmp_path / "saved.csv").write_text("\ufeff" + changed, encoding="utf-8")
    assert estimate(counts, tmp_path / "saved.csv").total.value == pytest.approx(
        estimate(counts, drawn).total.value, rel=1e-6
    )


def test_groups_and_how_they_differ():
    counts, truth = population(80)
    generator = np.random.default_rng(1)
    truth = {name: value * (2 if name.startswith("plate1") else 1) for name, value in truth.items()}
    counts = {name: value * 0.7 * generator.lognormal(0, 0.15) for name, value in truth.items()}
    found = estimate(counts, counted(sample(counts, 24, seed=2), truth), by="folder")
    for group in found.groups:
        total = sum(value for name, value in truth.items() if name.startswith(group.name))
        assert group.total.low < total < group.total.high
    assert found.comparison is not None
    means = [np.mean([v for name, v in truth.items() if name.startswith(plate)]) for plate in ("plate0", "plate1")]
    assert found.comparison.ratio.low < means[0] / means[1] < found.comparison.ratio.high
    assert found.comparison.difference.low < means[0] - means[1] < found.comparison.difference.high
    assert found.comparison.difference.high < 0
    assert sum(group.by_hand for group in found.groups) == 24


def test_a_group_with_few_hand_counts_has_no_interval_and_one_that_is_counted_is_exact():
    names = [f"{i}.jpg" for i in range(30)]
    plates = ["a"] * 24 + ["b"] * 3 + ["c"] * 3
    records = [{"image": name, "count": 10.0} for name in names]
    table = read_counts(records)
    table = Counts(**{**vars(table), "columns": {"plate": tuple(plates)}})
    hand = dict.fromkeys([*names[:6], *names[24:27], names[27]], 12.0)
    found = estimate(table, hand, "random", by="plate")
    a, b, c = found.groups
    assert a.total.value == pytest.approx(288)
    assert (b.total.low, b.total.high, c.total.low) == (36, 36, None)
    assert c.total.value == pytest.approx(36)
    with pytest.raises(LikewiseError, match="at least 3 to compare"):
        estimate(table, hand, "random", by="plate", compare=("a", "c"))


def test_strata_of_a_column_are_sampled_each():
    counts, truth = population(80)
    drawn = sample(counts, 12, "stratified", by="folder")
    assert {name[:6] for name in drawn.names} == {"plate0", "plate1"}
    assert estimate(counts, counted(drawn, truth)).total.relative < 0.3


def test_counts_that_say_of_themselves_that_they_are_wrong_do_no_harm():
    generator = np.random.default_rng(0)
    truth = generator.poisson(12, 100).astype(float)
    nonsense = generator.lognormal(4, 1.2, 100)
    records = [{"image": f"{i}", "count": c, "low": 0, "high": 4 * c} for i, c in enumerate(nonsense.tolist())]
    table = read_counts(records)
    assert control_of(table).trust < 0.01
    hand = {f"{i}": truth[i] for i in range(100)}
    widths = []
    for seed in range(20):
        found = estimate(table, counted(sample(table, 15, seed=seed), hand))
        widths.append(found.total.relative)
        assert any("not to be trusted" in note for note in found.notes)
    alone = 2.145 * math.sqrt((1 / 15 - 1 / 100) * truth.var(ddof=1)) / truth.mean()
    assert np.mean(widths) < 1.15 * alone


def test_pictures_that_taught_the_model_are_known_and_prove_nothing():
    counts, truth = population()
    taught = list(counts)[:6]
    counts |= {name: truth[name] for name in taught}  # the model knows them by heart
    table = read_counts(counts).taught_by(taught)
    drawn = sample(table, 10, seed=1)
    assert not set(taught) & set(drawn.names)
    filled = counted(drawn, truth).filled({name: truth[name] for name in taught})
    found = estimate(counts, filled, taught=taught)
    assert found.made.taught == 6
    assert "taught the model" in found.notes[0]
    assert "entered with their true counts only" in found.methods()
    rest = {name: count for name, count in counts.items() if name not in taught}
    alone = estimate(rest, counted(sample(rest, 10, seed=1), truth))
    known = sum(truth[name] for name in taught)
    assert found.total.value - known == pytest.approx(alone.total.value, rel=0.01)


def test_teaching_by_the_sample_itself_leaves_the_others_as_a_sample():
    counts, truth = population()
    drawn = counted(sample(counts, 14, "random", 1), truth)
    taught = drawn.names[:5]
    found = estimate(counts, drawn, taught=taught)
    rest = {name: count for name, count in counts.items() if name not in taught}
    others = {name: truth[name] for name in drawn.names[5:]}
    alone = estimate(rest, others, "random")
    known = sum(truth[name] for name in taught)
    assert found.total.value - known == pytest.approx(alone.total.value, rel=1e-3)
    assert found.total.high - known - alone.total.value > 0


def test_a_count_by_a_model_that_was_not_taught_is_used_instead(tmp_path: Path):
    counts, truth = population()
    drawn = counted(sample(counts, 10, seed=1), truth)
    names = list(counts)
    taught = set(drawn.names[:5])
    lines = [
        f"{name},{truth[name] if name in taught else counts[name]:.4f},{'true' if name in taught else 'false'},"
        f"{f'{counts[name]:.4f}' if name in taught else ''}"
        for name in names
    ]
    table = write(tmp_path / "counts.csv", "image,count,taught,crossfit", *lines)
    found = estimate(table, drawn)
    assert found.total.value == pytest.approx(estimate(counts, drawn).total.value, rel=1e-4)
    assert (found.made.taught, found.made.crossfitted) == (0, 5)
    assert "Zrnic" in found.methods()


def test_the_plan_comes_true():
    counts, truth = population(400)
    found = estimate(counts, counted(sample(counts, 30, seed=1), truth))
    assert found.plan is not None
    assert found.plan.more > 0
    assert found.plan.half_width(found.plan.needed()) <= 0.05 < found.plan.half_width(found.plan.needed() - 1)
    more = estimate(counts, counted(sample(counts, found.plan.needed(), seed=2), truth))
    assert more.total.relative == pytest.approx(0.05, abs=0.02)
    assert found.plan.needed(alone=True) > found.plan.needed()


def test_what_an_estimate_tells(tmp_path: Path):
    counts, truth = population()
    found = estimate(counts, counted(sample(counts, 12, seed=9), truth), by="folder")
    assert repr(found).startswith("<Estimate: ")
    held = json.loads(json.dumps(found.to_dict()))
    assert held["total"]["low"] < held["total"]["value"] < held["total"]["high"]
    assert held["mean"]["value"] == pytest.approx(held["total"]["value"] / 60, abs=1e-3)
    assert (held["pictures"], held["by_hand"], held["seeds"], held["design"]) == (60, 12, [9], "proportional")
    path = found.save(tmp_path)
    assert path.name == "total_estimate.png"
    with Image.open(path) as plot:
        assert plot.size == (1280, 600)
        corner = np.asarray(plot.convert("L"))[92:112, 595:617]  # where both counts are the same: a thin line
        assert len(np.unique(corner)) > 8  # without steps
    assert json.loads(path.with_suffix(".json").read_text())["groups"][0]["group"] == "plate0"
    for words in (f"likewise {lw.__version__}", "seed 9", "12 of the pictures", "DISCount", "Särndal", "95 % interval"):
        assert words in found.methods()


def test_where_all_agree_the_rare_mistakes_are_told():
    counts = {f"{i}": float(i % 5 + 1) for i in range(50)}
    found = estimate(counts, counted(sample(counts, 12, seed=1), counts))
    assert found.total.low < 150 < found.total.high
    assert any("rule of three" in note for note in found.notes)


def test_results_of_counting_are_taken_as_they_are():
    records = [{"image": f"{i}.png", "count": 5.0 + i, "low": 4.0, "high": 9.0 + i, "model": "m"} for i in range(10)]
    table = read_counts(records)
    assert table.counts.sum() == 95
    assert table.spreads[0] == 2.5
    assert repr(table) == "<Counts of the counts: 10 with 95.0 in total>"


def test_names_are_found_by_the_file_alone():
    counts, truth = population(20)
    short = {name.split("/")[1]: truth[name] for name in list(counts)[:6]}
    assert estimate(counts, short, "random").by_hand == 6


def test_the_public_names_are_there():
    assert lw.estimate is estimate
    assert lw.sample is sample
    assert lw.Estimate is Estimate


# what is refused


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, list[str], dict[str, float]]:
    counts, truth = population(40)
    lines = ["image,count", *(f"{name},{count:.3f}" for name, count in counts.items())]
    write(tmp_path / "counts.csv", *lines)
    counted(sample(counts, 6, seed=1), truth).save(tmp_path / "sample.csv")
    return tmp_path, (tmp_path / "sample.csv").read_text().splitlines(), counts


def refused(folder: Path, lines: list[str], **options: object) -> str:
    hand = write(folder / "hand.csv", *lines)
    with pytest.raises(LikewiseError) as error:
        estimate(folder / "counts.csv", hand, **options)  # type: ignore[arg-type]
    return str(error.value)


def cell(line: str, place: int, value: str) -> str:
    cells = line.split(",")
    cells[place] = value
    return ",".join(cells)


def test_hand_counts_that_are_none_are_named(files: tuple[Path, list[str], dict[str, float]]):
    folder, lines, _ = files
    head, first, *rest = lines
    assert "hand.csv, line 2" in (told := refused(folder, [head, cell(first, 1, "-4"), *rest]))
    assert "hand count -4; expected a number, 0 or more" in told
    assert "hand count 'many'" in refused(folder, [head, cell(first, 1, "many"), *rest])
    assert "hand count inf" in refused(folder, [head, cell(first, 1, "inf"), *rest])
    assert "1 of 6 pictures that were drawn have no hand count yet" in refused(
        folder, [head, cell(first, 1, ""), *rest]
    )


def test_names_that_do_not_fit_are_named(files: tuple[Path, list[str], dict[str, float]]):
    folder, lines, counts = files
    head, first, *rest = lines
    name = first.split(",")[0]
    assert f"did you mean '{name}'" in refused(folder, [head, cell(first, 0, name.replace(".jpg", ".jpeg")), *rest])
    assert "has a row in line 2 already" in refused(folder, [*lines, first])
    other = next(each for each in counts if each not in "\n".join(lines))
    assert "was not drawn" in refused(folder, [*lines, f"{other},5,,,,,,,"])


def test_a_sample_that_was_not_drawn_so_is_refused(files: tuple[Path, list[str], dict[str, float]]):
    folder, lines, counts = files
    head, first, *rest = lines
    other = next(each for each in counts if each not in "\n".join(lines))
    for changed in ([head, *rest], [head, cell(first, 0, other), *rest], [head, cell(first, 2, "0.5"), *rest]):
        assert "not the proportional sample that was drawn" in refused(folder, changed)
    assert "leave the design out" in refused(folder, lines, design="random")
    write(folder / "counts.csv", "image,count", *(f"{name},1" for name in counts), "new.jpg,3")
    assert "drawn from 40 pictures, but" in refused(folder, lines)


def test_hand_counts_of_unknown_origin_need_a_word(files: tuple[Path, list[str], dict[str, float]]):
    folder, _, counts = files
    plain = ["image,hand", *(f"{name},4" for name in list(counts)[:5])]
    assert "does not say how its pictures were chosen" in refused(folder, plain)
    assert "file of 'likewise sample' only" in refused(folder, plain, design="proportional")
    assert "2 hand counts; expected at least 3" in refused(folder, plain[:3], design="random")
    assert estimate(folder / "counts.csv", write(folder / "h.csv", *plain), "random").by_hand == 5
    assert "no design 'rnd'" in refused(folder, plain, design="rnd")


def test_tables_that_are_none_are_refused(files: tuple[Path, list[str], dict[str, float]]):
    folder, lines, _ = files
    for content, told in (
        (["image,low", "a,1"], "no column count"),
        (["count,low", "3,1"], "no column that names the pictures"),
        (["image,count", "a.jpg,3", "a.jpg,4"], "'a.jpg' twice"),
        (["image,count", "a.jpg,"], "a.jpg has no count"),
        (["image,count", "a.jpg,lots"], "count 'lots'"),
        (["image,count,count", "a.jpg,3,3"], "two columns 'count'"),
        (["image,count", "a.jpg,3,4,5"], "4 cells under 2 columns"),
        (["image,count,taught", "a.jpg,3,perhaps"], "expected true or false"),
    ):
        write(folder / "counts.csv", *content)
        assert told in refused(folder, lines)
    (folder / "counts.csv").write_bytes(b"\xff\xfe\x00")
    assert "no text in UTF-8" in refused(folder, lines)
    (folder / "counts.csv").write_bytes(b"")
    assert "is empty" in refused(folder, lines)
    (folder / "counts.csv").unlink()
    assert "no such file" in refused(folder, lines)


def test_options_that_make_no_sense_are_refused(files: tuple[Path, list[str], dict[str, float]]):
    folder, lines, counts = files
    assert "level 95" in refused(folder, lines, level=95)
    assert "no column 'plat'" in refused(folder, lines, by="plat")
    assert "no interval 'z'" in refused(folder, lines, interval="z")
    assert "compare needs by" in refused(folder, lines, compare=("a", "b"))
    for options, told in (
        ({"n": 2}, "-n 2"),
        ({"n": 41}, "has 40 pictures to draw from"),
        ({"n": 5, "by": "folder"}, "makes strata"),
        ({"n": 3, "design": "stratified", "by": "folder"}, "at least 4"),
        ({"n": 5, "design": "snowball"}, "no design"),
    ):
        with pytest.raises(LikewiseError, match=told):
            sample(counts, **options)  # type: ignore[arg-type]
    with pytest.raises(LikewiseError, match="does not say how"):
        sample(counts, 5, after=dict(list(counts.items())[:3]))


def test_a_taught_picture_without_its_true_count_is_asked_for(files: tuple[Path, list[str], dict[str, float]]):
    folder, lines, counts = files
    other = next(each for each in counts if each not in "\n".join(lines))
    assert "taught the model" in refused(folder, lines, taught=[other])
    assert "teach by pictures of the sample" in refused(folder, [*lines, f"{other},5,,,,,,,"], taught=[other])
    drawn = [line.split(",")[0] for line in lines[1:]]
    assert "that did not teach the model; expected at least 3" in refused(folder, lines, taught=drawn[:4])
