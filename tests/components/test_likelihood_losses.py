import math
from typing import Literal

import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from wsseg.components.likelihood_losses import CrossEntropy, Focal
from wsseg.components.overlap_losses import SmoothDice
from wsseg.core.batch import Batch
from wsseg.core.class_relation import ClassRelation, Multiclass, Multilabel
from wsseg.core.interfaces import PixelLoss
from wsseg.testing import check_loss

LOSSES = [
    CrossEntropy(),
    CrossEntropy(balance="labels"),
    Focal(),
    Focal(alpha=None, gamma=0),
    Focal(alpha=0.6, gamma=0.5),
]
RELATIONS = [Multilabel(), Multiclass()]
FINITE = 100.0  # logits at which a probability in float32 is 1, or so small that 1 - f is 1


def row(*pixels: float) -> Tensor:
    """One image of one row and one class, (1, 1, 1, W)."""
    return torch.tensor(pixels).view(1, 1, 1, -1)


def batch_of(region: Tensor, classes: int = 1) -> Batch:
    tags = torch.ones(len(region), classes, dtype=torch.bool)
    return Batch(torch.zeros(region.shape)[:, None], region, tags)


def value_of(
    loss: PixelLoss, logits: Tensor, y: Tensor, relation: ClassRelation | None = None
) -> Tensor:
    """The loss if every pixel is in the region."""
    region = torch.ones_like(logits[:, :1], dtype=torch.bool)
    return loss(logits, y, batch_of(region, logits.shape[1]), relation or Multilabel())


def random_case(seed: int, relation: ClassRelation, k: int = 2) -> tuple[Tensor, Tensor, Batch]:
    """Return logits, soft targets and a batch with a region, in float64."""
    random = torch.Generator().manual_seed(seed)
    logits, other = (
        3 * torch.randn(2, k, 3, 4, generator=random, dtype=torch.float64) for _ in range(2)
    )
    region = torch.rand(2, 1, 3, 4, generator=random) < 0.6
    region[0, 0, 0, 0] = True
    return logits, relation.probability(other), batch_of(region, k)


def pixel_labels(
    logits: Tensor, y: Tensor, region: Tensor, relation: ClassRelation
) -> list[list[tuple[float, float]]]:
    """Return (f, y) of each pixel in the region, for each label, the classes first."""
    classes = logits.shape[1]
    labels: list[list[tuple[float, float]]] = [
        [] for _ in range(2 * classes if isinstance(relation, Multilabel) else classes + 1)
    ]
    for b, _, r, c in region.nonzero().tolist():
        a, target = logits[b, :, r, c].tolist(), y[b, :, r, c].tolist()
        if isinstance(relation, Multilabel):
            f = [1 / (1 + math.exp(-each)) for each in a]
            pairs = [*zip(f, target, strict=True)]
            pairs += [(1 - one, 1 - other) for one, other in pairs]
        else:
            total = 1 + sum(math.exp(each) for each in a)
            pairs = [(math.exp(one) / total, other) for one, other in zip(a, target, strict=True)]
            pairs.append((1 / total, 1 - sum(target)))
        for label, pair in zip(labels, pairs, strict=True):
            label.append(pair)
    return labels


def naive_cross_entropy(labels: list[list[tuple[float, float]]], classes: int) -> float:
    """Divide by the pixels, and by the classes if they are independent."""
    terms = [y * math.log(f) for label in labels for f, y in label]
    return -sum(terms) / len(labels[0]) / (classes if len(labels) == 2 * classes else 1)


def naive_balanced(labels: list[list[tuple[float, float]]]) -> float:
    means = []
    for label in labels:
        weight = max(1.0, sum(y for _, y in label))
        means.append(sum(y * math.log(f) for f, y in label) / weight)
    return -sum(means) / len(means)


def naive_focal(
    labels: list[list[tuple[float, float]]], classes: int, alpha: float, gamma: float
) -> float:
    total = 0.0
    for index, label in enumerate(labels):
        weight = alpha if index < classes else 1 - alpha
        total -= sum(weight * (1 - f) ** gamma * y * math.log(f) for f, y in label)
    return total / len(labels[0]) / (classes if len(labels) == 2 * classes else 1)


@pytest.mark.parametrize("loss", LOSSES)
def test_likelihood_losses_keep_the_contract_of_pixel_losses(loss: PixelLoss) -> None:
    check_loss(loss)
    check_loss(loss, classes=1)


def test_cross_entropy_of_an_independent_class_equals_the_formula() -> None:
    logits, y = row(math.log(3), 0.0), row(1.0, 0.2)  # f = 3/4 and 1/2
    expected = -(math.log(3 / 4) + 0.2 * math.log(1 / 2) + 0.8 * math.log(1 / 2)) / 2
    assert value_of(CrossEntropy(), logits, y).item() == pytest.approx(expected)


def test_cross_entropy_of_exclusive_classes_includes_the_background() -> None:
    logits = torch.tensor([math.log(2), math.log(5)]).view(1, 2, 1, 1)  # f = 2/8, 5/8, rest 1/8
    y = torch.tensor([0.5, 0.1]).view(1, 2, 1, 1)
    expected = -(0.5 * math.log(2 / 8) + 0.1 * math.log(5 / 8) + 0.4 * math.log(1 / 8))
    assert value_of(CrossEntropy(), logits, y, Multiclass()).item() == pytest.approx(expected)


def test_balance_gives_a_class_and_its_absence_the_same_total_weight() -> None:
    logits, y = row(math.log(3), 0.0, 0.0, 0.0, 0.0), row(0.0, 1.0, 1.0, 0.0, 0.0)
    present, absent = math.log(1 / 2), (math.log(1 / 4) + 2 * math.log(1 / 2)) / 3
    value = value_of(CrossEntropy(balance="labels"), logits, y)
    assert value.item() == pytest.approx(-(present + absent) / 2)


def test_balance_does_not_enlarge_targets_that_add_up_to_less_than_one_pixel() -> None:
    logits, y = row(0.0, 0.0, 0.0), row(0.1, 0.0, 0.0)
    value = value_of(CrossEntropy(balance="labels"), logits, y)
    assert value.item() == pytest.approx((0.1 + 1) / 2 * math.log(2))


def test_focal_loss_equals_the_formula() -> None:
    logits, y = row(math.log(3), math.log(3)), row(1.0, 0.0)  # f = 3/4
    expected = -(0.25 * 0.25**2 * math.log(0.75) + 0.75 * 0.75**2 * math.log(0.25)) / 2
    assert value_of(Focal(), logits, y).item() == pytest.approx(expected)


@given(st.integers(0, 2**31), st.sampled_from(RELATIONS), st.integers(1, 3))
def test_likelihood_losses_equal_loops_over_pixels(
    seed: int, relation: ClassRelation, classes: int
) -> None:
    logits, y, batch = random_case(seed, relation, classes)
    labels = pixel_labels(logits, y, batch.region, relation)
    found = CrossEntropy()(logits, y, batch, relation).item()
    assert found == pytest.approx(naive_cross_entropy(labels, classes))
    found = CrossEntropy(balance="labels")(logits, y, batch, relation).item()
    assert found == pytest.approx(naive_balanced(labels))
    found = Focal(alpha=0.3, gamma=1.5)(logits, y, batch, relation).item()
    assert found == pytest.approx(naive_focal(labels, classes, 0.3, 1.5))


@pytest.mark.parametrize("relation", RELATIONS)
def test_focal_loss_without_weights_and_gamma_is_cross_entropy(relation: ClassRelation) -> None:
    given_ = random_case(0, relation)
    found = Focal(alpha=None, gamma=0)(*given_, relation)
    torch.testing.assert_close(found, CrossEntropy()(*given_, relation))


@pytest.mark.parametrize("loss", LOSSES)
def test_one_exclusive_class_has_the_loss_of_an_independent_class(loss: PixelLoss) -> None:
    given_ = random_case(0, Multilabel(), 1)
    torch.testing.assert_close(loss(*given_, Multiclass()), loss(*given_, Multilabel()))


def test_focal_loss_of_targets_of_0_and_1_equals_those_of_other_packages() -> None:
    from monai.losses.focal_loss import FocalLoss  # takes seconds to import

    random = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 2, 4, 5, generator=random)
    y = (torch.rand(2, 2, 4, 5, generator=random) > 0.6).float()
    found = value_of(Focal(alpha=0.3, gamma=2), logits, y)
    theirs = FocalLoss(alpha=0.3, gamma=2)(logits, y)
    torch.testing.assert_close(found, theirs)
    theirs = smp.losses.FocalLoss("multilabel", alpha=0.3, gamma=2)(logits, y)
    torch.testing.assert_close(found, theirs)


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_equal_finite_differences(loss: PixelLoss, relation: ClassRelation) -> None:
    logits, y, batch = random_case(3, relation)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda a: loss(a, y, batch, relation), (logits,))


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("logit", [-FINITE, FINITE])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_wrong_logit_of_100_has_a_finite_loss_and_a_gradient(
    loss: PixelLoss, logit: float, relation: ClassRelation
) -> None:
    logits, y = row(logit, logit).requires_grad_(), row(1.0, 0.0)  # one of both is wrong
    value = value_of(loss, logits, y, relation)
    (gradient,) = torch.autograd.grad(value, logits)
    wrong = 0 if logit < 0 else 1
    assert value.isfinite()
    assert value > 1
    assert gradient.isfinite().all()
    assert gradient.flatten()[wrong].sign() == (-1 if logit < 0 else 1)  # towards the target
    assert gradient.flatten()[wrong].abs() > 0.01


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_without_region_has_a_loss_and_a_gradient_of_0(
    loss: PixelLoss, relation: ClassRelation
) -> None:
    logits = torch.randn(2, 2, 3, 3).requires_grad_()
    nowhere = batch_of(torch.zeros(2, 1, 3, 3, dtype=torch.bool), 2)
    value = loss(logits, torch.full((2, 2, 3, 3), 0.5), nowhere, relation)
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.item() == 0
    assert not gradient.any()


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_nan_outside_the_region_changes_neither_loss_nor_gradient(
    loss: PixelLoss, relation: ClassRelation
) -> None:
    logits, y, batch = random_case(1, relation)
    with_nan = logits.where(batch.region, math.nan).requires_grad_()
    value = loss(with_nan, y.where(batch.region, math.nan), batch, relation)
    (gradient,) = torch.autograd.grad(value, with_nan)
    assert torch.equal(value, loss(logits, y, batch, relation))
    assert gradient.isfinite().all()


@pytest.mark.parametrize("autocast", [False, True])
def test_sums_are_float32_for_logits_in_bfloat16(autocast: bool) -> None:
    logits = torch.zeros(1, 1, 100, 100, dtype=torch.bfloat16)  # a bfloat16 sum stops at 256
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        cross_entropy = value_of(CrossEntropy(), logits, torch.ones_like(logits))
        focal = value_of(Focal(alpha=None), logits, torch.ones_like(logits))
    assert cross_entropy.dtype == focal.dtype == torch.float32
    assert cross_entropy.item() == pytest.approx(math.log(2), rel=1e-5)
    assert focal.item() == pytest.approx(math.log(2) / 4, rel=1e-5)


def best_constant(loss: PixelLoss, y: Tensor) -> float:
    """Return the f of 0.01, 0.02, ..., 0.99 that has the smallest loss if all pixels have it."""
    candidates = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    losses = [value_of(loss, torch.full_like(y, f.logit()), y).item() for f in candidates]
    return float(candidates[min(range(99), key=losses.__getitem__)])


TARGETS = [[1.0, 0.0, 0.0, 0.0, 0.0], [0.2, 0.3, 0.7, 0.8], [1.0, 0.9, 0.9, 0.4]]


@pytest.mark.parametrize("targets", TARGETS)
def test_the_best_constant_f_for_cross_entropy_is_the_mean_of_the_targets(
    targets: list[float],
) -> None:
    y = row(*targets).double()
    assert best_constant(CrossEntropy(), y) == pytest.approx(sum(targets) / len(targets), abs=1e-7)


@pytest.mark.parametrize("targets", TARGETS)
def test_the_best_constant_f_for_dice_is_at_a_corner(targets: list[float]) -> None:
    assert best_constant(SmoothDice(), row(*targets).double()) in (0.01, 0.99)


def test_the_best_constant_f_for_focal_loss_is_nearer_to_one_half_than_the_mean() -> None:
    for mean in (0.1, 0.3, 0.7, 0.9):
        best = best_constant(Focal(alpha=None), row(mean).double())
        assert abs(best - 0.5) < abs(mean - 0.5) - 0.01


def test_with_balance_the_odds_of_the_best_constant_f_are_those_of_equally_frequent_labels() -> (
    None
):
    """Targets of 4 x 1 and 12 x 0 have odds of 1/3, which balance multiplies by 3."""
    y = row(*[1.0] * 4, *[0.0] * 12).double()
    assert best_constant(CrossEntropy(balance="labels"), y) == pytest.approx(0.5)


@pytest.mark.parametrize("values", [{"alpha": 0}, {"alpha": 1}, {"gamma": -1}])
def test_weights_and_exponents_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Focal.model_validate(values)


def test_an_unknown_balance_is_refused() -> None:
    unknown: Literal["none"] = "pixels"  # type: ignore[assignment]
    with pytest.raises(ValidationError, match="none"):
        CrossEntropy(balance=unknown)
