"""Bins of pixels by probability, and the calibration error computed from them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsseg.errors import InputError
from wsseg.evaluation.reliability import (
    Bins,
    Reliability,
    read_reliability,
    write_reliability,
)
from wsseg.inference.folders import RunFolder

PROBABILITIES = arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 1, width=32))


def random_present(p: Any) -> Any:
    return np.random.default_rng(0).random(len(p)) < 0.5


def test_the_calibration_error_of_four_pixels_is_that_computed_by_hand() -> None:
    """Bin 0.2 to 0.3: mean 0.25, share 1/2. Bin 0.9 to 1: mean 0.95, share 1. 2 pixels each."""
    p = np.array([0.21, 0.29, 0.91, 0.99], np.float32)
    bins = Bins.of(p, np.array([True, False, True, True]))
    assert bins.pixels == (0, 0, 2, 0, 0, 0, 0, 0, 0, 2)
    assert bins.present == (0, 0, 1, 0, 0, 0, 0, 0, 0, 2)
    assert bins.ece == pytest.approx(2 / 4 * 0.25 + 2 / 4 * 0.05, abs=1e-6)
    assert bins.points == [pytest.approx((0.25, 0.5)), pytest.approx((0.95, 1.0))]


@given(PROBABILITIES)
def test_the_calibration_error_is_that_of_a_loop_and_between_0_and_1(p: Any) -> None:
    present, total = random_present(p), 0.0
    for low in range(10):
        here = [i for i, x in enumerate(p) if min(int(float(x) * 10), 9) == low]
        if here:
            mean = sum(float(p[i]) for i in here) / len(here)
            share = sum(bool(present[i]) for i in here) / len(here)
            total += len(here) / len(p) * abs(share - mean)
    found = Bins.of(p, present).ece
    assert found == pytest.approx(total)
    assert 0 <= found <= 1


@given(PROBABILITIES, PROBABILITIES)
def test_the_bins_of_two_cases_add_up_to_those_of_all_pixels(one: Any, two: Any) -> None:
    both = np.concatenate([one, two])
    present = random_present(both)
    added = Bins.of(one, present[: len(one)]) + Bins.of(two, present[len(one) :])
    every = Bins.of(both, present)
    assert (added.pixels, added.present) == (every.pixels, every.present)
    assert added.probability == pytest.approx(every.probability)


def test_the_error_is_0_if_the_share_of_each_bin_is_its_probability() -> None:
    p = np.repeat(np.array([0.25, 0.5, 0.75], np.float32), 400)
    present = np.tile(np.arange(400), 3) < 400 * p
    assert Bins.of(p, present).ece == 0


def test_the_error_is_nearly_0_if_classes_are_drawn_from_the_probabilities() -> None:
    generator = np.random.default_rng(0)
    p = generator.random(100_000).astype(np.float32)
    assert Bins.of(p, generator.random(len(p)) < p).ece < 0.01


def test_the_error_of_no_pixels_is_not_defined() -> None:
    assert np.isnan(Bins.of(np.zeros(0, np.float32), np.zeros(0, np.bool_)).ece)


def test_reliability_is_read_as_it_was_written_and_a_damaged_file_is_refused(
    tmp_path: Path,
) -> None:
    folder = RunFolder(tmp_path)
    assert read_reliability(folder) == {}
    bins = Bins.of(np.array([0.25, 0.5], np.float32), np.array([True, False]))
    found = {"a": Reliability(1, bins), "b": Reliability(2, bins, bins, 1.5)}
    write_reliability(folder, found)
    assert read_reliability(folder) == found
    folder.reliability.write_text('{"a": {"cases": 1, "uncalibrated": {"pixels": [1]}}}')
    with pytest.raises(InputError, match="damaged; remove it, or run wsseg score"):
        read_reliability(folder)
