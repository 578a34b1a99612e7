"""The optimizers of torch that ship with wsseg."""

from collections.abc import Sequence
from typing import Annotated, Any, final

import torch
from pydantic import Field, NonNegativeFloat

from wsseg.core.optimizer import Optimizer


@final
class Adam(Optimizer):
    """Adam.

    Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization".
    """

    weight_decay: NonNegativeFloat = 0
    """The factor of an L2 penalty on the weights."""

    def build(self, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
        """Return `torch.optim.Adam`."""
        return torch.optim.Adam(groups, weight_decay=self.weight_decay)


@final
class AdamW(Optimizer):
    """Adam with decoupled weight decay.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization".
    """

    weight_decay: NonNegativeFloat = 0
    """The factor, times the learning rate, by which weights shrink in each step."""

    def build(self, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
        """Return `torch.optim.AdamW`."""
        return torch.optim.AdamW(groups, weight_decay=self.weight_decay)


@final
class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    weight_decay: NonNegativeFloat = 0
    """The factor of an L2 penalty on the weights."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """The factor with which the previous step is added to the next one."""

    def build(self, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
        """Return `torch.optim.SGD`."""
        return torch.optim.SGD(groups, weight_decay=self.weight_decay, momentum=self.momentum)
