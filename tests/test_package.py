"""What is shipped: a package that imports at once, a wheel with everything in it, and files that name no machine."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "likewise"
#: What must not be loaded by importing the package or asking for help: each takes from 0.1 to 2 seconds.
HEAVY = ("torch", "torchvision", "timm", "numpy", "PIL", "skimage", "lightning")
#: Package indexes, and places in which only one machine keeps its files.
FOREIGN = re.compile(
    r"pypi\.(org|io)|pythonhosted\.org|pytorch\.org/whl|--(extra-)?index-url|npmjs\.(org|com)"
    r"|(?<![\w.])/(home|Users|root)/\w|[A-Z]:\\\\?Users"
)
LARGEST_FILE = 8_000_000


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported_packages(folder: Path) -> set[str]:
    """Names, as pip knows them, of the packages that code in a folder imports, lazily or not."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    tops = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"likewise"}
    held = metadata.packages_distributions()
    return {canonicalize_name(held[top][0]) if top in held else canonicalize_name(top) for top in tops}


def declared_packages(*extras: str) -> set[str]:
    """Names of the packages that pip installs with likewise and some of its extras."""
    needed = [Requirement(line) for line in metadata.requires("likewise") or []]
    wanted = [r for r in needed if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in ("", *extras))]
    return {canonicalize_name(r.name) for r in wanted}


def test_every_imported_package_is_declared():
    # asked for only where something is compared with it, and where somebody installed it: HEIC, and what Ray brings
    optional = {"fsspec", "opencv-python-headless", "pillow-heif"}
    extras = {
        "app": ("app",),
        "cli": ("geo", "scale", "tables"),
        "cluster": ("scale",),
        "data": ("bio", "geo"),
        "foreign": ("tflite",),
        "results": ("bio", "geo", "tables", "video"),
        "sources": ("bio", "geo", "slide", "video"),
    }
    every = {extra for needed in extras.values() for extra in needed}
    assert imported_packages(PACKAGE) - declared_packages("train", *every) == optional
    assert imported_packages(PACKAGE / "engine") >= {"lightning"}
    for folder in PACKAGE.iterdir():
        if folder.is_dir() and folder.name != "engine":
            extra = extras.get(folder.name, ())
            assert imported_packages(folder) - declared_packages(*extra) <= optional, folder.name
    assert imported_packages(REPOSITORY / "tests") - declared_packages("train", "export", "app", "dev", "scale") <= {
        "pillow-heif"
    }


@pytest.mark.parametrize("module", ["likewise", "likewise.types", "likewise.cli"])
def test_importing_loads_nothing_heavy(module: str):
    code = f"import sys, {module}; print(*[m for m in {HEAVY} if m in sys.modules])"
    assert run(sys.executable, "-c", code).split() == []


def test_public_names_are_there():
    import likewise

    assert {"load", "LikewiseError"} <= set(likewise.__all__)
    assert set(likewise.__all__) <= set(dir(likewise))
    assert all(getattr(likewise, name) is not None for name in likewise.__all__)


def test_version_is_the_same_everywhere():
    import likewise

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == metadata.version("likewise") == likewise.__version__


def test_help_lists_every_verb():
    script = Path(sys.executable).with_name("likewise")
    shown = run(script, "--help")
    verbs = {path.stem for path in (PACKAGE / "cli").glob("*.py")} & {
        "count",
        "models",
        "doctor",
        "convert",
        "train",
        "eval",
    }
    assert verbs <= set(shown.split())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=REPOSITORY)
    (built,) = folder.glob("likewise-*-py3-none-*.whl")
    return built


def test_wheel_brings_compiled_functions_where_there_is_a_compiler(wheel: Path):
    compiled = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
    if shutil.which("cc"):
        assert "likewise/native/kernels-default.so" in compiled
        assert not wheel.name.endswith("-any.whl")
    else:
        assert compiled == []
        assert wheel.name.endswith("-any.whl")


def test_wheel_holds_every_file_of_the_package_and_the_licence(wheel: Path):
    held = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "likewise/py.typed" in sources
    assert sources <= held
    licences = {name.split("/")[-1] for name in held if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}
    assert {name.split("/")[0] for name in held} == {"likewise", f"likewise-{metadata.version('likewise')}.dist-info"}


def test_wheel_says_what_it_needs_and_how_it_is_called(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        (card,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("METADATA"))
        (entry,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "License-Expression: Apache-2.0" in card
    assert "Provides-Extra: train" in card
    assert "likewise = likewise.cli:main" in entry


def test_wheel_alone_counts_a_picture(wheel: Path, tmp_path: Path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import likewise; from skimage import data\n"
        f"assert likewise.__file__.startswith({str(tmp_path)!r})\n"
        "print(likewise.load('spdcn-lite').count(data.coins(), exemplars=[(81, 39, 120, 74)]).count)"
    )
    assert float(run(sys.executable, "-c", code)) > 1


def project_files() -> list[Path]:
    """The files that are, or would be, committed; without git, everything but what the commands write."""
    git = shutil.which("git")
    if git and (REPOSITORY / ".git").exists():
        listed = run(git, "ls-files", "-co", "--exclude-standard", cwd=REPOSITORY).splitlines()
        return [REPOSITORY / name for name in listed if (REPOSITORY / name).is_file()]
    written = {".venv", ".git", "demo", "runs", "build", "dist", "lightning_logs", "__pycache__"}
    caches = {".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}
    return [
        path
        for path in REPOSITORY.rglob("*")
        if path.is_file() and not (written | caches) & set(path.relative_to(REPOSITORY).parts)
    ]


def foreign_lines(path: Path) -> list[str]:
    """Lines that name a package index, or a place on the machine the project happens to lie on."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    parent = REPOSITORY.parent if len(REPOSITORY.parent.parts) > 1 else REPOSITORY
    here = re.compile(rf"(?<![\w.]){re.escape(str(parent))}/")
    return [f"{path.name}:{i}: {line}" for i, line in enumerate(lines, 1) if FOREIGN.search(line) or here.search(line)]


def test_no_file_names_a_machine_or_a_package_index():
    files = project_files()
    assert Path(__file__).resolve() in files
    assert [line for path in files for line in foreign_lines(path)] == []


@pytest.mark.parametrize(
    "line",
    ["see /home/" + "ann/x", "https://" + "pypi" + ".org/simple", f"open('{REPOSITORY / 'x'}')", "C:" + "\\Users\\ann"],
)
def test_a_line_that_names_a_machine_or_an_index_is_found(line: str, tmp_path: Path):
    path = tmp_path / "made_up.md"
    path.write_text(f"fine\n{line}\n", encoding="utf-8")
    assert foreign_lines(path) == [f"made_up.md:2: {line}"]


def test_files_stay_small_enough_to_clone():
    assert [path for path in project_files() if path.stat().st_size > LARGEST_FILE] == []
