"""The plot of phi in the terminal."""

import numpy as np
import pytest

from wsseg.components.registry import make
from wsseg.core.interfaces import Prior
from wsseg.report.phi_curve import drawn_phi, phi_of


def test_the_phi_of_a_value_is_that_of_an_image_of_that_value() -> None:
    prior = make(Prior, "hu-sigmoid", midpoint_hu=0, width_hu=100, bias=0.5)
    values = np.array([-100.0, 0.0, 50.0])
    expected = np.minimum(1, 1 / (1 + np.exp(-values / 100)) + 0.5)
    assert phi_of(prior, values) == pytest.approx(expected, abs=1e-6)


def test_a_step_is_drawn_with_its_position_inside_the_axis() -> None:
    *rows, axis, numbers = drawn_phi(make(Prior, "threshold", hu=-200)).splitlines()
    assert axis.startswith("    0 └")
    low, _, high = map(float, numbers.split())
    assert low < -200 < high
    bars = {row.partition("│")[2] for row in rows}
    [bar] = bars  # phi is 0 or 1, so all rows are equal
    left = len(bar) - len(bar.lstrip())
    step = low + (left - 0.5) / 59 * (high - low)
    assert step == pytest.approx(-200, abs=(high - low) / 59)


def test_a_phi_of_one_half_fills_half_of_the_rows() -> None:
    *rows, _, _ = drawn_phi(make(Prior, "hu-sigmoid", width_hu=1)).splitlines()
    full = ["█" * 60 in row for row in rows]
    assert full == [False] * 4 + [True] * 4  # phi is at least 1/2


def test_a_constant_prior_has_one_value() -> None:
    assert drawn_phi(make(Prior, "constant", probability=0.75)) == "phi = 0.75 for every value\n"
