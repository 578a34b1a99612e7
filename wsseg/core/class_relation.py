"""The relation of a stage's classes: several per pixel, or at most one.

Log-odds a are (B, K, H, W), of each class against the background, whose log-odds are 0. Log-odds of
-inf exclude a class.
"""

from abc import abstractmethod
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from wsseg.core.component import Component


class ClassRelation(Component):
    """The rule that turns log-odds into probabilities and decisions: `Multilabel` or `Multiclass`.

    Example:
        >>> import torch
        >>> from wsseg import ClassRelation, Multiclass, Multilabel
        >>> def classes_of(relation: ClassRelation, *log_odds: float) -> list[bool]:
        ...     return relation.decide(torch.tensor(log_odds).view(1, -1, 1, 1)).flatten().tolist()
        >>> classes_of(Multilabel(), 1.0, 2.0, -1.0), classes_of(Multiclass(), 1.0, 2.0, -1.0)
        ([True, True, False], [False, True, False])
    """

    @abstractmethod
    def probability(self, log_odds: Tensor) -> Tensor:
        """Return the probability f_k of each class, (B, K, H, W) in [0, 1]."""

    @abstractmethod
    def logit(self, log_odds: Tensor) -> Tensor:
        """Return log f_k / (1 - f_k), (B, K, H, W), exact even where f_k rounds to 0 or 1."""

    @abstractmethod
    def background(self, log_odds: Tensor) -> Tensor:
        """Return the probability of the alternative to each class, (B, K or 1, H, W) in [0, 1]."""

    @abstractmethod
    def log_distribution(self, log_odds: Tensor) -> Tensor:
        """Return the log-probabilities of the K classes and of their alternatives, (B, L, H, W).

        They are finite even where a probability rounds to 0.
        """

    @abstractmethod
    def distribution(self, y: Tensor) -> Tensor:
        """Return the probabilities y, (B, K, H, W), and those of the alternatives, (B, L, H, W)."""

    @abstractmethod
    def decide(self, log_odds: Tensor) -> Tensor:
        """Return the most probable labels, (B, K, H, W) bool."""

    @abstractmethod
    def margin(self, log_odds: Tensor) -> Tensor:
        """Return the log-odds of each class minus those of its best alternative, (B, K, H, W).

        The margin is positive where the class is chosen, and negative where it is not.
        """

    @abstractmethod
    def known(self, known: Tensor) -> Tensor:
        """Return known pixels, (B, K, H, W) int8 of 1, -1 and 0, with all that they imply.

        1: the pixel has the class, -1: it does not, 0: unknown.
        """


@final
class Multilabel(ClassRelation):
    """Independent classes, several of which a pixel can have.

        f_k = 1 / (1 + exp(-a_k));  class k is chosen where f_k > 1/2

    Example:
        >>> import torch
        >>> from wsseg import Multilabel
        >>> log_odds = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)  # two classes of one pixel
        >>> Multilabel().probability(log_odds).flatten()
        tensor([0.7311, 0.8808])
    """

    def probability(self, log_odds: Tensor) -> Tensor:
        """Return f_k = 1 / (1 + exp(-a_k))."""
        return log_odds.sigmoid()

    def logit(self, log_odds: Tensor) -> Tensor:
        """Return a_k."""
        return log_odds

    def background(self, log_odds: Tensor) -> Tensor:
        """Return 1 - f_k: the alternative to a class is its absence."""
        return (-log_odds).sigmoid()

    def log_distribution(self, log_odds: Tensor) -> Tensor:
        """Return log f_1, ..., log f_K, log(1 - f_1), ..., log(1 - f_K): L = 2 K."""
        return logsigmoid(torch.cat([log_odds, -log_odds], dim=1))

    def distribution(self, y: Tensor) -> Tensor:
        """Return y_1, ..., y_K, 1 - y_1, ..., 1 - y_K: L = 2 K."""
        return torch.cat([y, 1 - y], dim=1)

    def decide(self, log_odds: Tensor) -> Tensor:
        """Return a_k > 0; at 0, the background is chosen."""
        return log_odds > 0

    def margin(self, log_odds: Tensor) -> Tensor:
        """Return a_k: the best alternative is the background."""
        return log_odds

    def known(self, known: Tensor) -> Tensor:
        """Return `known`: a class says nothing about the others."""
        return known


@final
class Multiclass(ClassRelation):
    """Exclusive classes: a pixel has one class or the background.

        f = softmax([0, a_1, ..., a_K]);  the most probable of these is chosen

    Example:
        >>> import torch
        >>> from wsseg import Multiclass
        >>> log_odds = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)  # two classes of one pixel
        >>> Multiclass().probability(log_odds).flatten()  # the background has the rest
        tensor([0.2447, 0.6652])
    """

    def probability(self, log_odds: Tensor) -> Tensor:
        """Return f_k = exp(a_k) / (1 + sum_j exp(a_j))."""
        return _with_background(log_odds).softmax(dim=1)[:, 1:]

    def logit(self, log_odds: Tensor) -> Tensor:
        """Return a_k - log(1 + sum_(j != k) exp(a_j))."""
        own = torch.eye(log_odds.shape[1] + 1, dtype=torch.bool, device=log_odds.device)[1:]
        repeated = _with_background(log_odds)[:, None]  # (B, 1, K + 1, H, W)
        others = repeated.masked_fill(own[:, :, None, None], -torch.inf)
        return log_odds - others.logsumexp(dim=2)

    def background(self, log_odds: Tensor) -> Tensor:
        """Return 1 / (1 + sum_j exp(a_j)), the same for all classes."""
        return _with_background(log_odds).softmax(dim=1)[:, :1]

    def log_distribution(self, log_odds: Tensor) -> Tensor:
        """Return log f_1, ..., log f_K and that of the background: L = K + 1."""
        return _with_background(log_odds).log_softmax(dim=1).roll(-1, dims=1)

    def distribution(self, y: Tensor) -> Tensor:
        """Return y_1, ..., y_K and 1 - sum_k y_k for the background: L = K + 1."""
        return torch.cat([y, 1 - y.sum(1, keepdim=True)], dim=1)

    def decide(self, log_odds: Tensor) -> Tensor:
        """Return whether a_k is the largest and above 0; among equals, the first is chosen."""
        chosen = _with_background(log_odds).argmax(dim=1, keepdim=True)
        classes = torch.arange(1, log_odds.shape[1] + 1, device=log_odds.device)
        return chosen == classes[:, None, None]

    def margin(self, log_odds: Tensor) -> Tensor:
        """Return a_k - max(0, max_(j != k) a_j)."""
        best, order = _with_background(log_odds).topk(2, dim=1)
        classes = torch.arange(1, log_odds.shape[1] + 1, device=log_odds.device)
        is_best = order[:, :1] == classes[:, None, None]
        return log_odds - torch.where(is_best, best[:, 1:], best[:, :1])

    def known(self, known: Tensor) -> Tensor:
        """Return `known` with -1 for all other classes of a pixel that is known to have one."""
        has_other = (known > 0).any(dim=1, keepdim=True) & (known <= 0)
        return known.masked_fill(has_other, -1)


def _with_background(log_odds: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(log_odds[:, :1]), log_odds], dim=1)
