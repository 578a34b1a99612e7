from collections.abc import Mapping

import numpy as np
import pytest

from wsseg.components.error_metrics import DilatedFallOut
from wsseg.components.metrics import Dice, Rates, Share
from wsseg.core.volume import Grid, VoxelMask
from wsseg.errors import InputError
from wsseg.evaluation.scoring import ScoringPlan, score_case

GRID = Grid((1, 1, 1), np.eye(4))
SCORES = {
    "severity": Share(of="infection", within="lung"),
    "consolidation_score": Share(of="consolidation", within="lung"),
}
PLAN = ScoringPlan(
    classes=["infection", "consolidation"],
    regions={"infection": "lung", "consolidation": "infection"},
    metrics={"dice": Dice(), "rates": Rates()},
    scores=SCORES,
)


def line(text: str) -> VoxelMask:
    return np.array([[[c == "#" for c in text]]])


PREDICTED = {
    "lung": line("########.."),
    "infection": line("####......"),
    "consolidation": line("##........"),
}


def score(true: Mapping[str, VoxelMask]) -> dict[str, float]:
    return score_case(PREDICTED, true, GRID, PLAN)


def test_columns_of_the_target_have_no_prefix_and_those_of_other_classes_their_name() -> None:
    row = score({"infection": line("..####...."), "consolidation": line("#.........")})
    assert row["dice"] == 2 / 3
    assert row["infection.dice"] == 1 / 2
    assert row["fpr"] == 1 / 3  # of the 4 voxels of predicted infection, 3 are not consolidation
    assert row["infection.fpr"] == 2 / 4


def test_a_class_without_annotation_has_no_metrics_and_no_annotated_score() -> None:
    row = score({"infection": line("####......")})
    assert "dice" not in row
    assert "infection.dice" in row
    assert row["severity_true"] == 4 / 8
    assert row["consolidation_score"] == 2 / 8
    assert "consolidation_score_true" not in row


def test_a_case_without_any_annotation_has_only_predicted_scores() -> None:
    assert score({}) == {"severity": 4 / 8, "consolidation_score": 2 / 8}


def test_an_annotated_score_uses_the_annotated_region_if_there_is_one() -> None:
    row = score({"infection": line("##........"), "lung": line("####......")})
    assert row["severity"] == 4 / 8
    assert row["severity_true"] == 2 / 4


def test_a_class_without_region_is_measured_over_all_voxels_of_the_image() -> None:
    plan = ScoringPlan(["tumour"], {"tumour": None}, {"rates": Rates()}, {})
    row = score_case({"tumour": line("##..")}, {"tumour": line("#...")}, GRID, plan)
    assert row["negative_voxels"] == 3


def test_a_metric_of_the_annotated_region_is_measured_inside_the_annotation() -> None:
    plan = ScoringPlan(PLAN.classes, PLAN.regions, {"dilation": DilatedFallOut(steps=0)}, {})

    def negatives(true: Mapping[str, VoxelMask]) -> float | None:
        row = score_case(PREDICTED, true, GRID, plan)
        return row.get("negative_dilated_0_voxels")

    consolidation = {"consolidation": line("#.........")}
    assert negatives(consolidation | {"infection": line("######....")}) == 5
    assert negatives(consolidation) is None  # the annotated infection is unknown


def test_a_score_of_a_mask_that_is_not_predicted_lists_the_predicted_masks() -> None:
    predicted = {name: mask for name, mask in PREDICTED.items() if name != "lung"}
    with pytest.raises(InputError, match=r"'severity' needs a mask of 'lung'; possible: consol"):
        score_case(predicted, {}, GRID, ScoringPlan([], {}, {}, SCORES))


def test_a_score_does_not_overwrite_the_column_of_a_metric() -> None:
    plan = ScoringPlan(
        ["tumour"], {"tumour": None}, {"dice": Dice()}, {"dice": Share(of="tumour", within="all")}
    )
    masks = {"tumour": line("##.."), "all": line("####")}
    with pytest.raises(InputError, match="two metrics or scores return the column 'dice'"):
        score_case(masks, {"tumour": line("#...")}, GRID, plan)


def test_masks_of_different_shapes_raise_an_error_that_lists_the_shapes() -> None:
    with pytest.raises(InputError, match=r"annotated infection \(1, 1, 3\)"):
        score({"infection": line("###")})
