"""``likewise train``: make a network by a recipe."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from likewise.cli.terminal import marked, say, tell
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.recipes import Recipe


def train(
    recipe: str | None = None,
    /,
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show_default=False)],
    show: Annotated[bool, Parameter(name="--list", negative="", show_default=False)] = False,
    published: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Train a model by a recipe; started again after a stop, a run goes on where it was.

    Example: likewise train spdcn-fsc147 --data FSC147 --out runs/1 --steps 1000 --lr 1e-4

    Args:
        recipe: Its name. Without one, or with --list alone, the recipes are listed, a line each.
        overrides: Settings of the recipe that are to be different, such as --lr 1e-4.
        show: List the recipes; with a recipe, tell all its settings and their values.
        published: With a recipe that repeats a paper, tell what was published, where, and what the recipe does.
    """
    from likewise import recipes

    if recipe is None:
        _list([recipes.recipe(name) for name in recipes.recipe_names()])
        return 0
    chosen = recipes.recipe(recipe)
    if show or published:
        (_compare if published else _tell)(chosen)
        return 0
    weights = chosen.run(settings(chosen, overrides))
    say(weights)
    _tell_best(weights)
    return 0


def _tell_best(weights: Path) -> None:
    """Where the run was validated, which weights were the best."""
    from likewise.engine.best_weights import BEST, best_of

    best = best_of(weights.parent)
    if best is not None:
        tell(f"best validation: {best}, in {weights.with_name(BEST)}")


def settings(recipe: Recipe, overrides: tuple[str, ...]) -> Any:
    """The recipe's settings with some of them changed, as given on a command line.

    Args:
        recipe: whose settings.
        overrides: words such as ``--lr 1e-4``.

    Raises:
        LikewiseError: no such setting (the nearest is given), a value of the wrong kind, or one that is missing.
    """
    from dataclasses import MISSING, fields

    from cyclopts import CycloptsError

    def collect(config: Any) -> Any:
        return config

    if all(each.default is not MISSING or each.default_factory is not MISSING for each in fields(recipe.settings)):
        collect.__defaults__ = (recipe.settings(),)  # cyclopts wants one where nothing has to be given
    collect.__annotations__ = {"config": Annotated[recipe.settings, Parameter(name="*")]}
    app = App(help_flags=[], version_flags=[], result_action="return_value")
    app.default(collect)
    try:
        return app(list(overrides), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        text = " ".join(str(error).split())
        raise LikewiseError(f"{recipe.name}: {text} (likewise train {recipe.name} --list tells its settings)") from None


def _list(known: list[Recipe]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for each in known:
        table.add_row(f"[bold]{each.name}[/]", marked(each.about.partition("\n")[0]))
    Console(highlight=False).print(table)
    say("likewise train RECIPE --list tells a recipe's command, time, score and settings.")


def _tell(recipe: Recipe) -> None:
    from dataclasses import MISSING, fields

    from rich.console import Console
    from rich.table import Table

    table = Table("setting", "type", "value", "what it is", box=None, padding=(0, 2, 0, 0))
    told = descriptions(recipe.settings)
    settings = [
        (each, each.default if each.default_factory is MISSING else each.default_factory())
        for each in fields(recipe.settings)
    ]
    for each, made in sorted(settings, key=lambda pair: pair[1] is not MISSING):
        kind = each.type if isinstance(each.type, str) else getattr(each.type, "__name__", str(each.type))
        value = "[bold]to be given[/]" if made is MISSING else marked(str(made))
        about = marked(told.get(each.name, ""))
        table.add_row(f"--{each.name.replace('_', '-')}", marked(kind), value, about)
    console = Console(highlight=False)
    console.print(marked(recipe.about), "\n", soft_wrap=True)  # commands are there to be copied
    console.print(table)


def _compare(recipe: Recipe) -> None:
    from rich.console import Console
    from rich.table import Table

    if not recipe.published:
        raise LikewiseError(
            f"{recipe.name} repeats no published run; likewise train {recipe.name} --list tells its own"
        )
    table = Table("setting", "published", "ours", "source")
    for each in recipe.published:
        table.add_row(*map(marked, each.row), style=None if each.same else "bold")
    Console(highlight=False).print(table)


def descriptions(settings: type) -> dict[str, str]:
    """What a class's docstring, and those of the classes it is made from, say of each attribute."""
    found: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        _, _, listed = inspect.cleandoc(vars(cls).get("__doc__") or "").partition("Attributes:\n")
        section = re.split(r"\n(?=\S)", listed)[0]
        for name, text in re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE):
            found[name] = " ".join(text.split())
    return found
