import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from wsseg.evaluation.published import PublishedResults
from wsseg.report.figures.rates import (
    draw_dilated_rates,
    draw_rates,
    rates_by_dilation,
    rates_by_recipe,
)
from wsseg.report.figures.style import svg

Suite = Callable[..., pd.DataFrame]


def two_cases(fpr: float, tpr: float, method: str = "phi2") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": method,
            "seed": 0,
            "case": ["a", "b"],
            "tpr": [tpr, np.nan],
            "fpr": [fpr, 0.0],
            "positive_voxels": [10.0, 0.0],
            "negative_voxels": [100.0, 300.0],
        }
    )


def test_rates_are_pooled_over_cases_with_a_point_per_setting() -> None:
    rows = pd.concat([two_cases(0.4, 0.5, "phi2 a=1"), two_cases(0.2, 0.7, "phi2 a=2")])
    found = rates_by_recipe(rows)["phi2"]
    assert found.to_dict("list") == {"fpr": [0.1, 0.05], "tpr": [0.5, 0.7]}


@pytest.mark.parametrize(("points", "label"), [(3, "phi2: n = 3, γ = 0.500"), (2, "phi2: n = 2")])
def test_the_exponent_of_a_curve_is_fitted_from_three_points_on(points: int, label: str) -> None:
    seeds = [two_cases(0.04, 0.1).assign(seed=seed) for seed in range(points)]
    (axes,) = draw_rates(pd.concat(seeds), None).axes  # pooled FPR 0.01: 0.01 ** 0.5 is 0.1
    assert label in [line.get_label() for line in axes.lines]


def test_published_rates_are_stars() -> None:
    published = PublishedResults(source="x", methods={"phi2": {"fpr": 0.008, "tpr": 0.555}})
    (axes,) = draw_rates(two_cases(0.04, 0.1), published).axes
    stars = [np.asarray(line.get_data()) for line in axes.lines if line.get_marker() == "*"]
    assert [star.ravel().tolist() for star in stars if star.size] == [[0.008, 0.555]]


def test_false_positive_rates_by_dilation_are_pooled_over_voxels(suite: Suite) -> None:
    rows = suite(methods=("threshold", "phi2"))
    found = rates_by_dilation(rows)
    fp = rows[rows["method"] == "phi2"]["fp_voxels"].sum()
    assert found["phi2"][0] == pytest.approx(fp / 1600)  # 16 rows of 100 negatives
    assert found["phi2"][1] == pytest.approx(fp / 2 / 1280)
    (axes,) = draw_dilated_rates(found).axes
    assert [line.get_label() for line in axes.lines] == ["all methods, the same"]


def test_rows_without_dilated_counts_have_no_rates_by_dilation() -> None:
    assert not rates_by_dilation(two_cases(0.1, 0.2))


@pytest.mark.parametrize(
    ("rates", "labels"),
    [
        ((0.03, 0.02), {"0.01", "0.02", "0.1"}),
        ((0.5, 0.0002), {"0.0001", "0.001", "0.01", "0.1", "1"}),
        ((1e-7, 1e-5), {"1e-07", "1e-06", "1e-05"}),
    ],
)
def test_labels_of_a_logarithmic_axis_are_plain_numbers(
    rates: tuple[float, float], labels: set[str]
) -> None:
    drawn = svg(draw_dilated_rates({"$a_1$": dict(enumerate(rates))}))
    texts = set(re.findall(r"<text[^>]*>([^<]*)</text>", drawn))
    assert labels <= texts
    assert {text for text in texts if "$" in text} == {"$a_1$"}  # the name of the method


@pytest.mark.parametrize(
    ("rates", "limits"),
    [
        ((0.0333, 0.0331), (0.01, 0.1)),  # nearly equal rates look equal
        ((0.5, 0.0002), (0.0001, 1)),
        ((0.1, 0.1), (0.01, 0.1)),
        ((1.0, 1.0), (0.1, 1)),
    ],
)
def test_a_logarithmic_axis_of_rates_is_between_powers_of_ten(
    rates: tuple[float, float], limits: tuple[float, float]
) -> None:
    (axes,) = draw_dilated_rates({"em": dict(enumerate(rates))}).axes
    assert axes.get_ylim() == pytest.approx(limits)
