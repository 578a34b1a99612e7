"""Measurement of the reliability of a run's probabilities on test cases, on the network's grid."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import numpy as np

from wsseg.core.case import Case
from wsseg.core.volume import VoxelMask
from wsseg.data.batches import StageScan
from wsseg.data.maps import read_map
from wsseg.data.prepare import prepare_mask
from wsseg.evaluation.pixel_auc import RankedPixels
from wsseg.evaluation.reliability import Bins, Reliability
from wsseg.inference.calibration import calibrated, read_calibration
from wsseg.inference.folders import RunFolder
from wsseg.inference.probabilities import COLUMN
from wsseg.inference.run import Run
from wsseg.inference.stage_prediction import stage_probabilities
from wsseg.runtime.cache_leases import release


class MeasuredCase(NamedTuple):
    """The measurements of a test case."""

    columns: Mapping[str, float]  # the probability of each class in the case, for scores.csv
    uncalibrated: Mapping[str, Bins]  # of each class with a mask
    calibrated: Mapping[str, Bins]  # the same after calibration; empty if there is none
    ranked: Mapping[str, RankedPixels]  # of each class with a mask


def measure_cases(run: Run, cases: Sequence[Case]) -> Iterator[MeasuredCase]:
    """Yield the probabilities of each case and their reliability, with and without calibration.

    The probability of a class in a case is that of `write_probabilities`.

    Raises:
        InputError: A scan or a mask cannot be read, or the calibration fits other weights.
    """
    other = calibrated(run)
    for case in cases:
        measured = _measure(run, case)
        if other is not run:
            scaled = _measure(other, case)
            measured = measured._replace(columns=scaled.columns, calibrated=scaled.uncalibrated)
        yield measured


def pooled(run: Run, measured: Sequence[MeasuredCase]) -> dict[str, Reliability]:
    """Return the reliability of each class with a mask in any case, over all of these cases."""
    found, calibration = dict[str, Reliability](), read_calibration(RunFolder(run.folder))
    for name, stage in run.recipe.stages.items():
        for of_class in stage.classes:
            annotated = [case for case in measured if of_class in case.uncalibrated]
            if not annotated:
                continue
            bins = reduce(Bins.__add__, (case.uncalibrated[of_class] for case in annotated))
            ranked = reduce(RankedPixels.__add__, (case.ranked[of_class] for case in annotated))
            found[of_class] = Reliability(len(annotated), bins, pixel_auc=ranked.auc)
            if name in calibration:
                scaled = reduce(Bins.__add__, (case.calibrated[of_class] for case in annotated))
                temperature = calibration[name].temperature
                found[of_class] = replace(
                    found[of_class], calibrated=scaled, temperature=temperature
                )
    return found


def _measure(run: Run, case: Case) -> MeasuredCase:
    """Measure a case with the probabilities of `run`; `calibrated` of the result is empty."""
    prepared = run.prepare(case)
    columns, bins, ranked = dict[str, float](), dict[str, Bins](), dict[str, RankedPixels]()
    for name in run.recipe.stages:
        trained = run.pipeline.stages[name]
        scan = run.pipeline.scan(trained.stage, prepared)
        planes = stage_probabilities(trained, scan, run.pipeline.fabric)
        inside = _predicted(scan, prepared.shape)
        for of_class, plane in zip(trained.stage.classes, planes, strict=True):
            columns[of_class + COLUMN] = float(plane.max())
            if of_class in case.masks:
                true = prepare_mask(prepared, of_class) > 0
                bins[of_class] = Bins.of(plane[inside], true[inside])
                ranked[of_class] = RankedPixels.of(plane[inside], true[inside])
    release(prepared.folder)
    return MeasuredCase(columns, bins, {}, ranked)


def _predicted(scan: StageScan, shape: tuple[int, ...]) -> VoxelMask:
    """Return the pixels of the region in the slices that a stage predicts, (Z, H, W)."""
    region = np.ones(shape, np.bool_) if scan.region is None else read_map(scan.region) > 0
    used = np.isin(np.arange(shape[0]), scan.slices)
    return region & used[:, None, None]
