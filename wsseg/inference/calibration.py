"""Calibrated probabilities: the log-odds a of a stage are divided by a temperature T.

    f = sigmoid(a / T), or softmax([0, a_1 / T, ..., a_K / T]) for exclusive classes

T is fitted once for each stage with a network (`wsseg.evaluation.temperature`). Because T is
positive, the most probable labels do not change; masks are predicted without it.

Source: Guo et al. 2017, "On calibration of modern neural networks".
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, TypeAlias, cast, final

from pydantic import Field, TypeAdapter
from torch import Tensor, nn

from wsseg.core.batch import Logits, at_least_float32
from wsseg.data.prepare import Prepared
from wsseg.errors import InputError
from wsseg.inference.checkpoint import TrainedStage
from wsseg.inference.folders import RunFolder
from wsseg.inference.network import Network
from wsseg.inference.pipeline import Pipeline
from wsseg.inference.run import Run
from wsseg.runtime.files import read_json, sha256, write_json


@dataclass(frozen=True)
class FittedTemperature:
    """The temperature of a stage, and the data it was fitted to."""

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    cases: int  # validation cases with masks of all classes of the stage
    pixels: int  # in the region of the stage
    nll: float  # mean negative log-likelihood of a pixel's true classes at T = 1, in nats
    calibrated_nll: float  # the same at `temperature`
    record_sha256: str  # of `stage.json`, which has the digest of the weights
    files: tuple[dict[str, str], ...] = ()  # masks that were read: case, use, path and sha256


Calibration: TypeAlias = Mapping[str, FittedTemperature]  # by stage


@final
class ScaledNetwork(nn.Module):
    """A network whose log-odds are divided by a temperature."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, image: Tensor) -> Logits:
        """Map (B, C, S, H, W) to logits / T, (B, K, H, W)."""
        logits: Tensor = self.network(image)
        return at_least_float32(logits) / self.temperature


@dataclass(frozen=True)
class CalibratedPipeline(Pipeline):
    """A pipeline with calibrated probabilities and the masks of the uncalibrated stages.

    If the loss of a stage excludes pixels from a class, it gets the scaled log-odds.
    """

    original: Pipeline

    def predict(self, stage: str, prepared: Prepared) -> Path:
        """Return the file of the masks that a stage predicts without calibration."""
        return self.original.predict(stage, prepared)


def calibrated(run: Run) -> Run:
    """Return a run with the same masks and with calibrated probabilities.

    Without calibration, this is the run itself. An ensemble has none, because a mean of calibrated
    log-odds is not calibrated.

    Raises:
        InputError: The calibration is damaged, or was fitted to other weights.
    """
    calibration, own = read_calibration(RunFolder(run.folder)), run.pipeline
    fitted = {name: each for name, each in own.stages.items() if name in calibration}
    if not fitted:
        return run
    scaled = {name: _scaled(each, calibration[name].temperature) for name, each in fitted.items()}
    stages = {**own.stages, **scaled}
    pipeline = CalibratedPipeline(own.regions, stages, own.input, own.fabric, original=own)
    return replace(run, pipeline=pipeline)


def read_calibration(folder: RunFolder) -> Calibration:
    """Read the fitted temperatures of a run; empty if it was not calibrated.

    Raises:
        InputError: The file is damaged, or its temperatures were fitted to other weights.
    """
    path = folder.calibration
    if not path.exists():
        return {}
    advice = f"run wsseg calibrate {folder.path} again, or remove the file"
    try:
        found = TypeAdapter(dict[str, FittedTemperature]).validate_python(read_json(path))
    except (OSError, ValueError):
        raise InputError(f"{path}: the file is damaged; {advice}") from None
    for name, each in found.items():
        record = folder.stage(name).record
        if not record.is_file() or sha256(record) != each.record_sha256:
            raise InputError(
                f"{path}: stage {name} has other weights than those it was fitted to; {advice}"
            )
    return found


def write_calibration(folder: RunFolder, calibration: Calibration) -> None:
    """Write the fitted temperatures of a run, atomically."""
    write_json(folder.calibration, {name: asdict(each) for name, each in calibration.items()})


def copy_calibration(source: RunFolder, target: RunFolder) -> None:
    """Copy the temperatures, if any, without file names, to a folder with the same weights."""
    shared = {
        name: replace(each, files=(), record_sha256=sha256(target.stage(name).record))
        for name, each in read_calibration(source).items()
    }
    if shared:
        write_calibration(target, shared)


def _scaled(trained: TrainedStage, temperature: float) -> TrainedStage:
    """Return the stage with its network's log-odds divided by a temperature."""
    if trained.network is None:
        return trained
    network = ScaledNetwork(trained.network, temperature).eval()
    # prediction needs any module from images to logits
    return replace(trained, network=cast("Network", network))
