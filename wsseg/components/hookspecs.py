"""The hooks of plugins. Each returns a dict from names used in recipes to classes or paths."""

from pathlib import Path

from pluggy import HookimplMarker, HookspecMarker

from wsseg.core.augment import Augment
from wsseg.core.image_unit import ImageUnit
from wsseg.core.interfaces import (
    Backbone,
    Cohort,
    EncoderWeights,
    EStep,
    Method,
    Metric,
    PixelLoss,
    Prior,
    Region,
    Score,
    TagLoss,
)
from wsseg.core.optimizer import Optimizer
from wsseg.core.tracker import Tracker

API_VERSION = 3  # incremented when a change of a hook or an interface breaks plugins

hookspec = HookspecMarker("wsseg")
hookimpl = HookimplMarker("wsseg")
"""Decorator for the functions with which a plugin registers its components.

A plugin is a module registered as an entry point of the group `wsseg`. A function with the name of
a hook, such as `wsseg_esteps`, returns a dict from names used in recipes to components.

Example:
    >>> from wsseg import EStep, Evidence, Probability, hookimpl
    >>> class Half(EStep):
    ...     def __call__(self, evidence: Evidence) -> Probability:
    ...         return evidence.batch.support * 0.5
    >>> @hookimpl
    ... def wsseg_esteps() -> dict[str, type[EStep]]:
    ...     return {"half": Half}
"""


@hookspec
def wsseg_priors() -> dict[str, type[Prior]]:
    """Return the priors that a plugin offers."""


@hookspec
def wsseg_esteps() -> dict[str, type[EStep]]:
    """Return the E-steps that a plugin offers."""


@hookspec
def wsseg_backbones() -> dict[str, type[Backbone]]:
    """Return the backbones that a plugin offers."""


@hookspec
def wsseg_encoder_weights() -> dict[str, type[EncoderWeights]]:
    """Return the pre-trained weights of encoders that a plugin offers."""


@hookspec
def wsseg_losses() -> dict[str, type[PixelLoss] | type[TagLoss]]:
    """Return the losses that a plugin offers, for pixels or for tags."""


@hookspec
def wsseg_methods() -> dict[str, type[Method]]:
    """Return the methods of learning from tags that a plugin offers."""


@hookspec
def wsseg_optimizers() -> dict[str, type[Optimizer]]:
    """Return the optimizers that a plugin offers."""


@hookspec
def wsseg_augments() -> dict[str, type[Augment]]:
    """Return the augmentations that a plugin offers."""


@hookspec
def wsseg_regions() -> dict[str, type[Region]]:
    """Return the regions that a plugin offers."""


@hookspec
def wsseg_cohorts() -> dict[str, type[Cohort]]:
    """Return the cohorts that a plugin offers."""


@hookspec
def wsseg_metrics() -> dict[str, type[Metric] | type[Score]]:
    """Return the metrics and the scores that a plugin offers."""


@hookspec
def wsseg_units() -> dict[str, type[ImageUnit]]:
    """Return the units of image values that a plugin offers."""


@hookspec
def wsseg_trackers() -> dict[str, type[Tracker]]:
    """Return the trackers that a plugin offers."""


@hookspec
def wsseg_recipes() -> dict[str, Path]:
    """Return the recipes that a plugin offers, YAML files that are found by name."""
