"""A batch of slices, and the evidence of the network and the prior about it.

In shapes, B is the batch, C the channels and S the slices of an image, K the classes and H x W the
pixels of a slice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from wsseg.core.channels import ONE_CHANNEL, channel_index
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


class Outputs(NamedTuple):
    """The logits of a network, and auxiliary ones of its inner layers, which only training uses.

    A module that a backbone builds can return this in training mode. Each auxiliary output has a
    loss of its own, weighted by `auxiliary_weight` of the stage. In evaluation mode, a module
    returns the logits alone.

    Source: Lee et al. 2015, "Deeply-supervised nets".

    Example:
        >>> import torch
        >>> from torch import Tensor, nn
        >>> from wsseg import Outputs
        >>> class TwoHeads(nn.Module):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.inner, self.head = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 1)
        ...     def forward(self, image: Tensor) -> Tensor | Outputs:
        ...         inner = self.inner(image)
        ...         logits = self.head(inner)
        ...         return Outputs(logits, (inner,)) if self.training else logits
        >>> len(TwoHeads()(torch.zeros(2, 1, 8, 8)).auxiliary)
        1
    """

    logits: Logits
    auxiliary: tuple[Logits, ...]
    """Of the same shape as `logits`."""


OF_CLASSES = ("tags", "known", "boxes", "bounds", "tag_probability")  # with K as the second axis
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
    """Slices with everything that is known before training. A batch contains no true masks.

    In a stage without weak labels other than tags, the fields from `known` on are None.

    Example:
        >>> import torch
        >>> from wsseg import Batch
        >>> image = torch.arange(6.0).reshape(1, 1, 3, 1, 2)  # three slices of two pixels
        >>> region = torch.tensor([[[[True, False]]]])
        >>> batch = Batch(image, region, tags=torch.tensor([[True, False]]))
        >>> batch.middle
        tensor([[[[2., 3.]]]])
        >>> batch.support[0].flatten(1)  # two classes, of which only the first is tagged
        tensor([[ True, False],
                [False, False]])
    """

    image: Tensor
    """The slices, (B, C, S, H, W), floating point, in the unit of the recipe's input."""
    region: Tensor
    """Where the stage's classes can be, (B, 1, H, W) bool."""
    tags: Tensor
    """The classes with which each image is tagged, (B, K) bool."""
    case: tuple[str, ...] = ()
    """The names of the B cases."""
    slice_index: tuple[int, ...] = ()
    """The indices of the B slices to be labelled, each in its prepared scan: 0 is the lowest."""
    known: Tensor | None = None
    """Known pixels from scribbles and boxes, (B, K, H, W) int8: 1 where a pixel has the class, -1
    where it does not, 0 where nothing is known."""
    boxes: Tensor | None = None
    """Boxes that each contain a part of their class, (B, K, N, H, W) bool. If an image has fewer
    than N boxes, the rest are empty."""
    bounds: Tensor | None = None
    """The lowest and the highest share of each class in its support, (B, K, 2) floating point; NaN
    where they are unknown."""
    tag_probability: Tensor | None = None
    """The probability that each image has each class, (B, K) floating point. `tags` has the classes
    with a probability above 0."""
    channels: tuple[str, ...] = ONE_CHANNEL
    """The names of the C channels, such as t1 and t2, or red, green and blue."""

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory, from which copies to a GPU are faster."""
        return self.with_tensors(Tensor.pin_memory)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch with its tensors on `device`."""
        return self.with_tensors(lambda tensor: tensor.to(device, non_blocking=True))

    def middle_slices(self) -> "Batch":
        """Return the batch with only the slices to be labelled, as it is passed to losses."""
        return replace(self, image=self.middle.unsqueeze(2))

    @property
    def middle(self) -> Tensor:
        """The slice to be labelled, (B, C, H, W)."""
        return self.image[:, :, self.image.shape[2] // 2]

    def channel(self, name: str | None = None) -> Tensor:
        """Return a channel of the slice to be labelled, (B, 1, H, W); None: the only one.

        Raises:
            InputError: There is no such channel, or `name` is None and there are several.
        """
        index = channel_index(self.channels, name)
        return self.middle[:, index : index + 1]

    @property
    def support(self) -> Mask:
        """Where each class is possible, (B, K, H, W).

        The pixels of the region, if the image is tagged with the class, without those that are
        known not to have it.
        """
        possible = self.region & self.tags[:, :, None, None]
        return possible if self.known is None else possible & (self.known >= 0)

    def of_class(self, k: int) -> "Batch":
        """Return the batch as if class k were the only one."""
        labels = {name: getattr(self, name) for name in OF_CLASSES}
        one: dict[str, Any] = {
            name: None if each is None else each[:, k : k + 1] for name, each in labels.items()
        }
        return replace(self, **one)

    def with_tensors(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with all its tensors changed, such as moved to a device."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        changed: dict[str, Any] = {
            name: change(each) for name, each in values if isinstance(each, Tensor)
        }
        return replace(self, **changed)


@dataclass(frozen=True)
class Evidence:
    """A batch with the network's logits and the prior's phi, combined by Bayes' rule.

    Example:
        >>> import torch
        >>> from wsseg import Batch, Evidence
        >>> region, tags = torch.tensor([[[[True, False]]]]), torch.tensor([[True]])
        >>> batch = Batch(torch.zeros(1, 1, 1, 1, 2), region, tags)
        >>> evidence = Evidence(batch, logits=torch.zeros(1, 1, 1, 2), phi=batch.middle + 0.75)
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
    def known(self) -> Tensor | None:
        """What is known about pixels, (B, K, H, W) int8: `Batch.known`, completed by `labels`."""
        return None if self.batch.known is None else self.labels.known(self.batch.known)

    @property
    def log_odds(self) -> Logits:
        """The log-odds of the posterior q, (B, K, H, W); -inf outside the support.

        Network and prior are taken as independent, so their log-odds add:

            logit q = logit f + logit(p phi),
            that is  q = f p phi / (f p phi + (1 - f)(1 - p phi))

        p is the probability of the tag: 1 for an image that certainly has the class. As phi is
        the probability of a pixel given that the image has the class, p phi is its probability
        given an uncertain tag. With a phi of 1, the tag adds its log-odds, logit p.

        Where a pixel is known to have the class, logit q is `CERTAIN`. Outside the support, -inf
        keeps every E-step from assigning the class.

        Source: Wu et al. 2020, appendix, for p = 1.
        """
        probability, known = self.batch.tag_probability, self.known
        phi = self.phi if probability is None else self.phi * probability[:, :, None, None]
        belief = self.logits + phi.logit().clamp(-CERTAIN, CERTAIN)
        if known is not None:
            belief = belief.where(known <= 0, CERTAIN).where(known >= 0, -torch.inf)
        return belief.where(self.batch.support, -torch.inf)


class StepContext(NamedTuple):
    """What parts know about the training of their stage; see the fields of `Evidence`."""

    progress: float = 1.0
    epoch: int = 0
    memory: Mapping[str, Tensor] = MappingProxyType({})
