"""Files at addresses: what a pattern names there is what a glob names here."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest

from likewise.cluster.places import Place, units_at
from likewise.errors import LikewiseError

pytest.importorskip("pyarrow", reason='pyarrow is not installed (pip install "likewise[scale]")')


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("1.jpg", "2.jpg", "10.jpg", "a/1.jpg", "a/b/1.jpg", "a/b/n.txt", ".hidden/1.jpg", "a/.h.jpg", "x.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


@pytest.mark.parametrize("pattern", ["*.jpg", "**/*.jpg", "*/*.jpg", "a/**/*", "**/b/*.jpg", "[12].jpg", "*/*/*"])
def test_a_pattern_names_what_it_names_on_this_machine(tree: Path, pattern: str):
    expected = {name for name in glob.glob(pattern, root_dir=tree, recursive=True) if (tree / name).is_file()}  # noqa: PTH207
    found = dict(units_at(f"file://{tree}/{pattern}"))
    assert {str(Path(unit.address.removeprefix("file://")).relative_to(tree)) for unit in found.values()} == expected
    assert all((tree / unit.address.removeprefix("file://")).stat().st_size == unit.bytes for unit in found.values())


def test_a_folder_means_the_pictures_in_it_and_a_file_itself(tree: Path):
    assert sorted(name for name, _ in units_at(f"file://{tree}")) == ["1.jpg", "10.jpg", "2.jpg"]
    assert [name for name, _ in units_at(f"file://{tree}/x.txt")] == ["x.txt"]
    with pytest.raises(LikewiseError, match="matches no file"):
        list(units_at(f"file://{tree}/*.png"))
    with pytest.raises(LikewiseError, match="holds no pictures"):
        list(units_at(f"file://{tree}/gone"))
    with pytest.raises(LikewiseError, match="nowhere://x cannot be reached"):
        list(units_at("nowhere://x"))


def test_a_file_of_another_system_is_brought_here_and_taken_away_again():
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    fsspec.filesystem("memory").pipe("/bucket/dir/a.jpg", b"held")
    [(name, unit)] = units_at("memory://bucket/dir/*.jpg")
    assert (name, unit.bytes) == ("a.jpg", 4)
    with Place.of(unit.address).here() as path:
        assert (path.name, path.read_bytes()) == ("a.jpg", b"held")
    assert not path.exists()
