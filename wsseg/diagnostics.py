"""Watches the targets of EM, which can collapse or explode without a sign in the loss."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wsseg.data.input import Input
from wsseg.data.slices import Scan, Slices, all_slices, collate, to_device
from wsseg.em import targets
from wsseg.stages import EmStage

PROBE_SLICES = 32
COLLAPSED = 0.001  # of the support is on: the network will learn nothing but the background
FULL = 0.97  # of the support is on: the tag alone decides, the pixels say nothing
PATIENCE = 0.4  # of the epochs, in which targets may still find their place


class Probe:
    """A fixed set of slices, unaugmented, whose targets are compared from epoch to epoch."""

    def __init__(self, stage: EmStage, scans: Sequence[Scan], input: Input) -> None:
        self.last: Tensor | None = None  # (B, K, H, W) uint8, the targets of the last look
        self._stage = stage
        tagged = [d for d in all_slices(scans) if scans[d.scan].tags[d.z].any()]
        chosen = tagged[:: max(1, -(-len(tagged) // PROBE_SLICES))]
        slices = Slices(scans, input)
        size = stage.batch_size
        self._batches = [
            collate([slices[d] for d in chosen[i : i + size]])[0]
            for i in range(0, len(chosen), size)
        ]

    def look(self, network: nn.Module, device: torch.device, progress: float) -> dict[str, float]:
        """Return two shares of the support: of targets on, and of those that changed since last.

        The first look has nothing to compare with, and no `flip_rate`.
        """
        if not self._batches:
            return {}
        ys, support = [], 0.0
        for loaded in self._batches:
            batch = to_device(loaded, device)
            ys.append(targets(self._stage, network, batch, None, progress).round().byte().cpu())
            support += float(batch.support.sum())
        y = torch.cat(ys)
        shares = {"probe_share": float(y.sum()) / max(support, 1.0)}
        if self.last is not None:
            shares["flip_rate"] = float((y != self.last).sum()) / max(support, 1.0)
        self.last = y
        return shares


def warning_about(history: Sequence[Mapping[str, Any]]) -> str | None:
    """Name what is wrong with the newest targets, once, and its likely cause."""
    found = [_trouble(record) for record in history]
    if found[-1] is None or found[-1] in found[:-1]:
        return None
    record = history[-1]
    return (
        f"stage {record['stage']}, epoch {record['epoch']}: {100 * record['probe_share']:.1f} % of "
        f"the tagged slices' region is target: {found[-1]}"
    )


def _trouble(record: Mapping[str, Any]) -> str | None:
    if "probe_share" not in record or record["epoch"] < PATIENCE * record["epochs"]:
        return None
    if record["probe_share"] < COLLAPSED:
        return (
            "the targets have collapsed to nothing. Likely cause: the prior is stricter than the "
            "images, or a loss per image that sees too few positives; try a lower midpoint of the "
            "prior, or `loss: {use: batch-dice}`"
        )
    if record["probe_share"] > FULL:
        return (
            "the targets fill the region. Likely cause: a prior that never says no (such as the "
            "constant 1), or a learning rate too low to leave the first guess; nothing in the "
            "pixels decides any more"
        )
    return None
