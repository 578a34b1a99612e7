"""Fusion of a trained network's layers, which computes the same with fewer passes over memory."""

from copy import deepcopy
from functools import cache
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fused(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, with batch norms and ReLUs fused into the convolutions.

    w' = w gamma / s, b' = (b - mean) gamma / s + beta, with s = sqrt(variance + eps). Each fusion
    saves a pass over memory and, in bfloat16, a rounding. Only neighbours in an `nn.Sequential`
    are fused, because only there the order of execution is known.
    """
    copy = deepcopy(network).eval()
    for block in copy.modules():
        if isinstance(block, nn.Sequential) and type(block).forward is nn.Sequential.forward:
            _fuse_within(block)
    return copy


def _fuse_within(block: nn.Sequential) -> None:
    for (first, convolution), (second, norm) in pairwise(list(block.named_children())):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(block, first, fuse_conv_bn_eval(convolution, norm))
            setattr(block, second, nn.Identity())
    left = [(name, part) for name, part in block.named_children() if type(part) is not nn.Identity]
    for (first, convolution), (second, activation) in pairwise(left):
        slope = _slope(activation)
        if type(convolution) is nn.Conv2d and slope is not None and _zero_padded(convolution):
            setattr(block, first, FusedConvLeakyReLU(convolution, slope))
            setattr(block, second, nn.Identity())


def _slope(activation: nn.Module) -> float | None:
    """Return the slope of a (leaky) ReLU for negative values; None for other activations."""
    if isinstance(activation, nn.LeakyReLU):
        return float(activation.negative_slope)
    return 0.0 if isinstance(activation, nn.ReLU) else None


def _zero_padded(convolution: nn.Conv2d) -> bool:
    return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)


@final
class FusedConvLeakyReLU(nn.Conv2d):
    """Convolution with a fused leaky ReLU: max(z, 0) + slope min(z, 0), z the convolution's result.

    It is computed in one pass over memory where that is faster: in prediction on a CPU in bfloat16,
    where a separate ReLU takes as long as the convolution. z is then rounded once instead of twice.
    The convolution must be padded with zeros, and its weights must not change after the first
    prediction.
    """

    def __init__(self, convolution: nn.Conv2d, slope: float) -> None:
        super().__init__(
            convolution.in_channels,
            convolution.out_channels,
            convolution.kernel_size,  # type: ignore[arg-type]  # a tuple, one number per axis
            convolution.stride,  # type: ignore[arg-type]
            convolution.padding,  # type: ignore[arg-type]
            convolution.dilation,  # type: ignore[arg-type]
            convolution.groups,
            device="meta",  # the weights are those of `convolution`
        )
        self.weight, self.bias = convolution.weight, convolution.bias
        self.slope = slope
        self._packed: tuple[Tensor, Tensor | None] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the activations of the convolution's output channels."""
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        if (
            torch.is_grad_enabled()
            or kind != "cpu"
            or dtype != torch.bfloat16
            or not _has_bfloat16_kernels()
        ):
            return F.leaky_relu(super().forward(x), self.slope, inplace=True)
        x = x.to(torch.bfloat16)
        self._packed = self._packed or self._pack(list(x.shape))
        how = (self.padding, self.stride, self.dilation, self.groups, "leaky_relu", [self.slope])
        activation: Tensor = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001 - as torch.compile
            x, *self._packed, *how, ""
        )
        return activation

    def _pack(self, shape: list[int]) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias in oneDNN's own layout, chosen for images of that shape.

        They are packed once; otherwise oneDNN would convert the layout for every batch.
        """
        packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(  # noqa: SLF001
            self.weight.to(torch.bfloat16),
            self.padding,
            self.stride,
            self.dilation,
            self.groups,
            shape,
        )
        return packed, None if self.bias is None else self.bias.to(torch.bfloat16)


@cache
def _has_bfloat16_kernels() -> bool:
    """Return whether torch has oneDNN and the CPU has its bfloat16 instructions."""
    return torch.backends.mkldnn.is_available() and bool(
        torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - torch has no public function
    )
