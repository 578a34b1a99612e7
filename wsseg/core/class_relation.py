"""How the K classes of a stage relate: any of them at once, or one at most.

Log-odds are (B, K, H, W), against the background, whose own are 0; -inf is "not this class".
"""

from abc import abstractmethod
from typing import final

import torch
from torch import Tensor

from wsseg.core.component import Component


class ClassRelation(Component):
    """Turns log-odds into beliefs and into decisions."""

    @abstractmethod
    def probability(self, log_odds: Tensor) -> Tensor:
        """Return each class's probability, (B, K, H, W) in [0, 1]."""

    @abstractmethod
    def logit(self, log_odds: Tensor) -> Tensor:
        """Return log f_k / (1 - f_k): each class against all else, exact for any f."""

    @abstractmethod
    def background(self, log_odds: Tensor) -> Tensor:
        """Return the probability of what each class is against, (B, K or 1, H, W) in [0, 1]."""

    @abstractmethod
    def decide(self, log_odds: Tensor) -> Tensor:
        """Return the likeliest labelling, (B, K, H, W) bool."""

    @abstractmethod
    def margin(self, log_odds: Tensor) -> Tensor:
        """Return by how much each class is ahead of its best alternative, (B, K, H, W).

        Above 0 where the class is decided for, below 0 where it is not.
        """


@final
class Multilabel(ClassRelation):
    """Each class for itself: f_k = sigmoid(a_k), and k where f_k > 1/2."""

    def probability(self, log_odds: Tensor) -> Tensor:
        """Return f_k = 1 / (1 + exp(-a_k))."""
        return log_odds.sigmoid()

    def logit(self, log_odds: Tensor) -> Tensor:
        """Return a_k."""
        return log_odds

    def background(self, log_odds: Tensor) -> Tensor:
        """Return 1 - f_k: a class is against its own absence."""
        return (-log_odds).sigmoid()

    def decide(self, log_odds: Tensor) -> Tensor:
        """Return a_k > 0; a tie goes to the background."""
        return log_odds > 0

    def margin(self, log_odds: Tensor) -> Tensor:
        """Return a_k: the alternative is the background."""
        return log_odds


@final
class Multiclass(ClassRelation):
    """One class or the background: f = softmax([0, a_1 ... a_K]), and the likeliest of these."""

    def probability(self, log_odds: Tensor) -> Tensor:
        """Return f_k = exp(a_k) / (1 + sum_j exp(a_j))."""
        return _with_background(log_odds).softmax(dim=1)[:, 1:]

    def logit(self, log_odds: Tensor) -> Tensor:
        """Return a_k - log(1 + sum_(j != k) exp(a_j))."""
        own = torch.eye(log_odds.shape[1] + 1, dtype=torch.bool, device=log_odds.device)[1:]
        all_of_each = _with_background(log_odds)[:, None]  # (B, 1, K + 1, H, W)
        others = all_of_each.masked_fill(own[:, :, None, None], -torch.inf)
        return log_odds - others.logsumexp(dim=2)

    def background(self, log_odds: Tensor) -> Tensor:
        """Return 1 / (1 + sum_j exp(a_j)), the same for all classes."""
        return _with_background(log_odds).softmax(dim=1)[:, :1]

    def decide(self, log_odds: Tensor) -> Tensor:
        """Return the largest a_k if it is above 0; a tie goes to what is named first."""
        likeliest = _with_background(log_odds).argmax(dim=1, keepdim=True)
        each = torch.arange(1, log_odds.shape[1] + 1, device=log_odds.device)
        return likeliest == each[:, None, None]

    def margin(self, log_odds: Tensor) -> Tensor:
        """Return a_k - max(0, max over the other classes)."""
        best, order = _with_background(log_odds).topk(2, dim=1)
        each = torch.arange(1, log_odds.shape[1] + 1, device=log_odds.device)
        is_best = order[:, :1] == each[:, None, None]
        return log_odds - torch.where(is_best, best[:, 1:], best[:, :1])


def _with_background(log_odds: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(log_odds[:, :1]), log_odds], dim=1)
