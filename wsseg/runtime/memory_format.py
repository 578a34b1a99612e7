"""The memory format of a network's weights."""

from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)

DIMENSIONS = 4  # of the weights of a two-dimensional convolution: (out, in, height, width)


def to_channels_last(network: M) -> M:
    """Convert the weights and buffers with four dimensions to channels-last; return `network`.

    Two-dimensional convolutions are faster in this format. It does not exist for the weights of
    three-dimensional ones, which keep their format.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.dim() == DIMENSIONS:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
    return network
