"""Optimal transport from a density map to points, as the generalised loss asks for it, against three other solvers.

Peers: the published schedule (``solver="reference"``, on a stored matrix, as the published code has it), geomloss with
the same schedule's settings, and POT's translation-invariant Sinkhorn. Errors of both sides are taken to a converged
float64 solution of the problem as it is posed; the reference's own includes that it rounds coordinates. Two scenes: a
random density, and bumps near the points as a trained network gives them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from likewise import native
from likewise.lab.speed.memory import peak_above
from likewise.lab.speed.process import lines_of
from likewise.lab.speed.timing import Comparison, absent, aimed, interleave, peer
from likewise.ops.counting_loss import FIXED_SCALE, generalized_loss
from likewise.ops.density.maps import gaussian_density
from likewise.ops.transport import Transport, sinkhorn
from likewise.ops.transport.point_cost import PointCost

BLUR, REACH, FACTOR = 0.01, 0.5, 128.0
#: Residual at which a float64 solution counts as the truth.
EXACT = 1e-9
#: POT stops when potentials move by less than this, and we at this residual: about the same error of the plan's sums.
POT_STOP, POT_TOL = 1e-4, 1e-4
#: Standard deviation of the bumps, and of their distance to their points, in pixels.
BUMP, ASIDE = 3.0, 2.0
#: Height, width and points of the problem that is timed, and of the one whose memory is measured.
SIZE, LARGE = (96, 96, 100), (384, 576, 3700)
QUICK_SIZE, QUICK_LARGE = (16, 16, 8), (48, 48, 40)
ROUNDS = 7
#: Ratio to the reference that is asked for, by path, and the bytes that the large problem may take.
AIMS = {"compiled": 6.0, "torch": 2.0}
MEMORY_AIM = 2e9

#: What a solver gives: its value, and a vector (a gradient, or the sums of its plan).
Outcome = tuple[float, Tensor]
Size = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Scene:
    """A density (H, W) and points (N, 2) x y in it, float32, and the transport problem between them."""

    name: str
    density: Tensor
    points: Tensor

    @classmethod
    def draw(cls, name: str, size: Size) -> Scene:
        """The same random numbers for everybody, whatever was drawn before; the density sums to 1.05 N."""
        height, width, count = size
        generator = torch.Generator().manual_seed(0)
        limit = torch.tensor([width, height])
        points = torch.rand(count, 2, generator=generator) * limit
        if name == "random":
            density = torch.rand(height, width, generator=generator)
        else:
            beside = points + ASIDE * torch.randn(count, 2, generator=generator)
            inside = torch.minimum(beside.clamp(min=0), limit - 0.01)
            density = gaussian_density(inside, BUMP, (height, width)) + 1e-6
        return cls(name, density * (1.05 * count / density.sum()), points)

    def __str__(self) -> str:
        height, width = self.density.shape
        return f"{height} × {width}, {len(self.points)} points, {self.name}"

    @cached_property
    def places(self) -> tuple[Tensor, Tensor]:
        """Pixels (M, 2) and points (N, 2), row and column, in units of the cost."""
        axes = [torch.arange(n) + 0.5 for n in self.density.shape]
        unit = FIXED_SCALE * FACTOR
        return torch.cartesian_prod(*axes) / unit, self.points.flip(1) / unit

    @cached_property
    def weights(self) -> tuple[Tensor, Tensor]:
        """Of pixels (M,) and of points (N,)."""
        return FACTOR * self.density.flatten(), torch.full((len(self.points),), FACTOR)

    def loss(self, kind: torch.dtype = torch.float32, **settings: object) -> Outcome:
        """The generalised loss and its gradient in the density."""
        leaf = self.density.to(kind, copy=True).requires_grad_()
        value = generalized_loss(leaf[None, None], [self.points.to(kind)], **settings).sum()  # type: ignore[arg-type]
        return value.item(), torch.autograd.grad(value, leaf)[0]

    def solved(self, kind: torch.dtype = torch.float32, tol: float = 3e-4) -> tuple[Tensor, Transport]:
        """The weights of the pixels, and the solution."""
        x, y = (places.to(kind) for places in self.places)
        a, b = (weights.to(kind) for weights in self.weights)
        a = a.clone().requires_grad_()
        return a, sinkhorn(PointCost(x, y), a, b, eps=BLUR, rho=REACH, tol=tol)

    def value(self, kind: torch.dtype = torch.float32, tol: float = 3e-4) -> Outcome:
        """The transport term alone and its gradient in the pixels' weights."""
        a, solution = self.solved(kind, tol)
        return solution.value.item(), torch.autograd.grad(solution.value, a)[0]

    def sums(self, kind: torch.dtype = torch.float32, tol: float = POT_TOL) -> Outcome:
        """The moved mass, and what each point receives."""
        with torch.no_grad():
            received = self.solved(kind, tol)[1].marginals()[1]
        return float(received.sum()), received

    def geomloss_value(self, package: object) -> Outcome:
        """`value` by geomloss, with the published settings."""
        loss = package.SamplesLoss(  # type: ignore[attr-defined]
            "sinkhorn", p=1, blur=BLUR, reach=REACH, scaling=0.75, debias=False, backend="tensorized", cost=_distances
        )
        a = self.weights[0].clone().requires_grad_()
        (x, y), b = self.places, self.weights[1]
        value = loss(a, x, b, y)
        return value.item(), torch.autograd.grad(value, a)[0]

    def pot_sums(self, package: object) -> Outcome:
        """`sums` by POT."""
        a, b = (weights.numpy() for weights in self.weights)
        plan = package.unbalanced.sinkhorn_unbalanced(  # type: ignore[attr-defined]
            *(a, b, _distances(*self.places).numpy(), BLUR, REACH, "sinkhorn_translation_invariant"),
            numItermax=5000,
            stopThr=POT_STOP,
        )
        return float(plan.sum()), torch.from_numpy(plan.sum(0))


@dataclass(frozen=True, eq=False)
class Contest:
    """What both sides compute, and the truth."""

    what: str
    against: str
    ours: Callable[[], Outcome]
    theirs: Callable[[], Outcome]
    truth: Callable[[], Outcome]
    named: str
    aimed: bool = False


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """Each scene against each peer, by compiled loops and in plain torch; then the memory of a large problem."""
    for name in ("random", "bumps"):
        scene = Scene.draw(name, QUICK_SIZE if quick else SIZE)
        for contest in _contests(scene):
            if contest.against in ("geomloss", "POT") and peer({"POT": "ot"}.get(contest.against, "geomloss")) is None:
                yield absent(contest.what, str(scene), contest.against, threads)
                continue
            truth = contest.truth()
            for path in _paths():
                with _on(path):
                    yield _row(contest, scene, truth, path, threads, quick=quick)
    yield _memory(QUICK_LARGE if quick else LARGE, threads, quick=quick)


def _contests(scene: Scene) -> Sequence[Contest]:
    exact = torch.float64
    geomloss, pot = peer("geomloss"), peer("ot")
    return (
        Contest(
            "generalized_loss, forward + backward",
            'solver="reference"',
            scene.loss,
            lambda: scene.loss(solver="reference"),
            lambda: scene.loss(exact, tol=EXACT),
            "gradient",
            aimed=True,
        ),
        Contest(
            "sinkhorn, value + gradient",
            "geomloss",
            scene.value,
            lambda: scene.geomloss_value(geomloss),
            lambda: scene.value(exact, EXACT),
            "gradient",
        ),
        Contest(
            "sinkhorn, marginals",
            "POT",
            scene.sums,
            lambda: scene.pot_sums(pot),
            lambda: scene.sums(exact, EXACT),
            "received",
        ),
    )


def _row(contest: Contest, scene: Scene, truth: Outcome, path: str, threads: int, *, quick: bool) -> Comparison:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # geomloss looks for backends that are not there
        ours, theirs = (_errors(run(), truth) for run in (contest.ours, contest.theirs))
        mine, other = interleave(contest.ours, contest.theirs, 1 if quick else ROUNDS)
    return Comparison(
        what=f"{contest.what} ({path})",
        shape=str(scene),
        against=contest.against,
        threads=threads,
        ratio=other / mine,
        error=ours[1],
        note=f"error of {contest.named}, {contest.against}'s {theirs[1]:.0e}; of value {ours[0]:.0e}, {theirs[0]:.0e}",
        aim=aimed(AIMS[path], threads, quick=quick) if contest.aimed else None,
        tolerance=None if quick else theirs[1],
    )


def _errors(found: Outcome, truth: Outcome) -> tuple[float, float]:
    """Relative errors of the value and of the vector, the latter in units of its largest entry."""
    value = abs(found[0] - truth[0]) / abs(truth[0])
    return value, float((found[1] - truth[1]).abs().max() / truth[1].abs().max())


def _paths() -> tuple[str, ...]:
    return ("compiled", "torch") if native.available() else ("torch",)


@contextlib.contextmanager
def _on(path: str) -> Iterator[None]:
    before = os.environ.get(native.VARIABLE)
    os.environ[native.VARIABLE] = "1" if path == "compiled" else "0"
    try:
        yield
    finally:
        os.environ.pop(native.VARIABLE)
        os.environ.update({} if before is None else {native.VARIABLE: before})


def _memory(size: Size, threads: int, *, quick: bool) -> Comparison:
    """Peak memory of a fresh process, libraries and all, that computes the loss of a large picture and its gradient."""
    whole, above = map(int, "".join(lines_of("likewise.lab.speed.transport", [*map(str, size)], threads)).split())
    return Comparison(
        what=f"generalized_loss ({_paths()[0]}), forward + backward, peak memory",
        shape=f"{size[0]} × {size[1]}, {size[2]} points, bumps",
        against="2 GB",
        threads=threads,
        ratio=MEMORY_AIM / whole,
        error=None,
        note=f"{whole / 1e6:.0f} MB in all, {above / 1e6:.0f} MB above what the process held before; "
        f"one stored matrix is {4e-6 * size[0] * size[1] * size[2]:.0f} MB",
        aim=None if quick else 1.0,
    )


def _measure(size: Size) -> tuple[int, int]:
    """Bytes held at the peak by the whole process, and above what it held before."""
    import resource

    scene = Scene.draw("bumps", size)
    Scene.draw("bumps", QUICK_SIZE).loss()
    above = peak_above(scene.loss)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, above


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    height, width, count = map(int, sys.argv[2:])
    sys.stdout.write("{} {}\n".format(*_measure((height, width, count))))
