"""The table of a run: whose a row is, what is left of it after any accident, and who may write it."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path

import pytest

from likewise.cli import ledger
from likewise.cli.ledger import Ledger
from likewise.errors import LikewiseError
from likewise.plain_text import BOM

COLUMNS = ("count", "note")


class Result:
    seconds, model = 1.25, "scales"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(path: str | Path = "t.csv", settings: str = "s1", **more: bool) -> Ledger:
    return Ledger(Path(path), COLUMNS, settings, **more)


def picture(name: str, held: bytes = b"one") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(held)
    return path


def rows(path: str | Path = "t.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, strict=True))


def add(table: Ledger, *pictures: Path) -> None:
    for each in pictures:
        table.add(each, (7, "fine"), Result)


def test_a_row_tells_what_it_is_of(here: Path) -> None:
    table = Ledger(Path("out/t.csv"), COLUMNS, "s1", weights="w.safetensors", prompt='{"exemplars": [[1, 2, 3, 4]]}')
    add(table, picture("d/a.jpg"))
    [row] = rows("out/t.csv")
    assert {key: row[key] for key in ("image", "count", "note", "seconds", "model", "settings")} == {
        "image": "d/a.jpg",
        "count": "7",
        "note": "fine",
        "seconds": "1.250",
        "model": "scales",
        "settings": "s1",
    }
    assert (row["weights"], row["prompt"]) == ("w.safetensors", '{"exemplars": [[1, 2, 3, 4]]}')
    assert row["file"] == "../d/a.jpg"
    assert row["stamp"].startswith("sha256:7692c3ad3540bb80")  # of "one"
    assert sorted(p.name for p in Path("out").iterdir()) == ["t.csv"]


def test_the_same_name_in_another_folder_is_another_picture(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("a", "b"):
        picture(f"{folder}/x.jpg")
        monkeypatch.chdir(here / folder)
        table = opened("../t.csv")
        assert Path("x.jpg") not in table
        add(table, Path("x.jpg"))
        monkeypatch.chdir(here)
    assert [row["file"] for row in rows()] == ["a/x.jpg", "b/x.jpg"]
    assert Path("a/x.jpg") in opened()
    assert Path("b/../a/x.jpg") in opened()
    (here / "link").symlink_to(here / "a")
    assert Path("link/x.jpg") in opened()


def test_a_table_is_moved_with_its_pictures(here: Path) -> None:
    add(opened("set/t.csv"), picture("set/x.jpg"))
    Path("set").rename("elsewhere")
    assert Path("elsewhere/x.jpg") in opened("elsewhere/t.csv")


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_replaced_picture_is_done_anew_and_has_one_row(here: Path, keep_time: bool) -> None:
    one, other = picture("a.jpg"), picture("b.jpg")
    add(opened(), one, other)
    before = one.stat()
    one.write_bytes(b"two")
    if keep_time:
        os.utime(one, ns=(before.st_atime_ns, before.st_mtime_ns))
    table = opened()
    assert other in table
    assert one not in table
    assert table.changed == {one}
    table.add(one, (8, ""), Result)
    assert {row["image"]: row["count"] for row in rows()} == {"b.jpg": "7", "a.jpg": "8"}
    assert one in opened()


def test_a_changed_picture_that_cannot_be_done_loses_its_row_at_the_end(here: Path) -> None:
    one = picture("a.jpg")
    add(opened(), one, picture("b.jpg"))
    one.write_bytes(b"two")
    table = opened()
    assert one not in table
    assert len(rows()) == 2
    table.finish()
    assert [row["image"] for row in rows()] == ["b.jpg"]


def test_a_touched_picture_is_the_same(here: Path) -> None:
    one = picture("a.jpg")
    add(opened(), one)
    os.utime(one, (1, 1))
    assert one in opened()


def test_overwriting_begins_with_the_first_row(here: Path) -> None:
    one = picture("a.jpg")
    add(opened(), one, picture("b.jpg"))
    before = Path("t.csv").read_bytes()
    table = opened(settings="s2", overwrite=True)
    assert one not in table
    table.finish()
    assert Path("t.csv").read_bytes() == before
    add(table, one)
    assert [(row["image"], row["settings"]) for row in rows()] == [("a.jpg", "s2")]


@pytest.mark.parametrize("cut", [1, 2, 3, 8, 40, 60])
def test_a_row_that_is_not_whole_is_cut_off_and_done_again(here: Path, cut: int) -> None:
    pictures = [picture(f"{i}.jpg") for i in range(3)]
    add(opened(), *pictures)
    whole = Path("t.csv").read_bytes()
    Path("t.csv").write_bytes(whole[:-cut])
    table = opened()
    lost = 0 if cut < 3 else 1  # only the end of the line is missing: the row is whole
    assert table.damaged == lost
    assert [p in table for p in pictures] == [True, True, not lost]
    add(table, *pictures)
    table.finish()
    assert Path("t.csv").read_bytes() == whole


def test_a_row_glued_to_half_a_row_is_not_taken_for_one(here: Path) -> None:
    pictures = [picture(f"{i}.jpg") for i in range(4)]
    add(opened(), *pictures)
    lines = Path("t.csv").read_bytes().split(b"\r\n")
    Path("t.csv").write_bytes(b"\r\n".join([*lines[:2], lines[2][:9] + lines[3], *lines[4:]]))
    table = opened()
    assert (table.damaged, [p in table for p in pictures]) == (1, [True, False, False, True])
    add(table, *pictures)
    assert sorted(row["image"] for row in rows()) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


@pytest.mark.parametrize("room", [0, 5])
def test_a_full_disk_leaves_a_whole_table(here: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    pictures = [picture(f"{i}.jpg") for i in range(3)]
    table = opened()
    add(table, pictures[0])
    before = Path("t.csv").read_bytes()
    honest = os.write

    def full(file: int, held: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return honest(file, held[:room])

    with monkeypatch.context() as patch:
        patch.setattr(ledger.os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            add(table, pictures[1])
    assert Path("t.csv").read_bytes() == before
    add(table, *pictures)
    assert [row["image"] for row in rows()] == ["0.jpg", "1.jpg", "2.jpg"]


def test_a_full_disk_while_the_table_is_replaced_leaves_the_old_one(here: Path, monkeypatch) -> None:
    one = picture("a.jpg")
    add(opened(), one)
    before = Path("t.csv").read_bytes()
    table = opened(overwrite=True)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ledger.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            add(table, one)
    assert Path("t.csv").read_bytes() == before
    assert sorted(p.name for p in here.iterdir()) == ["a.jpg", "t.csv"]


def test_a_table_of_ascii_is_plain_and_any_other_one_opens_in_a_spreadsheet(here: Path) -> None:
    table = opened()
    add(table, picture("a.jpg"))
    assert Path("t.csv").read_bytes().startswith(b"image,")
    add(table, picture("Zählung.jpg"), picture("=1+1.jpg"))
    assert Path("t.csv").read_bytes().startswith(BOM + b"image,")
    assert [row["image"] for row in rows()] == ["a.jpg", "Zählung.jpg", "'=1+1.jpg"]
    again = opened()
    assert all(Path(name) in again for name in ("a.jpg", "Zählung.jpg", "=1+1.jpg"))
    add(again, picture("b.jpg"))
    assert Path("t.csv").read_bytes().count(BOM) == 1


@pytest.mark.parametrize(
    "name",
    [b"two\nlines.jpg", b"m\xfcnze.jpg", b'"quoted", and more.jpg', b"\x1b[2J.jpg", b"back\\slash\\n.jpg", b" .jpg"],
)
def test_any_name_is_found_again(here: Path, name: bytes) -> None:
    path = picture(os.fsdecode(name))
    add(opened(), path, picture("plain.jpg"))
    Path("t.csv").read_bytes().decode("utf-8")
    again = opened()
    assert again.damaged == 0
    assert path in again
    assert len(rows()) == 2


def test_tables_of_others_and_of_earlier_versions_are_told_apart(here: Path) -> None:
    Path("old.csv").write_bytes(b"image,count,note,seconds,model,settings\r\na.jpg,7,fine,1.250,scales,s1\r\n")
    with pytest.raises(LikewiseError, match=r"earlier version.*--overwrite"):
        opened("old.csv")
    add(opened("old.csv", overwrite=True), picture("a.jpg"))
    assert len(rows("old.csv")) == 1
    Path("mine.csv").write_text("name,age\nAda,36\n")
    for overwrite in (False, True):
        with pytest.raises(LikewiseError, match="another table"):
            opened("mine.csv", overwrite=overwrite)
    with pytest.raises(LikewiseError, match="is no file"):
        opened(here)
    with pytest.raises(LikewiseError, match="another prompt, model or version"):
        opened("old.csv", settings="s2")


def test_a_table_that_is_a_link_stays_one(here: Path) -> None:
    Path("real").mkdir()
    Path("t.csv").symlink_to("real/t.csv")
    add(opened(), picture("a.jpg"))
    assert Path("t.csv").is_symlink()
    assert len(rows("real/t.csv")) == 1


def test_an_endless_prompt_is_not_told_to_its_end(here: Path) -> None:
    table = Ledger(Path("t.csv"), COLUMNS, "s1", prompt="x" * 200_000)
    add(table, picture("a.jpg"))
    assert Path("a.jpg") in opened()
