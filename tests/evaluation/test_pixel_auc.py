"""The pixel AUROC is the share of pairs of pixels in the right order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsseg.evaluation.pixel_auc import RankedPixels

PIXELS = st.lists(st.tuples(st.sampled_from([0, 0.1, 0.5, 0.9, 0.999, 1]), st.booleans()))


def ranked(pixels: list[tuple[float, bool]]) -> RankedPixels:
    probability = np.array([p for p, _ in pixels], np.float32)
    return RankedPixels.of(probability, np.array([present for _, present in pixels], np.bool_))


def test_three_of_four_pairs_in_the_right_order_are_an_auroc_of_three_quarters() -> None:
    assert ranked([(0.9, True), (0.2, True), (0.4, False), (0.1, False)]).auc == 0.75
    assert ranked([(0.999, True), (0.998, False)]).auc == 1.0
    assert ranked([(0.3, True), (0.3, False)]).auc == 0.5


@given(PIXELS)
def test_the_auroc_is_that_of_a_loop_over_all_pairs(pixels: list[tuple[float, bool]]) -> None:
    pairs = [(p, q) for p, has in pixels if has for q, other in pixels if not other]
    found = ranked(pixels).auc
    if pairs:
        assert found == pytest.approx(sum((p > q) + (p == q) / 2 for p, q in pairs) / len(pairs))
    else:
        assert found is None


@given(PIXELS, PIXELS)
def test_counts_of_two_cases_add_up_to_those_of_all_pixels(
    one: list[tuple[float, bool]], two: list[tuple[float, bool]]
) -> None:
    assert (ranked(one) + ranked(two)).auc == ranked(one + two).auc
