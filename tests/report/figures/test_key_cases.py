import numpy as np
import pandas as pd

from wsseg.report.figures.key_cases import finding_slices, key_cases, key_slice


def test_the_key_slice_has_the_most_true_voxels_or_the_most_predicted_ones() -> None:
    predicted, true = np.zeros((3, 4, 4), bool), np.zeros((3, 4, 4), bool)
    predicted[2] = True
    assert key_slice(predicted) == 2
    assert key_slice(predicted, true) == 2
    true[1, 0, 0] = True
    assert key_slice(predicted, true) == 1


def test_the_key_slice_of_empty_masks_is_the_middle_one() -> None:
    empty = np.zeros((5, 4, 4), bool)
    assert key_slice(empty) == 2
    assert key_slice(empty, empty) == 2


def test_the_largest_findings_have_a_slice_each_unless_one_slice_cuts_several() -> None:
    mask = np.zeros((9, 8, 8), bool)
    mask[1, :4, :4] = mask[2, :2, :2] = True  # the largest finding, widest in slice 1
    mask[1:3, 6, 6:] = True  # is cut by slice 1, too
    mask[7, 0, :3] = True
    assert finding_slices(mask, most=2) == [1, 7]
    assert finding_slices(mask, most=1) == [1]


def test_if_there_are_fewer_findings_than_slices_the_others_are_far_apart_and_large() -> None:
    mask = np.zeros((9, 4, 4), bool)
    mask[:, :2, :2] = True  # one finding, 4 voxels in each slice
    mask[4] = True
    assert finding_slices(mask, most=3) == [0, 4, 8]  # 4 voxels at a distance of 4
    mask[8, :2, 1] = False  # 2 voxels at a distance of 4 are less than 4 at a distance of 3
    assert finding_slices(mask, most=3) == [0, 4, 7]


def test_no_more_slices_are_chosen_than_the_mask_has() -> None:
    mask = np.zeros((5, 4, 4), bool)
    assert finding_slices(mask, most=4) == [2]
    mask[3:, 1, 1] = True
    assert finding_slices(mask, most=4) == [3, 4]


def rows(*dice: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"method": "a", "seed": 0, "case": f"c{k}", "patient": f"c{k}", "dice": value}
            for k, value in enumerate(dice)
        ]
    )


def test_key_cases_are_the_best_the_median_and_the_three_worst() -> None:
    found = key_cases(rows(0.2, np.nan, 0.9, 0.5, 0.4, 0.1, 0.45), "a")
    assert found == {
        "best": "c2",
        "median": "c6",
        "third worst": "c4",
        "second worst": "c0",
        "worst": "c5",
    }


def test_no_case_is_chosen_twice_if_there_are_fewer_than_three() -> None:
    assert key_cases(rows(0.2, 0.9, 0.5), "a") == {"best": "c1", "median": "c2", "worst": "c0"}
    assert key_cases(rows(0.2, 0.9), "a") == {"best": "c1", "worst": "c0"}
    assert key_cases(rows(0.2), "a") == {"best": "c0"}
    assert key_cases(rows(np.nan), "a") == {}
    assert key_cases(rows(0.2).drop(columns="dice"), "a") == {}
