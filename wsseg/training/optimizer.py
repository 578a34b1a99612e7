"""The optimizer of a network's weights, and the memory format of its state."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_

from wsseg.core.optimizer import Optimizer
from wsseg.errors import InputError

FACTOR = "factor"  # key of a parameter group: its learning rate divided by that of the stage


def in_memory_format_of(weight: Tensor, value: Tensor) -> Tensor:
    """Return a tensor of an optimizer's state in the memory format of its weight.

    Fused optimizers require this, but saved files store all tensors in contiguous format.
    """
    if value.shape != weight.shape:  # a step counter
        return value
    return torch.empty_like(weight, dtype=value.dtype, device=value.device).copy_(value)


def new_optimizer(
    settings: Optimizer, network: nn.Module, encoder: str | None
) -> torch.optim.Optimizer:
    """Return the optimizer that a recipe describes, at its initial learning rate.

    `encoder` is the name of the network's encoder, whose learning rate may differ.

    Raises:
        InputError: The learning rate of the encoder differs, but the network names no encoder.
    """
    rate = settings.lr_at(0, 1)
    if settings.encoder_factor == 1:
        return settings.build([{"params": list(network.parameters()), "lr": rate, FACTOR: 1.0}])
    if encoder is None:
        raise InputError(
            f"optimizer.encoder_factor is {settings.encoder_factor:g}, but the backbone does not "
            "name its encoder; remove it, or use the backbone smp"
        )
    inner = {id(each) for each in network.get_submodule(encoder).parameters()}
    parts = {
        settings.encoder_factor: [p for p in network.parameters() if id(p) in inner],
        1.0: [p for p in network.parameters() if id(p) not in inner],
    }
    return settings.build(
        [{"params": part, "lr": rate * factor, FACTOR: factor} for factor, part in parts.items()]
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of each parameter group to `rate` times the group's factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[FACTOR]


def clip_gradients(network: nn.Module, norm: Tensor, max_norm: float | None) -> None:
    """Scale the gradients of a network to `max_norm` if their norm, `norm`, is larger."""
    if max_norm is not None:
        clip_grads_with_norm_(network.parameters(), max_norm, norm)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimizer on the CPU, with keys such as "0.exp_avg"."""
    return {
        f"{index}.{key}": value.cpu()
        for index, values in optimizer.state_dict()["state"].items()
        for key, value in values.items()
        if value is not None  # such as the momentum of SGD without momentum
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load a state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    groups = optimizer.state_dict()["param_groups"]
    weights = [each for group in optimizer.param_groups for each in group["params"]]
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = in_memory_format_of(weights[int(index)], value)
    optimizer.load_state_dict({"state": state, "param_groups": groups})
