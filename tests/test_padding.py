import pytest
import torch
from torch import Tensor, nn

from wsseg.padding import Padded


class Seen(nn.Module):
    """A network that returns its input, and remembers it."""

    image = torch.empty(0)

    def forward(self, image: Tensor) -> Tensor:
        self.image = image
        return image


@pytest.mark.parametrize(
    ("size", "seen"), [((16, 32), (16, 32)), ((17, 31), (32, 32)), ((1, 33), (16, 48))]
)
def test_sides_are_rounded_up_for_the_network_alone(
    size: tuple[int, int], seen: tuple[int, int]
) -> None:
    net = Seen()
    image = torch.rand(2, 3, *size)
    assert torch.equal(Padded(net, 16)(image), image)
    assert net.image.shape == (2, 3, *seen)
    assert torch.equal(net.image[..., : size[0], : size[1]], image)
    assert net.image.sum() == pytest.approx(image.sum().item(), rel=1e-5)  # the rest is 0
