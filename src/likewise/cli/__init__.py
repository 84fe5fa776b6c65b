"""The ``likewise`` command: one verb, one file, imported when it is called.

Exit codes: 0 done; 1 done, but something in it failed (a broken picture in a folder); 2 not done, the message says
why; 130 stopped by the user; 141 stopped because nobody reads what is printed any more (as after ``| head``).
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from cyclopts import App, CycloptsError

from likewise.cli.terminal import tell
from likewise.errors import LikewiseError
from likewise.plain_text import printable

HELP = "Show it one, it finds the rest: count by example, offline."
EPILOGUE = "likewise VERB --help explains a verb. --debug, anywhere, shows where an error came from."

#: Exit code of a process that the signal for a closed pipe ends.
UNREAD = 128 + 13
#: Verb -> where its function is, and its line in the help.
VERBS = {
    "count": ("likewise.cli.count:count", "Count, in pictures, what the prompt shows."),
    "segment": ("likewise.cli.segment:segment", "Find, in pictures, what masks show in others."),
    "recognize": ("likewise.cli.recognize:recognize", "Say what pictures show, and why."),
    "merge": ("likewise.cli.merge:merge", "Put the tables of shards together."),
    "sample": ("likewise.cli.sample:sample", "Say which pictures to count by hand."),
    "estimate": ("likewise.cli.estimate:estimate", "Give the total of all pictures, with an interval."),
    "eval": ("likewise.cli.eval:evaluate", "Measure a model on a folder of data."),
    "adapt": ("likewise.cli.adapt:adapt", "Teach a counter what corrected pictures show."),
    "calibrate": ("likewise.cli.calibrate:calibrate", "Teach a counter how far off it may be."),
    "train": ("likewise.cli.train:train", "Train a model by a recipe."),
    "convert": ("likewise.cli.convert:convert", "Turn published weights into a likewise checkpoint."),
    "models": ("likewise.cli.models:models", "List the models, or tell all about one."),
    "app": ("likewise.cli.app:app", "Count by pointing, in a page in the browser."),
    "doctor": ("likewise.cli.doctor:doctor", "Examine this installation."),
    "lab": ("likewise.cli.lab:lab", "Measure again what the documents report."),
    "bench": ("likewise.cli.bench:bench", "Measure the operators against others."),
}
#: Verb -> how else it may be spelt.
OTHERWISE = {"recognize": "recognise"}
DATA_VERBS = {
    "synth": ("likewise.cli.synth:synth", "Make synthetic scenes with known counts."),
    "giant": ("likewise.cli.giant:giant", "Make a slide of any size with a known count."),
}


def build_app() -> App:
    """The command line with all its verbs, none of them imported yet."""
    app = App(name="likewise", help=HELP, help_epilogue=EPILOGUE, help_format="plaintext", version=_version)
    for name, (where, line) in VERBS.items():
        app.command(where, name=name, alias=OTHERWISE.get(name, ()), help=line)
    data = App(name="data", help="Make data.")
    for name, (where, line) in DATA_VERBS.items():
        data.command(where, name=name, help=line)
    app.command(data)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; errors are one line on stderr, with a traceback only after ``--debug``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = [word for word in given if word != "--debug"]
    for stream in (sys.stdout, sys.stderr):  # what a terminal has no letters for is written as \u and digits
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(words, debug=len(words) < len(given)))


def _run(words: list[str], *, debug: bool) -> int:
    try:
        code = build_app()(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code or 0
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
                continue
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # so that nothing is said of it at exit
        return UNREAD
    except KeyboardInterrupt:
        tell("stopped")
        return 130
    except Exception as error:  # noqa: BLE001  # whatever happened, a user gets one line
        if debug:
            for line in traceback.format_exc().splitlines():
                tell(line)
        tell(f"error: {_one_line(error)}")
        return 2


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, (LikewiseError, CycloptsError)):
        return text
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{printable(error.filename)} cannot be read or written: {error.strerror}"
    return f"unexpected {type(error).__name__}: {text} (--debug shows where)"


def _version() -> str:
    import likewise

    return f"likewise {likewise.__version__}"
