"""What a plugin may offer. Each hook returns {name used in recipes: what it names}."""

from pathlib import Path

from pluggy import HookimplMarker, HookspecMarker

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

API_VERSION = 1  # raised when a hook or an interface changes in a way that breaks plugins

hookspec = HookspecMarker("wsseg")
hookimpl = HookimplMarker("wsseg")


@hookspec
def wsseg_priors() -> dict[str, type[Prior]]:
    """Offer priors."""


@hookspec
def wsseg_esteps() -> dict[str, type[EStep]]:
    """Offer E-steps."""


@hookspec
def wsseg_backbones() -> dict[str, type[Backbone]]:
    """Offer backbones."""


@hookspec
def wsseg_losses() -> dict[str, type[PixelLoss] | type[TagLoss]]:
    """Offer losses, of pixels and of tags."""


@hookspec
def wsseg_regions() -> dict[str, type[Region]]:
    """Offer regions."""


@hookspec
def wsseg_cohorts() -> dict[str, type[Cohort]]:
    """Offer cohorts."""


@hookspec
def wsseg_metrics() -> dict[str, type[Metric] | type[Score]]:
    """Offer metrics, which compare with the truth, and scores, which a labelling has on its own."""


@hookspec
def wsseg_recipes() -> dict[str, Path]:
    """Offer recipes: files that `extends` and the command line find by name."""
