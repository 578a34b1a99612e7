import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wsseg import Batch, Evidence, Prior, make
from wsseg.components.esteps import HardEM
from wsseg.testing import check_prior
from wsseg_covid.priors import Constant, HuSigmoid, Threshold

HU = st.lists(st.floats(-1024, 3071, width=32), min_size=1, max_size=6)


def one_row(hu: list[float], classes: int = 1, *, tag: bool = True) -> Batch:
    """Return three slices of one row, whose middle slice has these values."""
    middle = torch.tensor(hu, dtype=torch.float32).reshape(1, 1, 1, -1)
    image = torch.cat([middle - 500, middle, middle + 500], dim=1)
    return Batch(image[:, None], torch.ones_like(middle).bool(), torch.full((1, classes), tag))


def phi_of(prior: Prior, *hu: float) -> list[float]:
    found: list[float] = prior(one_row(list(hu))).flatten().tolist()
    return found


@pytest.mark.parametrize("prior", [HuSigmoid(), Constant(probability=0.3), Threshold()])
@pytest.mark.parametrize("classes", [1, 3])
def test_priors_pass_the_conformance_test(prior: Prior, classes: int) -> None:
    check_prior(prior, classes)


def test_the_papers_constants_are_the_defaults_in_hu() -> None:
    assert HuSigmoid.from_paper(b2=9.0, k2=0.5) == HuSigmoid(midpoint_hu=-34, width_hu=220)
    assert HuSigmoid() == HuSigmoid.from_paper()


def test_the_papers_midpoints_are_converted_to_hu() -> None:
    midpoints = [HuSigmoid.from_paper(b2=b2).midpoint_hu for b2 in (9.5, 9.0, 8.5, 8.0)]
    assert midpoints == [21, -34, -89, -144]


def test_hu_sigmoid_equals_hand_computed_values() -> None:
    prior = HuSigmoid(midpoint_hu=-34, width_hu=220)
    down = -34 - 220 * math.log(3)  # sigmoid(-log 3) = 1/4
    assert phi_of(prior, down, -34, 100) == pytest.approx([0.75, 1, 1])


@given(HU, st.sampled_from([8.0, 8.5, 9.0, 9.5]), st.sampled_from([0.5, 1.0, 2.0]))
def test_hu_sigmoid_equals_equation_13(hu: list[float], b2: float, k2: float) -> None:
    expected = []
    for value in hu:
        x = (value + 1024) / 110
        expected.append(min(1, 1 / (1 + math.exp(-k2 * (x - b2))) + 1 / 2))
    assert phi_of(HuSigmoid.from_paper(b2, k2), *hu) == pytest.approx(expected, abs=1e-6)


def test_hu_sigmoid_is_1_above_the_midpoint_and_increases_from_one_half_below_it() -> None:
    assert phi_of(HuSigmoid(), -34, 0, 3000) == [1, 1, 1]
    below = phi_of(HuSigmoid(), -1024, -500, -35)
    assert all(0.5 <= phi < 1 for phi in below)
    assert below == sorted(below)


def test_a_negative_width_mirrors_hu_sigmoid_at_its_midpoint() -> None:
    rising = HuSigmoid(midpoint_hu=-200, width_hu=220)
    falling = HuSigmoid(midpoint_hu=-200, width_hu=-220)
    assert phi_of(falling, -900, -200, 50) == pytest.approx(phi_of(rising, 500, -200, -450))
    check_prior(falling)


def test_constant_equals_equation_12() -> None:
    assert phi_of(Constant(probability=0.7), -900, 0, 50) == pytest.approx([0.7] * 3)
    assert phi_of(Constant(), -900) == [1]  # the paper's best b1


def test_threshold_is_1_above_its_value_and_0_elsewhere() -> None:
    assert phi_of(Threshold(hu=-200), -201, -200, -199) == [0, 0, 1]


def test_the_network_does_not_change_the_targets_of_a_threshold() -> None:
    batch = one_row([-300, -100, -300, -100])
    logits = torch.tensor([-50.0, -50.0, 50.0, 50.0]).reshape(1, 1, 1, 4)
    y = HardEM()(Evidence(batch, logits, Threshold(hu=-200)(batch)))
    assert y.flatten().tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("prior", [HuSigmoid(), Constant(), Threshold()])
def test_without_the_tag_no_target_is_positive(prior: Prior) -> None:
    batch = one_row([-500, 0, 500], tag=False)  # the "0 if z = 0" of equations 12 and 13
    y = HardEM()(Evidence(batch, torch.full((1, 1, 1, 3), 50.0), prior(batch)))
    assert not y.any()


@pytest.mark.parametrize("prior", [HuSigmoid(), Constant(probability=0.4), Threshold()])
def test_every_class_gets_the_same_phi(prior: Prior) -> None:
    phi = prior(one_row([-500, 0], classes=2))
    assert phi.shape == (1, 2, 1, 2)
    assert torch.equal(phi[:, 0], phi[:, 1])


def test_priors_are_built_by_their_names() -> None:
    made = make(Prior, "hu-sigmoid", midpoint_hu=-34, width_hu=220)
    assert made == HuSigmoid()
    assert make(Prior, "constant", probability=0.5) == Constant(probability=0.5)
    assert make(Prior, "threshold", hu=-300) == Threshold(hu=-300)


def test_invalid_constants_are_refused() -> None:
    with pytest.raises(ValidationError, match="must not be 0"):
        HuSigmoid(width_hu=0)
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Constant(probability=1.5)
    with pytest.raises(ValidationError, match="finite"):
        Threshold(hu=math.nan)


def test_without_bias_hu_sigmoid_is_below_one_half_below_its_midpoint() -> None:
    prior = HuSigmoid(midpoint_hu=-300, width_hu=100, bias=0)
    assert phi_of(prior, -300, -200, -400) == pytest.approx([0.5, 0.7310586, 0.2689414])
