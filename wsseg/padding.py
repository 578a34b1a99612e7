"""Images of any size for a network that halves them several times."""

from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from wsseg.errors import InputError


@final
class Padded(nn.Module):
    """Runs `net` on images whose sides are rounded up to a multiple, and crops its logits back.

    Filled with 0 at the bottom and the right, as a convolution fills its own border. `largest` is
    the longest side that `net` can take; None: any.
    """

    def __init__(self, net: nn.Module, multiple: int, largest: int | None = None) -> None:
        super().__init__()
        self.net = net
        self.multiple = multiple
        self.largest = largest

    def forward(self, image: Tensor) -> Tensor:
        """Return logits of the height and width of `image`, (B, S, H, W).

        Raises `InputError` for an image that is too large.
        """
        height, width = image.shape[-2:]
        if self.largest is not None and max(height, width) > self.largest:
            raise InputError(
                f"the network takes images of at most {self.largest} x {self.largest} pixels; "
                f"these are {height} x {width}.\n"
                f"Set input.size: {self.largest}, or take a backbone for any size"
            )
        padded = F.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))
        logits: Tensor = self.net(padded)
        return logits[..., :height, :width]
