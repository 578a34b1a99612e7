import numpy as np
import pandas as pd

from wsseg.report.figures.key_cases import key_cases, key_slice


def test_the_key_slice_has_most_true_voxels_or_most_predicted_ones() -> None:
    predicted, true = np.zeros((3, 4, 4), bool), np.zeros((3, 4, 4), bool)
    predicted[2] = True
    assert key_slice(predicted) == 2
    assert key_slice(predicted, true) == 2
    true[1, 0, 0] = True
    assert key_slice(predicted, true) == 1


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


def test_few_cases_are_not_chosen_twice() -> None:
    assert key_cases(rows(0.2, 0.9, 0.5), "a") == {"best": "c1", "median": "c2", "worst": "c0"}
    assert key_cases(rows(0.2, 0.9), "a") == {"best": "c1", "worst": "c0"}
    assert key_cases(rows(0.2), "a") == {"best": "c0"}
    assert key_cases(rows(np.nan), "a") == {}
    assert key_cases(rows(0.2).drop(columns="dice"), "a") == {}
