import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wsseg import Batch
from wsseg.testing import check_prior
from wsseg_sigmoid import Sigmoid

PRIOR = Sigmoid(midpoint=1, width=0.5)


def phi_of(prior: Sigmoid, *values: float) -> list[float]:
    image = torch.tensor(values).reshape(1, 1, 1, -1)
    batch = Batch(image[:, None], torch.ones_like(image).bool(), torch.ones(1, 1).bool())
    found: list[float] = prior(batch).flatten().tolist()
    return found


@pytest.mark.parametrize("classes", [1, 3])
def test_the_prior_passes_the_conformance_test(classes: int) -> None:
    check_prior(PRIOR, classes)


def test_phi_equals_hand_computed_values() -> None:
    # a width above the midpoint the odds are e, two widths below exp(-2)
    assert phi_of(PRIOR, 0, 1, 1.5) == pytest.approx(
        [1 / (1 + math.e**2), 0.5, math.e / (1 + math.e)]
    )


@settings(deadline=None)
@given(st.lists(st.floats(-4, 8, width=32), min_size=1, max_size=8))
def test_phi_is_above_one_half_exactly_above_the_midpoint(values: list[float]) -> None:
    assert [phi > 0.5 for phi in phi_of(Sigmoid(midpoint=1, width=1), *values)] == [
        1 / (1 + math.exp(1 - x)) > 0.5 + 1e-7 for x in values
    ]


def test_a_width_of_0_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        Sigmoid(midpoint=0, width=0)
