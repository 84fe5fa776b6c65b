"""Where modules went: programs written for an older layout of the package still find them, and are told.

>>> MOVED["data.sample"]
'data.counting.sample'
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Old place -> new place, below ``likewise``.
MOVED = {
    "data.asked": "data.counting.by_text",
    "data.coco20i": "data.fewshot.coco20i",
    "data.episode_crops": "data.fewshot.crops",
    "data.episodes": "data.fewshot.episodes",
    "data.exemplars": "data.counting.exemplars",
    "data.folder": "data.counting.folder",
    "data.fsc147": "data.counting.fsc147",
    "data.labelled": "data.fewshot.labelled",
    "data.layouts": "data.open_dataset",
    "data.mosaic": "data.counting.countr_augment",
    "data.named_folders": "data.classification.formats",
    "data.named_pictures": "data.classification.dataset",
    "data.negatives": "data.counting.negatives",
    "data.pascal5i": "data.fewshot.pascal5i",
    "data.sample": "data.counting.sample",
    "data.square_view": "preprocess.square_view",
    "data.streams": "data.infinite",
    "data.synthetic": "scenes",
    "data.transforms": "data.counting.transforms",
    "data.view": "preprocess.scaled_view",
    "methods.s3n.trunk": "nn.spatial_trunk",
    "nn.prompts": "methods.vlcounter.prompts",
    "ops.block_count": "methods.spdcn.block_count",
    "ops.boosting": "methods.fwb.boosting",
    "ops.convolution": "ops.fused",
    "ops.deform_conv": "ops.deform.conv2d",
    "ops.deform_conv3d": "ops.deform.conv3d",
    "ops.deform_roi_pool": "ops.deform.roi_pool",
    "ops.fitting": "ops.density.windows",
    "ops.gated_conv": "methods.fwb.gated_conv",
    "ops.linear": "ops.fused",
    "ops.name_matching": "methods.countx.matching_losses",
    "ops.peaks": "ops.density.peaks",
    "ops.prototypes": "methods.fwb.prototypes",
    "ops.rank_loss": "methods.vlcounter.rank_loss",
    "ops.sinkhorn_reference": "ops.transport.reference",
    "ops.sinkhorn_solver": "ops.transport.solver",
    "ops.tiling": "ops.density.tiling",
    "ops.transport_costs": "ops.transport.costs",
    "ops.transport_grid": "ops.transport.grid_cost",
    "ops.transport_points": "ops.transport.point_cost",
    "ops.transport_tiles": "ops.transport.tiles",
    "ops.windows": "ops.density.windows",
    "predict.by_name": "predict.named",
    "predict.points": "predict.localize",
    "predict.seen": "predict.prepared_image",
    "predict.trust": "predict.uncertainty",
}


class MovedFinder(MetaPathFinder):
    """Finds a module that was moved under its old name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The new module, for an old name; None for every other."""
        old = fullname.removeprefix("likewise.")
        if old == fullname or old not in MOVED:
            return None
        return ModuleSpec(fullname, _Alias(f"likewise.{MOVED[old]}"))


class _Alias(Loader):
    """Gives a module that is there already, under whatever name it is asked for."""

    def __init__(self, new: str) -> None:
        self.new = new

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        warnings.warn(f"{spec.name} is now {self.new}", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(self.new)
        self.own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own  # the import system has put the alias's there
