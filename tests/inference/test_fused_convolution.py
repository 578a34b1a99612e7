"""A convolution and its ReLU in one pass are what they are in two."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from wsseg.inference.fusion import FusedConvLeakyReLU, fused


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def pair(activation: nn.Module, **how: object) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 8, 3, **how), activation)  # type: ignore[arg-type]


def noise() -> Tensor:
    return torch.randn(2, 4, 12, 10, generator=torch.Generator().manual_seed(1))


def kinds(network: nn.Module) -> list[str]:
    return [type(module).__name__ for module in network.children()]


@pytest.mark.parametrize("how", [{"padding": 1}, {"stride": 2, "bias": False}, {"groups": 2}])
@pytest.mark.parametrize("activation", [nn.LeakyReLU(0.2), nn.ReLU()], ids=["leaky", "plain"])
def test_the_function_stays(activation: nn.Module, how: dict[str, object]) -> None:
    network = pair(activation, **how)
    ready = fused(network)
    assert kinds(ready) == ["FusedConvLeakyReLU", "Identity"]
    assert torch.equal(ready(noise()), network(noise()))
    exact = network(noise().bfloat16().float())
    with torch.autocast("cpu", torch.bfloat16):
        rounded = ready(noise())
    assert rounded.dtype == torch.bfloat16
    assert torch.allclose(rounded.float(), exact, rtol=0.01, atol=0.01)


def test_by_hand() -> None:
    """3 x + 1 of 2 and -2 is 7 and -5, of which a slope of 0.5 makes -2.5."""
    convolution = nn.Conv2d(1, 1, 1)
    convolution.weight.fill_(3)
    assert convolution.bias is not None
    convolution.bias.fill_(1)
    image = torch.tensor([2.0, -2.0]).reshape(1, 1, 1, 2)
    bent = FusedConvLeakyReLU(convolution, 0.5)
    assert bent(image).flatten().tolist() == [7, -2.5]
    assert bent.bfloat16()(image.bfloat16()).flatten().tolist() == [7, -2.5]


def test_packed_weights_serve_images_of_every_size() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(4, 8, 3, padding=1)
    bent = FusedConvLeakyReLU(convolution, 0.2)
    for shape in ((1, 4, 8, 8), (3, 4, 20, 12), (1, 4, 8, 8)):
        image = torch.randn(shape).bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(bent(image), FusedConvLeakyReLU(convolution, 0.2)(image))


def test_making_one_draws_no_random_numbers() -> None:
    convolution = nn.Conv2d(1, 1, 1)
    before = torch.get_rng_state()
    FusedConvLeakyReLU(convolution, 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "network",
    [
        pair(nn.ReLU(), padding="same"),
        pair(nn.ReLU(), padding=1, padding_mode="reflect"),
        pair(nn.GELU()),
        nn.Sequential(nn.ReLU(), nn.Conv2d(4, 8, 3)),
    ],
    ids=["padding by name", "reflected", "another activation", "the other way round"],
)
def test_what_it_cannot_do_is_left_as_it_is(network: nn.Sequential) -> None:
    assert kinds(fused(network)) == kinds(network)
    assert torch.equal(fused(network)(noise()), network(noise()))


def test_gradients_flow_through_it() -> None:
    with torch.inference_mode(mode=False):
        convolution = nn.Conv2d(1, 1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            FusedConvLeakyReLU(convolution, 0.2)(torch.ones(1, 1, 2, 2)).sum().backward()
        assert convolution.weight.grad is not None
