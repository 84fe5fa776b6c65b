"""What the documents tell people to do works: the code runs and the commands exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cyclopts import CycloptsError
from PIL import Image
from skimage import data
from skimage.filters import sobel
from skimage.measure import label
from skimage.segmentation import watershed

import likewise
from likewise.cli import build_app

REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENTS = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]


def run_python(*arguments: str | Path, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def blocks(document: Path, language: str) -> list[str]:
    """Fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """(document, command line) for every call of likewise in the documents' shell blocks."""
    joined = [(d.name, b.replace("\\\n", " ")) for d in DOCUMENTS for b in [*blocks(d, "sh"), *blocks(d, "bash")]]
    lines = [(name, line.strip()) for name, block in joined for line in block.splitlines()]
    return [(name, line) for name, line in lines if re.match(r"(\S*/)?likewise\b", line)]


def check(line: str) -> None:
    """Parse a command line without running it."""
    build_app().parse_args(shlex.split(line, comments=True)[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize(("document", "line"), commands())
def test_commands_in_the_documents_exist(document: str, line: str):
    check(line)


def test_commands_are_found_and_a_wrong_one_is_noticed():
    assert {"README.md", "installation.md", "convert.md"} <= {document for document, _ in commands()}
    with pytest.raises(CycloptsError):
        check("likewise count coins.png --bocks 1,2,3,4")
    with pytest.raises(CycloptsError):
        check("likewise reckon coins.png")


def test_example_counts_the_coins(tmp_path: Path):
    counted, drawn = run_python(REPOSITORY / "examples" / "coins.py", cwd=tmp_path).splitlines()
    assert abs(float(counted.split()[0]) - 24) <= 2.4
    assert (tmp_path / drawn.removeprefix("overlay: ")).is_file()


def test_coins_are_found_where_they_are():
    coins = data.coins()
    # an independent truth: a watershed from what is surely background and what is surely coin
    markers = np.where(coins < 30, 1, np.where(coins > 150, 2, 0))
    regions = label(watershed(sobel(coins), markers) == 2)
    large = np.flatnonzero(np.bincount(regions.ravel()) > 300)[1:]
    assert len(large) == 24
    boxes = [(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73)]
    points = likewise.load("spdcn-lite").count(coins, boxes).points
    hits = np.bincount(regions[tuple(points[:, ::-1].astype(int).T)], minlength=regions.max() + 1)
    assert (hits[large] == 1).sum() >= 20


def test_code_of_the_readme_runs(tmp_path: Path):
    (code,) = blocks(REPOSITORY / "README.md", "python")
    Image.fromarray(data.coins()).save(tmp_path / "coins.png")
    run_python("-c", code, cwd=tmp_path)
    assert (tmp_path / "out" / "coins_count.png").is_file()


def test_code_of_the_page_of_formats_runs(tmp_path: Path):
    (code,) = blocks(REPOSITORY / "docs" / "formats.md", "python")
    Image.fromarray(data.coins()).save(tmp_path / "slide.tif")
    outline = '{"type": "Polygon", "coordinates": [[[0, 0], [192, 0], [192, 303], [0, 303]]]}'
    (tmp_path / "tumour.geojson").write_text(outline)
    name, count, _ = run_python("-c", code, cwd=tmp_path).split()
    assert name == "1"
    assert abs(float(count) - 12) <= 2


def test_code_of_the_page_of_films_runs(tmp_path: Path):
    av = pytest.importorskip("av", reason="the extra video is not installed")
    (code,) = blocks(REPOSITORY / "docs" / "time.md", "python")
    coins = np.repeat(data.coins()[:302, :, None], 3, axis=2)
    with av.open(str(tmp_path / "belt.mp4"), "w") as film:
        stream = film.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 384, 302, "yuv420p"
        for _ in range(26):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(coins, format="rgb24")))
        film.mux(stream.encode())
    said, first, second = run_python("-c", code, cwd=tmp_path).splitlines()
    assert said.startswith("<SeriesResult of belt.mp4: 2 frames, mean 2")
    assert (first.split()[:2], second.split()[:2]) == (["0", "0.0"], ["25", "1.0"])
    assert (tmp_path / "out" / "belt_frames.png").is_file()


def test_code_of_the_operators_page_runs(tmp_path: Path):
    pytest.importorskip("onnxruntime", reason="needs the [export] extra")
    found = blocks(REPOSITORY / "docs" / "operators.md", "python")
    assert len(found) >= 4
    run_python("-c", "\n".join(found), cwd=tmp_path)
    assert (tmp_path / "layer.onnx").is_file()


def test_code_of_the_totals_page_runs(tmp_path: Path):
    (code,) = blocks(REPOSITORY / "docs" / "totals.md", "python")
    rows = [f"plate{i % 2}/{i}.jpg,{10 + i % 7}" for i in range(40)]
    (tmp_path / "counts.csv").write_text("\n".join(["image,count", *rows]))
    assert "more hand counts" in run_python("-c", code, cwd=tmp_path)
    assert (tmp_path / "out" / "total_estimate.png").is_file()


def test_code_of_the_losses_page_runs(tmp_path: Path):
    (code,) = blocks(REPOSITORY / "docs" / "losses.md", "python")
    run_python("-c", code, cwd=tmp_path)
