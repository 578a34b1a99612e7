"""Images of any size for a network that halves them several times."""

from typing import final

from torch import Tensor, nn
from torch.nn import functional as F


@final
class Padded(nn.Module):
    """Runs `net` on images whose sides are rounded up to a multiple, and crops its logits back.

    Filled with 0 at the bottom and the right, as a convolution fills its own border.
    """

    def __init__(self, net: nn.Module, multiple: int) -> None:
        super().__init__()
        self.net = net
        self.multiple = multiple

    def forward(self, image: Tensor) -> Tensor:
        """Return logits of the height and width of `image`, (B, S, H, W)."""
        height, width = image.shape[-2:]
        padded = F.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))
        logits: Tensor = self.net(padded)
        return logits[..., :height, :width]
