"""How the K classes of a stage relate: any of them at once, or one at most.

Log-odds are (B, K, H, W), against the background, whose own are 0.
"""

from abc import abstractmethod
from typing import final

import torch
from torch import Tensor

from wsseg.component import Component


class Labels(Component):
    """Turns log-odds into beliefs and into decisions."""

    @abstractmethod
    def probability(self, log_odds: Tensor) -> Tensor:
        """Return each class's probability, (B, K, H, W) in [0, 1]."""

    @abstractmethod
    def decide(self, log_odds: Tensor) -> Tensor:
        """Return the likeliest labelling, (B, K, H, W) bool."""


@final
class Independent(Labels):
    """Each class for itself: a sigmoid a class."""

    def probability(self, log_odds: Tensor) -> Tensor:
        return log_odds.sigmoid()

    def decide(self, log_odds: Tensor) -> Tensor:
        return log_odds > 0


@final
class Exclusive(Labels):
    """One class or the background: a softmax with the background's log-odds at 0."""

    def probability(self, log_odds: Tensor) -> Tensor:
        background = torch.zeros_like(log_odds[:, :1])
        return torch.cat([background, log_odds], dim=1).softmax(dim=1)[:, 1:]

    def decide(self, log_odds: Tensor) -> Tensor:
        likeliest = log_odds == log_odds.amax(dim=1, keepdim=True)
        return likeliest & (log_odds > 0)
