"""A trained network made ready for prediction: the same function with less to compute."""

from copy import deepcopy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(network: nn.Module) -> nn.Module:
    """Return a copy whose convolutions have done what the batch norm right after each does.

    w' = w gamma / s, b' = (b - mean) gamma / s + beta, with s = sqrt(variance + eps). It saves a
    pass over memory for each and, in bfloat16, a rounding. What stands next to each other in a
    `Sequential` is known to follow upon each other; all else stays as it is.
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
