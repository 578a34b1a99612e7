"""Exponential moving averages of a network's weights."""

from copy import deepcopy

import torch
from torch import nn


def averaged_copy(network: nn.Module) -> nn.Module:
    """Return a copy of a network, in evaluation mode, to hold averaged weights."""
    return deepcopy(network).eval()


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Update the moving average of a network's weights and buffers.

        average = decay * average + (1 - decay) * weights

    Integer tensors, such as counters, are copied.

    Source: Tarvainen & Valpola 2017, "Mean teachers are better role models".
    """
    newest = network.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(newest[name], 1 - decay)
        else:
            value.copy_(newest[name])
