import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from wsseg.components.pixel_losses import BatchDice, SmoothDice
from wsseg.core.interfaces import PixelLoss
from wsseg.testing import check_loss

LOSSES = [SmoothDice(), BatchDice(), SmoothDice(smooth=0.1), BatchDice(smooth=10)]


def images(*rows: list[float]) -> Tensor:
    """Images of one row and one class, (B, 1, 1, W)."""
    return torch.tensor(rows, dtype=torch.float32)[:, None, None, :]


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
    assert SmoothDice()(f, y, everywhere(f)).item() == pytest.approx(1 - 2 / 3)


def test_smooth_dice_is_1_plus_equation_2_of_the_paper() -> None:
    f, y = images([0.9, 0.2], [0.3, 0.4]), images([1.0, 0.0], [0.0, 0.0])
    equation_2 = -(1 / 2) * ((2 * 0.9 + 1) / (1 + 1.1 + 1) + (0 + 1) / (0 + 0.7 + 1))
    assert SmoothDice()(f, y, everywhere(f)).item() == pytest.approx(1 + equation_2)


def test_batch_dice_sums_over_the_batch_before_the_division() -> None:
    f, y = images([0.9, 0.2], [0.3, 0.4]), images([1.0, 0.0], [0.0, 0.0])
    expected = 1 - (2 * 0.9 + 1) / (1 + 1.1 + 0.7 + 1)
    assert BatchDice()(f, y, everywhere(f)).item() == pytest.approx(expected)


def test_batch_dice_weights_classes_equally() -> None:
    f = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])[None, :, None, :]
    y = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])[None, :, None, :]
    assert BatchDice()(f, y, everywhere(f)).item() == pytest.approx((0 + 1 / 2) / 2)


def test_smooth_and_batch_dice_of_one_image_are_equal() -> None:
    f = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    y, region = (f > 0.3).float(), f[:, :1] < 0.8
    torch.testing.assert_close(SmoothDice()(f, y, region), BatchDice()(f, y, region))


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.floats(0.01, 20))
def test_smooth_and_batch_dice_equal_a_loop_over_pixels(
    seed: int, b: int, k: int, s: float
) -> None:
    dice = torch.Generator().manual_seed(seed)
    f, y = (torch.rand(b, k, 3, 4, generator=dice, dtype=torch.float64) for _ in range(2))
    region = torch.rand(b, 1, 3, 4, generator=dice) < 0.6
    expected = pytest.approx(naive_smooth_dice(f, y, region, s))
    assert SmoothDice(smooth=s)(f, y, region).item() == expected
    assert BatchDice(smooth=s)(f, y, region).item() == pytest.approx(
        naive_batch_dice(f, y, region, s)
    )


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice()])
def test_the_loss_of_an_empty_prediction_of_an_empty_target_is_0(loss: PixelLoss) -> None:
    nothing = images([0.0, 0.0])
    assert loss(nothing, nothing, everywhere(nothing)).item() == 0


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice()])
def test_the_loss_of_three_pixels_found_in_an_empty_target_is_three_quarters(
    loss: PixelLoss,
) -> None:
    f = images([1.0, 1.0, 1.0, 0.0])
    assert loss(f, 0 * f, everywhere(f)).item() == pytest.approx(3 / 4)


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice()])
def test_an_empty_region_has_a_loss_and_a_gradient_of_0(loss: PixelLoss) -> None:
    f = images([0.3, 0.6]).requires_grad_()
    value = loss(f, images([1.0, 0.0]), torch.zeros(1, 1, 1, 2, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
    assert f.grad is not None
    assert not f.grad.any()


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice()])
@pytest.mark.parametrize("logit", [-80.0, 0.0, 80.0])
def test_gradients_for_an_empty_target_are_finite_and_not_negative(
    loss: PixelLoss, logit: float
) -> None:
    logits = torch.full((2, 1, 8, 8), logit, requires_grad=True)
    f = logits.sigmoid()
    loss(f, torch.zeros_like(f), everywhere(f)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert (logits.grad >= 0).all()  # down with f


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice()])
def test_a_nan_outside_the_region_is_ignored(loss: PixelLoss) -> None:
    f, y = images([0.5, 0.5, math.nan]), images([1.0, 0.0, math.nan])
    region = torch.tensor([True, True, False]).reshape(1, 1, 1, 3)
    assert loss(f, y, region).item() == pytest.approx(1 / 3)


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice()])
def test_gradients_equal_finite_differences(loss: PixelLoss) -> None:
    dice = torch.Generator().manual_seed(3)
    f = torch.rand(2, 2, 3, 3, generator=dice, dtype=torch.float64, requires_grad=True)
    y, region = (f.detach() > 0.5).double(), torch.rand(2, 1, 3, 3, generator=dice) < 0.7
    assert torch.autograd.gradcheck(lambda f: loss(f, y, region), (f,))


@pytest.mark.parametrize("loss", [SmoothDice(), BatchDice()])
def test_sums_are_float32_under_bfloat16_autocast(loss: PixelLoss) -> None:
    f = torch.full((1, 1, 100, 100), 0.25, dtype=torch.bfloat16)  # a bfloat16 sum stops at 64
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(f, torch.ones_like(f), everywhere(f))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(1 - 5001 / 12501, rel=1e-6)


def test_a_smooth_term_of_0_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        SmoothDice(smooth=0)
