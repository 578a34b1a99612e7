"""The roofline of a computation: its operations, their bytes, and the least time that they need."""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.roofline import Operation, Rates, Roofline, roofline
from benchmarks.speed.roofline_shares import RooflineShares


def test_the_roofline_of_a_product_counts_its_operations_and_bytes() -> None:
    """(2, 3) by (3, 4): 2 * 24 operations; 6 + 12 numbers are read, 8 written, of 4 bytes."""
    a, b = torch.ones(2, 3), torch.ones(3, 4)
    work = roofline(lambda: a @ b)
    assert (work.flop, work.bytes_moved) == (48, 4 * (6 + 12 + 8))


def test_in_place_operations_read_and_write_memory_and_views_move_nothing() -> None:
    a = torch.ones(5)
    assert roofline(lambda: a.add_(1)).bytes_moved == 2 * 20
    assert roofline(lambda: a.view(1, 5)[:, 2:]).bytes_moved == 0
    assert roofline(lambda: torch._foreach_add_([a], 1)).bytes_moved == 2 * 20


def test_the_least_time_of_an_operation_is_the_longer_of_its_arithmetic_and_transfer_times() -> (
    None
):
    rates = Rates(flop_per_s=10, bytes_per_s=100)
    assert Operation("a", flop=50, bytes_moved=100).least_s(rates) == 5
    assert Operation("b", flop=5, bytes_moved=100).least_s(rates) == 1


def test_the_roofline_of_two_layers_is_the_sum_of_their_own_limits() -> None:
    """The first is limited by the product, the second by the copy.

    16 pixels: 2 * 16 * 2 * 3 = 192 operations in 4 s, 4 * (32 + 6 + 48) = 344 bytes in 3.44 s;
    2 * 16 * 3 * 1 = 96 operations in 2 s, 4 * (48 + 3 + 16) = 268 bytes in 2.68 s.
    """
    network = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.Conv2d(3, 1, 1, bias=False))
    image = torch.ones(1, 2, 4, 4)
    work = roofline(lambda: network(image))
    assert [(each.flop, each.bytes_moved) for each in work.operations] == [(192, 344), (96, 268)]
    assert work.least_s(Rates(flop_per_s=48, bytes_per_s=100)) == 4 + 2.68


def test_layers_are_counted_in_inference_mode() -> None:
    network, image = nn.Conv2d(2, 3, 1), torch.ones(1, 2, 4, 4)
    with torch.inference_mode():
        assert roofline(lambda: network(image)).flop == 192


def test_a_depthwise_convolution_needs_as_many_operations_for_each_of_its_two_gradients() -> None:
    """8 channels of 16 pixels and 3 x 3 weights: 2 * 8 * 16 * 9 operations."""
    image = torch.ones(1, 8, 4, 4, requires_grad=True)
    weight = torch.ones(8, 1, 3, 3, requires_grad=True)
    result = F.conv2d(image, weight, padding=1, groups=8)
    forward = 2 * 8 * 16 * 9
    assert roofline(lambda: F.conv2d(image, weight, padding=1, groups=8)).flop == forward
    (backward,) = roofline(lambda: result.backward(torch.ones_like(result))).operations[-1:]
    assert (backward.name, backward.flop) == ("grouped convolution_backward", 2 * forward)


def test_a_convolution_with_packed_weights_is_counted_as_any_other() -> None:
    """2 * 16 * 2 * 3 operations; 32 + 6 numbers are read, 48 written, of 4 bytes."""
    image, how = torch.ones(1, 2, 4, 4), ((0, 0), (1, 1), (1, 1), 1)
    packed = torch.ops.mkldnn._reorder_convolution_weight(
        torch.ones(3, 2, 1, 1), *how, list(image.shape)
    )
    work = roofline(
        lambda: torch.ops.mkldnn._convolution_pointwise(
            image, packed, None, *how, "leaky_relu", [0.2], ""
        )
    )
    assert (work.flop, work.bytes_moved) == (192, 4 * (32 + 6 + 48))


def test_a_kind_of_layer_loses_the_time_beyond_its_own_limit() -> None:
    """At their limits, all three take 2 s: the copy, the product and the copy."""
    work = Roofline(
        [
            Operation("convolution", flop=10, bytes_moved=10, shape=(1, 1, 4, 4), seconds=3),
            Operation("convolution", flop=20, bytes_moved=5, shape=(1, 1, 2, 2), seconds=4),
            Operation("leaky_relu_", flop=0, bytes_moved=10, shape=(1, 1, 4, 4), seconds=1),
        ]
    )
    shares = RooflineShares("a", pixels=4, computed=[work], limits=[Rates(10, 5)])
    assert shares.share([8], least=75).values == (75,)
    assert {each.name: each.value for each in shares.losses()} == {
        "a, time lost by convolutions at full resolution": 12.5,
        "a, time lost by convolutions at lower resolutions": 25,
        "a, time lost by activations": -12.5,
    }
