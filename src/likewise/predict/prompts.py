"""The words of a question as one prompt, whether a model takes it, and the same prompt seen otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from likewise.errors import LikewiseError
from likewise.ops.polygon import inside_polygon
from likewise.types import Box, Point, Prompt

#: How each kind of prompt is given, for messages.
KINDS = {
    "exemplars": "exemplars=[(x0, y0, x1, y1), ...]",
    "negatives": "negatives=[(x0, y0, x1, y1), ...]",
    "text": "text='the name of the thing'",
}

#: How hard it is looked for signs that a count is off.
Effort = Literal["fast", "full"]


def prompt_of(
    exemplars: Sequence[Box] | Prompt,
    negatives: Sequence[Box],
    text: str | None,
    region: Sequence[Point] | None,
) -> Prompt:
    """The one prompt that keywords or a prompt say.

    Raises:
        LikewiseError: both do; or as `Prompt` does.
    """
    if not isinstance(exemplars, Prompt):
        return Prompt(tuple(exemplars), tuple(negatives), text, None if region is None else tuple(region))
    if len(negatives) or text is not None or region is not None:
        raise LikewiseError("a Prompt says it all; expected no negatives, text or region beside it: put them into it")
    return exemplars


def check_effort(trust: Effort) -> None:
    """See that ``trust`` is one of its values.

    Raises:
        LikewiseError: it is not.
    """
    if trust not in ("fast", "full"):
        raise LikewiseError(f"trust = {trust!r}: expected 'fast' or 'full'")


def check_prompt(name: str, takes: tuple[str, ...], prompt: Prompt, elsewhere: bool) -> None:
    """See that a model takes what it is given, and is told what to count.

    Args:
        name: of the model.
        takes: the kinds of prompt that it takes.
        prompt: what it is given.
        elsewhere: whether it is also given exemplars in other pictures.

    Raises:
        LikewiseError: names what the model takes.
    """
    ordered = [kind for kind in KINDS if kind in takes]
    expected = " or ".join(KINDS[kind] for kind in ordered if kind != "negatives")
    given = {"exemplars": prompt.exemplars or elsewhere, "negatives": prompt.negatives, "text": prompt.text}
    for kind, value in given.items():
        if value and kind not in takes:
            raise LikewiseError(f"{name} takes no {kind}; it takes {', '.join(ordered)}: {expected}")
    if not given["exemplars"] and not given["text"]:
        or_like = " or, in another picture, like=[('ref.jpg', (x0, y0, x1, y1)), ...]" * ("exemplars" in takes)
        raise LikewiseError(f"{name} does not know what to count; show it with {expected}{or_like}")


def in_order(prompt: Prompt) -> Prompt:
    """The prompt with its boxes sorted: sums of floats would otherwise depend on the order they were drawn in."""
    return replace(prompt, exemplars=tuple(sorted(prompt.exemplars)), negatives=tuple(sorted(prompt.negatives)))


def mirrored(prompt: Prompt, width: float) -> Prompt:
    """The prompt in the picture's mirror image."""
    turned = [
        tuple((width - x1, y0, width - x0, y1) for x0, y0, x1, y1 in b) for b in (prompt.exemplars, prompt.negatives)
    ]
    region = None if prompt.region is None else tuple((width - x, y) for x, y in prompt.region)
    return replace(prompt, exemplars=turned[0], negatives=turned[1], region=region)


def exemplars_inside(prompt: Prompt) -> tuple[Box, ...]:
    """The exemplars whose corners lie in the region; all where there is none."""
    if prompt.region is None:
        return prompt.exemplars
    region = torch.tensor(prompt.region)
    corners = [torch.tensor([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) for x0, y0, x1, y1 in prompt.exemplars]
    return tuple(b for b, c in zip(prompt.exemplars, corners, strict=True) if inside_polygon(c, region).all())
