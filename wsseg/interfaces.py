"""The choices a recipe makes: what pixels say, what to believe, what to train, what to minimise."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from wsseg.component import Component
from wsseg.evidence import Batch, Evidence, Logits, Mask, Probability


class Prior(Component):
    """phi: what a pixel's own value says about its class. 1/2 means "no opinion"."""

    @abstractmethod
    def __call__(self, batch: Batch) -> Probability:
        """Judge the middle slice without asking the network."""

    def fit(self, batches: Iterable[Batch]) -> Self:  # noqa: ARG002 - for those that learn
        """Return this prior with its constants learnt from images and tags; by default, itself.

        Called once before a stage, with the cohort's slices as they are: not augmented, not
        balanced.
        """
        return self


class EStep(Component):
    """Turns evidence into the targets y that the next M-step trains on."""

    @abstractmethod
    def __call__(self, evidence: Evidence) -> Probability:
        """Return y, hard or soft, and 0 outside `evidence.batch.support`."""


class Backbone(Component):
    """The blueprint of a network. The module it builds is all that ever learns."""

    local: ClassVar[bool] = False
    """Whether a logit depends only on pixels near it, through convolutions that pad by numbers:
    on no mean, norm or attention over the image. Then prediction leaves out where it is empty."""

    @abstractmethod
    def build(self, slices: int, classes: int) -> nn.Module:
        """Return a new module from (B, slices, H, W), normalised, to (B, classes, H, W) logits."""

    def untrained(self) -> Self:
        """Return the same network without weights from elsewhere, for a checkpoint's to go into."""
        return self


class PixelLoss(Component):
    """What the M-step minimises: how far the network's probabilities are from the targets."""

    @abstractmethod
    def __call__(self, f: Probability, y: Probability, region: Tensor) -> Tensor:
        """Return a scalar; only pixels of `region`, (B, 1, H, W) bool, count."""


class TagLoss(Component):
    """What a stage without any pixel's label minimises: how far bags of pixels are from their tags.

    A bag is the region of a slice; its tags are the slice's own, or its case's.
    """

    @abstractmethod
    def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
        """Return a scalar; only pixels of `region`, (B, 1, H, W) bool, count.

        Given are each class's own logits, log f / (1 - f): the probabilities of tens of thousands
        of pixels can be multiplied in logarithms alone. `tags` are (B, K) bool.
        """

    def possible(self, logits: Logits, region: Tensor) -> Mask:  # noqa: ARG002 - for those that ask
        """Return where what was learnt leaves a class possible; by default, everywhere."""
        return torch.ones_like(logits, dtype=torch.bool)
