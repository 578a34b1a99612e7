"""The E-step that fills at least a share of each box with its class."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Self, final

import torch
from pydantic import Field

from wsseg.components.esteps import Share, top_pixels
from wsseg.core.batch import Evidence, Probability
from wsseg.core.contracts import check_fitted
from wsseg.core.interfaces import EStep


@final
class FillBoxes(EStep):
    """Wraps an E-step; the most probable pixels of each box get the class of the box.

    If n pixels of a box are in the support of its class, the ceil(`share` n) of them with the
    largest margin count as known: the log-odds of the class minus those of the best alternative. So
    no box stays empty. Pixels outside the boxes never have the class, with any E-step. For images
    without boxes, this is the wrapped E-step.

    Source: the tightness of boxes in Lempitsky et al. 2009, "Image segmentation with a bounding box
    prior", and their filling rates in Song et al. 2019, "Box-driven class-wise region masking and
    filling rate guided loss for weakly supervised semantic segmentation"; here a lower bound.

    Example:
        >>> import torch
        >>> from wsseg import Batch, EStep, Evidence, make
        >>> region = torch.ones(1, 1, 1, 4) > 0
        >>> boxes = torch.tensor([[[[[True, True, False, False]]]]])  # (B, K, N, H, W)
        >>> batch = Batch(region[None] * 0.0, region, tags=torch.tensor([[True]]), boxes=boxes)
        >>> logits, phi = torch.tensor([[[[-2.0, -1.0, -3.0, -4.0]]]]), region * 0.5
        >>> estep = make(EStep, "fill-boxes", share=0.5, estep={"use": "hard"})
        >>> estep(Evidence(batch, logits, phi))
        tensor([[[[0., 1., 0., 0.]]]])
    """

    share: Share = Field(examples=[0.3])
    """The smallest share of the pixels of a box that have its class, from 0 to 1."""
    estep: EStep = Field(examples=[{"use": "hard"}])
    """The E-step that determines the targets of all other pixels."""

    @property
    def separates_images(self) -> bool:
        """Whether the wrapped E-step separates images."""
        return self.estep.separates_images

    @property
    def takes_bounds(self) -> bool:
        """Whether the wrapped E-step takes bounds."""
        return self.estep.takes_bounds

    def fit(self, evidence: Iterable[Evidence]) -> Self:
        """Return a copy whose wrapped E-step is fitted."""
        return self.model_copy(update={"estep": check_fitted(self.estep, self.estep.fit(evidence))})

    def __call__(self, evidence: Evidence) -> Probability:
        """Return the targets of the wrapped E-step, (B, K, H, W)."""
        boxes = evidence.batch.boxes
        if boxes is None:
            return self.estep(evidence)
        for k in range(boxes.shape[1]):
            evidence = self._with_filled_boxes(evidence, k)
        return self.estep(evidence)

    def _with_filled_boxes(self, evidence: Evidence, k: int) -> Evidence:
        """Return evidence in which the most probable pixels of the boxes of class k are known."""
        batch, log_odds = evidence.batch, evidence.log_odds
        assert batch.boxes is not None, "checked by the caller"  # noqa: S101
        possible = batch.boxes[:, k] & (log_odds[:, k : k + 1] > -torch.inf)  # (B, N, H, W)
        margin = evidence.labels.margin(log_odds)[:, k : k + 1].where(possible, -torch.inf)
        least = (self.share * possible.sum((2, 3))).ceil()
        filled = (top_pixels(margin, least) & possible).any(1)
        known = torch.zeros_like(batch.support, dtype=torch.int8)
        known = known if batch.known is None else batch.known.clone()
        known[:, k].masked_fill_(filled, 1)
        return replace(evidence, batch=replace(batch, known=known))
