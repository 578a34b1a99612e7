"""The loss on validation cases, used for early stopping."""

from collections.abc import Sequence

import torch
from torch import nn

from wsseg.config.stages import NetworkStage
from wsseg.core.batch import StepContext
from wsseg.core.input import Input
from wsseg.data.batches import (
    Slices,
    StageScan,
    all_slices,
    load_batches,
    split_into_batches,
)
from wsseg.training.em import evaluation_logits, targets


class ValidationLoss:
    """The loss of a stage over all slices of its validation cases, without augmentation.

    It is the mean over batches, weighted by their numbers of slices, with the network in evaluation
    mode.
    """

    def __init__(self, stage: NetworkStage, scans: Sequence[StageScan], input: Input) -> None:
        self._stage = stage
        self._slices = Slices(scans, input)
        self._batches = split_into_batches(all_slices(scans), stage.batch_size)

    @torch.no_grad()
    def measure(self, network: nn.Module, device: torch.device) -> float:
        """Return the loss of a network."""
        total = 0.0
        for draws, loaded, labels in load_batches(self._slices, self._batches):
            batch = loaded.to(device)
            logits = evaluation_logits(network, batch)
            y = targets(self._stage, batch, labels, logits, StepContext())
            seen = batch.middle_slices()
            total += float(self._stage.objective(logits, y, seen, StepContext())) * len(draws)
        return total / sum(map(len, self._batches))
