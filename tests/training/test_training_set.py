"""The region and the slices in which a stage learns, and those in which it predicts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsseg.components.cohorts import Table
from wsseg.components.regions import FileRegion, Nonzero
from wsseg.components.registry import registry
from wsseg.config.stages import EmStage
from wsseg.core.input import Input
from wsseg.data.batches import StageScan
from wsseg.data.prepare import Prepared, prepare, prepare_mask, prepare_region
from wsseg.inference.pipeline import Pipeline, slices_in
from wsseg.runtime.device import open_fabric
from wsseg.training.training_set import training_scans

REGIONS = {"body": Nonzero(), "annotated": FileRegion(mask="infection")}
EM: dict[str, Any] = {
    "learn": "em",
    "classes": ["consolidation"],
    "backbone": {"use": "additive-unet", "width": 2},
    "prior": {"use": "threshold", "hu": -250},
    "estep": {"use": "hard"},
    "loss": {"use": "smooth-dice"},
    "epochs": 1,
    "optimizer": {"lr": 0.01},
}


@pytest.fixture(scope="module")
def case(toy_cohort: Path) -> Prepared:
    return prepare(Table(path=toy_cohort).cases()[0], Input(slices=3, size=32))


def learnt_and_predicted(
    case: Prepared, regions: dict[str, str], input: Input
) -> tuple[StageScan, StageScan]:
    """Return a case as a stage learns from it, and as the stage predicts it."""
    stage = EmStage.model_validate(EM | regions, context=registry())
    pipeline = Pipeline(REGIONS, {}, input, open_fabric("float32"))
    (learnt,) = training_scans("weak", stage, [case], pipeline)
    return learnt, pipeline.scan(stage, case)


def voxels(scan: StageScan) -> np.ndarray[Any, Any]:
    assert isinstance(scan.region, Path)
    return np.asarray(np.load(scan.region))


def test_a_stage_learns_in_its_region_in_training_and_predicts_in_its_region(
    case: Prepared,
) -> None:
    regions = {"region": "body", "region_in_training": "annotated"}
    learnt, predicted = learnt_and_predicted(case, regions, Input(slices=3, size=32))
    true = prepare_mask(case, "infection")
    assert 0 < true.sum() < true.size
    assert np.array_equal(voxels(learnt), true)
    assert np.array_equal(voxels(predicted), prepare_region(case, Nonzero()))
    assert not np.array_equal(voxels(predicted), true)


def test_without_a_region_in_training_a_stage_learns_in_its_region(case: Prepared) -> None:
    input = Input(slices=3, size=32)
    learnt, predicted = learnt_and_predicted(case, {"region": "annotated"}, input)
    assert np.array_equal(voxels(learnt), prepare_mask(case, "infection"))
    assert np.array_equal(voxels(learnt), voxels(predicted))


@pytest.mark.parametrize(
    ("slices", "edges", "expected"),
    [
        (3, "repeat", (0, 1, 2, 3, 4)),
        (3, "drop", (1, 2, 3)),
        (5, "drop", (2,)),
        (1, "drop", (0, 1, 2, 3, 4)),
    ],
)
def test_with_dropped_edges_a_stage_neither_learns_from_nor_predicts_slices_without_neighbours(
    case: Prepared, slices: int, edges: Any, expected: tuple[int, ...]
) -> None:
    input = Input(slices=slices, size=32, edges=edges)
    learnt, predicted = learnt_and_predicted(case, {"region": "annotated"}, input)
    assert learnt.slices == predicted.slices == expected  # of the five slices


def test_slices_without_region_are_left_out_at_the_edges_and_inside(tmp_path: Path) -> None:
    region = np.ones((8, 2, 2), np.uint8)
    region[[0, 3]] = 0
    np.save(tmp_path / "region.npy", region)
    drop = Input(slices=5, edges="drop")
    assert slices_in(tmp_path / "region.npy", 8, Input(slices=5)) == (1, 2, 4, 5, 6, 7)
    assert slices_in(tmp_path / "region.npy", 8, drop) == (2, 4, 5)
    assert slices_in(None, 8, drop) == (2, 3, 4, 5)
    assert slices_in(None, 4, drop) == ()
