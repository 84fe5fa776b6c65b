"""Who stands where, how large, and the pasting itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from likewise.scenes.appearance import draw_angle, stamp
from likewise.scenes.assets import Assets
from likewise.scenes.canvas import Canvas, Shadow
from likewise.scenes.config import SceneConfig
from likewise.scenes.environments import Environment
from likewise.scenes.kinds.cells.nuclei import MembraneKind, build_walls, membrane_stamps
from likewise.scenes.kinds.cells.tissue import cell_outlines, draw_packing, in_patches, thin_walled, tissue_stamps
from likewise.scenes.layouts.flat import Field, Layout, Placement
from likewise.scenes.objects import Role
from likewise.scenes.props import FURNITURE, leaves

#: Ratio of the sizes a layout gives from which on it has a near and a far side.
_NEAR_AND_FAR = 1.1


def place_roles(
    rng: Generator,
    config: SceneConfig,
    canvas: Canvas,
    setting: Environment,
    roles: tuple[Role, ...],
    layout: Layout,
    field: Field,
    shadow: Shadow | None,
) -> list[int]:
    """Paste every role's objects and what belongs to the setting; returns the role of each thing pasted."""
    placement = layout(rng, sum(role.count for role in roles), field)
    owners = _assign(rng, roles, placement)
    sides = _sides(rng, config, roles, owners, placement, field)
    if setting.furniture:
        FURNITURE[setting.furniture](rng, canvas, field, placement, sides)
    for i, role in enumerate(roles[j] for j in owners):
        portrait = role.portraits[int(rng.integers(len(role.portraits)))]
        angle = draw_angle(rng, role.look.turn) + float(placement.angle[i])
        at = (float(placement.xy[i, 0]), float(placement.xy[i, 1]))
        rgba, left, top = stamp(rng, portrait, role.look, float(sides[i]), angle, at)
        _put(canvas, role, rgba, left, top, shadow)
    if setting.overgrown:
        leaves(rng, canvas, field, int(min(len(owners), 250) * rng.uniform(0.2, 1.5)))
    return owners


def _put(canvas: Canvas, role: Role, rgba: NDArray[np.uint8], left: int, top: int, shadow: Shadow | None) -> None:
    if role.look.glow:
        canvas.shine(rgba, left, top)
        return
    if shadow is not None:
        canvas.darken(rgba[..., 3], left, top, shadow)
    if role.look.lens:
        canvas.refract(rgba[..., 3], left, top, role.look.lens)
    canvas.paste(rgba, left, top)


def fill_with_cells(
    rng: Generator, canvas: Canvas, bank: Assets, role: Role, field: Field
) -> tuple[tuple[Role, ...], list[int]]:
    """Fill the picture with cells of one kind; returns the only role and what each thing pasted is."""
    if isinstance(role.kind, MembraneKind):
        return _fill_with_membranes(rng, canvas, role, role.kind, field)
    kind = bank.shapes[int(rng.integers(len(bank.shapes)))]
    packing = draw_packing(rng)
    count = int(np.clip(role.count, 12, 400))
    outlines = cell_outlines(rng, field.width, field.height, count, packing)
    for rgba, left, top in tissue_stamps(rng, outlines, kind.paint, packing.variety, bank.photos):
        canvas.paste(rgba, left, top)
    packed = replace(role, name=f"packed {kind.name}", kind=kind)
    return (packed,), [0] * len(outlines)


def _fill_with_membranes(
    rng: Generator, canvas: Canvas, role: Role, kind: MembraneKind, field: Field
) -> tuple[tuple[Role, ...], list[int]]:
    """Walls everywhere, and the insides of cells in them; where tissue is torn, nothing but ground."""
    packing = thin_walled(rng, kind.thickness)
    outlines = cell_outlines(rng, field.width, field.height, int(np.clip(role.count, 12, 420)), packing)
    torn = in_patches(rng, outlines, field.width, field.height, packing.holes) if packing.holes else outlines
    build_walls(rng, canvas.pixels, torn, kind)
    for rgba, left, top in membrane_stamps(rng, torn, kind):
        canvas.paste(rgba, left, top)
    return (role,), [0] * len(torn)


def _assign(rng: Generator, roles: tuple[Role, ...], placement: Placement) -> list[int]:
    """Which role stands at each place: mixed, or each kind in a region of its own."""
    owners = np.repeat(np.arange(len(roles)), [role.count for role in roles])
    if len(roles) == 1 or rng.random() < 0.6:
        return [int(v) for v in rng.permutation(owners)]
    direction = rng.uniform(0, 2 * np.pi)
    along = placement.xy @ np.array([np.cos(direction), np.sin(direction)])
    along = along + rng.normal(0, rng.choice((0.0, 0.1)) * max(float(np.ptp(along)), 1.0), len(along))
    out = np.empty(len(owners), dtype=np.int64)
    out[np.argsort(along, kind="stable")] = owners
    return [int(v) for v in out]


def _sides(
    rng: Generator,
    config: SceneConfig,
    roles: tuple[Role, ...],
    owners: list[int],
    placement: Placement,
    field: Field,
) -> NDArray[np.float64]:
    relative = np.array([role.relative for role in roles])[owners]
    perspective = float(placement.scale.max() / placement.scale.min())
    spread = max(field.ratio / perspective, 1.0)
    if perspective > _NEAR_AND_FAR and config.wide_share < 1:
        # what stands near and far differs enough
        spread = min(spread, 1.2)
    if len(roles) > 1 and roles[0].kind == roles[1].kind and roles[0].relative != roles[1].relative:
        spread = min(spread, 1.25)
    jitter = np.exp(rng.uniform(-0.5, 0.5, len(owners)) * np.log(spread))
    return np.clip(field.size * placement.scale * relative * jitter, *config.size)
