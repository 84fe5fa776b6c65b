"""Where drawings go: whatever the pictures are called and in whatever order they come, each has its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from likewise.drawings import is_drawing, plan_drawings, save_drawing, save_text

ENDS = ("_segment.png", "_mask.png")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(*names: str, folder: str = "out", ends: tuple[str, ...] = ("_count.png",)) -> list[str]:
    plan = plan_drawings([Path(name) for name in names], Path(folder), ends)
    assert all(path.parent == Path(folder) for paths in plan for path in paths)
    return [paths[0].name.removesuffix(ends[0]) for paths in plan]


def draw(*names: str, folder: str = "out") -> None:
    Path(folder).mkdir(exist_ok=True)
    for name, [path] in zip(names, plan_drawings([Path(n) for n in names], Path(folder), ("_count.png",)), strict=True):
        save_drawing(Image.new("L", (1, 1)), path, Path(name))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a/x.jpg", "a/y.jpg"), ["x", "y"]),
        (("a/x.jpg", "a/x.png"), ["x.jpg", "x.png"]),
        (("a/x.jpg", "b/x.jpg"), ["a_x.jpg", "b_x.jpg"]),
        (("c/a/x.jpg", "d/a/x.jpg"), ["a_x.jpg", "a_x.jpg-2"]),
        (("a/X.jpg", "a/x.jpg"), ["a_X.jpg", "a_x.jpg-2"]),  # one file where the system takes them for one
        (("a/b_x.jpg", "b/x.jpg", "c/x.jpg"), ["b_x", "b_x.jpg", "c_x.jpg"]),
        (("a/b_x.jpg.jpg", "b/x.jpg", "c/x.jpg"), ["b_x.jpg", "b_x.jpg-2", "c_x.jpg"]),
    ],
)
def test_pictures_of_one_name_are_told_apart(here: Path, names: tuple[str, ...], expected: list[str]) -> None:
    assert planned(*names) == expected
    draw(*names)
    assert planned(*names) == expected
    assert sorted(planned(*reversed(names))) == sorted(expected)


def test_a_later_run_leaves_the_drawings_of_other_pictures_alone(here: Path) -> None:
    draw("a/x.jpg")
    assert planned("b/x.jpg") == ["x.jpg"]
    draw("b/x.jpg")
    assert planned("a/x.jpg", "b/x.jpg") == ["x", "x.jpg"]
    assert planned("c/x.jpg") == ["c_x.jpg"]


def test_what_was_not_drawn_here_is_left_alone(here: Path) -> None:
    Path("out").mkdir()
    Path("out/x_count.png").write_bytes(b"mine")
    Image.new("L", (1, 1)).save("out/y_count.png")
    Path("out/z_count.png").symlink_to("nowhere")
    assert planned("x.jpg", "y.jpg", "z.jpg") == ["x.jpg", "y.jpg", "z.jpg"]


def test_no_picture_is_drawn_over(here: Path) -> None:
    assert planned("x.jpg", "x_count.png", folder=".") == ["x.jpg", "x_count"]


def test_all_files_of_a_picture_have_one_name(here: Path) -> None:
    Path("out").mkdir()
    Image.new("L", (1, 1)).save("out/x_mask.png")
    assert planned("x.jpg", ends=ENDS) == ["x.jpg"]


def test_texts_lie_beside_the_drawing_that_is_marked(here: Path) -> None:
    def plan(name: str) -> list[str]:
        [paths] = plan_drawings([Path(name)], Path("out"), ("_count.png",), ("_coco.json",))
        return [path.name for path in paths]

    Path("out").mkdir()
    Path("out/x_coco.json").write_text("somebody's")
    assert plan("x.jpg") == ["x.jpg_count.png", "x.jpg_coco.json"]
    save_drawing(Image.new("L", (1, 1)), Path("out/y_count.png"), Path("a/y.jpg"))
    save_text("{}", Path("out/y_coco.json"))
    assert plan("a/y.jpg") == ["y_count.png", "y_coco.json"]
    assert plan("b/y.jpg") == ["y.jpg_count.png", "y.jpg_coco.json"]


def test_a_name_that_no_file_system_takes_is_cut(here: Path) -> None:
    names = [f"{'数' * 80}{i}.jpg" for i in range(2)]
    draw(*names)
    assert len({path.name for path in Path("out").iterdir()}) == 2


def test_drawings_are_known_as_such(here: Path) -> None:
    draw("x.jpg")
    Image.new("L", (1, 1)).save("out/y_count.png")
    assert [is_drawing(Path("out") / name) for name in ("x_count.png", "y_count.png", "z_count.png")] == [
        True,
        False,
        False,
    ]


def test_a_drawing_that_cannot_be_finished_leaves_nothing(here: Path) -> None:
    class Broken:
        def save(self, path: Path, **_: object) -> None:
            path.write_bytes(b"half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        save_drawing(Broken(), Path("x_count.png"), Path("x.jpg"))  # type: ignore[arg-type]
    assert list(here.iterdir()) == []


LETTERS = st.text("abAB_.-é", min_size=1, max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(LETTERS, LETTERS, st.sampled_from((".jpg", ".png", ".JPG"))), max_size=8, unique=True))
def test_no_two_pictures_share_a_drawing(here: Path, parts: list[tuple[str, str, str]]) -> None:
    pictures = [Path(f"{folder}x") / (name + end) for folder, name, end in parts]
    plan = plan_drawings(pictures, Path("out"), ENDS)
    paths = [str(path).casefold() for paths in plan for path in paths]
    assert len(set(paths)) == len(paths)
