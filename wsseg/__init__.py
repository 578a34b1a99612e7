"""Weakly supervised segmentation by expectation-maximisation.

A recipe says what pixels say (Prior), what to believe (EStep) and what to train (Backbone).
Names are imported when they are first used, so that `import wsseg` is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsseg.data.case import Case
    from wsseg.data.cohort import Cohort
    from wsseg.data.regions import Region
    from wsseg.data.volume import Volume
    from wsseg.errors import InputError, WorkError
    from wsseg.evidence import Batch, Evidence, Logits, Mask, Probability
    from wsseg.hookspecs import hookimpl
    from wsseg.interfaces import Backbone, EStep, PixelLoss, Prior, TagLoss
    from wsseg.metrics import Metric, Score
    from wsseg.plugins import make
    from wsseg.predict import Prediction, Run, load_run
    from wsseg.recipe import Recipe, load_recipe
    from wsseg.training import train

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
