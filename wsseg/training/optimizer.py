"""The optimiser of a stage, and the memory format of its state."""

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from wsseg.config.stages import Optimizer


def in_memory_format_of(weight: Tensor, value: Tensor) -> Tensor:
    """Return an optimiser's `value` in the memory format of its weight, as fused ones require.

    A file stores every tensor in contiguous format.
    """
    if value.shape != weight.shape:  # a step counter
        return value
    return torch.empty_like(weight, dtype=value.dtype, device=value.device).copy_(value)


def new_optimizer(settings: Optimizer, network: nn.Module) -> Adam | AdamW | SGD:
    """Return the optimiser that a recipe describes, at its initial learning rate."""
    rate, decay = settings.lr_at(0, 1), settings.weight_decay
    if settings.use == "sgd":
        return SGD(network.parameters(), lr=rate, weight_decay=decay, momentum=0.9)
    kind = Adam if settings.use == "adam" else AdamW
    return kind(network.parameters(), lr=rate, weight_decay=decay)
