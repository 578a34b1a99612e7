import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from wsseg.components.overlap_losses import BatchDice, SmoothDice, Tversky
from wsseg.core.batch import Batch
from wsseg.core.class_relation import Multiclass, Multilabel
from wsseg.core.interfaces import PixelLoss
from wsseg.testing import check_loss

LOSSES = [
    SmoothDice(),
    BatchDice(),
    SmoothDice(smooth=0.1),
    BatchDice(smooth=10),
    Tversky(),
    Tversky(alpha=0, beta=2, reduction="batch"),
]
HALVES = Tversky(alpha=0.5, beta=0.5)


def images(*rows: list[float]) -> Tensor:
    """Images of one row and one class, (B, 1, 1, W)."""
    return torch.tensor(rows, dtype=torch.float32)[:, None, None, :]


def value_of(loss: PixelLoss, f: Tensor, y: Tensor, region: Tensor) -> Tensor:
    """The loss of independent classes of which the network has the probabilities f."""
    tags = torch.ones(f.shape[:2], dtype=torch.bool)
    return loss(
        f.logit(), y, Batch(torch.zeros_like(f[:, :1])[:, None], region, tags), Multilabel()
    )


def everywhere(f: Tensor) -> Tensor:
    return torch.ones_like(f[:, :1], dtype=torch.bool)


def naive_sums(f: Tensor, y: Tensor, region: Tensor, b: int, k: int) -> tuple[float, float]:
    overlap = total = 0.0
    for r in range(f.shape[2]):
        for c in range(f.shape[3]):
            if region[b, 0, r, c]:
                overlap += f[b, k, r, c].item() * y[b, k, r, c].item()
                total += f[b, k, r, c].item() + y[b, k, r, c].item()
    return overlap, total


def naive_smooth_dice(f: Tensor, y: Tensor, region: Tensor, s: float) -> float:
    losses = []
    for b in range(f.shape[0]):
        for k in range(f.shape[1]):
            overlap, total = naive_sums(f, y, region, b, k)
            losses.append(1 - (2 * overlap + s) / (total + s))
    return sum(losses) / len(losses)


def naive_batch_dice(f: Tensor, y: Tensor, region: Tensor, s: float) -> float:
    losses = []
    for k in range(f.shape[1]):
        overlap = total = 0.0
        for b in range(f.shape[0]):
            one_overlap, one_total = naive_sums(f, y, region, b, k)
            overlap, total = overlap + one_overlap, total + one_total
        losses.append(1 - (2 * overlap + s) / (total + s))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("loss", LOSSES)
def test_pixel_losses_keep_the_contract_of_pixel_losses(loss: PixelLoss) -> None:
    check_loss(loss)
    check_loss(loss, classes=1)


def test_smooth_dice_of_two_pixels_equals_the_formula() -> None:
    f, y = images([0.5, 0.5]), images([1.0, 0.0])
    assert value_of(SmoothDice(), f, y, everywhere(f)).item() == pytest.approx(1 - 2 / 3)


def test_smooth_dice_is_1_plus_equation_2_of_the_paper() -> None:
    f, y = images([0.9, 0.2], [0.3, 0.4]), images([1.0, 0.0], [0.0, 0.0])
    equation_2 = -(1 / 2) * ((2 * 0.9 + 1) / (1 + 1.1 + 1) + (0 + 1) / (0 + 0.7 + 1))
    assert value_of(SmoothDice(), f, y, everywhere(f)).item() == pytest.approx(1 + equation_2)


def test_batch_dice_sums_over_the_batch_before_the_division() -> None:
    f, y = images([0.9, 0.2], [0.3, 0.4]), images([1.0, 0.0], [0.0, 0.0])
    expected = 1 - (2 * 0.9 + 1) / (1 + 1.1 + 0.7 + 1)
    assert value_of(BatchDice(), f, y, everywhere(f)).item() == pytest.approx(expected)


def test_batch_dice_weights_classes_equally() -> None:
    f = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])[None, :, None, :]
    y = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])[None, :, None, :]
    assert value_of(BatchDice(), f, y, everywhere(f)).item() == pytest.approx((0 + 1 / 2) / 2)


def test_smooth_and_batch_dice_of_one_image_are_equal() -> None:
    f = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    y, region = (f > 0.3).float(), f[:, :1] < 0.8
    torch.testing.assert_close(
        value_of(SmoothDice(), f, y, region), value_of(BatchDice(), f, y, region)
    )


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.floats(0.01, 20))
def test_smooth_and_batch_dice_equal_a_loop_over_pixels(
    seed: int, b: int, k: int, s: float
) -> None:
    dice = torch.Generator().manual_seed(seed)
    f, y = (torch.rand(b, k, 3, 4, generator=dice, dtype=torch.float64) for _ in range(2))
    region = torch.rand(b, 1, 3, 4, generator=dice) < 0.6
    expected = pytest.approx(naive_smooth_dice(f, y, region, s))
    assert value_of(SmoothDice(smooth=s), f, y, region).item() == expected
    assert value_of(BatchDice(smooth=s), f, y, region).item() == pytest.approx(
        naive_batch_dice(f, y, region, s)
    )


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice(), HALVES])
def test_the_loss_of_an_empty_prediction_of_an_empty_target_is_0(loss: PixelLoss) -> None:
    nothing = images([0.0, 0.0])
    assert value_of(loss, nothing, nothing, everywhere(nothing)).item() == 0


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice(), HALVES])
def test_the_loss_of_three_pixels_found_in_an_empty_target_is_three_quarters(
    loss: PixelLoss,
) -> None:
    f = images([1.0, 1.0, 1.0, 0.0])
    assert value_of(loss, f, 0 * f, everywhere(f)).item() == pytest.approx(3 / 4)


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice(), HALVES])
def test_an_empty_region_has_a_loss_and_a_gradient_of_0(loss: PixelLoss) -> None:
    f = images([0.3, 0.6]).requires_grad_()
    value = value_of(loss, f, images([1.0, 0.0]), torch.zeros(1, 1, 1, 2, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
    assert f.grad is not None
    assert not f.grad.any()


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice(), HALVES])
@pytest.mark.parametrize("logit", [-80.0, 0.0, 80.0])
def test_gradients_for_an_empty_target_are_finite_and_not_negative(
    loss: PixelLoss, logit: float
) -> None:
    logits = torch.full((2, 1, 8, 8), logit, requires_grad=True)
    batch = Batch(torch.zeros(2, 1, 1, 8, 8), everywhere(logits), torch.ones(2, 1).bool())
    loss(logits, torch.zeros(2, 1, 8, 8), batch, Multilabel()).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert (logits.grad >= 0).all()  # down with f


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice(), HALVES])
def test_a_nan_outside_the_region_is_ignored(loss: PixelLoss) -> None:
    f, y = images([0.5, 0.5, math.nan]), images([1.0, 0.0, math.nan])
    region = torch.tensor([True, True, False]).reshape(1, 1, 1, 3)
    assert value_of(loss, f, y, region).item() == pytest.approx(1 / 3)


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice(), HALVES])
def test_gradients_equal_finite_differences(loss: PixelLoss) -> None:
    dice = torch.Generator().manual_seed(3)
    f = torch.rand(2, 2, 3, 3, generator=dice, dtype=torch.float64, requires_grad=True)
    y, region = (f.detach() > 0.5).double(), torch.rand(2, 1, 3, 3, generator=dice) < 0.7
    assert torch.autograd.gradcheck(lambda f: value_of(loss, f, y, region), (f,))


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice(), HALVES])
def test_sums_are_float32_under_bfloat16_autocast(loss: PixelLoss) -> None:
    f = torch.full((1, 1, 100, 100), 0.5, dtype=torch.bfloat16)  # a bfloat16 sum stops at 128
    with torch.autocast("cpu", torch.bfloat16):
        value = value_of(loss, f, torch.ones_like(f), everywhere(f))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(1 - 10001 / 15001, rel=1e-6)


def test_a_smooth_term_of_0_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        SmoothDice(smooth=0)


def test_tversky_weights_false_positives_by_alpha_and_false_negatives_by_beta() -> None:
    f, y = images([0.9, 0.2]), images([1.0, 0.0])  # TP 0.9, FP 0.2, FN 0.1
    loss = Tversky(alpha=0.3, beta=0.7, smooth=1)
    expected = 1 - (2 * 0.9 + 1) / (2 * 0.9 + 2 * 0.3 * 0.2 + 2 * 0.7 * 0.1 + 1)
    assert value_of(loss, f, y, everywhere(f)).item() == pytest.approx(expected)


@given(st.integers(0, 2**31), st.floats(0.01, 20))
def test_tversky_with_equal_weights_of_one_half_is_dice(seed: int, s: float) -> None:
    dice = torch.Generator().manual_seed(seed)
    f, y = (torch.rand(2, 2, 3, 4, generator=dice, dtype=torch.float64) for _ in range(2))
    region = torch.rand(2, 1, 3, 4, generator=dice) < 0.6
    for reduction, same in (("image", SmoothDice(smooth=s)), ("batch", BatchDice(smooth=s))):
        loss = Tversky(alpha=0.5, beta=0.5, smooth=s, reduction=reduction)
        expected = value_of(same, f, y, region)
        torch.testing.assert_close(value_of(loss, f, y, region), expected)


@given(st.integers(0, 2**31))
def test_tversky_equals_a_loop_over_pixels(seed: int) -> None:
    dice = torch.Generator().manual_seed(seed)
    f, y = (torch.rand(2, 2, 3, 4, generator=dice, dtype=torch.float64) for _ in range(2))
    region = torch.rand(2, 1, 3, 4, generator=dice) < 0.6
    losses = []
    for b in range(2):
        for k in range(2):
            hit = extra = missed = 0.0
            for r in range(3):
                for c in range(4):
                    if region[b, 0, r, c]:
                        hit += float(f[b, k, r, c] * y[b, k, r, c])
                        extra += float(f[b, k, r, c] * (1 - y[b, k, r, c]))
                        missed += float((1 - f[b, k, r, c]) * y[b, k, r, c])
            losses.append(1 - (2 * hit + 1) / (2 * hit + 2 * 0.2 * extra + 2 * 0.9 * missed + 1))
    loss = Tversky(alpha=0.2, beta=0.9)
    assert value_of(loss, f, y, region).item() == pytest.approx(sum(losses) / 4)


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice(), HALVES])
def test_f_of_exclusive_classes_is_the_softmax_with_the_background(loss: PixelLoss) -> None:
    """f is 1/3 for both classes of the only pixel: (1 - 5/3 / (7/3) + 1 - 1 / (4/3)) / 2."""
    y = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    batch = Batch(torch.zeros(1, 1, 1, 1, 1), everywhere(y), torch.ones(1, 2).bool())
    value = loss(torch.zeros(1, 2, 1, 1), y, batch, Multiclass())
    assert value.item() == pytest.approx((2 / 7 + 1 / 4) / 2)


@given(st.floats(0, 1), st.integers(1, 50))
@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice(), Tversky()])
def test_the_best_constant_f_for_an_overlap_loss_is_0_or_1(
    loss: PixelLoss, mean: float, pixels: int
) -> None:
    y = torch.full((1, 1, 1, pixels), mean, dtype=torch.float64)
    corners = [value_of(loss, y * 0 + f, y, everywhere(y)).item() for f in (0, 1)]
    for f in (0.1, 0.5, 0.9):
        assert value_of(loss, y * 0 + f, y, everywhere(y)).item() >= min(corners) - 1e-9
