"""The components that ship with wsseg, registered through the same hooks as plugins."""

from wsseg.components.backbones import Smp
from wsseg.components.box_filling import FillBoxes
from wsseg.components.cohorts import Table
from wsseg.components.colour import Colour
from wsseg.components.encoder_weights import FileWeights
from wsseg.components.error_metrics import DilatedFallOut, ErrorPlaces
from wsseg.components.esteps import AdaptEM, HardEM, ProportionEM, Scheduled, SoftEM
from wsseg.components.folder import Folder
from wsseg.components.hookspecs import hookimpl
from wsseg.components.hypercolumns import Hypercolumns
from wsseg.components.likelihood_losses import CrossEntropy, Focal
from wsseg.components.local_contrast import LocalContrast, TopHat
from wsseg.components.metrics import Dice, Rates, Share, SurfaceDistance, VolumeError
from wsseg.components.optimizers import SGD, Adam, AdamW
from wsseg.components.overlap_losses import BatchDice, SmoothDice, Tversky
from wsseg.components.priors import PerClass, TagOdds
from wsseg.components.regions import Everything, FileRegion, Foreground, Nonzero
from wsseg.components.simulated_scribbles import SimulatedScribbles
from wsseg.components.smoothed_threshold import SmoothedThreshold
from wsseg.components.tag_losses import LogSumExp, MeanLogits, NoisyOr
from wsseg.components.trackers import MLflow, TensorBoard, WandB
from wsseg.components.weighted_sum import WeightedSum
from wsseg.core.augment import Augment
from wsseg.core.image_unit import AnyUnit, ImageUnit
from wsseg.core.interfaces import (
    Backbone,
    Cohort,
    EncoderWeights,
    EStep,
    Metric,
    PixelLoss,
    Prior,
    Region,
    Score,
    TagLoss,
)
from wsseg.core.optimizer import Optimizer
from wsseg.core.tracker import Tracker
from wsseg.data.augment import StandardAugment


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    return {
        "colour": Colour,
        "local-contrast": LocalContrast,
        "per-class": PerClass,
        "smoothed-threshold": SmoothedThreshold,
        "tag-odds": TagOdds,
        "top-hat": TopHat,
    }


@hookimpl
def wsseg_esteps() -> dict[str, type[EStep]]:
    return {
        "hard": HardEM,
        "soft": SoftEM,
        "adapt": AdaptEM,
        "proportion": ProportionEM,
        "scheduled": Scheduled,
        "fill-boxes": FillBoxes,
    }


@hookimpl
def wsseg_backbones() -> dict[str, type[Backbone]]:
    return {"smp": Smp, "hypercolumns": Hypercolumns}


@hookimpl
def wsseg_encoder_weights() -> dict[str, type[EncoderWeights]]:
    return {"file": FileWeights}


@hookimpl
def wsseg_losses() -> dict[str, type[PixelLoss] | type[TagLoss]]:
    return {
        "smooth-dice": SmoothDice,
        "batch-dice": BatchDice,
        "tversky": Tversky,
        "cross-entropy": CrossEntropy,
        "focal": Focal,
        "weighted-sum": WeightedSum,
        "noisy-or": NoisyOr,
        "log-sum-exp": LogSumExp,
        "mean-logits": MeanLogits,
    }


@hookimpl
def wsseg_optimizers() -> dict[str, type[Optimizer]]:
    return {"adam": Adam, "adamw": AdamW, "sgd": SGD}


@hookimpl
def wsseg_trackers() -> dict[str, type[Tracker]]:
    return {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}


@hookimpl
def wsseg_augments() -> dict[str, type[Augment]]:
    return {"standard": StandardAugment}


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
    return {"table": Table, "folder": Folder, "simulated-scribbles": SimulatedScribbles}


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


@hookimpl
def wsseg_units() -> dict[str, type[ImageUnit]]:
    return {AnyUnit.name: AnyUnit}
