"""The house rules, read from the syntax trees of the package: floors, sizes, names and what an operator may touch.

Each rule is a function from a package folder to a list of complaints. It is run on the package, where it must
stay silent, and on a small made-up package that breaks it, where it must speak.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "likewise"

#: The floor of every module and subpackage at the top of the package; imports never point to a higher one.
FLOORS = {
    **dict.fromkeys(
        (
            "errors",
            "field_types",
            "lazy",
            "moved",
            "placement",
            "regions",
            "plain_text",
            "json_text",
            "digests",
            "drawings",
            "types",
            "boxes",
            "preprocess",
            "results",
            "draw",
            "ops",
            "native",
        ),
        0,
    ),
    **dict.fromkeys(
        (
            "inference",
            "vocabulary",
            "class_names",
            "nn",
            "data",
            "metrics",
            "sources",
            "weights",
            "foreign",
            "estimation",
        ),
        1,
    ),
    **dict.fromkeys(("methods",), 2),
    **dict.fromkeys(("registry", "predict", "convert", "engine"), 3),
    **dict.fromkeys(("scenes", "adaptation", "__init__"), 4),
    **dict.fromkeys(("recipes", "lab"), 5),
    **dict.fromkeys(("cli", "app", "cluster", "__main__"), 6),
}
#: What may import scenes and the lab.
WORKSHOP = {"scenes", "lab", "recipes", "cli"}
NAMELESS = {"utils", "util", "misc", "common", "helpers", "helper"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
#: What a CLI module may import before its command runs, besides the standard library.
LIGHT = (
    "cyclopts",
    "rich",
    "likewise.cli",
    "likewise.digests",
    "likewise.drawings",
    "likewise.errors",
    "likewise.json_text",
    "likewise.lazy",
    "likewise.moved",
    "likewise.plain_text",
    "likewise.types",
)
#: Modules and functions by which code reads, writes or prints.
IO_MODULES = {
    "io",
    "pathlib",
    "shutil",
    "tempfile",
    "json",
    "csv",
    "pickle",
    "urllib",
    "socket",
    "PIL",
    "logging",
}
IO_CALLS = {"open", "print", "input", "torch.load", "torch.save", "np.load", "np.save", "np.savez"}

Rule = Callable[[Path], list[str]]


def modules(package: Path) -> Iterator[tuple[str, Path, ast.Module]]:
    """Dotted name, path and syntax tree of every module; a package's own name ends in ``.__init__``."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        yield ".".join(parts), path, ast.parse(path.read_text(encoding="utf-8"))


def imported(name: str, node: ast.AST) -> list[str]:
    """Absolute names a node imports: by statement, lazily in a function, for types only, or as a string in a table.

    `from likewise.types import Box` gives ``likewise.types.Box``, for `from likewise import types` names a module.
    """
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = ".".join(name.split(".")[: -node.level]) if node.level else ""
        source = ".".join(filter(None, (base, node.module)))
        return [f"{source}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        found = re.fullmatch(r"(likewise(?:\.\w+)+)(?::\w+)?", node.value)
        return [found[1]] if found else []
    return []


def file_of(target: str, files: set[str]) -> str | None:
    """The file that a dotted name stands in, the longest name first; None: outside of the package."""
    parts = target.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in files or f"{name}.__init__" in files:
            return name if name in files else f"{name}.__init__"
    return None


def unit(name: str) -> str:
    """The module or subpackage directly under the package that a dotted name belongs to."""
    parts = name.split(".")
    part = parts[1] if len(parts) > 1 else "__init__"
    return part if part in FLOORS else "__init__" if len(parts) == 2 else part


def edges(package: Path) -> Iterator[tuple[str, int, str]]:
    """(module, line, imported name) for every import inside the package."""
    for name, _, tree in modules(package):
        for node in ast.walk(tree):
            for target in imported(name, node):
                if target.split(".")[0] == "likewise":
                    yield name, getattr(node, "lineno", 0), target


def every_module_has_a_floor(package: Path) -> list[str]:
    tops = sorted({name.split(".")[1] for name, _, _ in modules(package)})
    return [f"likewise.{top} has no floor: add it to FLOORS" for top in tops if top not in FLOORS]


def imports_point_down(package: Path) -> list[str]:
    return [
        f"{name}:{line} (floor {FLOORS[unit(name)]}) imports {target} (floor {FLOORS[unit(target)]})"
        for name, line, target in edges(package)
        if FLOORS.get(unit(target), 9) > FLOORS.get(unit(name), 9)
    ]


def methods_stand_alone(package: Path) -> list[str]:
    def method(name: str) -> str:
        return ".".join(name.split(".")[:3])

    return [
        f"{name}:{line} imports {target}: methods never import each other"
        for name, line, target in edges(package)
        if unit(name) == unit(target) == "methods" and method(name) != method(target)
    ]


def recipes_stand_alone(package: Path) -> list[str]:
    """What two recipes, or a recipe and an experiment, have in common lies below them; the table alone names them."""
    return [
        f"{name}:{line} imports {target}: what recipes share is the engine's or the method's"
        for name, line, target in edges(package)
        if unit(name) in ("recipes", "lab") and name != "likewise.recipes.__init__"
        if unit(target) == "recipes" and file_of(target, {name}) != name
    ]


def workshop_stays_aside(package: Path) -> list[str]:
    """The generator of scenes and the lab are for those who train and measure: what a user runs does without them."""
    return [
        f"{name}:{line} imports {target}: only {', '.join(sorted(WORKSHOP))} may"
        for name, line, target in edges(package)
        if unit(target) in ("scenes", "lab") and unit(name) not in WORKSHOP
    ]


def no_cycles(package: Path) -> list[str]:
    """Between files: what has to be read together to be understood stands in a line, never in a circle."""
    files = {name for name, _, _ in modules(package)}
    graph: dict[str, set[str]] = {}
    for name, tree in ((name, tree) for name, _, tree in modules(package)):
        reached = {file_of(target, files) for node in ast.walk(tree) for target in imported(name, node)}
        graph[name] = reached - {name, None}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["import cycle: " + " <- ".join(error.args[1])]
    return []


def names_say_what_is_inside(package: Path) -> list[str]:
    return [
        f"{path.relative_to(package)}: name it after what it does"
        for path in sorted(package.rglob("*"))
        if path.stem.strip("_") in NAMELESS
    ]


def files_are_short(package: Path) -> list[str]:
    counts = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sorted(package.rglob("*.py"))}
    return [
        f"{path.relative_to(package)} has {n} lines, at most {MAX_FILE_LINES}"
        for path, n in counts.items()
        if n > MAX_FILE_LINES
    ]


def functions_are_short(package: Path) -> list[str]:
    complaints = []
    for name, _, tree in modules(package):
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and body_lines(node) > MAX_FUNCTION_LINES:
                complaints.append(f"{name}:{node.lineno} {node.name} has {body_lines(node)} lines")
    return complaints


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body, its docstring left out."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def operators_are_pure(package: Path) -> list[str]:
    complaints = []
    for name, _, tree in modules(package):
        for node in ast.walk(tree) if unit(name) == "ops" else ():
            done = [i for i in imported(name, node) if i.split(".")[0] in IO_MODULES]
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                done += [called] if called in IO_CALLS or called.endswith(".cuda") else []
                done += [called] if called.startswith("os.") and called != "os.environ.get" else []
            if isinstance(node, ast.Global):
                done.append("global " + ", ".join(node.names))
            complaints += [
                f"{name}:{node.lineno} uses {what}: an operator has no I/O, device or state" for what in done
            ]
    return complaints


def commands_start_light(package: Path) -> list[str]:
    return [
        f"{name}:{node.lineno} imports {target} at the top: import it inside the command"
        for name, _, tree in modules(package)
        if unit(name) in ("cli", "__init__", "__main__")
        for node in at_import_time(tree)
        for target in imported(name, node)
        if target.split(".")[0] not in sys.stdlib_module_names
        and not any(target == light or target.startswith(light + ".") for light in LIGHT)
    ]


def json_is_finite(package: Path) -> list[str]:
    """NaN and infinity are no JSON: one place writes it, and refuses them."""
    return [
        f"{name}:{line} uses {called}: write JSON with json_text"
        for name, line, called in calls(package)
        if called in ("json.dumps", "json.dump") and name != "likewise.json_text"
    ]


def commands_speak_plainly(package: Path) -> list[str]:
    """What a file is called may hold what a terminal acts on: one place prints, and takes it out."""
    return [
        f"{name}:{line} uses {called}: say it with cli.terminal"
        for name, line, called in calls(package)
        if called in ("print", "rich.markup.escape", "escape", "traceback.print_exc") and unit(name) == "cli"
        if name != "likewise.cli.terminal"
    ]


def calls(package: Path) -> Iterator[tuple[str, int, str]]:
    """(module, line, what is called) for every call of a name in the package."""
    for name, _, tree in modules(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield name, node.lineno, ast.unparse(node.func)


def at_import_time(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements that run when the module is imported: not in functions, not for types only."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending += node.orelse if isinstance(node, ast.If) and typing_only else ast.iter_child_nodes(node)


RULES: list[Rule] = [
    workshop_stays_aside,
    every_module_has_a_floor,
    imports_point_down,
    methods_stand_alone,
    recipes_stand_alone,
    no_cycles,
    names_say_what_is_inside,
    files_are_short,
    functions_are_short,
    operators_are_pure,
    commands_start_light,
    json_is_finite,
    commands_speak_plainly,
]

BROKEN: list[tuple[Rule, dict[str, str], str]] = [
    (workshop_stays_aside, {"app/x.py": "from likewise.scenes import make_scene"}, "likewise.app.x:1 imports"),
    (workshop_stays_aside, {"engine/x.py": "TABLE = {'a': 'likewise.lab.speed.spdcn:compare'}"}, "likewise.engine.x:1"),
    (every_module_has_a_floor, {"attic.py": ""}, "likewise.attic has no floor"),
    (
        imports_point_down,
        {"ops/x.py": "from likewise.nn.y import Z"},
        "likewise.ops.x:1 (floor 0) imports likewise.nn.y",
    ),
    (imports_point_down, {"nn/x.py": "def f():\n    import likewise.methods.a"}, "likewise.nn.x:2"),
    (
        imports_point_down,
        {"nn/x.py": "if TYPE_CHECKING:\n    from likewise import predict"},
        "imports likewise.predict",
    ),
    (imports_point_down, {"nn/x.py": "from ..engine import train"}, "imports likewise.engine.train (floor 3)"),
    (imports_point_down, {"data/__init__.py": "from ..engine import train"}, "imports likewise.engine.train (floor 3)"),
    (imports_point_down, {"types.py": "TABLE = {'a': 'likewise.cli.count:count'}"}, "imports likewise.cli.count"),
    (imports_point_down, {"nn/x.py": "from likewise import load"}, "imports likewise.load (floor 4)"),
    (
        no_cycles,
        {"ops/a.py": "from likewise.ops.b import f", "ops/b.py": "def f():\n    from likewise.ops import a"},
        "import cycle: likewise.ops",
    ),
    (no_cycles, {"predict.py": "import likewise", "__init__.py": "X = 'likewise.predict:load'"}, "import cycle"),
    (methods_stand_alone, {"methods/a.py": "from likewise.methods.b import B"}, "methods never import each other"),
    (methods_stand_alone, {"methods/a.py": "from .b import B"}, "methods never import each other"),
    (recipes_stand_alone, {"recipes/a.py": "from likewise.recipes.b import train_b"}, "what recipes share"),
    (recipes_stand_alone, {"lab/x/a.py": "def f():\n    from likewise.recipes import b"}, "likewise.lab.x.a:2 imports"),
    (
        no_cycles,
        {"registry.py": "import likewise.predict", "predict.py": "def f():\n    from likewise import registry"},
        "import cycle",
    ),
    (names_say_what_is_inside, {"data/utils.py": ""}, "data/utils.py"),
    (names_say_what_is_inside, {"helpers/x.py": ""}, "helpers"),
    (files_are_short, {"draw.py": "x = 1\n" * 401}, "draw.py has 401 lines"),
    (functions_are_short, {"draw.py": "def f():\n    '''Doc.'''\n" + "    x = 1\n" * 41}, "f has 41 lines"),
    (operators_are_pure, {"ops/x.py": "from pathlib import Path"}, "uses pathlib"),
    (operators_are_pure, {"ops/x.py": "os.remove('f')"}, "uses os.remove"),
    (operators_are_pure, {"ops/x.py": "y = x.weight.cuda()"}, "uses x.weight.cuda"),
    (operators_are_pure, {"ops/x.py": "torch.save(1, 'f')"}, "uses torch.save"),
    (operators_are_pure, {"ops/x.py": "def f():\n    global STATE"}, "uses global STATE"),
    (commands_start_light, {"cli/x.py": "import torch"}, "imports torch at the top"),
    (
        commands_start_light,
        {"cli/x.py": "try:\n    import numpy as np\nexcept ImportError:\n    pass"},
        "imports numpy",
    ),
    (
        commands_start_light,
        {"__init__.py": "from likewise.predict import load"},
        "imports likewise.predict.load at the top",
    ),
    (json_is_finite, {"results/x.py": "import json\njson.dumps({})"}, "likewise.results.x:2 uses json.dumps"),
    (commands_speak_plainly, {"cli/x.py": "def f(path):\n    print(path)"}, "likewise.cli.x:2 uses print"),
    (commands_speak_plainly, {"cli/x.py": "console.print(escape(name))"}, "likewise.cli.x:1 uses escape"),
]

ALLOWED = {
    "__init__.py": "TABLE = {'load': 'likewise.predict:load'}",
    "types.py": "import math",
    "ops/x.py": "import os\nfrom likewise.types import Box\nCHOSEN = os.environ.get('X')\nx.to('cuda')",
    "draw.py": "def f():\n    '''" + "Doc.\n" * 300 + "'''\n" + "    x = 1\n" * 40,
    "methods/__init__.py": "",
    "methods/a.py": "from likewise.ops.x import f\nfrom likewise.nn import trunk",
    "nn/trunk.py": "import torch\nfrom .blocks import Block",
    "nn/blocks.py": "",
    "recipes/__init__.py": "RECIPES = {'a': 'likewise.recipes.a:a'}",
    "recipes/a.py": "from likewise.engine.train import train",
    "registry.py": "MODELS = {'a': 'likewise.methods.a:A'}",
    "cli/count.py": "import rich\nif TYPE_CHECKING:\n    import torch\n\n\ndef f():\n    import torch",
}


def build(package: Path, files: dict[str, str]) -> Path:
    for name, source in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return package


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps(rule: Rule):
    assert PACKAGE.is_dir()
    assert rule(PACKAGE) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_tidy_package_is_not_complained_about(rule: Rule, tmp_path: Path):
    assert rule(build(tmp_path / "likewise", ALLOWED)) == []


@pytest.mark.parametrize(("rule", "files", "complaint"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_package_is_complained_about(rule: Rule, files: dict[str, str], complaint: str, tmp_path: Path):
    assert complaint in "\n".join(rule(build(tmp_path / "likewise", files)))


def test_every_rule_is_shown_to_be_able_to_fail():
    assert {rule for rule, _, _ in BROKEN} == set(RULES)


def missing_files(repository: Path) -> list[str]:
    """Files of the project that its documents name but that are not there."""
    documents = [*repository.glob("*.md"), *(repository / "docs").rglob("*.md")]
    return [
        f"{document.relative_to(repository)} names {name}"
        for document in documents
        for name in named_files(document.read_text(encoding="utf-8"))
        if not any((place / name).exists() for place in (repository, document.parent, repository / "src" / "likewise"))
    ]


def named_files(text: str) -> list[str]:
    """Targets of relative links and pictures, and files in `code` that the project itself would hold."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text)
    spans = re.findall(r"`([\w./-]+)`", text)
    prefixes = ("src/", "tests/", "docs/", "examples/", "benchmarks/", ".github/", ".ci/")
    ours = [s for s in spans if s.startswith(prefixes) or re.fullmatch(r"[\w/]+\.(py|md|toml)", s)]
    return [name for name in links + ours if "://" not in name and not name.startswith("mailto:")]


def test_documents_name_files_that_exist():
    assert missing_files(REPOSITORY) == []


def test_a_document_that_names_a_missing_file_is_found(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "there.md").write_text("")
    (tmp_path / "README.md").write_text(
        "[a](docs/there.md#part) ![b](docs/gone.png) `src/gone.py` `gone.md` `photo.jpg` [c](https://example.org/x)"
    )
    assert missing_files(tmp_path) == [
        f"README.md names {name}" for name in ("docs/gone.png", "src/gone.py", "gone.md")
    ]
