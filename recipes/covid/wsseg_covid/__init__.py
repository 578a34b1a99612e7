"""Infection and consolidation on chest CT from hybrid weak labels (Wu et al. 2020)."""

from pathlib import Path

from wsseg import Backbone, Cohort, Prior, Region, hookimpl
from wsseg_covid.covid20 import Covid20
from wsseg_covid.lung_threshold import LungThreshold
from wsseg_covid.medseg import MedSeg9, MedSeg100
from wsseg_covid.mosmed import MosMed
from wsseg_covid.phantom.cohort import LungPhantom
from wsseg_covid.priors import Constant, HuSigmoid, Threshold
from wsseg_covid.unet import AdditiveUNet, ConcatUNet

RECIPES = Path(__file__).parent / "recipes"


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    """Register the priors of the paper."""
    return {"hu-sigmoid": HuSigmoid, "constant": Constant, "threshold": Threshold}


@hookimpl
def wsseg_backbones() -> dict[str, type[Backbone]]:
    """Register the network of the paper and that of its published code."""
    return {"additive-unet": AdditiveUNet, "concat-unet": ConcatUNet}


@hookimpl
def wsseg_regions() -> dict[str, type[Region]]:
    """Register the region of the lungs."""
    return {"lung-threshold": LungThreshold}


@hookimpl
def wsseg_cohorts() -> dict[str, type[Cohort]]:
    """Register the phantom and the public data sets."""
    return {
        "lung-phantom": LungPhantom,
        "medseg-9": MedSeg9,
        "medseg-100": MedSeg100,
        "covid-20": Covid20,
        "mosmed": MosMed,
    }


@hookimpl
def wsseg_recipes() -> dict[str, Path]:
    """Register the recipes in the folder `recipes` as covid/NAME."""
    return {f"covid/{path.stem}": path for path in sorted(RECIPES.glob("*.yaml"))}
