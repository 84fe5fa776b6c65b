"""The names that a user may rely on, each with its signature in ``public_surface.json`` and an example that runs.

A name that goes away or changes breaks somebody's program: this test makes it a decision. After one, change `PUBLIC`
where a name comes or goes, write the signatures anew with ``python tests/test_public_surface.py`` and commit them.
Whatever is not in `PUBLIC` may change without notice.
"""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import likewise

SURFACE = Path(__file__).with_name("public_surface.json")

#: Dotted names, as a user writes them.
PUBLIC = (
    "likewise.Choice",
    "likewise.Correction",
    "likewise.CountResult",
    "likewise.CountResult.by_region",
    "likewise.CountResult.count",
    "likewise.CountResult.density",
    "likewise.CountResult.measures",
    "likewise.CountResult.plot",
    "likewise.CountResult.save",
    "likewise.CountResult.to_coco",
    "likewise.CountResult.to_dict",
    "likewise.Counter",
    "likewise.Counter.count",
    "likewise.Counter.encode_exemplars",
    "likewise.Counter.load",
    "likewise.Counter.summed",
    "likewise.Estimate",
    "likewise.KindsResult",
    "likewise.LikewiseError",
    "likewise.NamedCounter",
    "likewise.NamedCounter.count",
    "likewise.NamedCounter.summed",
    "likewise.Placement",
    "likewise.Prompt",
    "likewise.RecognizeResult",
    "likewise.RecognizeResult.label",
    "likewise.RecognizeResult.plot",
    "likewise.RecognizeResult.save",
    "likewise.RecognizeResult.to_dict",
    "likewise.RecognizeResult.top",
    "likewise.Recognizer",
    "likewise.Recognizer.labels",
    "likewise.Recognizer.load",
    "likewise.Recognizer.recognize",
    "likewise.Recognizer.save",
    "likewise.Region",
    "likewise.Sample",
    "likewise.SegmentResult",
    "likewise.SegmentResult.boxes",
    "likewise.SegmentResult.mask",
    "likewise.SegmentResult.plot",
    "likewise.SegmentResult.save",
    "likewise.SegmentResult.to_coco",
    "likewise.SegmentResult.to_dict",
    "likewise.Segmenter",
    "likewise.Segmenter.encode",
    "likewise.Segmenter.load",
    "likewise.Segmenter.segment",
    "likewise.Segmenter.set_support",
    "likewise.Session",
    "likewise.Session.count",
    "likewise.adapt",
    "likewise.adapt_recognizer",
    "likewise.boxes.xywh_to_xyxy",
    "likewise.boxes.xyxy_to_xywh",
    "likewise.convert.convert",
    "likewise.count_frames",
    "likewise.data.classification.dataset.NamedPictures",
    "likewise.data.counting.carpk.CARPK",
    "likewise.data.counting.folder.CountingFolder",
    "likewise.data.counting.fsc147.FSC147",
    "likewise.data.counting.sample.CountSample",
    "likewise.data.fewshot.coco20i.Coco20i",
    "likewise.data.fewshot.episodes.Episodes",
    "likewise.data.fewshot.labelled.LabelFolder",
    "likewise.data.fewshot.pascal5i.Pascal5i",
    "likewise.data.open_dataset.open_counting",
    "likewise.data.open_dataset.open_labelled",
    "likewise.data.open_dataset.open_named",
    "likewise.engine.config.TrainConfig",
    "likewise.engine.count_eval.evaluate",
    "likewise.engine.recognize_eval.evaluate",
    "likewise.engine.segment_eval.evaluate",
    "likewise.engine.train.train",
    "likewise.estimate",
    "likewise.load",
    "likewise.methods.countx.CounTX",
    "likewise.methods.countx.lite.CounTXLite",
    "likewise.methods.dcn.deformable",
    "likewise.methods.dcn.parameter_groups",
    "likewise.methods.dcn.plot_sampling",
    "likewise.methods.dcn.sampling_places",
    "likewise.methods.fwb.FWB",
    "likewise.methods.s3n.S3N",
    "likewise.methods.spdcn.SPDCN",
    "likewise.methods.vlcounter.VLCounter",
    "likewise.metrics.CountErrors",
    "likewise.metrics.Overlaps",
    "likewise.metrics.Ranks",
    "likewise.metrics.mae",
    "likewise.metrics.nae",
    "likewise.metrics.rmse",
    "likewise.metrics.sre",
    "likewise.nn.deform.DeformableConv2d",
    "likewise.nn.deform_roi.DeformPSRoIPool",
    "likewise.nn.deform_roi.DeformRoIPool",
    "likewise.open_source",
    "likewise.ops.counting_loss.bayesian_loss",
    "likewise.ops.counting_loss.generalized_loss",
    "likewise.ops.counting_loss.l2_loss",
    "likewise.ops.deform.conv2d.DeformConv2d",
    "likewise.ops.deform.conv2d.deform_conv2d",
    "likewise.ops.deform.conv3d.DeformConv3d",
    "likewise.ops.deform.conv3d.deform_conv3d",
    "likewise.ops.deform.roi_pool.deform_roi_pool",
    "likewise.ops.density.maps.dots_map",
    "likewise.ops.density.maps.gaussian_density",
    "likewise.ops.density.maps.resize_density",
    "likewise.ops.density.peaks.density_peaks",
    "likewise.ops.density.tiling.Blend",
    "likewise.ops.density.windows.blend_windows",
    "likewise.ops.density.windows.cut_windows",
    "likewise.ops.polygon.inside_polygon",
    "likewise.ops.polygon.polygon_coverage",
    "likewise.ops.run_lengths.decode_rle",
    "likewise.ops.run_lengths.encode_rle",
    "likewise.ops.saliency_sampling.sample_by_saliency",
    "likewise.ops.similarity.correlate_kernels",
    "likewise.ops.similarity.cosine_similarity_map",
    "likewise.ops.similarity.masked_pool",
    "likewise.ops.similarity.pool_boxes",
    "likewise.ops.similarity.similarity_to_examples",
    "likewise.ops.transport.grid_cost.GridCost",
    "likewise.ops.transport.point_cost.PointCost",
    "likewise.ops.transport.sinkhorn",
    "likewise.read_regions",
    "likewise.registry.model_names",
    "likewise.registry.preset",
    "likewise.sample",
    "likewise.scenes.SceneConfig",
    "likewise.scenes.SyntheticScenes",
    "likewise.scenes.make_scene",
    "likewise.scenes.write_scenes",
    "likewise.weights.config_from",
    "likewise.weights.read_checkpoint",
    "likewise.weights.save_checkpoint",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def found(name: str) -> tuple[Any, Any]:
    """What a dotted name stands for, unwrapped, and the class it is named in, if any."""
    head, _, last = name.rpartition(".")
    owner = pkgutil.resolve_name(head)
    if inspect.isclass(owner):
        return plain(inspect.getattr_static(owner, last)), owner
    return plain(pkgutil.resolve_name(name)), None


def plain(value: Any) -> Any:
    """A function or class without what is round it: a property, a cache, a decorator."""
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, functools.cached_property):
        value = value.func
    elif isinstance(value, classmethod | staticmethod):
        value = value.__func__
    return inspect.unwrap(value)


def signature(name: str) -> str:
    """How a name is used, as its source says: arguments and what is returned; of a class, its bases and constructor."""
    value, _ = found(name)
    source = Path(sys.modules[value.__module__].__file__ or "").read_text(encoding="utf-8")
    node: Any = ast.parse(source)
    for part in value.__qualname__.split("."):
        node = next(n for n in node.body if isinstance(n, Function | ast.ClassDef) and n.name == part)
    return of_class(node) if isinstance(node, ast.ClassDef) else of_function(node)


def of_class(node: ast.ClassDef) -> str:
    """Bases, and the constructor's arguments or a dataclass's fields."""
    kind = f"class({', '.join(map(ast.unparse, node.bases))})"
    made = [n for n in node.body if isinstance(n, Function) and n.name == "__init__"]
    fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and "ClassVar" not in ast.unparse(n.annotation)]
    return kind + (of_function(made[0]) if made else f" {'; '.join(map(ast.unparse, fields))}".rstrip())


def of_function(node: Function) -> str:
    """Decorators that change how a function is used, its arguments and what it returns."""
    kinds = [ast.unparse(d) for d in node.decorator_list]
    marks = "".join(
        f"@{kind} " for kind in kinds if kind in ("property", "cached_property", "staticmethod", "classmethod")
    )
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{marks}({ast.unparse(node.args)}){returns}"


def surface(names: Iterable[str]) -> dict[str, str]:
    """Each name with its signature."""
    return {name: signature(name) for name in names}


def changes(written: dict[str, str], now: dict[str, str]) -> list[str]:
    """What differs between what is written down and the package, a line each."""
    gone = [f"gone: {name} {written[name]}" for name in written if name not in now]
    new = [f"new: {name} {now[name]}" for name in now if name not in written]
    other = [f"changed: {n} {written[n]} is now {now[n]}" for n in written if n in now and written[n] != now[n]]
    return gone + other + new


def examples(value: Any) -> list[doctest.Example]:
    """The lines of a docstring's example that run."""
    parsed = doctest.DocTestParser().get_examples(inspect.getdoc(value) or "")
    return [each for each in parsed if not each.options.get(doctest.SKIP)]


def shown(name: str) -> list[doctest.Example]:
    """The example of a name: its own, or those lines of its class's that use it."""
    value, owner = found(name)
    own = examples(value)
    if own or owner is None:
        return own
    member = name.rpartition(".")[2]
    return [each for each in examples(owner) if f".{member}" in each.source]


def collected(module: ModuleType) -> set[str]:
    """What of a module ``pytest --doctest-modules`` runs by itself."""
    return {test.name for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples}


def run_example(value: Any) -> tuple[int, str]:
    """Run a docstring's example: how many lines failed, and what was said of them."""
    said: list[str] = []
    module = sys.modules[value.__module__]
    test = doctest.DocTestParser().get_doctest(
        inspect.getdoc(value) or "", dict(vars(module)), value.__qualname__, module.__file__, 0
    )
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    return runner.run(test, out=said.append).failed, "".join(said)


def test_the_surface_is_a_surface():
    assert 90 <= len(PUBLIC) <= 150
    assert list(PUBLIC) == sorted(set(PUBLIC))
    assert {f"likewise.{name}" for name in likewise.__all__ if name != "__version__"} <= set(PUBLIC)
    inside = ("likewise.cli", "likewise.app", "likewise.lab", "likewise.recipes")
    assert not [name for name in PUBLIC if name.startswith(inside) or "._" in name]


def test_public_surface_is_as_written_down():
    written = json.loads(SURFACE.read_text(encoding="utf-8"))
    assert changes(written, surface(PUBLIC)) == [], "meant? then run: python tests/test_public_surface.py"


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_an_example_that_runs(name: str):
    value, _ = found(name)
    assert inspect.getdoc(value), f"{name} has no docstring"
    assert shown(name), f"{name} has no example in its docstring, nor is it used in its class's"
    own = f"{value.__module__}.{value.__qualname__}"
    # what another module's decorator wraps, pytest does not take for this module's own
    if examples(value) and own not in collected(sys.modules[value.__module__]):
        failed, said = run_example(value)
        assert not failed, said


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes the module ``made_up``, which replaces the one before."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(text: str) -> None:
        (tmp_path / "made_up.py").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, "made_up", raising=False)

    return write


def test_a_changed_surface_is_noticed(made_up: Callable[[str], None]):
    made_up(
        "from dataclasses import dataclass\n\n\n@dataclass\nclass Box:\n    side: float = 1.0\n\n"
        "    def area(self, unit: str) -> float: ...\n\n    def _hidden(self): ...\n\n\ndef cut(box: Box) -> Box: ...\n"
    )
    before = surface(("made_up.Box", "made_up.Box.area", "made_up.cut"))
    assert before == {
        "made_up.Box": "class() side: float = 1.0",
        "made_up.Box.area": "(self, unit: str) -> float",
        "made_up.cut": "(box: Box) -> Box",
    }
    made_up(
        "from dataclasses import dataclass\n\n\n@dataclass\nclass Box:\n    side: float = 2.0\n\n\n"
        "def paste(box: Box) -> Box: ...\n"
    )
    assert changes(before, surface(("made_up.Box", "made_up.paste"))) == [
        "gone: made_up.Box.area (self, unit: str) -> float",
        "gone: made_up.cut (box: Box) -> Box",
        "changed: made_up.Box class() side: float = 1.0 is now class() side: float = 2.0",
        "new: made_up.paste (box: Box) -> Box",
    ]
    for gone in ("made_up.cut", "made_up.Box.area"):
        with pytest.raises(AttributeError):
            surface((gone,))


def test_inherited_members_properties_and_constructors_have_signatures(made_up: Callable[[str], None]):
    made_up(
        "class Base:\n    @property\n    def side(self) -> float: ...\n\n"
        "    @classmethod\n    def load(cls, path: str): ...\n\n\n"
        "class Box(Base):\n    def __init__(self, side: float = 1.0) -> None: ...\n"
    )
    assert surface(("made_up.Box", "made_up.Box.side", "made_up.Box.load")) == {
        "made_up.Box": "class(Base)(self, side: float=1.0) -> None",
        "made_up.Box.side": "@property (self) -> float",
        "made_up.Box.load": "@classmethod (cls, path: str)",
    }


def test_a_missing_skipped_or_wrong_example_is_noticed(made_up: Callable[[str], None]):
    made_up(
        'def bare():\n    """Nothing to see."""\n\n\n'
        'def skipped():\n    """Never run.\n\n    >>> skipped()  # doctest: +SKIP\n    """\n\n\n'
        'def wrong():\n    """Not so.\n\n    >>> 1 + 1\n    3\n    """\n\n\n'
        'class Box:\n    """A box.\n\n    >>> Box().side\n    1\n    """\n\n    side = property(lambda self: 1)\n\n'
        "    def area(self): ...\n"
    )
    assert not shown("made_up.bare")
    assert not shown("made_up.skipped")
    assert shown("made_up.wrong")
    assert run_example(found("made_up.wrong")[0])[0] == 1
    assert run_example(found("made_up.Box")[0])[0] == 0
    assert shown("made_up.Box.side")
    assert not shown("made_up.Box.area")


if __name__ == "__main__":
    SURFACE.write_text(json.dumps(surface(PUBLIC), indent=1) + "\n", encoding="utf-8")
