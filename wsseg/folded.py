"""A trained network made ready for prediction: the same function with less to compute."""

from copy import deepcopy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from wsseg.rectified import Rectified


def folded(network: nn.Module) -> nn.Module:
    """Return a copy whose convolutions do what the batch norm and the ReLU right after each did.

    w' = w gamma / s, b' = (b - mean) gamma / s + beta, with s = sqrt(variance + eps). Each saves a
    pass over memory and, in bfloat16, a rounding. What stands next to each other in a `Sequential`
    is known to follow upon each other; all else stays as it is.
    """
    copy = deepcopy(network).eval()
    for block in copy.modules():
        if isinstance(block, nn.Sequential) and type(block).forward is nn.Sequential.forward:
            _fold_within(block)
    return copy


def _fold_within(block: nn.Sequential) -> None:
    for (first, convolution), (second, norm) in pairwise(list(block.named_children())):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(block, first, fuse_conv_bn_eval(convolution, norm))
            setattr(block, second, nn.Identity())
    left = [(name, part) for name, part in block.named_children() if type(part) is not nn.Identity]
    for (first, convolution), (second, activation) in pairwise(left):
        slope = _slope(activation)
        if type(convolution) is nn.Conv2d and slope is not None and _zero_padded(convolution):
            setattr(block, first, Rectified(convolution, slope))
            setattr(block, second, nn.Identity())


def _slope(activation: nn.Module) -> float | None:
    """Return by what an activation multiplies what is negative; None if that is not all it does."""
    if isinstance(activation, nn.LeakyReLU):
        return float(activation.negative_slope)
    return 0.0 if isinstance(activation, nn.ReLU) else None


def _zero_padded(convolution: nn.Conv2d) -> bool:
    return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
