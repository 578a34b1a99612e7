"""Calibration of the phantom to human annotations of real scans."""

from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from wsseg_covid.phantom.cohort import LungPhantom, draw

pytestmark = pytest.mark.slow

# MedSeg COVID-19 CT dataset 1 (figshare 13521488, CC0): its 98 annotated slices in pseudo-HU.
# Quantiles 5, 25, 50, 75 and 95 % of annotated voxels; areas are medians over slices.
GROUND_GLASS_HU = (-924, -742, -609, -467, -233)
CONSOLIDATION_HU = (-814, -465, -234, -50, 59)
INFECTED_SHARE, CONSOLIDATED_SHARE = 0.114, 0.366  # of a slice cropped to the lungs; of infection
INFECTIONS, CONSOLIDATIONS = 7, 4  # connected components in a slice

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
TOLERANCE_HU = (120, 60, 60, 60, 120)


@dataclass(frozen=True)
class Figures:
    """Measurements of a case: the HU of its voxels, and a number for each slice."""

    ground_glass: NDArray[Any]
    consolidation: NDArray[Any]
    infected_share: NDArray[Any]
    consolidated_share: NDArray[Any]
    infections: NDArray[Any]
    consolidations: NDArray[Any]


def measured(cohort: LungPhantom, index: int) -> Figures:
    case = draw(cohort, index)
    _, rows, columns = np.where(case.lung)
    cropped_area = np.ptp(rows) * np.ptp(columns)
    infected = case.infection[case.infection.any(axis=(1, 2))]
    solid = case.consolidation[case.consolidation.any(axis=(1, 2))]
    around_solid = case.infection[case.consolidation.any(axis=(1, 2))]
    return Figures(
        ground_glass=case.image[case.infection & ~case.consolidation],
        consolidation=case.image[case.consolidation],
        infected_share=infected.sum(axis=(1, 2)) / cropped_area,
        consolidated_share=solid.sum(axis=(1, 2)) / around_solid.sum(axis=(1, 2)),
        infections=pieces(infected),
        consolidations=pieces(solid),
    )


def pieces(slices: NDArray[np.bool_]) -> NDArray[Any]:
    return np.array([ndimage.label(mask)[1] for mask in slices], int)


def pooled(cohort: LungPhantom) -> Figures:
    cases = joblib.Parallel(2)(
        joblib.delayed(measured)(cohort, index) for index in range(cohort.count)
    )
    return Figures(*(np.concatenate([getattr(c, name) for c in cases]) for name in vars(cases[0])))


@pytest.fixture(scope="module")
def figures() -> Figures:
    return pooled(LungPhantom(cases=12))


def check_hu(name: str, hu: NDArray[Any], reference: tuple[int, ...]) -> None:
    quantiles = np.quantile(hu, QUANTILES)
    print(f"{name:14} HU at 5, 25, 50, 75, 95 %: {quantiles.round()}, annotated {reference}")
    for quantile, wanted, tolerance in zip(quantiles, reference, TOLERANCE_HU, strict=True):
        assert quantile == pytest.approx(wanted, abs=tolerance), name


def check_share_above(name: str, hu: NDArray[Any], low: float, high: float) -> None:
    share = (hu > -200).mean()
    print(f"{name:14} above -200 HU: {share:.1%}, wanted {low:.0%} to {high:.0%}")
    assert low <= share <= high, name


def test_ground_glass_has_the_hu_of_real_annotations(figures: Figures) -> None:
    check_hu("ground-glass", figures.ground_glass, GROUND_GLASS_HU)
    check_share_above("ground-glass", figures.ground_glass, 0.02, 0.06)


def test_consolidation_has_the_hu_of_real_annotations(figures: Figures) -> None:
    check_hu("consolidation", figures.consolidation, CONSOLIDATION_HU)
    check_share_above("consolidation", figures.consolidation, 0.35, 0.55)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("infected_share", INFECTED_SHARE),
        ("consolidated_share", CONSOLIDATED_SHARE),
        ("infections", INFECTIONS),
        ("consolidations", CONSOLIDATIONS),
    ],
)
def test_areas_and_numbers_of_lesions_are_within_a_factor_of_2_of_real_annotations(
    name: str, reference: float, figures: Figures
) -> None:
    median = np.median(getattr(figures, name))
    print(f"{name:18} median of a slice: {median:.3g}, annotated {reference}")
    assert reference / 2 < median < reference * 2


def test_no_threshold_separates_ground_glass_and_consolidation(figures: Figures) -> None:
    """The balanced accuracy of the best threshold, chosen on the masks, is between 0.7 and 0.85."""
    thresholds = np.arange(-900, 200, 25)
    kept = (figures.consolidation[:, None] > thresholds).mean(axis=0)
    dropped = (figures.ground_glass[:, None] <= thresholds).mean(axis=0)
    best = ((kept + dropped) / 2).max()
    print(f"best balanced accuracy of a threshold inside the infection: {best:.3f}")
    assert 0.7 < best < 0.85


@pytest.mark.parametrize(("cases", "seed"), [(24, 0), (24, 1), (24, 2), (8, 0), (8, 1), (8, 2)])
def test_cohorts_of_other_seeds_and_sizes_are_calibrated_too(cases: int, seed: int) -> None:
    figures = pooled(LungPhantom(cases=cases, seed=seed))
    test_ground_glass_has_the_hu_of_real_annotations(figures)
    test_consolidation_has_the_hu_of_real_annotations(figures)
