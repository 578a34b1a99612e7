import math
from decimal import Decimal, localcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from wsseg.components.registry import make
from wsseg.components.tag_losses import LogSumExp, MeanLogits, NoisyOr
from wsseg.core.interfaces import TagLoss
from wsseg.testing import check_tag_loss

LOSSES = [NoisyOr(instances=12), NoisyOr(instances=0.5), LogSumExp(sharpness=5), MeanLogits()]
LN3 = math.log(3)  # the logit of 3/4
YES, NO = torch.tensor([[True]]), torch.tensor([[False]])


def image(*logits: float) -> Tensor:
    """One image of one row and one class, (1, 1, 1, W)."""
    return torch.tensor(logits, dtype=torch.float64)[None, None, None, :]


def everywhere(logits: Tensor) -> Tensor:
    return torch.ones_like(logits[:, :1], dtype=torch.bool)


def naive_noisy_or(a: list[Decimal], instances: float) -> Decimal:
    """Return P, multiplying pixel by pixel."""
    exponent = Decimal(instances) / len(a)
    none = Decimal(1)
    for each in a:
        none *= (1 / (1 + each.exp())) ** exponent
    return 1 - none


def naive_log_sum_exp(a: list[Decimal], sharpness: float) -> Decimal:
    r = Decimal(sharpness)
    s = (sum(((r * each).exp() for each in a), Decimal(0)) / len(a)).ln() / r
    return 1 / (1 + (-s).exp())


def naive_mean_logits(a: list[Decimal]) -> Decimal:
    return 1 / (1 + (-sum(a, Decimal(0)) / len(a)).exp())


def naive(loss: TagLoss, a: list[Decimal]) -> Decimal:
    """Return the bag's probability."""
    if isinstance(loss, NoisyOr):
        return naive_noisy_or(a, loss.instances)
    if isinstance(loss, LogSumExp):
        return naive_log_sum_exp(a, loss.sharpness)
    return naive_mean_logits(a)


@pytest.mark.parametrize("loss", LOSSES)
def test_tag_losses_keep_the_contract_of_tag_losses(loss: TagLoss) -> None:
    check_tag_loss(loss)
    check_tag_loss(loss, classes=1)


@pytest.mark.parametrize("loss", LOSSES)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.sampled_from([0.1, 3, 12]))
@settings(max_examples=15)
def test_tag_losses_equal_a_loop_over_pixels_in_400_digits(
    loss: TagLoss, seed: int, b: int, k: int, scale: float
) -> None:
    dice = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(b, k, 3, 4, generator=dice, dtype=torch.float64)
    region = torch.rand(b, 1, 3, 4, generator=dice) < 0.6
    tags = torch.rand(b, k, generator=dice) < 0.5
    total = Decimal(0)
    with localcontext(prec=400):  # no cancellation, however small 1 - P is
        for i in range(b):
            pixels = [(r, c) for r in range(3) for c in range(4) if region[i, 0, r, c]]
            for j in range(k if pixels else 0):
                p = naive(loss, [Decimal(logits[i, j, r, c].item()) for r, c in pixels])
                total -= (p if tags[i, j] else 1 - p).ln()
        expected = float(total / (b * k))
    assert loss(logits, tags, region).item() == pytest.approx(expected, rel=1e-4, abs=1e-12)


def test_noisy_or_of_two_independent_pixels_equals_the_product_rule() -> None:
    logits = image(0.0, LN3)  # f = 1/2 and 3/4: P = 1 - 1/2 * 1/4 = 7/8
    loss = NoisyOr(instances=2)
    assert loss(logits, YES, everywhere(logits)).item() == pytest.approx(-math.log(7 / 8))
    assert loss(logits, NO, everywhere(logits)).item() == pytest.approx(-math.log(1 / 8))


def test_noisy_or_of_repeated_pixels_is_unchanged_with_the_same_instances() -> None:
    logits = image(0.0, LN3, 0.0, LN3)  # each pixel twice
    loss = NoisyOr(instances=2)
    assert loss(logits, YES, everywhere(logits)).item() == pytest.approx(-math.log(7 / 8))


def test_log_sum_exp_of_two_pixels_equals_the_formula() -> None:
    logits = image(0.0, math.log(2))  # r = 2: s = log((1 + 4) / 2) / 2
    p = math.sqrt(2.5) / (1 + math.sqrt(2.5))
    loss = LogSumExp(sharpness=2)
    assert loss(logits, YES, everywhere(logits)).item() == pytest.approx(-math.log(p))
    assert loss(logits, NO, everywhere(logits)).item() == pytest.approx(-math.log(1 - p))


def test_log_sum_exp_is_between_the_mean_and_the_maximum() -> None:
    logits = image(-1.0, 0.0, 4.0)
    blunt, sharp = (LogSumExp(sharpness=r)(logits, YES, everywhere(logits)) for r in (1e-6, 1e3))
    assert blunt.item() == pytest.approx(math.log1p(math.exp(-1)), abs=1e-4)
    assert sharp.item() == pytest.approx(math.log1p(math.exp(-4)), abs=1e-4)


def test_mean_logits_of_two_pixels_equals_the_formula() -> None:
    logits = image(0.0, 2 * LN3)  # the mean is the logit of 3/4
    loss = MeanLogits()
    assert loss(logits, YES, everywhere(logits)).item() == pytest.approx(-math.log(3 / 4))
    assert loss(logits, NO, everywhere(logits)).item() == pytest.approx(-math.log(1 / 4))


def test_a_tag_loss_is_a_mean_over_images_and_classes() -> None:
    logits = torch.tensor([[0.0, LN3], [LN3, LN3]]).reshape(2, 2, 1, 1)
    tags = torch.tensor([[True, True], [False, True]])
    expected = -(math.log(1 / 2) + math.log(3 / 4) + math.log(1 / 4) + math.log(3 / 4)) / 4
    assert MeanLogits()(logits, tags, everywhere(logits)).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_equal_finite_differences(loss: TagLoss) -> None:
    dice = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(2, 2, 3, 3, generator=dice, dtype=torch.float64)
    logits[0, 0] -= 30  # where noisy-or uses its linear approximation
    region, tags = torch.rand(2, 1, 3, 3, generator=dice) < 0.7, torch.tensor([[1, 0], [0, 1]]) > 0
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda a: loss(a, tags, region), (logits,), atol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_does_not_vanish_in_a_large_region_with_very_negative_logits(
    loss: TagLoss,
) -> None:
    logits = torch.full((1, 1, 256, 256), -200.0, requires_grad=True)
    loss(logits, YES, everywhere(logits)).backward()
    assert logits.grad is not None
    assert logits.grad.sum().item() == pytest.approx(-1, rel=1e-3)


@pytest.mark.parametrize("instances", [1, 10])
def test_noisy_or_does_not_saturate_in_a_large_region(instances: float) -> None:
    """With 65,536 independent pixels at f = 1/20, P would be 1 and the gradient about 3000."""
    logits = torch.full((1, 1, 256, 256), -math.log(19), requires_grad=True)
    doubt = instances * math.log(20 / 19)
    for tag, expected in ((YES, -math.log(1 - math.exp(-doubt))), (NO, doubt)):
        value = NoisyOr(instances=instances)(logits, tag, everywhere(logits))
        (gradient,) = torch.autograd.grad(value, logits)
        assert value.item() == pytest.approx(expected, rel=1e-4)
        assert 0.01 < gradient.sum().abs() < 1


@pytest.mark.parametrize("loss", LOSSES)
def test_a_bag_without_pixels_has_a_loss_and_a_gradient_of_0(loss: TagLoss) -> None:
    logits = torch.tensor([[[[0.3, math.nan]]]], requires_grad=True)
    value = loss(logits, YES, torch.zeros(1, 1, 1, 2, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_nan_outside_the_region_is_ignored(loss: TagLoss) -> None:
    region = torch.tensor([True, True, False]).reshape(1, 1, 1, 3)
    with_nan, without = image(0.5, -2.0, math.nan), image(0.5, -2.0)
    assert loss(with_nan, YES, region).item() == loss(without, YES, everywhere(without)).item()


@pytest.mark.parametrize("loss", LOSSES)
def test_pooling_is_float32_for_bfloat16_logits(loss: TagLoss) -> None:
    logits = torch.full((1, 1, 100, 100), 0.25, dtype=torch.bfloat16)  # a bfloat16 sum stops at 64
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(logits, NO, everywhere(logits))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(logits.double(), NO, everywhere(logits)).item())


def test_class_activation_maps_are_thresholded_at_a_share_of_their_maximum() -> None:
    logits = image(10.0, 2.1, 1.9, -3.0)
    possible = MeanLogits().possible(logits, everywhere(logits))
    assert possible.flatten().tolist() == [True, True, False, False]


def test_a_bag_with_a_negative_mean_has_no_pixel_of_the_class() -> None:
    logits = image(10.0, 2.1, 1.9, -30.0)  # the mean is below 0
    assert not MeanLogits().possible(logits, everywhere(logits)).any()


def test_the_maximum_and_the_mean_of_a_map_are_taken_over_the_region() -> None:
    logits = image(10.0, 2.1, 1.9, 99.0, -300.0)
    region = torch.tensor([True, True, True, False, False]).reshape(1, 1, 1, 5)
    possible = MeanLogits().possible(logits, region)
    assert possible.flatten().tolist()[:3] == [True, True, False]


def test_other_tag_losses_exclude_no_pixel() -> None:
    logits = image(-50.0, 50.0)
    assert LogSumExp(sharpness=1).possible(logits, everywhere(logits)).all()
    assert NoisyOr(instances=1).possible(logits, everywhere(logits)).all()


def test_tag_losses_are_built_by_their_names() -> None:
    assert make(TagLoss, "noisy-or", instances=10) == NoisyOr(instances=10)
    assert make(TagLoss, "log-sum-exp", sharpness=5) == LogSumExp(sharpness=5)
    assert make(TagLoss, "mean-logits") == MeanLogits(share=0.2)


@pytest.mark.parametrize(
    ("use", "wrong"),
    [
        ("noisy-or", {"instances": 0}),
        ("log-sum-exp", {"sharpness": -1}),
        ("mean-logits", {"share": 1}),
    ],
)
def test_tag_losses_refuse_parameters_out_of_range(use: str, wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        make(TagLoss, use, **wrong)
