"""``likewise models``: what there is to count with, and what is known about it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from likewise.weights import Preset


def models(
    name: str | None = None,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
) -> None:
    """List the models, or show everything about one.

    Args:
        name: The model to show; without it, all are listed.
        as_json: Print one JSON object a line instead.
    """
    from likewise.registry import model_names, preset

    presets = [preset(each) for each in (model_names() if name is None else [name])]
    if as_json:
        for each in presets:
            print(json.dumps(describe(each)))
    elif name is None:
        _show_table([describe(each) for each in presets])
    else:
        _show_card(describe(presets[0]))


def describe(preset: Preset) -> dict[str, Any]:
    """Everything about a model as plain JSON values: what it takes and knows, how large it is, its card and config."""
    import torch

    with torch.device("meta"):  # only the shapes are wanted
        parameters = sum(p.numel() for p in preset.build().parameters())
    card = preset.card
    config = dataclasses.asdict(preset.config)
    present = card.path is not None and card.path.is_file()
    return {
        "name": preset.name,
        "task": preset.task,
        "prompts": list(preset.prompts),
        "parameters": parameters,
        "bundled": present,
        "megabytes": round(card.path.stat().st_size / 1e6, 1) if card.path and present else None,
        "card": {**dataclasses.asdict(card), "scores": dict(card.scores), "notes": list(card.notes)},
        "knows": list(_known(preset, config)),
        "config": config,
    }


def _known(preset: Preset, config: dict[str, Any]) -> Sequence[str]:
    """Names that a model knows: of its config, which gives them up, or of its bundled weights."""
    from likewise.weights import read_checkpoint

    key = next((name for name in ("vocabulary", "labels") if name in config), None)
    if key is None:
        return []
    known: Sequence[str] = config.pop(key)
    path = preset.card.path
    if known or path is None or not path.is_file():
        return known
    held: Sequence[str] = read_checkpoint(path).config.get(key, ())
    return held


def _weights(model: dict[str, Any]) -> str:
    """Where a model's weights are, or how to get them."""
    if model["bundled"]:
        return f"bundled, {model['megabytes']} MB"
    return model["card"]["how_to"] or "not bundled"


def _show_table(described: list[dict[str, Any]]) -> None:
    rows = []
    for model in described:
        by = f" by {' or '.join(model['prompts'])}" * bool(model["prompts"])
        takes = f"{model['task']}{by}, {model['parameters'] / 1e6:.1f} M parameters"
        scores = [f"{data}: {score}" for data, score in model["card"]["scores"].items()]
        about = [takes, f"weights: {_weights(model)}", f"licence: {model['card']['licence']}", *scores]
        rows.append((model["name"], "\n".join(about) + "\n"))
    _print_rows(rows)
    print("likewise models NAME shows everything about one.")


def _show_card(model: dict[str, Any]) -> None:
    card = model["card"]
    rows = {
        "name": model["name"],
        "task": model["task"],
        "takes": ", ".join(model["prompts"]),
        "parameters": f"{model['parameters']:,}",
        "weights": _weights(model),
        **{key: card[key] for key in ("licence", "data", "paper", "source", "sha256")},
        "scores": "\n".join(f"{data}: {score}" for data, score in card["scores"].items()),
        "notes": "\n".join(card["notes"]),
        "knows": ", ".join(model["knows"]),
        "config": "\n".join(_assignments(model["config"])),
    }
    _print_rows([(key, value) for key, value in rows.items() if value])


def _print_rows(rows: list[tuple[str, str]]) -> None:
    """Two columns, the first in bold."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, text in rows:
        table.add_row(f"[bold]{name}[/]", escape(text))
    Console(highlight=False).print(table)


def _assignments(config: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """A config as lines, one a number; nested ones with dotted names."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _assignments(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key} = {value}"
