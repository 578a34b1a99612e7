"""Weakly supervised segmentation by expectation-maximisation.

A recipe chooses a prior (the probability of a class given only the value of a pixel), an E-step
(the rule that turns prior and network into targets) and a backbone (the network trained on them).

The public API is this module, `wsseg.tools` (images, files, cache and threads) and `wsseg.testing`
(checks for plugins); all other modules are internal. Names are imported on first use, so that
`import wsseg` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsseg.components.cohorts import Table
    from wsseg.components.hookspecs import hookimpl
    from wsseg.components.registry import make
    from wsseg.config.recipe import Recipe
    from wsseg.config.recipe_files import load_recipe
    from wsseg.core.augment import Augment
    from wsseg.core.batch import CERTAIN, Batch, Evidence, Logits, Mask, Outputs, Probability
    from wsseg.core.case import Case
    from wsseg.core.class_relation import ClassRelation, Multiclass, Multilabel
    from wsseg.core.component import Component
    from wsseg.core.image_unit import ImageUnit
    from wsseg.core.input import Input
    from wsseg.core.interfaces import (
        Backbone,
        Cohort,
        EncoderWeights,
        EStep,
        Method,
        Metric,
        PairLimits,
        PixelLoss,
        Prior,
        PublicDataset,
        Region,
        RegionLimits,
        Score,
        Synthetic,
        TagLoss,
    )
    from wsseg.core.optimizer import Optimizer
    from wsseg.core.source import Source, SourceFile
    from wsseg.core.tracker import TrackedRun, Tracker
    from wsseg.core.volume import Grid, LabelMap, Spacing, Volume, VoxelMask
    from wsseg.core.weak_labels import Bounds, Box, ScribbleValues, Tag
    from wsseg.errors import InputError, WorkError
    from wsseg.inference.run import Prediction, Run, load_run
    from wsseg.training.run import train

HOME = {
    "Augment": "wsseg.core.augment",
    "Backbone": "wsseg.core.interfaces",
    "Batch": "wsseg.core.batch",
    "Bounds": "wsseg.core.weak_labels",
    "Box": "wsseg.core.weak_labels",
    "CERTAIN": "wsseg.core.batch",
    "Case": "wsseg.core.case",
    "ClassRelation": "wsseg.core.class_relation",
    "Cohort": "wsseg.core.interfaces",
    "Component": "wsseg.core.component",
    "EStep": "wsseg.core.interfaces",
    "EncoderWeights": "wsseg.core.interfaces",
    "Evidence": "wsseg.core.batch",
    "Grid": "wsseg.core.volume",
    "ImageUnit": "wsseg.core.image_unit",
    "Input": "wsseg.core.input",
    "InputError": "wsseg.errors",
    "LabelMap": "wsseg.core.volume",
    "Logits": "wsseg.core.batch",
    "Mask": "wsseg.core.batch",
    "Method": "wsseg.core.interfaces",
    "Metric": "wsseg.core.interfaces",
    "Multiclass": "wsseg.core.class_relation",
    "Multilabel": "wsseg.core.class_relation",
    "Optimizer": "wsseg.core.optimizer",
    "Outputs": "wsseg.core.batch",
    "PairLimits": "wsseg.core.interfaces",
    "PixelLoss": "wsseg.core.interfaces",
    "Prediction": "wsseg.inference.run",
    "Prior": "wsseg.core.interfaces",
    "Probability": "wsseg.core.batch",
    "PublicDataset": "wsseg.core.interfaces",
    "Recipe": "wsseg.config.recipe",
    "Region": "wsseg.core.interfaces",
    "RegionLimits": "wsseg.core.interfaces",
    "Run": "wsseg.inference.run",
    "Score": "wsseg.core.interfaces",
    "ScribbleValues": "wsseg.core.weak_labels",
    "Source": "wsseg.core.source",
    "SourceFile": "wsseg.core.source",
    "Spacing": "wsseg.core.volume",
    "Synthetic": "wsseg.core.interfaces",
    "Table": "wsseg.components.cohorts",
    "Tag": "wsseg.core.weak_labels",
    "TagLoss": "wsseg.core.interfaces",
    "TrackedRun": "wsseg.core.tracker",
    "Tracker": "wsseg.core.tracker",
    "Volume": "wsseg.core.volume",
    "VoxelMask": "wsseg.core.volume",
    "WorkError": "wsseg.errors",
    "hookimpl": "wsseg.components.hookspecs",
    "load_recipe": "wsseg.config.recipe_files",
    "load_run": "wsseg.inference.run",
    "make": "wsseg.components.registry",
    "train": "wsseg.training.run",
}
__all__ = [
    "CERTAIN",
    "Augment",
    "Backbone",
    "Batch",
    "Bounds",
    "Box",
    "Case",
    "ClassRelation",
    "Cohort",
    "Component",
    "EStep",
    "EncoderWeights",
    "Evidence",
    "Grid",
    "ImageUnit",
    "Input",
    "InputError",
    "LabelMap",
    "Logits",
    "Mask",
    "Method",
    "Metric",
    "Multiclass",
    "Multilabel",
    "Optimizer",
    "Outputs",
    "PairLimits",
    "PixelLoss",
    "Prediction",
    "Prior",
    "Probability",
    "PublicDataset",
    "Recipe",
    "Region",
    "RegionLimits",
    "Run",
    "Score",
    "ScribbleValues",
    "Source",
    "SourceFile",
    "Spacing",
    "Synthetic",
    "Table",
    "Tag",
    "TagLoss",
    "TrackedRun",
    "Tracker",
    "Volume",
    "VoxelMask",
    "WorkError",
    "hookimpl",
    "load_recipe",
    "load_run",
    "make",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module 'wsseg' has no attribute {name!r}")
    return getattr(import_module(HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
