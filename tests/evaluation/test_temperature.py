"""Temperatures have the highest likelihood of the true classes."""

from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsseg.core.class_relation import ClassRelation, Multiclass, Multilabel
from wsseg.evaluation import temperature as module
from wsseg.evaluation.temperature import LabelledPixels, _sample, best_temperature, mean_nll


def pixels(*pairs: tuple[list[float], list[int]], weight: float = 1.0) -> LabelledPixels:
    """Return pixels, given as log-odds and true classes."""
    a = torch.tensor([pair[0] for pair in pairs])
    return LabelledPixels(a, torch.tensor([pair[1] for pair in pairs]) > 0, weight)


def drawn(relation: ClassRelation, factor: float, classes: int = 2) -> LabelledPixels:
    """Return pixels whose classes follow their log-odds, which are then multiplied by a factor."""
    generator = np.random.default_rng(0)
    a = generator.normal(-1, 2, (4000, classes))
    if isinstance(relation, Multilabel):
        y = generator.random(a.shape) < 1 / (1 + np.exp(-a))
    else:
        weights = np.exp(np.concatenate([np.zeros((len(a), 1)), a], axis=1))
        below = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
        chosen = (generator.random((len(a), 1)) > below).sum(axis=1)
        y = chosen[:, None] == np.arange(1, classes + 1)
    return LabelledPixels(torch.tensor(factor * a).float(), torch.tensor(y))


def test_three_of_four_pixels_with_log_odds_2_give_the_temperature_2_over_log_3() -> None:
    """The best probability is 3/4, whose log-odds are log 3."""
    sample = pixels(([2.0], [1]), ([2.0], [1]), ([2.0], [1]), ([2.0], [0]))
    found = best_temperature(Multilabel(), [sample])
    assert found == pytest.approx(2 / log(3), rel=1e-3)
    assert mean_nll(Multilabel(), [sample], 2 / log(3)) == pytest.approx(
        -(3 * log(3 / 4) + log(1 / 4)) / 4
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_likelihood_of_exclusive_classes_is_that_of_a_loop(temperature: float) -> None:
    """A pixel has the first class, the second, or the background, whose log-odds are 0."""
    cases = [([1.0, -2.0], [1, 0]), ([0.5, 3.0], [0, 1]), ([-1.0, 2.0], [0, 0])]
    total = 0.0
    for a, y in cases:
        weights = [exp(0), *(exp(value / temperature) for value in a)]
        true = 0 if not any(y) else 1 + y.index(1)
        total -= log(weights[true] / sum(weights))
    found = mean_nll(Multiclass(), [pixels(*cases)], temperature)
    assert found == pytest.approx(total / 3)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_likelihood_of_independent_classes_is_that_of_a_loop(temperature: float) -> None:
    cases = [([1.0, -2.0], [1, 1]), ([0.5, 3.0], [0, 1])]
    total = 0.0
    for a, y in cases:
        for value, present in zip(a, y, strict=True):
            p = 1 / (1 + exp(-value / temperature))
            total -= log(p if present else 1 - p)
    assert mean_nll(Multilabel(), [pixels(*cases)], temperature) == pytest.approx(total / 2)


@pytest.mark.parametrize("relation", [Multilabel(), Multiclass()])
@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_the_factor_of_log_odds_that_were_calibrated_is_found(
    relation: ClassRelation, factor: float
) -> None:
    sample = drawn(relation, factor)
    found = best_temperature(relation, [sample])
    assert found == pytest.approx(factor, rel=0.06)
    tried = [mean_nll(relation, [sample], factor * step) for step in np.linspace(0.5, 2, 16)]
    assert found is not None
    assert mean_nll(relation, [sample], found) <= min(tried) + 1e-9


@given(st.floats(0.5, 2))
def test_a_factor_of_all_log_odds_is_a_factor_of_the_temperature(factor: float) -> None:
    base = pixels(([2.0], [1]), ([3.0], [0]), ([1.0], [1]), ([-2.0], [0]))
    scaled = LabelledPixels(base.log_odds * factor, base.present)
    one, other = (best_temperature(Multilabel(), [each]) for each in (base, scaled))
    assert one is not None
    assert other == pytest.approx(factor * one, rel=1e-3)


def test_a_pixel_of_weight_2_counts_as_two_pixels() -> None:
    single, other = ([1.0], [1]), ([-0.5], [1])
    weighted = [pixels(single, weight=2.0), pixels(other)]
    twice = [pixels(single, single, other)]
    assert mean_nll(Multilabel(), weighted, 1.7) == pytest.approx(
        mean_nll(Multilabel(), twice, 1.7)
    )


@pytest.mark.parametrize("present", [1, 0])
def test_there_is_no_temperature_if_all_pixels_are_right_or_all_are_wrong(present: int) -> None:
    assert best_temperature(Multilabel(), [pixels(([3.0], [present]))]) is None


def test_a_sample_of_a_large_region_stands_for_all_of_its_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_PIXELS", 100)
    everything = LabelledPixels(torch.arange(250.0)[:, None], torch.arange(250)[:, None] % 2 > 0)
    sample = _sample(everything, seed=0)
    values = sample.log_odds.flatten().tolist()
    assert len(set(values)) == 100
    assert sample.weight == 2.5
    assert sample.present.flatten().tolist() == [value % 2 > 0 for value in values]
    assert torch.equal(_sample(everything, seed=0).log_odds, sample.log_odds)
