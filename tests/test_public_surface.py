"""The public names and their signatures, as written down in ``public_surface.json``.

A name that goes away or changes breaks somebody's program: this test makes it a decision. After one, write the
inventory anew with ``python tests/test_public_surface.py`` and commit it.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "likewise"
INVENTORY = Path(__file__).with_name("public_surface.json")
#: What people outside may build on; the rest of the package may change freely.
PUBLIC = (
    "__init__",
    "types",
    "results",
    "ops",
    "metrics",
    "weights",
    "methods",
    "registry",
    "predict",
    "convert",
    "cli",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def surface(package: Path) -> dict[str, str]:
    """Dotted public name -> its signature, fields included; options of the command line are those of its functions."""
    found: dict[str, str] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if parts[0] in PUBLIC and not any(part.startswith("_") and part != "__init__" for part in parts):
            module = ".".join((package.name, *parts)).removesuffix(".__init__")
            found.update(declared(module, ast.parse(path.read_text(encoding="utf-8")).body))
    return found


def declared(prefix: str, body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Public functions, classes, fields and constants among statements."""
    for node in body:
        if isinstance(node, Function) and is_public(node.name):
            yield f"{prefix}.{node.name}", signature(node)
        elif isinstance(node, ast.ClassDef) and is_public(node.name):
            yield f"{prefix}.{node.name}", f"class({', '.join(map(ast.unparse, node.bases))})"
            yield from declared(f"{prefix}.{node.name}", node.body)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and is_public(node.target.id):
            default = f" = {ast.unparse(node.value)}" if node.value else ""
            yield f"{prefix}.{node.target.id}", ast.unparse(node.annotation) + default
        elif isinstance(node, ast.Assign):
            for name in (target.id for target in node.targets if isinstance(target, ast.Name)):
                if is_public(name):
                    yield f"{prefix}.{name}", "constant"


def is_public(name: str) -> bool:
    return not name.startswith("_") or name in ("__init__", "__call__")


def signature(node: Function) -> str:
    """Decorators that change how a function is used, its arguments and what it returns."""
    kinds = [ast.unparse(d) for d in node.decorator_list]
    marks = "".join(
        f"@{kind} " for kind in kinds if kind in ("property", "cached_property", "staticmethod", "classmethod")
    )
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{marks}({ast.unparse(node.args)}){returns}"


def changes(written: dict[str, str], now: dict[str, str]) -> list[str]:
    """What differs between the inventory and the package, a line each."""
    gone = [f"gone: {name} {written[name]}" for name in written if name not in now]
    new = [f"new: {name} {now[name]}" for name in now if name not in written]
    other = [f"changed: {n} {written[n]} is now {now[n]}" for n in written if n in now and written[n] != now[n]]
    return gone + other + new


def test_public_surface_is_as_written_down():
    written = json.loads(INVENTORY.read_text(encoding="utf-8"))
    assert changes(written, surface(PACKAGE)) == [], "meant? then run: python tests/test_public_surface.py"


def test_a_changed_surface_is_noticed(tmp_path: Path):
    package = tmp_path / "likewise"
    package.mkdir()
    module = package / "types.py"
    module.write_text(
        "class Box:\n    side: float = 1.0\n\n    def area(self, unit: str) -> float: ...\n\n"
        "    def _hidden(self): ...\n\n\ndef cut(box: Box) -> Box: ...\n"
    )
    (package / "draw.py").write_text("def line(): ...\n")
    before = surface(package)
    assert before == {
        "likewise.types.Box": "class()",
        "likewise.types.Box.side": "float = 1.0",
        "likewise.types.Box.area": "(self, unit: str) -> float",
        "likewise.types.cut": "(box: Box) -> Box",
    }
    module.write_text("class Box:\n    side: float = 2.0\n\n\ndef paste(box: Box) -> Box: ...\n")
    assert changes(before, surface(package)) == [
        "gone: likewise.types.Box.area (self, unit: str) -> float",
        "gone: likewise.types.cut (box: Box) -> Box",
        "changed: likewise.types.Box.side float = 1.0 is now float = 2.0",
        "new: likewise.types.paste (box: Box) -> Box",
    ]


if __name__ == "__main__":
    INVENTORY.write_text(json.dumps(surface(PACKAGE), indent=1, sort_keys=True) + "\n", encoding="utf-8")
