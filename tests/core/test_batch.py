"""Tests of batches and of evidence."""

import math
from decimal import Decimal

import pytest
import torch

from wsseg.core.batch import Batch, Evidence, at_least_float32


def one_row(logits: list[float], phi: list[float], inside: list[bool] | None = None) -> Evidence:
    """Evidence about a row of pixels with one class, which the tag names."""
    region = torch.tensor(inside or [True] * len(logits)).reshape(1, 1, 1, -1)
    batch = Batch(torch.zeros(1, 1, 1, 1, len(logits)), region, torch.tensor([[True]]))
    shape = (1, 1, 1, -1)
    return Evidence(batch, torch.tensor(logits).reshape(shape), torch.tensor(phi).reshape(shape))


@pytest.mark.parametrize(("slices", "middle"), [(1, 0), (3, 1), (7, 3)])
def test_the_middle_slice_is_the_one_to_be_labelled(slices: int, middle: int) -> None:
    image = torch.arange(slices).float().reshape(1, slices, 1, 1).expand(2, -1, 4, 5)
    batch = Batch(image[:, None], torch.ones(2, 1, 4, 5, dtype=torch.bool), torch.ones(2, 1).bool())
    assert batch.middle.shape == (2, 1, 4, 5)
    assert (batch.middle == middle).all()


def test_the_support_of_a_class_is_the_region_if_the_tag_names_the_class() -> None:
    region = torch.tensor([[True, False], [True, True]]).reshape(2, 1, 1, 2)
    tags = torch.tensor([[True, False], [True, True]])
    support = Batch(torch.zeros(2, 1, 1, 1, 2), region, tags).support
    for b in range(2):
        for k in range(2):
            for x in range(2):
                assert support[b, k, 0, x] == (region[b, 0, 0, x] and tags[b, k])


def test_the_log_odds_of_network_and_prior_add_up() -> None:
    evidence = one_row([0.0, math.log(3), -1.0], [0.75, 0.75, 0.5])
    expected = [math.log(3), math.log(9), -1.0]
    assert evidence.log_odds.flatten().tolist() == pytest.approx(expected)


def test_the_sum_of_log_odds_is_the_posterior_of_bayes_rule() -> None:
    for a in (-3.0, 0.2, 4.0):
        for phi in (0.01, 0.5, 0.9):
            f = 1 / (1 + math.exp(-a))
            q = f * phi / (f * phi + (1 - f) * (1 - phi))
            (log_odds,) = one_row([a], [phi]).log_odds.flatten().tolist()
            assert log_odds == pytest.approx(math.log(q / (1 - q)), rel=1e-4)


def test_a_phi_of_one_half_does_not_change_the_logits() -> None:
    evidence = one_row([-50.0, -1e-30, 0.0, 1e-30, 0.3, 50.0], [0.5] * 6)
    assert torch.equal(evidence.log_odds, evidence.logits)


@pytest.mark.parametrize("logit", [-500.0, -50.0, 0.0, 50.0, 500.0])
def test_a_phi_of_0_or_1_overrules_the_network(logit: float) -> None:
    q = one_row([logit, logit], [0.0, 1.0]).log_odds.sigmoid()
    assert q.flatten().tolist() == [0, 1]


def test_the_smallest_phi_above_0_is_not_certain() -> None:
    least = torch.finfo(torch.float32).tiny
    expected = float((Decimal(least) / (1 - Decimal(least))).ln())
    assert one_row([0.0], [least]).log_odds.item() == pytest.approx(expected)


def test_log_odds_outside_the_support_are_minus_infinity() -> None:
    log_odds = one_row([50.0, 50.0], [1.0, 1.0], inside=[True, False]).log_odds
    assert log_odds.flatten().tolist() == [1050, -math.inf]


def test_narrow_types_become_float32_and_wider_types_are_kept() -> None:
    for dtype, expected in (
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ):
        assert at_least_float32(torch.ones(1, dtype=dtype)).dtype == expected
