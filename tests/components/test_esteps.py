"""E-steps agree with loops over pixels, which use f and phi, not log-odds, in 60 digits."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError
from torch import Tensor

from wsseg.components.box_filling import FillBoxes
from wsseg.components.esteps import AdaptEM, HardEM, ProportionEM, Scheduled, SoftEM
from wsseg.components.registry import make
from wsseg.core.batch import Batch, Evidence
from wsseg.core.class_relation import ClassRelation, Multiclass, Multilabel
from wsseg.core.interfaces import EStep
from wsseg.errors import InputError
from wsseg.testing import check_estep

SHAPE = (2, 3, 2, 3)  # B, K, H, W
DIGITS = 60
INDEPENDENT = Multilabel()
NEAR_A_TIE = 1e-4  # log-odds that float32 may round to the other side of 0
PROPORTION = ProportionEM(share=0.3)
ESTEPS = [
    FillBoxes(share=0.5, estep=HardEM()),
    FillBoxes(share=0.3, estep=SoftEM()),
    HardEM(),
    SoftEM(),
    AdaptEM(share=0.2),
    AdaptEM(share=0.3, most=0.6),
    AdaptEM(share=0, most=0.1),
    PROPORTION,
    Scheduled(first=SoftEM(), then=HardEM(), at=0.5),
    Scheduled(first=AdaptEM(share=0.3), then=Scheduled(first=SoftEM(), then=HardEM(), at=1), at=0),
]

LOGITS = hnp.arrays(np.float32, SHAPE, elements=st.floats(-50, 50, width=32))
PHI = hnp.arrays(
    np.float32,
    SHAPE,
    elements=st.sampled_from([0.0, 0.5, 1.0]) | st.floats(2**-20, 1 - 2**-20, width=32),
)
OPEN_PHI = hnp.arrays(np.float32, SHAPE, elements=st.floats(2**-20, 1 - 2**-20, width=32))
REGION = hnp.arrays(np.bool_, (2, 1, 2, 3))
TAGS = hnp.arrays(np.bool_, (2, 3))


@st.composite
def evidences(
    draw: st.DrawFn, phi: st.SearchStrategy[np.ndarray] = PHI, labels: ClassRelation = INDEPENDENT
) -> Evidence:
    region, tags = torch.from_numpy(draw(REGION)), torch.from_numpy(draw(TAGS))
    batch = Batch(torch.zeros(2, 1, 1, 2, 3), region, tags)
    logits, prior = torch.from_numpy(draw(LOGITS)), torch.from_numpy(draw(phi))
    return Evidence(batch, logits, prior, labels)


def one_row(
    logits: list[list[float]], phi: list[list[float]], labels: ClassRelation = INDEPENDENT
) -> Evidence:
    """One image of one row, with a list of pixels for each class; all pixels are in the support."""
    classes, width = len(logits), len(logits[0])
    region = torch.ones(1, 1, 1, width, dtype=torch.bool)
    batch = Batch(torch.zeros(1, 1, 1, 1, width), region, torch.ones(1, classes).bool())
    shape = (1, classes, 1, width)
    return Evidence(
        batch, torch.tensor(logits).reshape(shape), torch.tensor(phi).reshape(shape), labels
    )


def rows(y: Tensor) -> list[list[float]]:
    found: list[list[float]] = y[0, :, 0].tolist()
    return found


def places(evidence: Evidence) -> Iterator[tuple[int, int, int]]:
    b, _, h, w = evidence.logits.shape
    return ((i, r, c) for i in range(b) for r in range(h) for c in range(w))


def sigmoid(a: float) -> Decimal:
    return 1 / (1 + (-Decimal(a)).exp())


def naive_posterior(f: Decimal, phi: Decimal) -> Decimal:
    return f * phi / (f * phi + (1 - f) * (1 - phi))


def naive_exclusive(logits: list[float], phi: list[float], support: list[bool]) -> list[Decimal]:
    """Return the posterior of the background and of each class; at most one phi may be 1.

    Weights: f_k phi_k prod_(j != k) (1 - phi_j) for class k, f_0 prod_j (1 - phi_j) for none.
    """
    odds = [Decimal(a).exp() if s else Decimal(0) for a, s in zip(logits, support, strict=True)]
    f = [each / (1 + sum(odds, Decimal(0))) for each in (Decimal(1), *odds)]
    doubts = [1 - Decimal(p) if s else Decimal(1) for p, s in zip(phi, support, strict=True)]
    weights = [f[0] * math.prod(doubts, start=Decimal(1))]
    for k, p in enumerate(phi):
        others = math.prod((doubt for j, doubt in enumerate(doubts) if j != k), start=Decimal(1))
        weights.append(f[k + 1] * Decimal(p) * others)
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize(
    ("estep", "classes"),
    [
        *((each, 1) for each in ESTEPS),
        *((each, 2) for each in ESTEPS if each != PROPORTION),  # up to 200 sweeps over 2 classes
    ],
)
def test_esteps_keep_the_contract_of_esteps(estep: EStep, classes: int) -> None:
    check_estep(estep, classes)


@pytest.mark.slow
@pytest.mark.parametrize(("estep", "classes"), [(PROPORTION, 2), *((each, 3) for each in ESTEPS)])
def test_esteps_keep_their_contract_for_more_classes(estep: EStep, classes: int) -> None:
    check_estep(estep, classes)


@given(evidences())
def test_hard_em_is_1_where_f_plus_phi_exceeds_1(evidence: Evidence) -> None:
    y = HardEM()(evidence)
    with localcontext(prec=DIGITS):
        for b, r, c in places(evidence):
            for k in range(3):
                f = sigmoid(evidence.logits[b, k, r, c].item())
                phi = Decimal(evidence.phi[b, k, r, c].item())
                if phi in {0, 1} or abs(naive_posterior(f, phi) * 2 - 1) > NEAR_A_TIE:
                    expected = bool(evidence.batch.support[b, k, r, c]) and f + phi > 1
                    assert y[b, k, r, c].item() == expected


@given(evidences())
def test_soft_em_equals_the_posterior_in_60_digits(evidence: Evidence) -> None:
    y = SoftEM()(evidence)
    with localcontext(prec=DIGITS):
        for b, r, c in places(evidence):
            for k in range(3):
                f = sigmoid(evidence.logits[b, k, r, c].item())
                q = naive_posterior(f, Decimal(evidence.phi[b, k, r, c].item()))
                expected = float(q) if evidence.batch.support[b, k, r, c] else 0.0
                assert y[b, k, r, c].item() == pytest.approx(expected, rel=1e-4, abs=1e-30)


@given(evidences(OPEN_PHI, Multiclass()))
def test_hard_and_soft_em_of_exclusive_classes_equal_a_loop_over_pixels(evidence: Evidence) -> None:
    soft, hard = SoftEM()(evidence), HardEM()(evidence)
    with localcontext(prec=DIGITS):
        for b, r, c in places(evidence):
            q = naive_exclusive(
                evidence.logits[b, :, r, c].tolist(),
                evidence.phi[b, :, r, c].tolist(),
                evidence.batch.support[b, :, r, c].tolist(),
            )
            found = soft[b, :, r, c].tolist()
            assert found == pytest.approx([float(each) for each in q[1:]], rel=1e-3, abs=1e-30)
            best, second = sorted(q, reverse=True)[:2]
            if best - second > Decimal(NEAR_A_TIE) * best:
                winner = q.index(best)
                assert hard[b, :, r, c].tolist() == [k == winner for k in (1, 2, 3)]


@given(evidences(), st.sampled_from([Multilabel(), Multiclass()]))
def test_hard_em_is_1_where_soft_em_exceeds_one_half(
    evidence: Evidence, labels: ClassRelation
) -> None:
    evidence = replace(evidence, labels=labels)
    soft, hard = SoftEM()(evidence), HardEM()(evidence)
    clear = (soft - 0.5).abs() > NEAR_A_TIE
    if labels == Multilabel():
        assert torch.equal(hard[clear] == 1, soft[clear] > 0.5)
    assert (hard[clear & (soft > 0.5)] == 1).all()


@settings(max_examples=40)
@given(evidences(), st.sampled_from([Multilabel(), Multiclass()]), st.sampled_from(ESTEPS))
def test_targets_are_0_outside_the_support(
    evidence: Evidence, labels: ClassRelation, estep: EStep
) -> None:
    y = estep(replace(evidence, labels=labels))
    assert not y[~evidence.batch.support].any()


def test_hard_em_chooses_the_more_likely_label() -> None:
    f = [0.3, 0.3, 0.6, 0.6]
    logits = [math.log(each / (1 - each)) for each in f]
    assert rows(HardEM()(one_row([logits], [[0.8, 0.6, 0.5, 0.3]]))) == [[1, 0, 1, 0]]


def test_soft_em_equals_posteriors_computed_by_hand() -> None:
    evidence = one_row([[math.log(3 / 7), 0.0]], [[0.8, 0.8]])  # f = 0.3 and 0.5
    expected = [0.24 / (0.24 + 0.7 * 0.2), 0.8]
    assert rows(SoftEM()(evidence))[0] == pytest.approx(expected)


def test_a_prior_of_one_half_leaves_the_networks_decision() -> None:
    logits = torch.linspace(-50, 50, 101)
    evidence = one_row([logits.tolist()], [[0.5] * 101])
    assert torch.equal(HardEM()(evidence).flatten() == 1, logits > 0)
    torch.testing.assert_close(SoftEM()(evidence).flatten(), logits.sigmoid())


def test_a_prior_of_one_half_leaves_the_networks_decision_between_exclusive_classes() -> None:
    logits = [[3.0, 1.0, -2.0], [2.0, 4.0, -1.0]]
    assert rows(HardEM()(one_row(logits, [[0.5] * 3] * 2, Multiclass()))) == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("labels", [Multilabel(), Multiclass()])
@pytest.mark.parametrize("estep", [HardEM(), SoftEM()])
def test_a_prior_of_0_or_1_determines_the_target_for_any_logit(
    estep: EStep, labels: ClassRelation
) -> None:
    logits, phi = [[-50.0, -50.0, 50.0, 50.0]], [[0.0, 1.0, 0.0, 1.0]]
    assert rows(estep(one_row(logits, phi, labels))) == [[0, 1, 0, 1]]


def test_a_certain_prior_wins_even_if_1_plus_f_rounds_to_1() -> None:
    evidence = one_row([[-50.0]], [[1.0]])
    f = evidence.logits.sigmoid()
    assert (f + evidence.phi).item() == 1  # the exact sum is above 1
    assert rows(HardEM()(evidence)) == [[1]]


def test_the_network_decides_between_two_exclusive_classes_with_a_prior_of_1() -> None:
    evidence = one_row([[2.0, -3.0], [1.0, -2.0]], [[1.0, 1.0]] * 2, Multiclass())
    assert rows(HardEM()(evidence)) == [[1, 0], [0, 1]]
    assert SoftEM()(evidence)[0, 0, 0, 0].item() == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-4)


def naive_adapt(
    evidence: Evidence, share: float, most: float
) -> list[set[tuple[int, int, int, int]]]:
    """Independent classes: sort the pixels of an image by their posterior and take the first."""
    found = []
    for b in range(evidence.logits.shape[0]):
        for k in range(evidence.logits.shape[1]):
            inside = [
                (b, k, r, c)
                for i, r, c in places(evidence)
                if i == b and evidence.batch.support[b, k, r, c]
            ]
            q = {
                place: naive_posterior(
                    sigmoid(evidence.logits[place].item()), Decimal(evidence.phi[place].item())
                )
                for place in inside
            }
            best_first = sorted(inside, key=lambda place: -q[place])
            on = [place for place in best_first if q[place] > Decimal("0.5")]
            least = math.ceil(share * len(inside))
            limit = max(least, math.floor(most * len(inside)))
            found.append(set((best_first[:least] if len(on) < least else on)[:limit]))
    return found


@given(st.integers(0, 2**31), st.sampled_from([(0.0, 1.0), (0.25, 1.0), (0.5, 0.75), (0.0, 0.25)]))
@settings(max_examples=50)
def test_adapt_em_equals_a_loop_over_sorted_pixels(seed: int, shares: tuple[float, float]) -> None:
    dice = torch.Generator().manual_seed(seed)
    region, tags = (
        torch.rand(2, 1, 3, 4, generator=dice) < 0.7,
        torch.rand(2, 2, generator=dice) < 0.8,
    )
    logits = 3 * torch.randn(2, 2, 3, 4, generator=dice) - 1
    phi = torch.rand(2, 2, 3, 4, generator=dice)
    evidence = Evidence(Batch(torch.zeros(2, 1, 1, 3, 4), region, tags), logits, phi)
    y = AdaptEM(share=shares[0], most=shares[1])(evidence)
    with localcontext(prec=DIGITS):
        expected = set().union(*naive_adapt(evidence, *shares))
    assert {tuple(place) for place in y.nonzero().tolist()} == expected


def naive_exclusive_adapt(
    evidence: Evidence, share: float, most: float
) -> set[tuple[int, int, int, int]]:
    """Exclusive classes: each in turn claims the pixels where its margin is largest."""
    found = set()
    classes = range(evidence.logits.shape[1])
    for b in range(evidence.logits.shape[0]):
        pixels = [(r, c) for i, r, c in places(evidence) if i == b]
        a: dict[tuple[int, int], list[float]] = {
            p: evidence.log_odds[(b, slice(None), *p)].tolist() for p in pixels
        }

        def margin(p: tuple[int, int], k: int) -> float:
            others = [each for j, each in enumerate(a[p]) if j != k]  # noqa: B023
            return float(a[p][k] - max(0, *others))  # noqa: B023

        support = [[p for p in pixels if evidence.batch.support[(b, k, *p)]] for k in classes]
        for k in classes:
            least = math.ceil(share * len(support[k]))
            free = sorted(support[k], key=lambda p: -margin(p, k))
            for p in free[:least]:
                a[p][k] = 1e30  # more than any log-odds
        for k in classes:
            least = math.ceil(share * len(support[k]))
            limit = max(least, math.floor(most * len(support[k])))
            won = [p for p in support[k] if [0, *a[p]].index(max(0, *a[p])) == k + 1]  # first named
            found |= {(b, k, *p) for p in sorted(won, key=lambda p: -margin(p, k))[:limit]}
    return found


@given(st.integers(0, 2**31), st.sampled_from([(0.0, 1.0), (0.2, 1.0), (0.3, 0.5), (0.0, 0.25)]))
@settings(max_examples=50)
def test_adapt_em_of_exclusive_classes_equals_a_loop_over_pixels(
    seed: int, shares: tuple[float, float]
) -> None:
    dice = torch.Generator().manual_seed(seed)
    region = torch.rand(2, 1, 3, 4, generator=dice) < 0.7
    tags = torch.rand(2, 3, generator=dice) < 0.8
    logits = 3 * torch.randn(2, 3, 3, 4, generator=dice)
    phi = torch.rand(2, 3, 3, 4, generator=dice)
    evidence = Evidence(Batch(torch.zeros(2, 1, 1, 3, 4), region, tags), logits, phi, Multiclass())
    y = AdaptEM(share=shares[0], most=shares[1])(evidence)
    expected = naive_exclusive_adapt(evidence, *shares)
    assert {tuple(place) for place in y.nonzero().tolist()} == expected


def test_adapt_em_adds_the_pixels_with_the_largest_margins() -> None:
    evidence = one_row([[-1.0, -3.0, -2.0, -9.0]], [[0.5] * 4])
    assert rows(AdaptEM(share=0.5)(evidence)) == [[1, 0, 1, 0]]


def test_adapt_em_keeps_the_pixels_with_the_largest_margins() -> None:
    evidence = one_row([[1.0, 3.0, 2.0, 9.0]], [[0.5] * 4])
    assert rows(AdaptEM(share=0, most=0.5)(evidence)) == [[0, 1, 0, 1]]


def test_adapt_em_equals_hard_em_within_its_bounds() -> None:
    evidence = one_row([[1.0, -3.0, 2.0, -9.0]], [[0.5] * 4])
    assert rows(AdaptEM(share=0.25, most=0.75)(evidence)) == rows(HardEM()(evidence))


def test_the_lower_bound_of_adapt_em_takes_precedence_after_rounding() -> None:
    evidence = one_row([[1.0, 2.0, 3.0]], [[0.5] * 3])
    assert rows(AdaptEM(share=0.5, most=0.5)(evidence)) == [[0, 1, 1]]  # 1.5 pixels: 2, not 1


def test_adapt_em_gives_exclusive_classes_different_pixels() -> None:
    logits = [
        [-1.0, -2.0, -8.0, -9.0],
        [-1.5, -2.5, -8.5, -9.5],
    ]  # both are largest in the first two
    y = AdaptEM(share=0.5)(one_row(logits, [[0.5] * 4] * 2, Multiclass()))
    assert rows(y) == [[1, 1, 0, 0], [0, 0, 1, 1]]


def test_adapt_em_gives_a_class_its_share_of_pixels_that_another_class_won() -> None:
    logits = [[9.0, 9.0, 9.0, 9.0], [1.0, 2.0, 3.0, 4.0]]
    y = AdaptEM(share=0.25)(one_row(logits, [[0.5] * 4] * 2, Multiclass()))
    assert rows(y) == [[1, 1, 1, 0], [0, 0, 0, 1]]


@given(st.integers(0, 2**31), st.sampled_from([0.1, 0.2, 0.25]), st.sampled_from([0.4, 1.0]))
def test_adapt_em_counts_of_exclusive_classes_are_within_bounds(
    seed: int, share: float, most: float
) -> None:
    dice = torch.Generator().manual_seed(seed)
    region = torch.rand(2, 1, 6, 5, generator=dice) < 0.7
    tags = torch.tensor([[True, True, True], [True, False, True]])
    logits = 4 * torch.randn(2, 3, 6, 5, generator=dice)
    phi = torch.rand(2, 3, 6, 5, generator=dice)
    evidence = Evidence(Batch(torch.zeros(2, 1, 1, 6, 5), region, tags), logits, phi, Multiclass())
    y = AdaptEM(share=share, most=most)(evidence)
    assert y.sum(1).max() <= 1
    for b in range(2):
        pixels = int(region[b].sum())
        least, limit = math.ceil(share * pixels), math.floor(most * pixels)
        for k in range(3):
            on = int(y[b, k].sum())
            assert (least <= on <= max(least, limit)) if tags[b, k] else on == 0


@pytest.mark.parametrize(
    ("share", "most", "problem"),
    [
        (0.6, 0.5, "most is 0.5, but must be at least share, which is 0.6"),
        (1.1, 1, "less than or equal to 1"),
        (-1, 1, "0"),
    ],
)
def test_adapt_em_refuses_shares_outside_0_to_1_or_in_the_wrong_order(
    share: float, most: float, problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        AdaptEM(share=share, most=most)


def test_proportion_em_adds_the_log_odds_that_give_the_share() -> None:
    # log 2 is added: sigmoid(log 2) = 2/3 and sigmoid(log 6) = 6/7, whose mean is 16/21
    y = ProportionEM(share=16 / 21)(one_row([[0.0, math.log(3)]], [[0.5, 0.5]]))
    assert rows(y) == [pytest.approx([2 / 3, 6 / 7], abs=1e-6)]


def test_proportion_em_gives_an_image_with_larger_log_odds_more_of_the_class() -> None:
    batch = Batch(torch.zeros(2, 1, 1, 1, 2), torch.ones(2, 1, 1, 2) > 0, torch.ones(2, 1) > 0)
    logits = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 1, 2)
    y = ProportionEM(share=0.5)(Evidence(batch, logits, torch.full_like(logits, 0.5)))
    assert y[:, 0, 0, 0].tolist() == pytest.approx([1 / (1 + math.e), math.e / (1 + math.e)])


@given(evidences(OPEN_PHI), st.floats(0.01, 0.99))
def test_proportion_em_has_the_share_as_its_mean_over_the_support(
    evidence: Evidence, share: float
) -> None:
    y, support = ProportionEM(share=share)(evidence), evidence.batch.support
    for k in range(3):
        if support[:, k].any():
            assert y[:, k][support[:, k]].mean().item() == pytest.approx(share, abs=1e-4)
    assert not y[~support].any()


@settings(max_examples=40)
@given(evidences(OPEN_PHI, Multiclass()))
def test_proportion_em_keeps_the_shares_of_exclusive_classes(evidence: Evidence) -> None:
    tags = torch.ones_like(evidence.batch.tags)
    evidence = replace(
        evidence, batch=replace(evidence.batch, tags=tags), logits=evidence.logits / 10
    )
    y, support = ProportionEM(share=(0.2, 0.3, 0.1))(evidence), evidence.batch.support[:, 0]
    if support.any():
        means = [y[:, k][support].mean().item() for k in range(3)]
        assert means == pytest.approx([0.2, 0.3, 0.1], abs=0.02)


@given(evidences(OPEN_PHI), st.floats(-3, 3))
def test_a_constant_factor_of_the_odds_does_not_change_proportion_em(
    evidence: Evidence, offset: float
) -> None:
    shifted = replace(evidence, logits=evidence.logits + offset)
    y, other = (ProportionEM(share=0.25)(each) for each in (evidence, shifted))
    torch.testing.assert_close(y, other, atol=1e-4, rtol=0)


def evidence_of(phi_untagged: list[float], phi_tagged: list[float]) -> Evidence:
    """Two images, the second of which is tagged, with pixels that have no neighbour in the region.

    They are in every second column of one row. All other pixels are outside the region.
    """
    width = 2 * max(len(phi_untagged), len(phi_tagged))
    phi = torch.full((2, 1, 1, width), -1.0)
    phi[0, 0, 0, : 2 * len(phi_untagged) : 2] = torch.tensor(phi_untagged)
    phi[1, 0, 0, : 2 * len(phi_tagged) : 2] = torch.tensor(phi_tagged)
    batch = Batch(torch.zeros_like(phi)[:, None], phi >= 0, torch.tensor([[False], [True]]))
    return Evidence(batch, torch.zeros_like(phi), phi.clamp(min=0))


def test_proportion_em_estimates_the_share_from_tagged_and_untagged_regions() -> None:
    # P(q <= c | tagged) / P(q <= c | untagged) is 1/2, 1/3 and 1/2 for c = 0.2, 0.3 and 0.4
    evidence = evidence_of([0.1, 0.2, 0.3, 0.4], [0.1, 0.35, 0.6, 0.9])
    assert ProportionEM().fit([evidence]).share == pytest.approx((2 / 3,))


def test_few_dark_pixels_do_not_decide_on_the_share() -> None:
    # below the median, the ratio is 0 for c = 0.1
    evidence = evidence_of([0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.3, 0.9])
    assert ProportionEM().fit([evidence]).share == pytest.approx((1 / 4,))


@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 60))
def test_the_estimated_share_equals_a_count_of_pixels(
    seed: int, untagged: int, tagged: int
) -> None:
    random = np.random.default_rng(seed)
    low, high = random.random(untagged) // 1e-3 / 1e3, random.random(tagged) ** 0.3 // 1e-3 / 1e3
    ratios = [np.mean(high <= c) / np.mean(low <= c) for c in low if np.mean(low <= c) >= 1 / 2]
    evidence = [evidence_of(list(low + 5e-4), []), evidence_of([], list(high + 5e-4))]
    if min(ratios) < 0.98:  # so that no estimate is refused
        assert ProportionEM().fit(evidence).share == pytest.approx((1 - min(ratios),))


def test_the_estimated_share_is_that_of_means_over_neighbours_in_the_region() -> None:
    random = np.random.default_rng(0)
    phi = random.random((6, 1, 9, 8)) ** np.array([1.5, 1.5, 1.5, 1, 1, 1])[:, None, None, None]
    region, tags = random.random((6, 1, 9, 8)) < 0.7, np.array([0, 0, 0, 1, 1, 1])[:, None] > 0
    means: dict[bool, list[float]] = {False: [], True: []}
    for b, y, x in itertools.product(range(6), range(9), range(8)):
        if region[b, 0, y, x]:
            near = [
                phi[b, 0, i, j]
                for i, j in itertools.product(range(y - 1, y + 2), range(x - 1, x + 2))
                if 0 <= i < 9 and 0 <= j < 8 and region[b, 0, i, j]
            ]
            means[bool(tags[b, 0])].append(sum(near) / len(near))
    untagged, tagged = (np.array(means[tag]) for tag in (False, True))
    median = np.sort(untagged)[-(-len(untagged) // 2) - 1]
    ratios = [np.mean(tagged <= c) / np.mean(untagged <= c) for c in untagged if c >= median]
    batch = Batch(torch.zeros(6, 1, 1, 9, 8), torch.tensor(region), torch.tensor(tags))
    evidence = Evidence(batch, torch.zeros(6, 1, 9, 8), torch.tensor(phi, dtype=torch.float32))
    share = ProportionEM().fit([evidence]).share
    assert share == pytest.approx((1 - min(ratios),), abs=0.01)
    assert 0.2 < 1 - min(ratios) < 0.8


@pytest.mark.parametrize(
    ("untagged", "tagged", "problem"),
    [
        ([], [0.5], "no region without its tag"),
        ([0.5], [], "no region with its tag"),
        ([0.6, 0.7], [0.6, 0.7], "is not higher in tagged than in untagged"),
    ],
)
def test_a_share_that_cannot_be_estimated_is_refused(
    untagged: list[float], tagged: list[float], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        ProportionEM().fit([evidence_of(untagged, tagged)])


def test_proportion_em_needs_one_share_for_each_class() -> None:
    with pytest.raises(InputError, match="2 shares for 1 classes"):
        ProportionEM(share=(0.1, 0.2))(one_row([[0.0]], [[0.5]]))
    with pytest.raises(InputError, match="set share, or call fit"):
        ProportionEM()(one_row([[0.0]], [[0.5]]))


def test_a_given_share_is_not_estimated() -> None:
    assert ProportionEM(share=0.3).fit([]) == ProportionEM(share=0.3)


def test_scheduled_fits_both_of_its_esteps() -> None:
    evidence = evidence_of([0.1, 0.2, 0.3, 0.4], [0.1, 0.5, 0.6, 0.9])
    fitted = Scheduled(first=SoftEM(), then=ProportionEM(), at=0.5).fit(iter([evidence]))
    assert fitted == Scheduled(first=SoftEM(), then=ProportionEM(share=(0.75,)), at=0.5)


@pytest.mark.parametrize(
    ("progress", "expected"), [(0.0, 0.8), (0.49, 0.8), (0.5, 1.0), (1.0, 1.0)]
)
def test_scheduled_replaces_the_first_estep_at_the_given_share_of_steps(
    progress: float, expected: float
) -> None:
    estep = Scheduled(first=SoftEM(), then=HardEM(), at=0.5)
    evidence = replace(one_row([[0.0]], [[0.8]]), progress=progress)
    assert rows(estep(evidence))[0] == pytest.approx([expected])


def test_esteps_can_be_nested_in_a_recipe() -> None:
    adapt: dict[str, object] = {"use": "adapt", "share": 0.2}
    made = make(EStep, "scheduled", first=adapt, then={"use": "hard"}, at=0.25)
    assert made == Scheduled(first=AdaptEM(share=0.2), then=HardEM(), at=0.25)


def weak(evidence: Evidence, **fields: Any) -> Evidence:
    return replace(evidence, batch=replace(evidence.batch, **fields))


def test_an_uncertain_tag_adds_its_odds_where_phi_is_1() -> None:
    """With p = 0.8 the odds of y are f / (1 - f) * 0.8 / 0.2; with phi = 1/2 they are those of 0.4.

    f = 1/2: p phi = 0.8 and 0.4, so q = 0.8 and 0.4.
    """
    one = weak(one_row([[0.0, 0.0]], [[1.0, 0.5]]), tag_probability=torch.tensor([[0.8]]))
    assert SoftEM()(one)[0, 0, 0].tolist() == pytest.approx([0.8, 0.4])
    shifted = replace(one, logits=one.logits + math.log(2))  # odds of 2 * 4, and of 2 * 2 / 3
    assert SoftEM()(shifted)[0, 0, 0].tolist() == pytest.approx([8 / 9, 4 / 7])


@given(evidences())
def test_probabilities_of_0_and_1_are_tags(evidence: Evidence) -> None:
    certain = weak(evidence, tag_probability=evidence.batch.tags.float())
    assert torch.equal(certain.log_odds, evidence.log_odds)


@pytest.mark.parametrize("estep", ESTEPS)
def test_known_pixels_keep_their_labels(estep: EStep) -> None:
    one = one_row([[-40.0, 40.0, 0.0, 1.0]], [[0.0, 1.0, 0.5, 0.5]])
    y = estep(weak(one, known=torch.tensor([[[[1, -1, 0, 0]]]], dtype=torch.int8)))
    assert y[0, 0, 0, :2].tolist() == pytest.approx([1, 0])


def test_a_pixel_known_to_have_an_exclusive_class_has_no_other() -> None:
    one = one_row([[0.0], [40.0]], [[0.0], [1.0]], Multiclass())
    y = SoftEM()(weak(one, known=torch.tensor([[[[1]], [[0]]]], dtype=torch.int8)))
    assert y[0, :, 0, 0].tolist() == [1, 0]


def test_adapt_uses_the_bounds_of_an_image_instead_of_its_own() -> None:
    """Of 10 pixels, all of them likely, at most 4; or, all of them unlikely, at least 2."""
    likely, unlikely = ([[float(sign * (i + 1)) for i in range(10)]] for sign in (1, -1))
    half = [[0.5] * 10]
    bounds = torch.tensor([[[0.2, 0.4]]])
    estep = AdaptEM(share=0.6, most=0.9)
    assert rows(estep(weak(one_row(likely, half), bounds=bounds)))[0] == [0.0] * 6 + [1.0] * 4
    assert rows(estep(weak(one_row(unlikely, half), bounds=bounds)))[0] == [1.0] * 2 + [0.0] * 8
    unknown = torch.full((1, 1, 2), torch.nan)
    assert sum(rows(estep(weak(one_row(unlikely, half), bounds=unknown)))[0]) == 6


def test_proportion_moves_the_mean_of_an_image_to_the_bound_that_it_violates() -> None:
    """Posteriors 0.9, 0.9: mean 0.9 above 0.5, so odds of 9 become odds of 1."""
    one = one_row([[0.0, 0.0]], [[0.9, 0.9]])
    estep = ProportionEM()
    y = estep(weak(one, bounds=torch.tensor([[[0.25, 0.5]]])))
    assert rows(y)[0] == pytest.approx([0.5, 0.5])
    y = estep(weak(one, bounds=torch.tensor([[[0.95, 1.0]]])))
    assert rows(y)[0] == pytest.approx([0.95, 0.95])
    inside = weak(one, bounds=torch.tensor([[[0.8, 1.0]]]))
    assert torch.equal(estep(inside), SoftEM()(inside))


def test_proportion_keeps_known_pixels_and_moves_the_others() -> None:
    """A mean of 0.4 over five pixels, of which one is 1: the other four have a mean of 0.25."""
    one = one_row([[0.0] * 5], [[0.5] * 5])
    known = torch.tensor([[[[1, 0, 0, 0, 0]]]], dtype=torch.int8)
    y = ProportionEM(share=0.4)(weak(one, known=known))
    assert rows(y)[0] == pytest.approx([1.0, 0.25, 0.25, 0.25, 0.25])


def test_proportion_needs_no_share_if_all_tagged_images_have_bounds() -> None:
    one = weak(one_row([[0.0, 0.0]], [[0.9, 0.9]]), bounds=torch.tensor([[[0.25, 0.5]]]))
    assert ProportionEM().fit([one]) == ProportionEM()
