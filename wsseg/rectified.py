"""A convolution that bends its result before it writes it, where the processor's library can."""

from functools import cache
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@final
class Rectified(nn.Conv2d):
    """max(z, 0) + slope min(z, 0) of a convolution's z, in one pass over memory where it pays.

    That is in prediction on a CPU in bfloat16: the second pass would take as long as the first.
    z is then rounded once, not twice. For convolutions padded by a number of zeros.
    """

    def __init__(self, convolution: nn.Conv2d, slope: float) -> None:
        super().__init__(
            convolution.in_channels,
            convolution.out_channels,
            convolution.kernel_size,  # type: ignore[arg-type]  # a tuple as long as there are sides
            convolution.stride,  # type: ignore[arg-type]
            convolution.padding,  # type: ignore[arg-type]
            convolution.dilation,  # type: ignore[arg-type]
            convolution.groups,
            device="meta",  # the weights are those of `convolution`
        )
        self.weight, self.bias = convolution.weight, convolution.bias
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to what the convolution says, bent."""
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        if (
            torch.is_grad_enabled()
            or kind != "cpu"
            or dtype != torch.bfloat16
            or not _in_one_pass()
        ):
            return F.leaky_relu(super().forward(x), self.slope, inplace=True)
        bent: Tensor = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001 - as torch.compile
            x.to(dtype),
            self.weight.to(dtype),
            None if self.bias is None else self.bias.to(dtype),
            self.padding,
            self.stride,
            self.dilation,
            self.groups,
            "leaky_relu",
            [self.slope],
            "",
        )
        return bent


@cache
def _in_one_pass() -> bool:
    """Say whether torch came with oneDNN, and the CPU has what that needs for bfloat16."""
    return torch.backends.mkldnn.is_available() and bool(
        torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - there is no public way to ask
    )
