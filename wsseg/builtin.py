"""The parts that ship with wsseg, offered through the same hooks as anybody's."""

from wsseg.boundary import DilatedFallOut, ErrorPlaces
from wsseg.data.cohort import Cohort, Table
from wsseg.data.few_masks import FewMasks
from wsseg.data.regions import Everything, FileRegion, Foreground, Nonzero, Region
from wsseg.esteps import AdaptEM, HardEM, Scheduled, SoftEM
from wsseg.hookspecs import hookimpl
from wsseg.interfaces import Backbone, EStep, PixelLoss, Prior, TagLoss
from wsseg.losses import BatchDice, SmoothDice
from wsseg.metrics import Dice, Metric, Rates, Score, Share, SurfaceDistance, VolumeError
from wsseg.per_class import PerClass
from wsseg.smp_backbone import Smp
from wsseg.tag_losses import LogSumExp, MeanLogits, NoisyOr


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    return {"per-class": PerClass}


@hookimpl
def wsseg_esteps() -> dict[str, type[EStep]]:
    return {"hard": HardEM, "soft": SoftEM, "adapt": AdaptEM, "scheduled": Scheduled}


@hookimpl
def wsseg_backbones() -> dict[str, type[Backbone]]:
    return {"smp": Smp}


@hookimpl
def wsseg_losses() -> dict[str, type[PixelLoss] | type[TagLoss]]:
    return {
        "smooth-dice": SmoothDice,
        "batch-dice": BatchDice,
        "noisy-or": NoisyOr,
        "log-sum-exp": LogSumExp,
        "mean-logits": MeanLogits,
    }


@hookimpl
def wsseg_regions() -> dict[str, type[Region]]:
    return {
        "file": FileRegion,
        "everything": Everything,
        "nonzero": Nonzero,
        "foreground": Foreground,
    }


@hookimpl
def wsseg_cohorts() -> dict[str, type[Cohort]]:
    return {"table": Table, "few-masks": FewMasks}


@hookimpl
def wsseg_metrics() -> dict[str, type[Metric] | type[Score]]:
    return {
        "dice": Dice,
        "rates": Rates,
        "hd95": SurfaceDistance,
        "volume": VolumeError,
        "dilated-fall-out": DilatedFallOut,
        "error-places": ErrorPlaces,
        "share": Share,
    }
