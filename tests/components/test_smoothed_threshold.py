import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import ndimage

from wsseg import Batch, Prior, Probability, make
from wsseg.components.smoothed_threshold import SmoothedThreshold
from wsseg.testing import check_prior

SIDE = 9
IMAGES = arrays(np.float32, (SIDE, SIDE), elements=st.floats(-100, 100, width=16))
REGIONS = arrays(np.bool_, (SIDE, SIDE))


def batch_of(image: object, region: object = None) -> Batch:
    x = torch.as_tensor(np.asarray(image, np.float32))[None, None]
    inside = torch.ones_like(x).bool() if region is None else torch.as_tensor(region)[None, None]
    return Batch(x[:, None], inside, torch.ones(1, 1).bool())


def mask(phi: Probability) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = phi[0, 0].numpy() > 0.5
    return found


def rows_of(*rows: str) -> NDArray[np.bool_]:
    """Return a mask whose pixels are drawn as #."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("parameters", [{}, {"sigma_px": 0, "opening_px": 0}, {"opening_px": 1.5}])
def test_the_prior_passes_the_conformance_test(classes: int, parameters: dict[str, float]) -> None:
    check_prior(make(Prior, "smoothed-threshold", threshold=1, **parameters), classes)


def test_without_smoothing_and_opening_phi_is_1_above_the_threshold_and_0_elsewhere() -> None:
    prior = SmoothedThreshold(threshold=-200, sigma_px=0, opening_px=0)
    phi = prior(batch_of([[-201, -200, -199]]))
    assert phi.flatten().tolist() == [0, 0, 1]


def test_the_smoothed_value_next_to_a_bright_pixel_is_its_weight_in_the_gaussian() -> None:
    # a row with one pixel of 100: with weights g_k = exp(-k^2 / 2) and a reach of 4 pixels, the
    # neighbour has 100 g_1 / (g_-4 + ... + g_4) = 100 * 0.60653 / 2.50661 = 24.197
    row = [[0.0] * 6 + [100.0] + [0.0] * 6]
    g = [math.exp(-(k**2) / 2) for k in range(-4, 5)]
    value = 100 * g[5] / sum(g)
    assert value == pytest.approx(24.197, abs=1e-3)
    for threshold, count in ((value - 0.01, 3), (value + 0.01, 1)):
        found = SmoothedThreshold(threshold=threshold, sigma_px=1, opening_px=0)(batch_of(row))
        assert found.sum() == count


def test_pixels_outside_the_region_do_not_change_the_smoothed_values_inside() -> None:
    row, region = [[10.0, 10.0, 10.0, 900.0]], np.array([[True, True, True, False]])
    below, above = (
        SmoothedThreshold(threshold=t, sigma_px=2, opening_px=0)(batch_of(row, region))
        for t in (9.99, 10.01)
    )
    assert below.flatten().tolist() == [1, 1, 1, 0]  # the mean of equal values is that value
    assert not above.any()


def test_opening_by_a_cross_removes_a_line_and_a_square_of_2_and_keeps_a_cross() -> None:
    drawn = rows_of(
        "##......",
        "##....#.",
        ".....###",
        "......#.",
        "........",
        "########",
    )
    kept = rows_of(
        "........",
        "......#.",
        ".....###",
        "......#.",
        "........",
        "........",
    )
    prior = SmoothedThreshold(threshold=0.5, sigma_px=0, opening_px=1)
    assert (mask(prior(batch_of(drawn))) == kept).all()


def test_opening_by_a_square_keeps_a_square_at_the_border_of_the_image_and_cuts_its_tail() -> None:
    drawn = rows_of("###..", "#####", "###..", ".....")
    kept = rows_of("###..", "###..", "###..", ".....")
    prior = SmoothedThreshold(threshold=0.5, sigma_px=0, opening_px=1.5)
    assert (mask(prior(batch_of(drawn))) == kept).all()


@given(IMAGES, REGIONS, st.sampled_from([0.5, 1.0, 1.7]), st.sampled_from([0, 1, 1.5, 2, 2.3]))
def test_the_mask_equals_that_of_scipy(
    image: NDArray[np.float32], region: NDArray[np.bool_], sigma_px: float, radius_px: float
) -> None:
    def gaussian(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return ndimage.gaussian_filter(values, sigma_px, mode="constant")

    inside = region.astype(np.float64)
    weights = gaussian(inside)
    smooth = gaussian(image * inside)[region] / weights[region]
    step = 0.123 if not smooth.size else float(np.median(smooth)) + 0.123
    if np.abs(smooth - step).min(initial=1) < 1e-3:  # rounding decides
        return
    above = np.zeros_like(region)
    above[region] = smooth > step
    reach = int(radius_px)
    i, j = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    expected = ndimage.binary_opening(above, i**2 + j**2 <= radius_px**2)
    prior = SmoothedThreshold(threshold=step, sigma_px=sigma_px, opening_px=radius_px)
    assert (mask(prior(batch_of(image, region))) == expected).all()


def test_negative_widths_are_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        SmoothedThreshold(threshold=0, sigma_px=-1)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        SmoothedThreshold(threshold=0, opening_px=-1)
