"""Tests of independent and exclusive classes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from wsseg.core.class_relation import ClassRelation, Multiclass, Multilabel

LOG_ODDS = st.sampled_from([-math.inf, -50.0, -2.0, -0.5, 0.0, 0.5, 2.0, 2.5, 50.0, 1000.0])
PIXELS = st.lists(st.lists(LOG_ODDS, min_size=3, max_size=3), min_size=1, max_size=5)


def classes(*log_odds: float) -> Tensor:
    """Log-odds of one pixel, (1, K, 1, 1)."""
    return torch.tensor(log_odds).reshape(1, -1, 1, 1)


def each(pixel: Tensor) -> list[float]:
    return pixel.flatten().tolist()


def row(pixels: list[list[float]]) -> Tensor:
    """Log-odds of a row of pixels with three classes, (1, 3, 1, W)."""
    return torch.tensor(pixels).T.reshape(1, 3, 1, -1)


def test_the_probability_of_an_independent_class_is_a_sigmoid() -> None:
    f = Multilabel().probability(classes(0, math.log(3), -math.inf))
    assert each(f) == pytest.approx([0.5, 0.75, 0])


def test_a_pixel_can_have_several_independent_classes() -> None:
    assert each(Multilabel().decide(classes(1, 2, -1))) == [True, True, False]


def test_probabilities_of_exclusive_classes_and_background_add_up_to_1() -> None:
    f = Multiclass().probability(classes(math.log(2), math.log(5)))
    assert each(f) == pytest.approx([2 / 8, 5 / 8])


def test_the_background_has_the_remaining_probability() -> None:
    independent = Multilabel().background(classes(0, math.log(3), -math.inf))
    assert each(independent) == pytest.approx([0.5, 0.25, 1])
    exclusive = Multiclass().background(classes(math.log(2), math.log(5)))
    assert each(exclusive) == pytest.approx([1 / 8])


def test_the_logit_of_an_independent_class_is_its_log_odds() -> None:
    assert each(Multilabel().logit(classes(3, -math.inf))) == [3, -math.inf]


def test_the_logit_of_an_exclusive_class_is_against_the_background_and_all_others() -> None:
    logits = Multiclass().logit(classes(math.log(2), math.log(5)))  # f = 2/8 and 5/8
    assert each(logits) == pytest.approx([math.log(2 / 6), math.log(5 / 3)])


@given(PIXELS)
def test_logits_of_exclusive_classes_equal_those_of_a_naive_loop(
    pixels: list[list[float]],
) -> None:
    found = Multiclass().logit(row(pixels))
    for i, pixel in enumerate(pixels):
        for k in range(3):
            others = [0.0, *(a for j, a in enumerate(pixel) if j != k)]
            top = max(others)
            rest = top + math.log(sum(math.exp(a - top) for a in others))
            assert found[0, k, 0, i].item() == pytest.approx(pixel[k] - rest, rel=1e-5, abs=1e-4)


def test_a_single_exclusive_class_equals_an_independent_one() -> None:
    log_odds = torch.linspace(-60, 60, 101).reshape(1, 1, 1, -1)
    one, other = Multiclass(), Multilabel()
    torch.testing.assert_close(one.probability(log_odds), other.probability(log_odds))
    torch.testing.assert_close(one.background(log_odds), other.background(log_odds))
    assert torch.equal(one.decide(log_odds), other.decide(log_odds))
    assert torch.equal(one.margin(log_odds), other.margin(log_odds))
    assert torch.equal(one.logit(log_odds), other.logit(log_odds))


def test_the_most_probable_exclusive_class_is_chosen() -> None:
    assert each(Multiclass().decide(classes(1, 2, -1))) == [False, True, False]


def test_the_first_of_equally_probable_exclusive_classes_is_chosen() -> None:
    assert each(Multiclass().decide(classes(3, 3, 1))) == [True, False, False]


@pytest.mark.parametrize("relation", [Multilabel(), Multiclass()])
def test_a_tie_with_the_background_is_decided_for_the_background(relation: ClassRelation) -> None:
    assert not relation.decide(classes(0, -1)).any()


@pytest.mark.parametrize("relation", [Multilabel(), Multiclass()])
def test_log_odds_of_minus_infinity_exclude_a_class(relation: ClassRelation) -> None:
    nowhere = classes(-math.inf, -math.inf)
    assert not relation.probability(nowhere).any()
    assert not relation.decide(nowhere).any()


def test_the_margin_of_an_exclusive_class_is_its_log_odds_minus_the_best_alternative() -> None:
    assert each(Multiclass().margin(classes(3, 5, -1))) == [-2, 2, -6]
    assert each(Multiclass().margin(classes(-3, -1, -2))) == [-3, -1, -2]


@given(PIXELS)
def test_exclusive_probabilities_and_decisions_equal_those_of_a_naive_loop(
    pixels: list[list[float]],
) -> None:
    f, on = Multiclass().probability(row(pixels)), Multiclass().decide(row(pixels))
    for i, pixel in enumerate(pixels):
        top = max(0.0, *pixel)
        weights = [math.exp(a - top) for a in (0.0, *pixel)]
        expected = [weight / sum(weights) for weight in weights[1:]]
        assert f[0, :, 0, i].tolist() == pytest.approx(expected, abs=1e-6)
        winner = (0.0, *pixel).index(top)
        assert on[0, :, 0, i].tolist() == [k == winner for k in (1, 2, 3)]


@given(PIXELS, st.sampled_from([Multilabel(), Multiclass()]))
def test_a_class_is_chosen_where_its_margin_is_above_0(
    pixels: list[list[float]], relation: ClassRelation
) -> None:
    on, margin = relation.decide(row(pixels)), relation.margin(row(pixels))
    assert on[margin > 0].all()
    assert not on[margin < 0].any()


def test_probabilities_of_extreme_log_odds_are_finite_in_bfloat16() -> None:
    for relation in (Multilabel(), Multiclass()):
        f = relation.probability(classes(-math.inf, 4, 1000).bfloat16())
        assert f.dtype == torch.bfloat16
        assert f.isfinite().all()


def test_the_distribution_of_independent_classes_has_each_class_and_its_absence() -> None:
    assert each(Multilabel().distribution(classes(0.25, 1))) == [0.25, 1, 0.75, 0]
    log_f = Multilabel().log_distribution(classes(math.log(3), -1000))
    assert each(log_f) == pytest.approx([math.log(3 / 4), -1000, math.log(1 / 4), 0])


def test_the_distribution_of_exclusive_classes_has_the_background_last() -> None:
    assert each(Multiclass().distribution(classes(0.25, 0.5))) == [0.25, 0.5, 0.25]
    log_f = Multiclass().log_distribution(classes(math.log(2), math.log(5)))
    assert each(log_f) == pytest.approx([math.log(2 / 8), math.log(5 / 8), math.log(1 / 8)])


@given(st.lists(st.lists(st.floats(-20, 20), min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_log_distribution_is_the_logarithm_of_the_distribution_of_f(
    pixels: list[list[float]],
) -> None:
    for relation in (Multilabel(), Multiclass()):
        log_odds = row(pixels).double()
        f = relation.distribution(relation.probability(log_odds))
        torch.testing.assert_close(relation.log_distribution(log_odds).exp(), f)
