import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wsseg import Batch
from wsseg.testing import check_prior
from wsseg_two_gaussian import TwoGaussian

PRIOR = TwoGaussian(tissue_hu=-600, tissue_sd=200, lesion_hu=-100, lesion_sd=100)


def phi_of(prior: TwoGaussian, *hu: float) -> list[float]:
    image = torch.tensor(hu).reshape(1, 1, 1, -1)
    batch = Batch(image[:, None], torch.ones_like(image).bool(), torch.ones(1, 1).bool())
    found: list[float] = prior(batch).flatten().tolist()
    return found


@pytest.mark.parametrize("classes", [1, 3])
def test_the_prior_passes_the_conformance_test(classes: int) -> None:
    check_prior(PRIOR, classes)


def test_phi_equals_hand_computed_values() -> None:
    # at -100: the lesion's density is 1 / 100, the tissue's exp(-2.5 ** 2 / 2) / 200
    tissue = math.exp(-3.125) / 2
    assert phi_of(PRIOR, -100) == pytest.approx([1 / (1 + tissue)])


def test_with_equal_standard_deviations_phi_is_a_sigmoid_centred_between_the_means() -> None:
    even = TwoGaussian(tissue_hu=-600, tissue_sd=200, lesion_hu=-200, lesion_sd=200)
    # log-odds (x + 400) * 400 / 200 ** 2: 1 every 100 HU
    expected = [1 / (1 + math.e), 0.5, math.e / (1 + math.e)]
    assert phi_of(even, -500, -400, -300) == pytest.approx(expected)


def test_a_pixel_can_be_too_bright_for_a_lesion_with_a_small_standard_deviation() -> None:
    bright, lesion, brighter = phi_of(PRIOR, -600, -100, 800)
    assert lesion > 0.5 > bright
    assert brighter < 0.5


@settings(deadline=None)
@given(st.lists(st.floats(-1024, 1024, width=32), min_size=1, max_size=8))
def test_phi_equals_bayes_rule_in_a_loop(hu: list[float]) -> None:
    expected = []
    for x in hu:
        lesion = math.exp(-(((x + 100) / 100) ** 2) / 2) / 100
        tissue = math.exp(-(((x + 600) / 200) ** 2) / 2) / 200
        expected.append(lesion / (lesion + tissue))
    assert phi_of(PRIOR, *hu) == pytest.approx(expected, abs=1e-5)


def test_a_standard_deviation_of_0_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        TwoGaussian(tissue_hu=0, tissue_sd=0, lesion_hu=1, lesion_sd=1)
