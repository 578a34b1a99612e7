"""The estimate of training time in docs/scale.md, compared with real runs."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.scale.cohort import write_scans, write_table
from benchmarks.scale.rows import Measurement
from wsseg.inference.folders import RunFolder
from wsseg.training.log import read_log

TRIAL_CASES, TRIAL_EPOCHS = 12, 8  # of the short run whose rate is used


@dataclass(frozen=True)
class TrainingSize:
    """The size of a training run."""

    name: str
    cases: int
    slices: int
    epochs: int
    pixels: int  # rows and columns of a slice
    width: int  # of the network


SIZES = (
    TrainingSize("small", cases=20, slices=12, epochs=60, pixels=64, width=4),
    TrainingSize("larger", cases=40, slices=10, epochs=24, pixels=96, width=8),
)


@dataclass(frozen=True)
class EstimateBenchmark:
    """Trains in the folder `work`: for each size a short run, then the run that it predicts."""

    work: Path
    sizes: Sequence[TrainingSize] = SIZES

    def measure(self) -> Iterator[Measurement]:
        """Yield the estimated and the real duration of each run."""
        for size in self.sizes:
            scans = self.work / size.name
            write_scans(scans, size.cases, (size.pixels, size.pixels, size.slices))
            trial, _ = self._train(scans, size, TRIAL_CASES, TRIAL_EPOCHS)
            rate = median(each["slices_per_s"] for each in trial[1:])  # the first one warms up
            epochs, command_s = self._train(scans, size, size.cases, size.epochs)
            values = {
                "cases": size.cases,
                "slices": size.slices,
                "epochs": size.epochs,
                "pixels": size.pixels,
                "slices/s": rate,
                "estimated seconds": size.cases * size.slices * size.epochs / rate,
                "seconds of epochs": sum(each["seconds"] for each in epochs),
                "seconds of command": command_s,
            }
            for quantity, value in values.items():
                yield Measurement("estimate", size.name, quantity, float(value))

    def _train(
        self, scans: Path, size: TrainingSize, cases: int, epochs: int
    ) -> tuple[Sequence[Mapping[str, Any]], float]:
        """Train; return the records of the epochs, and the seconds of the command."""
        recipe, out = write_table(scans, cases, with_test=False), scans / f"run-{cases}"
        values = {"epochs": epochs, "backbone.width": size.width}
        changes = [f"stages.lesion.{key}={value}" for key, value in values.items()]
        changes.append(f"input.size={size.pixels}")
        options = [word for each in changes for word in ("--set", each)]
        started = perf_counter()
        subprocess.run(  # noqa: S603 - this command
            [sys.executable, "-m", "wsseg", "train", str(recipe), "--out", str(out), *options],
            env=os.environ | {"WSSEG_CACHE": str(self.work / "cache")},
            check=True,
            capture_output=True,
        )
        seconds = perf_counter() - started
        records = read_log(RunFolder(out).log)
        return [each for each in records if each["event"] == "epoch"], seconds
