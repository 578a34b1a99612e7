"""Folding a batch norm into a convolution changes what is computed, not what comes out."""

import torch
from torch import Tensor, nn

from wsseg.inference.fusion import fused


def lived_in(network: nn.Module) -> nn.Module:
    """Give batch norms the statistics and weights that training gives them."""
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
    """A sequence in name alone: the norm comes first."""

    def forward(self, x: Tensor) -> Tensor:
        for module in reversed(list(self)):
            x = module(x)
        return x


class Norms(nn.Module):
    """A norm after a convolution, one before, and one in a sequence that runs backwards."""

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


def test_only_a_norm_right_after_a_convolution_goes_and_the_function_stays() -> None:
    network, image = lived_in(Norms()), torch.randn(2, 2, 8, 8, dtype=torch.float64)
    ready = fused(network)
    assert (norms(network), norms(ready)) == (3, 2)
    assert torch.allclose(ready(image), network(image), rtol=0, atol=1e-12)


def test_folding_by_hand() -> None:
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


def test_the_network_itself_is_left_as_it_is() -> None:
    network = Norms().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert not fused(network).training
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
