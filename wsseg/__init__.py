"""Weakly supervised segmentation by expectation-maximisation.

A recipe says what pixels say (Prior), what to believe (EStep) and what to train (Backbone).
Names are imported when they are first used, so that `import wsseg` is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsseg.components.hookspecs import hookimpl
    from wsseg.components.registry import make
    from wsseg.config.recipe import Recipe, load_recipe
    from wsseg.core.batch import Batch, Evidence, Logits, Mask, Probability
    from wsseg.core.case import Case
    from wsseg.core.interfaces import (
        Backbone,
        Cohort,
        EStep,
        Metric,
        PixelLoss,
        Prior,
        Region,
        Score,
        TagLoss,
    )
    from wsseg.core.volume import Volume
    from wsseg.errors import InputError, WorkError
    from wsseg.inference.run import Prediction, Run, load_run
    from wsseg.training.run import train

HOME = {
    "Backbone": "interfaces",
    "Batch": "evidence",
    "Case": "data.case",
    "Cohort": "data.cohort",
    "EStep": "interfaces",
    "Evidence": "evidence",
    "InputError": "errors",
    "Logits": "evidence",
    "Mask": "evidence",
    "Metric": "metrics",
    "PixelLoss": "interfaces",
    "Prediction": "predict",
    "Prior": "interfaces",
    "Probability": "evidence",
    "Recipe": "recipe",
    "Region": "data.regions",
    "Run": "predict",
    "Score": "metrics",
    "TagLoss": "interfaces",
    "Volume": "data.volume",
    "WorkError": "errors",
    "hookimpl": "hookspecs",
    "load_recipe": "recipe",
    "load_run": "predict",
    "make": "plugins",
    "train": "training",
}
__all__ = [
    "Backbone",
    "Batch",
    "Case",
    "Cohort",
    "EStep",
    "Evidence",
    "InputError",
    "Logits",
    "Mask",
    "Metric",
    "PixelLoss",
    "Prediction",
    "Prior",
    "Probability",
    "Recipe",
    "Region",
    "Run",
    "Score",
    "TagLoss",
    "Volume",
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
    return getattr(import_module(f"wsseg.{HOME[name]}"), name)
