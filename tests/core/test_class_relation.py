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
    """One pixel, (1, K, 1, 1)."""
    return torch.tensor(log_odds).reshape(1, -1, 1, 1)


def each(pixel: Tensor) -> list[float]:
    return pixel.flatten().tolist()


def row(pixels: list[list[float]]) -> Tensor:
    """A row of pixels with three classes, (1, 3, 1, W)."""
    return torch.tensor(pixels).T.reshape(1, 3, 1, -1)


def test_independent_classes_each_have_a_sigmoid() -> None:
    f = Multilabel().probability(classes(0, math.log(3), -math.inf))
    assert each(f) == pytest.approx([0.5, 0.75, 0])


def test_independent_classes_can_be_on_together() -> None:
    assert each(Multilabel().decide(classes(1, 2, -1))) == [True, True, False]


def test_exclusive_classes_share_one_with_the_background() -> None:
    f = Multiclass().probability(classes(math.log(2), math.log(5)))
    assert each(f) == pytest.approx([2 / 8, 5 / 8])


def test_the_background_has_what_the_classes_leave() -> None:
    each_alone = Multilabel().background(classes(0, math.log(3), -math.inf))
    assert each(each_alone) == pytest.approx([0.5, 0.25, 1])
    together = Multiclass().background(classes(math.log(2), math.log(5)))
    assert each(together) == pytest.approx([1 / 8])


def test_an_independent_class_is_against_the_background_alone() -> None:
    assert each(Multilabel().logit(classes(3, -math.inf))) == [3, -math.inf]


def test_an_exclusive_class_is_against_the_background_and_all_others() -> None:
    logits = Multiclass().logit(classes(math.log(2), math.log(5)))  # f = 2/8 and 5/8
    assert each(logits) == pytest.approx([math.log(2 / 6), math.log(5 / 3)])


@given(PIXELS)
def test_logits_of_exclusive_classes_are_exact_where_probabilities_are_not(
    pixels: list[list[float]],
) -> None:
    found = Multiclass().logit(row(pixels))
    for i, pixel in enumerate(pixels):
        for k in range(3):
            others = [0.0, *(a for j, a in enumerate(pixel) if j != k)]
            top = max(others)
            rest = top + math.log(sum(math.exp(a - top) for a in others))
            assert found[0, k, 0, i].item() == pytest.approx(pixel[k] - rest, rel=1e-5, abs=1e-4)


def test_an_exclusive_class_alone_is_an_independent_one() -> None:
    log_odds = torch.linspace(-60, 60, 101).reshape(1, 1, 1, -1)
    one, other = Multiclass(), Multilabel()
    torch.testing.assert_close(one.probability(log_odds), other.probability(log_odds))
    torch.testing.assert_close(one.background(log_odds), other.background(log_odds))
    assert torch.equal(one.decide(log_odds), other.decide(log_odds))
    assert torch.equal(one.margin(log_odds), other.margin(log_odds))
    assert torch.equal(one.logit(log_odds), other.logit(log_odds))


def test_of_exclusive_classes_the_likeliest_is_decided_for() -> None:
    assert each(Multiclass().decide(classes(1, 2, -1))) == [False, True, False]


def test_of_equal_exclusive_classes_only_the_first_is_decided_for() -> None:
    assert each(Multiclass().decide(classes(3, 3, 1))) == [True, False, False]


@pytest.mark.parametrize("labels", [Multilabel(), Multiclass()])
def test_a_tie_with_the_background_is_background(labels: ClassRelation) -> None:
    assert not labels.decide(classes(0, -1)).any()


@pytest.mark.parametrize("labels", [Multilabel(), Multiclass()])
def test_where_no_class_is_possible_there_is_none(labels: ClassRelation) -> None:
    nowhere = classes(-math.inf, -math.inf)
    assert not labels.probability(nowhere).any()
    assert not labels.decide(nowhere).any()


def test_the_margin_of_an_exclusive_class_is_its_lead_over_the_best_other() -> None:
    assert each(Multiclass().margin(classes(3, 5, -1))) == [-2, 2, -6]
    assert each(Multiclass().margin(classes(-3, -1, -2))) == [-3, -1, -2]


@given(PIXELS)
def test_exclusive_labels_of_a_pixel_against_a_loop(pixels: list[list[float]]) -> None:
    f, on = Multiclass().probability(row(pixels)), Multiclass().decide(row(pixels))
    for i, pixel in enumerate(pixels):
        top = max(0.0, *pixel)
        weights = [math.exp(a - top) for a in (0.0, *pixel)]
        expected = [weight / sum(weights) for weight in weights[1:]]
        assert f[0, :, 0, i].tolist() == pytest.approx(expected, abs=1e-6)
        winner = (0.0, *pixel).index(top)
        assert on[0, :, 0, i].tolist() == [k == winner for k in (1, 2, 3)]


@given(PIXELS, st.sampled_from([Multilabel(), Multiclass()]))
def test_decisions_are_where_the_margin_is_above_0(
    pixels: list[list[float]], labels: ClassRelation
) -> None:
    on, margin = labels.decide(row(pixels)), labels.margin(row(pixels))
    assert on[margin > 0].all()
    assert not on[margin < 0].any()


def test_labels_work_in_bfloat16() -> None:
    for labels in (Multilabel(), Multiclass()):
        f = labels.probability(classes(-math.inf, 4, 1000).bfloat16())
        assert f.dtype == torch.bfloat16
        assert f.isfinite().all()
