"""The stages of any convolutional network, found in its modules."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from likewise.nn.deform import DeformableConv2d


def find_stages(model: nn.Module) -> list[tuple[str, ...]]:
    """Names of the convolutions larger than 1 x 1, stage by stage, stages without any left out.

    A timm model tells its stages (``feature_info``). In any other a stage begins where the resolution falls: at each
    strided child (one with a strided convolution or pooling inside) of the network, of the Sequentials it is made
    of, and of its trunk: the only strided child, with several strides inside, such as ``features`` or ``backbone``;
    what follows a trunk is in no stage.
    """
    told = _told_stages(model)
    if told is None:
        told = [[]]
        for name, child in _parts(model, ""):
            if _strided(child):
                told.append([])
            told[-1] += [name]
    modules = dict(model.named_modules())
    stages = [tuple(n for part in stage for n in spatial_convolutions(modules[part], part)) for stage in told]
    return [stage for stage in stages if stage]


def _told_stages(model: nn.Module) -> list[list[str]] | None:
    """Modules of each stage as timm tells them: each feature ends one; None where nothing (valid) is told."""
    info = getattr(model, "feature_info", None)
    ends = [str(each["module"]) for each in getattr(info, "info", info) or () if "module" in each]
    leaves = [name for name, module in model.named_modules() if not any(module.children())]
    stages: list[list[str]] = []
    for end in ends:
        inside = [i for i, name in enumerate(leaves) if f"{name}.".startswith(f"{end}.")]
        if not inside:
            return None
        done = sum(map(len, stages))
        stages.append(leaves[done : inside[-1] + 1])
    return stages or None


def _parts(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """Children in order, those opened that are sequences of several stages, or the trunk."""
    strided = [child for child in module.children() if _strided(child)]
    for name, child in module.named_children():
        inner = list(child.children())
        # A block has strided shortcuts, of 1 x 1, beside its one strided convolution; a trunk has several of those.
        trunk = strided == [child] and sum(_strided(part, larger_than=1) for part in inner) > 1
        sequence = isinstance(child, (nn.Sequential, nn.ModuleList)) and sum(map(_strided, inner)) > 1
        if trunk or sequence:
            yield from _parts(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child
        if trunk:
            return  # what comes after it is a head


def _strided(module: nn.Module, larger_than: int = 0) -> bool:
    """Whether a module makes maps smaller, by a kernel larger than so many pixels."""
    parts = [m for m in module.modules() if isinstance(m, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d))]
    return any(_largest(m.stride) > 1 and _largest(m.kernel_size) > larger_than for m in parts)


def _largest(size: int | tuple[int, ...]) -> int:
    return size if isinstance(size, int) else max(size)


def spatial_convolutions(module: nn.Module, name: str = "") -> list[str]:
    """Names of the convolutions larger than 1 x 1 in a module of that name, itself included."""
    # the branches of what is deformable already are no convolutions of the network
    branches = {id(m.offsets) for m in module.modules() if isinstance(m, DeformableConv2d)}
    convolutions = [(n, m) for n, m in module.named_modules(prefix=name) if isinstance(m, nn.Conv2d)]
    return [n for n, m in convolutions if _largest(m.kernel_size) > 1 and id(m) not in branches]
