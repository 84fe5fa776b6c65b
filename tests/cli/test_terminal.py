"""What is said: nothing that a terminal would act on, in one line or in rich's tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from likewise import cli
from likewise.cli.terminal import marked, say, tell

NAME = "a\x1b[31m\n\x07[b]\u202e.png"


def test_a_line_is_a_line_and_plain(capsys):
    say(NAME)
    tell(NAME)
    shown = capsys.readouterr()
    assert shown.out == shown.err == "a\\u001b[31m\\n\\u0007[b]\\u202e.png\n"


def test_tables_show_markup_as_it_is_and_keep_lines():
    held = io.StringIO()
    Console(file=held, width=200).print(marked("one " + NAME))
    assert held.getvalue() == "one a\\u001b[31m\n\\u0007[b]\\u202e.png\n"


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "spdcn", f"{NAME}.pth", "-o", "x.safetensors"),
        ("--debug", "convert", "spdcn", f"{NAME}.pth", "-o", "x.safetensors"),
        ("convert", "spdcn", "x.pth", "-o", NAME),
        ("data", "synth", "-n", "1", "--size", "64", "--preset", "plain", "-o", NAME.replace("/", "")),
        ("models", f"{NAME}.safetensors"),
        ("train", NAME),
        ("app", NAME),
        ("eval", "spdcn-lite", "--data", NAME),
        ("calibrate", "spdcn-lite", "--data", NAME, "-o", "x.safetensors"),
        ("bench", NAME),
        ("recognize", NAME),
        ("segment", NAME, "--support", f"{NAME}:{NAME}"),
        (NAME,),
    ],
)
def test_no_verb_lets_a_name_through(tmp_path, monkeypatch, capfd, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(list(words))
    shown = "".join(capfd.readouterr())
    assert not set(shown) & {"\x1b", "\x07", "\u202e"}, shown
    assert "\\u001b" in shown or "\\x1b" in shown  # its repr is as good
