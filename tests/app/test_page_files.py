"""The page's files: small, whole, and with nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from likewise.app.server import PAGE

FILES = sorted(PAGE.iterdir())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]


def test_the_page_is_there() -> None:
    assert {"index.html", "main.js", "style.css", "icon.svg"} <= {path.name for path in FILES}
    assert len(SCRIPTS) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_short_and_name_no_other_server(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert re.findall(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[\w.-]+\.\w+", text) == []
    assert "eval(" not in text
    assert "innerHTML" not in text


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_what_is_imported_is_exported_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("// ")
    for names, module in re.findall(r'import (.+?) from "\./([\w.]+)"', text):
        exported = set(re.findall(r"export (?:async )?(?:const|function|class) (\w+)", (PAGE / module).read_text()))
        wanted = set(re.findall(r"\w+", names)) - {"as"} if names.startswith("{") else set()
        assert wanted <= exported


def test_every_file_is_used() -> None:
    whole = "".join(path.read_text(encoding="utf-8") for path in FILES)
    assert [path.name for path in FILES if path.name != "index.html" and path.name not in whole] == []


def test_ids_that_scripts_look_for_are_in_the_page() -> None:
    html = "".join(path.read_text() for path in FILES if path.suffix == ".html")
    made = set(re.findall(r'id="([\w-]+)"', html))
    made |= {found for path in SCRIPTS for found in re.findall(r'id: [`"]([\w-]+)["`]', path.read_text())}
    wanted = {found for path in SCRIPTS for found in re.findall(r'\$\("#([\w-]+)"\)', path.read_text())}
    assert wanted <= made
