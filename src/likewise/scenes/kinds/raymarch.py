"""Solids by their signed distance, and a camera that looks at them: normals, places and coverage for `solid_kinds`.

Convention: a body lies in x to the right, y downwards, z towards the viewer, and fits the ball of radius `REACH`.
Rays are parallel to z. A distance may be too small (a bound), never too large, so that no ray steps through a surface.

Source: sphere tracing (Hart, The Visual Computer 1996).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float32]
#: Points (N, 3) and two proportions in [0, 1] -> distances (N,).
Distance = Callable[[Array, float, float], Array]

REACH = 1.45
_STEPS, _HIT = 40, 2e-3
_NUDGE = 1e-3
#: Corners of a tetrahedron: four evaluations give a gradient.
_PROBES = np.array([(1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class View:
    """What a camera sees of a body, (S, S) pixels.

    Attributes:
        coverage: (S, S) in [0, 1].
        normal: (S, S, 3) unit, in the camera's frame; (0, 0, 1) where nothing is hit.
        place: (S, S, 3) on the body, in the body's own frame.
    """

    coverage: Array
    normal: Array
    place: Array


def look_at(distance: Callable[[Array], Array], turn: Array, side: int) -> View:
    """See a body from in front, after a rotation.

    Args:
        distance: points (N, 3) in the body's frame -> signed distances (N,).
        turn: (3, 3) rotation from the body's frame to the camera's.
        side: pixels; the view spans -`REACH` to `REACH`.
    """
    pixel = 2 * REACH / side
    axis = (np.arange(side, dtype=np.float32) + 0.5) * np.float32(pixel) - np.float32(REACH)
    x, y = np.meshgrid(axis, axis)
    rays = np.flatnonzero(x**2 + y**2 < (REACH + pixel) ** 2)
    start = np.stack([x.ravel()[rays], y.ravel()[rays], np.full(len(rays), REACH, np.float32)], axis=1) @ turn
    ahead = -turn[2]
    depth, gap = _trace(distance, start, ahead)
    seen = gap < pixel
    normal, place = np.zeros((side * side, 3), np.float32), np.zeros((side * side, 3), np.float32)
    normal[:, 2] = 1
    hit = start[seen] + depth[seen, None] * ahead
    place[rays[seen]] = hit
    normal[rays[seen]] = _gradient(distance, hit) @ turn.T
    coverage = np.zeros(side * side, np.float32)
    coverage[rays] = np.clip(1 - gap / pixel, 0, 1)
    shape = (side, side)
    return View(coverage.reshape(shape), normal.reshape(*shape, 3), place.reshape(*shape, 3))


def _trace(distance: Callable[[Array], Array], start: Array, ahead: Array) -> tuple[Array, Array]:
    """How far along each ray its nearest approach lies (N,), and how near that is (N,), 0 for a hit."""
    depth, best, gap = (np.zeros(len(start), np.float32), np.zeros(len(start), np.float32),
                        np.full(len(start), np.inf, np.float32))  # fmt: skip
    active = np.arange(len(start))
    for _ in range(_STEPS):
        near = distance(start[active] + depth[active, None] * ahead)
        closer = near < gap[active]
        gap[active[closer]], best[active[closer]] = near[closer], depth[active[closer]]
        depth[active] += near
        active = active[(near > _HIT) & (depth[active] < 2 * REACH)]
        if not len(active):
            break
    gap[gap <= _HIT] = 0
    return best, gap


def _gradient(distance: Callable[[Array], Array], points: Array) -> Array:
    nudged = [distance(points + np.float32(_NUDGE) * probe) for probe in _PROBES]
    slope = np.stack(nudged, axis=1) @ _PROBES
    unit: Array = slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)
    return unit


def rotation(axis: int, angle: float) -> Array:
    """(3, 3) turn about a coordinate axis."""
    turn = np.eye(3, dtype=np.float32)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turn[i, i] = turn[j, j] = np.cos(angle)
    turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
    return turn


def tumbled(rng: Generator) -> Array:
    """(3, 3) a rotation, each as likely as any other."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    q[:, 0] *= np.sign(np.linalg.det(q))
    return q.astype(np.float32)


def _length(p: Array) -> Array:
    # a sum over three columns is several times faster than a reduction of rows of three
    x, y, z = p[:, 0], p[:, 1], p[:, 2]
    length: Array = np.sqrt(x * x + y * y + z * z)
    return length


# --- bodies; y is the axis of what is turned on a lathe, upside at -y ----------------------------------------------


def ball(p: Array, a: float, b: float) -> Array:
    """A sphere of radius 1."""
    return _length(p) - 1


def ellipsoid(p: Array, a: float, b: float) -> Array:
    """An ellipsoid of half axes 1, 0.45 to 0.95 and in between."""
    radii = np.array([0.45 + 0.5 * a, 1.0, 0.45 + 0.5 * a + (0.55 - 0.5 * a) * 0.6 * b], dtype=np.float32)
    k0, k1 = _length(p / radii), _length(p / radii**2)
    # the gradient's estimate; near the centre, where it fails, the smallest half axis is a bound
    estimate: Array = np.where(k0 < 0.2, (k0 - 1) * radii.min(), k0 * (k0 - 1) / np.maximum(k1, np.float32(1e-6)))
    return estimate


def capsule(p: Array, a: float, b: float) -> Array:
    """All points within a radius of a segment along y."""
    radius = 0.28 + 0.25 * a
    half = 1.2 - radius
    beside = p.copy()
    beside[:, 1] -= np.clip(p[:, 1], -half, half)
    return _length(beside) - np.float32(radius)


def cylinder(p: Array, a: float, b: float) -> Array:
    """A flat or long cylinder about y with slightly rounded rims: tins, counters, coins, drums."""
    half = 0.1 + 0.9 * a
    radius = 1.0 - 0.55 * a * b
    return _lathe(p, radius, half) - np.float32(0.03)


def _at(y: float) -> Array:
    return np.array((0, y, 0), dtype=np.float32)


def _lathe(p: Array, radius: float, half: float) -> Array:
    beside = np.hypot(p[:, 0], p[:, 2]) - np.float32(radius)
    above = np.abs(p[:, 1]) - np.float32(half)
    return np.minimum(np.maximum(beside, above), 0) + np.hypot(np.maximum(beside, 0), np.maximum(above, 0))


def cuboid(p: Array, a: float, b: float) -> Array:
    """A box with rounded edges: crates, dice, parcels, bricks."""
    half = np.array([0.78, 0.3 + 0.48 * a, 0.4 + 0.38 * b], dtype=np.float32)
    return _cuboid(p, half - np.float32(0.06)) - np.float32(0.06)


def _cuboid(p: Array, half: Array) -> Array:
    out = np.abs(p) - half
    farthest = np.maximum(np.maximum(out[:, 0], out[:, 1]), out[:, 2])
    return np.minimum(farthest, 0) + _length(np.maximum(out, 0))


def torus(p: Array, a: float, b: float) -> Array:
    """A ring about y: doughnuts, tyres, washers, bagels."""
    tube = 0.14 + 0.26 * a
    return np.hypot(np.hypot(p[:, 0], p[:, 2]) - np.float32(1.1 - tube), p[:, 1]) - np.float32(tube)


def cone(p: Array, a: float, b: float) -> Array:
    """A cone, its tip at -y, perhaps cut off: cones, cups, buckets, shades."""
    top, slope = np.float32(0.55 * b), np.float32(0.425 - 0.275 * b)
    return _profile(p, lambda y: top + slope * (y + 1), 1.0, 1.3)


def flask(p: Array, a: float, b: float) -> Array:
    """A bottle: body, shoulder, neck."""
    body, neck = 0.38 + 0.2 * a, 0.13 + 0.08 * b

    def radius(y: Array) -> Array:
        widened: Array = np.float32(neck) + np.float32(body - neck) / (1 + np.exp(-11 * y - np.float32(3.85)))
        return widened

    return _profile(p, radius, 1.2, 1.9)


def pear(p: Array, a: float, b: float) -> Array:
    """A pear, bulb, pawn or vase: a bulge below, a smaller one above."""
    top = 0.2 + 0.3 * a

    def radius(y: Array) -> Array:
        dome: Array = np.sqrt(np.clip(1 - y * y / np.float32(1.21), 0, None))
        return dome * (np.float32(0.42 + 0.3 * top) + np.float32(0.32) * np.tanh(3 * y - np.float32(0.3)))

    return _profile(p, radius, 1.08, 2.4)


def mushroom(p: Array, a: float, b: float) -> Array:
    """A cap on a stalk."""
    dome = (p + _at(y=0.1)) * np.array((1, 1 / (0.65 + 0.3 * a), 1), dtype=np.float32)
    cap = np.maximum(_length(dome) - np.float32(0.95), p[:, 1] + np.float32(0.1))
    return np.minimum(np.float32(0.6) * cap, _lathe(p - _at(y=0.4), 0.22 + 0.12 * b, 0.6))


def _profile(p: Array, radius: Callable[[Array], Array], half: float, steepness: float) -> Array:
    """What a lathe turns from a radius given along y; divided by how steep that is, which makes it a bound."""
    beside = (np.hypot(p[:, 0], p[:, 2]) - radius(np.clip(p[:, 1], -half, half))) / np.float32(steepness)
    return np.maximum(beside, np.abs(p[:, 1]) - np.float32(half)).astype(np.float32)


def hexagon(p: Array, a: float, b: float) -> Array:
    """A hexagonal prism about y, with a hole for ``b`` above a half: nuts, tiles, pencil ends."""
    angles = np.arange(3) * np.pi / 3
    sides = np.maximum.reduce(np.abs(np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32) @ p[:, [0, 2]].T))
    prism = np.maximum(sides - np.float32(0.85), np.abs(p[:, 1]) - np.float32(0.2 + 0.5 * a))
    return np.maximum(prism, np.float32(0.5) - np.hypot(p[:, 0], p[:, 2])) if b > 0.5 else prism


def mug(p: Array, a: float, b: float) -> Array:
    """A hollow cylinder, open at -y, with a handle."""
    wall = np.maximum(_lathe(p, 0.68, 0.6 + 0.2 * a), -_lathe(p + _at(y=0.15), 0.58, 0.65 + 0.2 * a))
    handle = np.hypot(np.hypot(p[:, 0] - np.float32(0.75), p[:, 1]) - np.float32(0.32), p[:, 2]) - np.float32(0.09)
    outside = np.float32(0.6) - np.hypot(p[:, 0], p[:, 2])
    return np.minimum(wall, np.maximum(handle, outside)).astype(np.float32)


def octahedron(p: Array, a: float, b: float) -> Array:
    """A cut stone or a pyramid on a pyramid."""
    stretched = np.abs(p) / np.array([1.0, 0.7 + 0.5 * a, 1.0], dtype=np.float32)
    return ((stretched[:, 0] + stretched[:, 1] + stretched[:, 2] - 1.15) * 0.4).astype(np.float32)


def dumbbell(p: Array, a: float, b: float) -> Array:
    """Two balls on a bar: bones, pins, molecules."""
    end = p.copy()
    end[:, 1] = np.abs(p[:, 1]) - np.float32(0.8)
    ends = _length(end) - np.float32(0.3 + 0.2 * a)
    return np.minimum(ends, _lathe(p, 0.1 + 0.12 * b, 0.8)).astype(np.float32)


def horn(p: Array, a: float, b: float) -> Array:
    """A bent tube that tapers at its ends: bananas, croissants, cashews, chillies."""
    angle = np.arctan2(p[:, 0], p[:, 1] + np.float32(1.3))
    reach = 0.5 + 0.45 * a
    tube = (0.22 + 0.16 * b) * np.sqrt(np.clip(1 - (angle / (reach + 0.12)) ** 2, 0.03, 1))
    along = np.clip(angle, -reach, reach)
    middle = np.stack([1.4 * np.sin(along), 1.4 * np.cos(along) - 1.3, np.zeros_like(along)], axis=1)
    return ((_length(p - middle) - tube) * np.float32(0.6)).astype(np.float32)


BODIES: dict[str, Distance] = {
    "ball": ball,
    "egg": ellipsoid,
    "capsule": capsule,
    "drum": cylinder,
    "block": cuboid,
    "ring": torus,
    "cone": cone,
    "flask": flask,
    "pear": pear,
    "mushroom": mushroom,
    "hexagonal nut": hexagon,
    "mug": mug,
    "gem": octahedron,
    "dumbbell": dumbbell,
    "horn": horn,
}
