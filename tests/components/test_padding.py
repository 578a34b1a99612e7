import pytest
import torch
from torch import Tensor, nn

from wsseg.components.backbones import Padded
from wsseg.errors import InputError


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


def test_images_that_are_too_large_are_refused_with_the_size_that_is_not() -> None:
    net = Padded(Seen(), 224, largest=224)
    assert net(torch.zeros(1, 1, 224, 1)).shape == (1, 1, 224, 1)
    with pytest.raises(InputError, match=r"at most 224 x 224 pixels; these are 225 x 9.*\n.*size"):
        net(torch.zeros(1, 1, 225, 9))
