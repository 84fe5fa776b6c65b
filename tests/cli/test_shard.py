"""Shards: every picture is one's, whoever looks and from where; and their tables together are the table of all."""

from __future__ import annotations

import csv
import glob
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from likewise import cli
from likewise.cli.inputs import find_pictures
from likewise.cli.listing import Listing, SortedTexts, is_there, matching
from likewise.cli.shard import Shard, parse_shard, shard_in, shard_of
from likewise.data.images import natural
from likewise.digests import DigestMap
from likewise.errors import LikewiseError

from . import made_up_job


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pictures(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty pictures of 1 to 20 bytes, half of them a folder further down."""
    monkeypatch.setattr(cli, "build_app", made_up_job.app)
    for size in range(1, 21):
        path = here / "pics" / ("sub" if size % 2 else "") / f"{size}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    return Path("pics")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["0", *map(str, words)])
    shown = capsys.readouterr()
    return int(stopped.value.code or 0), shown.out, shown.err


def merged(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "build_app", BUILD_APP)
        with pytest.raises(SystemExit) as stopped:
            cli.main(["merge", *map(str, words)])
    shown = capsys.readouterr()
    return int(stopped.value.code or 0), shown.out, shown.err


BUILD_APP = cli.build_app


def rows(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, strict=True))


def test_a_hash_is_the_same_for_ever():
    """The sums of coreutils: printf a.jpg | sha256sum | cut -c1-16, modulo 16 and plus one."""
    assert shard_of("a.jpg", 16) == 0x509B0D4641A7C3BA % 16 + 1
    assert sorted({shard_of(f"{i}", 5) for i in range(100)}) == [1, 2, 3, 4, 5]
    assert shard_of("é.jpg", 1000) == shard_of("e\u0301.jpg", 1000)


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "1/0", "-1/4", "1/4/2", "²/4"])
def test_a_shard_that_is_none_is_refused(text: str):
    with pytest.raises(LikewiseError, match=r"expected I/N with I from 1 to N, such as 3/16"):
        parse_shard(text)


def test_a_shards_name_is_read_back():
    shard = parse_shard("3/16")
    assert shard.table(Path("out/counts.csv")) == Path("out/counts.shard-03-of-16.csv")
    assert shard_in("counts.shard-03-of-16.csv") == shard
    assert shard_in("counts.csv") is None


def test_every_picture_is_one_shards_from_wherever_it_is_seen(pictures: Path, here: Path):
    everything = [str(p) for p in find_pictures(["pics/**/*.jpg"], "weigh")]
    parts = [[str(p) for p in find_pictures(["pics/**/*.jpg"], "weigh", Shard(i, 3))] for i in (1, 2, 3)]
    assert sorted(name for part in parts for name in part) == sorted(everything)
    assert len(everything) == 20
    elsewhere = here / "mounted" / "elsewhere"
    elsewhere.parent.mkdir()
    elsewhere.symlink_to(here / "pics")
    there = [p.relative_to(elsewhere) for p in find_pictures([f"{elsewhere}/**/*.jpg"], "weigh", Shard(2, 3))]
    assert [str(p) for p in there] == [str(Path(p).relative_to("pics")) for p in parts[1]]


def test_shards_have_tables_and_folders_of_their_own_and_together_they_are_all(pictures: Path, capsys):
    run(capsys, "pics/**/*.jpg", "-o", "all")
    for i in (1, 2, 3):
        assert run(capsys, "pics/**/*.jpg", "-o", "out", "--shard", f"{i}/3")[0] == 0
    assert len(list(Path("out").glob("shard-?-of-3/*_count.png"))) == 20
    code, out, err = merged(capsys, "out/sizes.shard-*.csv", "-o", "out/sizes.csv")
    assert (code, out, err) == (0, "out/sizes.csv: 20 rows of 3 tables\n", "")
    assert [row["file"] for row in rows("out/sizes.csv")] == [row["file"] for row in rows("all/sizes.csv")]
    assert {row["image"]: row["count"] for row in rows("out/sizes.csv")} == {
        row["image"]: row["count"] for row in rows("all/sizes.csv")
    }
    code, _, err = run(capsys, "pics/**/*.jpg", "--csv", "out/sizes.csv")
    assert (code, err) == (0, "20 already weighed, skipped (--overwrite does them again)\n")
    assert merged(capsys, "out/sizes.shard-*.csv", "-o", "t.csv")[0] == 0
    assert run(capsys, "pics/**/*.jpg", "--csv", "t.csv")[2].startswith("20 already weighed")


def test_an_empty_shard_is_no_error(pictures: Path, capsys):
    held = shard_of("20.jpg", 50)
    other = held % 50 + 1
    assert run(capsys, "pics/20.jpg", "--csv", "t.csv", "--shard", f"{other}/50") == (0, "", "")
    assert run(capsys, "pics/20.jpg", "--csv", "t.csv", "--shard", f"{held}/50")[1] == "pics/20.jpg: 20\n"


def test_missing_shards_and_broken_lines_are_named(pictures: Path, capsys):
    for i in (1, 3, 4):
        run(capsys, "pics/**/*.jpg", "--csv", "t.csv", "--shard", f"{i}/5")
    table = Path("t.shard-3-of-5.csv")
    table.write_bytes(table.read_bytes() + b"pics/half")
    code, _, err = merged(capsys, "t.shard-*.csv", "-o", "t.csv")
    assert code == 1
    assert "not whole, left out; run its shard again" in err
    assert "no table of shard 2, 5 of 5; run --shard 2/5, then merge again" in err
    assert merged(capsys, "t.shard-*.csv", "-o", "t.csv")[2].startswith("error: t.csv is there already")


def test_the_same_twice_is_one_and_different_is_an_error(pictures: Path, capsys):
    run(capsys, "pics", "--csv", "a.csv")
    run(capsys, pictures / "2.jpg", pictures / "4.jpg", "--csv", "b.csv")
    code, out, _ = merged(capsys, "a.csv", "b.csv", "-o", "ab.csv")
    assert (code, out) == (0, "ab.csv: 10 rows of 2 tables\n")
    Path("b.csv").write_bytes(Path("b.csv").read_bytes().replace(b"4.jpg,4,little", b"4.jpg,5,little"))
    code, _, err = merged(capsys, "a.csv", "b.csv", "-o", "again.csv")
    assert code == 2
    assert "pics/4.jpg has different rows in a.csv and b.csv: count '4' and '5'" in err
    assert not Path("again.csv").exists()
    run(capsys, "pics/6.jpg", "--csv", "c.csv", "--asked-for", "grams")
    err = merged(capsys, "a.csv", "c.csv", "-o", "ac.csv")[2]
    assert "c.csv holds results of another prompt, model or version than a.csv" in err
    Path("d.csv").write_text("name,age\nAda,36\n")
    assert "d.csv is no table of results" in merged(capsys, "a.csv", "d.csv", "-o", "ad.csv")[2]


def test_parquet_goes_in_and_comes_out(pictures: Path, capsys):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    run(capsys, "pics", "--csv", "a.csv")
    assert merged(capsys, "a.csv", "-o", "a.parquet")[0] == 0
    table = parquet.read_table("a.parquet")
    assert table["count"].to_pylist() == [float(row["count"]) for row in rows("a.csv")]
    assert merged(capsys, "a.parquet", "a.csv", "-o", "b.csv")[1] == "b.csv: 10 rows of 2 tables\n"
    assert [float(row["count"]) for row in rows("b.csv")] == table["count"].to_pylist()


NAMES = st.text("ab1._-é", min_size=1, max_size=3).filter(lambda name: name.strip("."))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=8),
    st.sampled_from(["*", "**", "**/*", "*/*", "a*/**/*", "**/a*", "**/.*", "*/**", "**/1/*", "[ab]*/*", "a/**/*.1"]),
)
def test_a_pattern_matches_what_glob_matches(here: Path, places: list[list[str]], pattern: str):
    for number, parts in enumerate(places):
        path = here.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(str(number))
        except OSError:  # a file is where a folder should be
            continue
    expected = {name for name in glob.glob(pattern, recursive=True) if is_there(Path(name))}  # noqa: PTH207
    assert {os.path.normpath(name) for name in matching(pattern)} == {os.path.normpath(name) for name in expected}


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=40))
def test_what_does_not_fit_into_memory_is_sorted_the_same(texts: list[str]):
    expected = sorted(set(texts), key=lambda text: (natural(text), text))
    found = SortedTexts(texts, lambda text: (natural(text), text), in_memory=3)
    assert (list(found), list(found), len(found)) == (expected, expected, len(expected))


@given(st.lists(st.tuples(st.text(max_size=2), st.integers(0, 1 << 60))))
def test_digests_stand_for_names(pairs: list[tuple[str, int]]):
    held, expected = DigestMap(), dict(pairs)
    for name, number in pairs:
        held[name] = number
    assert len(held) == len(expected)
    assert all(held.get(name) == number for name, number in expected.items())
    assert "elsewhere" not in held


def test_names_that_are_no_text_are_listed(here: Path):
    names = [os.fsdecode(b"m\xfcnze%d.jpg" % i) for i in range(7)]
    assert [str(path) for path in Listing(reversed(names), in_memory=2)] == names
