"""Fusion of convolutions with batch norms and ReLUs leaves the function unchanged."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsseg.inference.fusion import FusedConvLeakyReLU, fused


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def with_statistics(network: nn.Module) -> nn.Module:
    """Return the network in evaluation mode, with random statistics and weights of batch norms."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                assert tensor is not None
                tensor.normal_(generator=generator)
            assert module.running_var is not None
            module.running_var.uniform_(0.1, 3, generator=generator)
    return network.double().eval()


class Backwards(nn.Sequential):
    """A sequence that runs in reverse order: the norm comes first."""

    def forward(self, x: Tensor) -> Tensor:
        for module in reversed(list(self)):
            x = module(x)
        return x


class Norms(nn.Module):
    """A norm after a convolution, one before, and one in a reversed sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.after = nn.Sequential(
            nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.LeakyReLU(0.2)
        )
        self.before = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1))
        self.backwards = Backwards(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.backwards(self.before(self.after(x)))
        return y


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_only_a_batch_norm_directly_after_a_convolution_is_fused() -> None:
    network, image = with_statistics(Norms()), torch.randn(2, 2, 8, 8, dtype=torch.float64)
    ready = fused(network)
    assert (norms(network), norms(ready)) == (3, 2)
    assert torch.allclose(ready(image), network(image), rtol=0, atol=1e-12)


def test_the_fused_weight_and_bias_of_a_batch_norm_are_those_computed_by_hand() -> None:
    """Weight 3, mean 1, variance 4, gamma 6, beta 5: 6 (3 x - 1) / 2 + 5 = 9 x + 2."""
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=0))
    assert isinstance(network[0], nn.Conv2d)
    assert isinstance(network[1], nn.BatchNorm2d)
    network[0].weight.data.fill_(3)
    for tensor, value in zip(network[1].state_dict().values(), (6, 5, 1, 4), strict=False):
        tensor.fill_(value)
    ready = fused(network)
    assert isinstance(ready, nn.Sequential)
    convolution = ready[0]
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    assert convolution.weight.item() == 9
    assert convolution.bias.item() == 2


def test_the_original_network_is_unchanged() -> None:
    network = Norms().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert not fused(network).training
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def pair(activation: nn.Module, **options: object) -> nn.Sequential:
    """A convolution followed by an activation."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 8, 3, **options), activation)  # type: ignore[arg-type]


def noise(*shape: int) -> Tensor:
    return torch.randn(shape or (2, 4, 12, 10), generator=torch.Generator().manual_seed(1))


def kinds(network: nn.Module) -> list[str]:
    return [type(module).__name__ for module in network.children()]


@pytest.mark.parametrize("options", [{"padding": 1}, {"stride": 2, "bias": False}, {"groups": 2}])
@pytest.mark.parametrize("activation", [nn.LeakyReLU(0.2), nn.ReLU()], ids=["leaky", "plain"])
def test_a_fused_relu_gives_the_same_activations_in_float32_and_rounded_ones_in_bfloat16(
    activation: nn.Module, options: dict[str, object]
) -> None:
    network = pair(activation, **options)
    ready = fused(network)
    assert kinds(ready) == ["FusedConvLeakyReLU", "Identity"]
    assert torch.equal(ready(noise()), network(noise()))
    exact = network(noise().bfloat16().float())
    with torch.autocast("cpu", torch.bfloat16):
        rounded = ready(noise())
    assert rounded.dtype == torch.bfloat16
    assert torch.allclose(rounded.float(), exact, rtol=0.01, atol=0.01)


def test_a_fused_convolution_gives_the_activations_computed_by_hand() -> None:
    """3 x + 1 is 7 for 2 and -5 for -2, which a slope of 0.5 turns into -2.5."""
    convolution = nn.Conv2d(1, 1, 1)
    convolution.weight.fill_(3)
    assert convolution.bias is not None
    convolution.bias.fill_(1)
    image = torch.tensor([2.0, -2.0]).reshape(1, 1, 1, 2)
    layer = FusedConvLeakyReLU(convolution, 0.5)
    assert layer(image).flatten().tolist() == [7, -2.5]
    assert layer.bfloat16()(image.bfloat16()).flatten().tolist() == [7, -2.5]


def test_weights_packed_for_one_image_size_are_correct_for_others() -> None:
    """They are packed for the first size; the expected activations are computed in float32."""
    torch.manual_seed(0)
    convolution = nn.Conv2d(4, 8, 3, padding=1)
    layer = FusedConvLeakyReLU(convolution, 0.2)
    for shape in ((1, 4, 8, 8), (3, 4, 20, 12), (2, 4, 5, 31)):
        image = noise(*shape)
        with torch.autocast("cpu", torch.bfloat16):
            activations = layer(image)
        expected = F.leaky_relu(convolution(image), 0.2)
        assert torch.allclose(activations.float(), expected, rtol=0.02, atol=0.02)


def test_creating_a_fused_convolution_draws_no_random_numbers() -> None:
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
    ids=["named padding", "reflection", "another activation", "activation first"],
)
def test_layers_that_cannot_be_fused_are_unchanged(network: nn.Sequential) -> None:
    assert kinds(fused(network)) == kinds(network)
    assert torch.equal(fused(network)(noise()), network(noise()))


def test_a_fused_convolution_has_gradients() -> None:
    """The mean of a single positive activation x w + b has the gradient x for w."""
    with torch.inference_mode(mode=False):
        convolution = nn.Conv2d(1, 1, 1)
        assert convolution.bias is not None
        convolution.bias.data.fill_(10)
        FusedConvLeakyReLU(convolution, 0.2)(torch.full((1, 1, 1, 1), 3.0)).mean().backward()
        assert convolution.weight.grad is not None
        assert convolution.weight.grad.item() == 3
