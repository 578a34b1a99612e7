"""A batch of slices, and the evidence of the network and the prior about it.

In shapes, B is the batch, S the slices of an image, K the classes and H x W the pixels of a slice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from wsseg.core.class_relation import ClassRelation, Multilabel

Logits: TypeAlias = Tensor
"""The log-odds of each class, (B, K, H, W), floating point. 0 means a probability of 1/2.

Example:
    >>> import torch
    >>> from wsseg import Logits
    >>> logits: Logits = torch.tensor([[[[0.0, 2.0]]]])  # one image, one class, two pixels
    >>> logits.sigmoid()
    tensor([[[[0.5000, 0.8808]]]])
"""

Probability: TypeAlias = Tensor
"""The probability of each class, (B, K, H, W), floating point in [0, 1].

Example:
    >>> import torch
    >>> from wsseg import Probability
    >>> phi: Probability = torch.full((1, 2, 4, 4), 0.5)  # no opinion on two classes
"""

Mask: TypeAlias = Tensor
"""Pixels of each class, (B, K, H, W) bool; K is 1 for a region.

Example:
    >>> import torch
    >>> from wsseg import Mask
    >>> left_half: Mask = torch.arange(4).expand(1, 1, 4, 4) < 2
"""

CERTAIN = 1000.0
"""The log-odds of a phi of 1: finite, so that sums are finite, but larger than any network's.

Example:
    >>> from wsseg import CERTAIN
    >>> CERTAIN + 50 > 0 > 50 - CERTAIN  # a phi of 1 and of 0 against a network's log-odds of 50
    True
"""


def at_least_float32(x: Tensor) -> Tensor:
    """Return x in float32 or a wider type: in bfloat16, a sum over an image stops at 256."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@dataclass(frozen=True)
class Batch:
    """Slices with what is known before training. A batch contains no labels of pixels.

    Example:
        >>> import torch
        >>> from wsseg import Batch
        >>> image = torch.arange(6.0).reshape(1, 3, 1, 2)  # three slices of two pixels
        >>> region = torch.tensor([[[[True, False]]]])
        >>> batch = Batch(image, region, tags=torch.tensor([[True, False]]))
        >>> batch.middle
        tensor([[[[2., 3.]]]])
        >>> batch.support[0].flatten(1)  # two classes, of which only the first is tagged
        tensor([[ True, False],
                [False, False]])
    """

    image: Tensor
    """The slices, (B, S, H, W), floating point, in the unit of the recipe's input."""
    region: Tensor
    """Where the stage's classes can be, (B, 1, H, W) bool."""
    tags: Tensor
    """Which classes each image is said to have, (B, K) bool."""
    case: tuple[str, ...] = ()
    """The names of the B cases."""
    slice_index: tuple[int, ...] = ()
    """The indices of the B slices to be labelled, each in its prepared scan: 0 is the lowest."""

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory, from which copies to a GPU are faster."""
        return replace(
            self,
            image=self.image.pin_memory(),
            region=self.region.pin_memory(),
            tags=self.tags.pin_memory(),
        )

    @property
    def middle(self) -> Tensor:
        """The slice to be labelled, (B, 1, H, W)."""
        return self.image[:, self.image.shape[1] // 2].unsqueeze(1)

    @property
    def support(self) -> Mask:
        """Where each class is possible, (B, K, H, W): in the region, if the tags have the class."""
        return self.region & self.tags[:, :, None, None]


@dataclass(frozen=True)
class Evidence:
    """A batch with the network's logits and the prior's phi, combined by Bayes' rule.

    Example:
        >>> import torch
        >>> from wsseg import Batch, Evidence
        >>> image = torch.zeros(1, 1, 1, 2)
        >>> batch = Batch(image, torch.tensor([[[[True, False]]]]), torch.tensor([[True]]))
        >>> evidence = Evidence(batch, logits=image, phi=image + 0.75)
        >>> evidence.log_odds  # logit(1/2) + logit(3/4) = log 3
        tensor([[[[1.0986,   -inf]]]])
    """

    batch: Batch
    logits: Logits
    """The log-odds that the network assigns to each class, logit f, (B, K, H, W)."""
    phi: Probability
    """The probability that the prior assigns to each class, (B, K, H, W)."""
    labels: ClassRelation = field(default_factory=Multilabel)
    """How the classes relate."""
    progress: float = 1.0
    """The progress of the stage: 0 at its first step, 1 at its last."""
    epoch: int = 0
    """The epoch, from 1; 0 before the first one, where parts are fitted."""
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    """What `EStep.remember` returned in the step before; empty in the first step."""

    @property
    def log_odds(self) -> Logits:
        """The log-odds of the posterior q, (B, K, H, W); -inf outside the support.

        Network and prior are taken as independent, so their log-odds add:

            logit q = logit f + logit phi,  that is  q = f phi / (f phi + (1 - f)(1 - phi))

        Outside the support, -inf keeps every E-step from assigning the class.

        Source: Wu et al. 2020, appendix.
        """
        belief = self.logits + self.phi.logit().clamp(-CERTAIN, CERTAIN)
        return belief.where(self.batch.support, -torch.inf)


class StepContext(NamedTuple):
    """What parts get to know of the training of their stage; see the fields of `Evidence`."""

    progress: float = 1.0
    epoch: int = 0
    memory: Mapping[str, Tensor] = MappingProxyType({})
