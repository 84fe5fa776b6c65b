"""The command as a whole: its verbs and options, how fast it starts, what it says when something is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from likewise import cli
from likewise.errors import LikewiseError

#: Every verb with every option. Changing one breaks somebody's script: it is a decision, made here.
OPTIONS = {
    "count": "--address --box --channel --contrast --csv --engine --format --frames --grid --json --like --model"
    " --negative --no-border --outlines --output --overwrite --region --regions --shard --text --trust --unit"
    " --workers --z -o IMAGES",
    "segment": "--address --csv --engine --format --json --model --output --overwrite --shard --support --workers"
    " -o QUERIES",
    "recognize": "--address --csv --engine --json --model --output --overwrite --shard --workers -o IMAGES",
    "merge": "--output --overwrite -o TABLES",
    "sample": "--after --by --design --number --output --overwrite --seed -n -o COUNTS",
    "estimate": "--by --compare --design --estimator --hand --interval --json --level --methods --output --plot"
    " --taught -o COUNTS",
    "eval": "--both --category --data --exemplars --fold --json --limit --prompts --protocol --seed --shots "
    "--split --suite --sum --support"
    " --trust MODEL",
    "calibrate": "--colour-groups --data --exemplars --full --limit --margin --no-colour-groups --object-size --output"
    " --settle --suite --unknown -o MODEL",
    "train": "--list --published OVERRIDES RECIPE",
    "convert": "--labels --output -o CHECKPOINT METHOD",
    "models": "--json NAME",
    "app": "--host --model --no-browser --port FOLDER",
    "doctor": "--json",
    "lab": "--cache --data NAME",
    "adapt": "--category --data --json --limit --output --seconds --seed --split -o MODEL",
    "bench": "--json --markdown --quick --threads NAME",
    "data giant": "--seed --side FILE",
    "data synth": "--backgrounds --count --cutouts --emoji --masks --no-emoji --output --preset --preview --seed --size"
    " --split --workers -n -o",
}


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(words)
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("verb", OPTIONS)
def test_the_options_of_every_verb_are_the_ones_written_down(verb: str) -> None:
    app = cli.build_app()
    for word in verb.split():
        app = app[word]
    names = {name for argument in app.assemble_argument_collection() for name in argument.names}
    assert " ".join(sorted(names)) == OPTIONS[verb]


@pytest.mark.parametrize("verb", OPTIONS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*verb.split(), "--help") == 0
    shown = capsys.readouterr().out
    assert f"likewise {verb}" in shown
    for name in re.findall(r"--[a-z]+", OPTIONS[verb]):
        assert name in shown


def test_the_verbs_are_the_ones_written_down() -> None:
    verbs = {*cli.VERBS, *(f"data {name}" for name in cli.DATA_VERBS)}
    assert verbs == set(OPTIONS)


def test_either_spelling_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recognise", "--help") == 0
    assert "Say what pictures show" in capsys.readouterr().out


def test_errors_do_nothing_to_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "build_app", broken_app(LikewiseError("no such file: \x1b[2J\udcfc.jpg")))
    assert run("count") == 2
    assert capsys.readouterr().err == "error: no such file: \\u001b[2J\\udcfc.jpg\n"


def test_starting_up_imports_nothing_heavy() -> None:
    code = (
        "import sys, likewise, likewise.cli\n"
        "try: likewise.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'numpy', 'PIL', 'skimage', 'timm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Show it one" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "likewise", "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"likewise \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cuont"], 'did you mean "count"'),
        (["count", "x.png", "--bax", "1,2,3,4"], "did you mean --box"),
        (["data", "sinth"], 'did you mean "synth"'),
        (["count", "x.png", "--csv"], "requires an argument"),
    ],
)
def test_a_slip_is_one_line_with_the_nearest_name(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(r"error: [^\n]+\n", shown.err)
    assert message in shown.err.lower() or message in shown.err


def broken_app(error: BaseException) -> Any:
    def app(*_: Any, **__: Any) -> int:
        raise error

    return lambda: app


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (LikewiseError("this is\nwrong"), 2, "error: this is wrong\n"),
        (KeyError("x"), 2, "error: unexpected KeyError: 'x' (--debug shows where)\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
)
def test_errors_are_one_line(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "build_app", broken_app(error))
    assert run("count") == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("words", [("--debug", "count"), ("count", "--debug")])
def test_debug_shows_where_an_error_came_from(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "build_app", broken_app(LikewiseError("wrong")))
    assert run(*words) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_not_an_error() -> None:
    code = "import sys, likewise.cli as c\nc.build_app = lambda: lambda *a, **k: print('x' * 10**6)\nc.main(['count'])"
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.read(10)
    running.stdout.close()
    assert running.stderr.read() == ""
    running.stderr.close()
    assert running.wait() == 141  # as a shell reports what a closed pipe has ended: 128 + SIGPIPE
