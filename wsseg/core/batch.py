"""What is known, and what is believed, about a batch of slices.

In shapes: B slices to label, S slices seen for each, K classes, H x W pixels.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from wsseg.core.class_relation import ClassRelation, Multilabel

Logits: TypeAlias = Tensor  # (B, K, H, W) float, the log-odds of each class
Probability: TypeAlias = Tensor  # (B, K, H, W) float in [0, 1]
Mask: TypeAlias = Tensor  # (B, K, H, W) bool

CERTAIN = 1000.0  # the log-odds of a phi of 1: finite, so that sums are, yet beyond any other's


def at_least_float32(x: Tensor) -> Tensor:
    """Return x in float32 at least: over an image, a bfloat16 sum stops growing at 256."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@dataclass(frozen=True)
class Batch:
    """What is known before any learning. There are no pixel labels in it."""

    image: Tensor  # (B, S, H, W) float, in the unit of the input
    region: Tensor  # (B, 1, H, W) bool, where lesions can be
    tags: Tensor  # (B, K) bool, which classes the case is said to have
    case: tuple[str, ...] = ()  # B names, for messages

    def pin_memory(self) -> "Batch":
        """Return the batch in memory that a GPU reads by itself."""
        return Batch(
            self.image.pin_memory(), self.region.pin_memory(), self.tags.pin_memory(), self.case
        )

    @property
    def middle(self) -> Tensor:
        """The slice being labelled, (B, 1, H, W)."""
        return self.image[:, self.image.shape[1] // 2].unsqueeze(1)

    @property
    def support(self) -> Mask:
        """Where class k may be at all: inside the region, if the tag names k."""
        return self.region & self.tags[:, :, None, None]


@dataclass(frozen=True)
class Evidence:
    """What network and prior believe about a batch: f from the logits, and phi."""

    batch: Batch
    logits: Logits
    phi: Probability
    labels: ClassRelation = field(default_factory=Multilabel)
    progress: float = 1.0  # of the stage: 0 at its first step, 1 at its last

    @property
    def log_odds(self) -> Logits:
        """Bayes' rule: independent beliefs multiply, so their log-odds add.

        logit q = logit f + logit phi, which is q = f phi / (f phi + (1 - f)(1 - phi)) (Wu 2020,
        appendix); and -inf outside the support, so that no E-step can put a class there.
        """
        belief = self.logits + self.phi.logit().clamp(-CERTAIN, CERTAIN)
        return belief.where(self.batch.support, -torch.inf)
