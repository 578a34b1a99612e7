"""The optimizer of a stage: how a step changes the weights, and its learning rate."""

from abc import abstractmethod
from collections.abc import Sequence
from math import cos, pi
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from wsseg.core.component import Component


class Cosine(Component):
    """A learning rate that decreases from `start` to `end` along half a cosine.

        lr = end + (start - end) (1 + cos(pi epoch / epochs)) / 2

    Source: Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts",
    without restarts.
    """

    start: PositiveFloat
    """The learning rate at the start of the stage."""
    end: NonNegativeFloat = 0
    """The learning rate at the end of the stage."""


class Optimizer(Component):
    """The optimizer of the weights and its learning rate.

    Example:
        >>> from collections.abc import Sequence
        >>> from typing import Any
        >>> import torch
        >>> from wsseg import Optimizer
        >>> class RMSprop(Optimizer):
        ...     smoothing: float = 0.99
        ...     def build(self, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
        ...         return torch.optim.RMSprop(groups, alpha=self.smoothing)
        >>> RMSprop(lr=0.1, warmup_epochs=2).lr_at(epoch=1, epochs=10)
        0.05
    """

    default_use: ClassVar[str | None] = "adam"

    lr: (
        PositiveFloat
        | Annotated[list[tuple[PositiveInt, PositiveFloat]], Field(min_length=1)]
        | Cosine
    ) = Field(examples=[0.001])
    """The learning rate: a number, steps [[epoch, rate], ...] where each rate holds until its epoch
    (the last until the end), or a cosine {start: rate, end: rate}."""
    warmup_epochs: NonNegativeFloat = 0
    """The epochs during which the learning rate rises linearly from 0 to `lr`."""
    encoder_factor: PositiveFloat = 1
    """The learning rate of the network's encoder as a multiple of `lr`; below 1, a pre-trained
    encoder changes more slowly than the rest of the network."""
    max_gradient_norm: PositiveFloat | None = None
    """Gradients whose Euclidean norm over all weights is larger are scaled down to this norm; null:
    gradients stay as they are."""

    def lr_at(self, epoch: float, epochs: int) -> float:
        """Return the learning rate after `epoch` of `epochs` epochs."""
        rate = self._scheduled(epoch, epochs)
        return rate if epoch >= self.warmup_epochs else rate * epoch / self.warmup_epochs

    @abstractmethod
    def build(self, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
        """Return a new optimizer of torch.

        All of its state must be tensors, which are saved. `lr` of each group is set before a step.

        Args:
            groups: Groups of weights as torch's optimizers receive them: each has `params` and
                `lr`, and possibly other keys.
        """

    def _scheduled(self, epoch: float, epochs: int) -> float:
        if isinstance(self.lr, float):
            return self.lr
        if isinstance(self.lr, Cosine):
            share = (1 + cos(pi * epoch / epochs)) / 2
            return self.lr.end + (self.lr.start - self.lr.end) * share
        return next((rate for until, rate in self.lr if epoch < until), self.lr[-1][1])
