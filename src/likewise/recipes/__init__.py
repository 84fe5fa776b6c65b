"""Training runs by name. A recipe is one function: its docstring tells the command, the time and the score to expect.

The function takes its settings, a frozen dataclass that extends `likewise.engine.config.TrainConfig`, and returns the
path of the weights it made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from likewise.engine.published import Setting
from likewise.errors import LikewiseError, nearest
from likewise.lazy import resolve

#: Recipe name -> its function.
RECIPES = {
    "spdcn-fsc147": "likewise.recipes.spdcn_fsc147:spdcn_fsc147",
    "spdcn-lite": "likewise.recipes.spdcn_lite:spdcn_lite",
    "spdcn-ablation": "likewise.lab.experiments.spdcn_ablation:spdcn_ablation",
    "vlcounter-fsc147": "likewise.recipes.vlcounter_fsc147:vlcounter_fsc147",
    "vlcounter-ablation": "likewise.lab.experiments.vlcounter_ablation:vlcounter_ablation",
    "countx-fsc147": "likewise.recipes.countx_fsc147:countx_fsc147",
    "countx-lite": "likewise.recipes.countx_lite:countx_lite",
    "fwb-lite": "likewise.recipes.fwb_lite:fwb_lite",
    "fwb-clothing": "likewise.lab.experiments.fwb_clothing:fwb_clothing",
    "fwb-pascal5i": "likewise.recipes.fwb_benchmarks:fwb_pascal5i",
    "fwb-coco20i": "likewise.recipes.fwb_benchmarks:fwb_coco20i",
    "cam-lite": "likewise.recipes.cam_lite:cam_lite",
    "s3n-lite": "likewise.recipes.s3n_lite:s3n_lite",
    "s3n-lite-grocery": "likewise.recipes.s3n_lite:s3n_lite_grocery",
    "s3n-grocery-ablation": "likewise.lab.experiments.s3n_grocery_ablation:s3n_grocery_ablation",
    "s3n-cub": "likewise.recipes.s3n_fine_grained:s3n_cub",
    "s3n-aircraft": "likewise.recipes.s3n_fine_grained:s3n_aircraft",
    "s3n-cars": "likewise.recipes.s3n_fine_grained:s3n_cars",
    "dcn-digits": "likewise.lab.experiments.dcn_digits:dcn_digits",
}


@dataclass(frozen=True)
class Recipe:
    """A training run.

    Attributes:
        name: of the recipe.
        run: the function: settings in, path of the weights out.
        settings: the class of its settings.
    """

    name: str
    run: Callable[[Any], Path]
    settings: type

    @property
    def about(self) -> str:
        """The function's docstring, unindented."""
        lines = (self.run.__doc__ or "").strip().splitlines()
        return "\n".join(line.removeprefix("    ") for line in lines)

    @property
    def published(self) -> tuple[Setting, ...]:
        """What was published about such runs, as the recipe's module tells; nothing where it repeats no paper."""
        found: tuple[Setting, ...] = getattr(sys.modules[self.run.__module__], "PUBLISHED", ())
        return found


def recipe_names() -> list[str]:
    """Names of all recipes, in the order of the table."""
    return list(RECIPES)


def recipe(name: str) -> Recipe:
    """The recipe of that name; its module is imported now.

    Args:
        name: one of `recipe_names`.

    Raises:
        LikewiseError: there is none; the nearest name is given. Or what training needs is not installed.
    """
    if name not in RECIPES:
        raise LikewiseError(f"no recipe named {name!r}{nearest(name, RECIPES)}")
    try:
        run = resolve(RECIPES[name])
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("lightning", "tensorboard"):
            raise
        raise LikewiseError(f"training needs {error.name}; in likewise's folder: pip install '.[train]'") from error
    return Recipe(name, run, get_type_hints(run)["config"])
