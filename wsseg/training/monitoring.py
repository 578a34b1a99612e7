"""Checks during training: divergence, and collapse or explosion of EM's targets."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from wsseg.config.stages import EmStage
from wsseg.core.batch import Batch, StepContext
from wsseg.core.channels import displayed_channels
from wsseg.core.input import Input
from wsseg.data.batches import Slices, StageScan, collate
from wsseg.errors import InputError, WorkError
from wsseg.training.em import evaluation_logits, targets
from wsseg.training.plain_slices import tagged_slices
from wsseg.training.target_health import COLLAPSE, EXPLOSION, target_problem
from wsseg.training.target_snapshots import TargetSnapshot

PROBE_SLICES = 32  # at most; at least half as many if the stage has enough
SNAPSHOT_SLICES = 3  # of the probe
EXPLODED = 1e4  # times the initial norm of the weights
MOST_CASES = 5  # listed by name in a message
TARGET_WARNINGS = {
    COLLAPSE: "the targets have collapsed to nothing. Likely cause: a prior that is too strict for "
    "the images, or a loss per image with too few positive pixels; try a lower midpoint of the "
    "prior, or `loss: {use: batch-dice}`",
    EXPLOSION: "the targets fill the region. Likely cause: a prior that excludes no pixel (such as "
    "the constant 1), or a learning rate too low to move away from the first targets; the pixels "
    "no longer influence the targets",
}


def check_positives(stage: str, classes: Sequence[str], scans: Sequence[StageScan]) -> None:
    """Raise `InputError` if no training slice has any of the classes."""
    if not any(scan.tags[list(scan.slices)].any() for scan in scans):
        slices = sum(len(scan.slices) for scan in scans)
        raise InputError(
            f"stage {stage}: none of the {slices} training slices has {' or '.join(classes)} "
            f"({list_cases(scan.name for scan in scans)}).\n"
            "The network would learn to predict only background; add cases with "
            f"{' or '.join(classes)}"
        )


def divergence(
    loss: float, gradient_norm: float, weight_norm: float, initial_norm: float
) -> str | None:
    """Return a description of how training diverged in a step, or None if it did not.

    Norms are Euclidean over all parameters; `initial_norm` is that of the weights at the start.
    """
    if not isfinite(loss):
        return f"the loss is {loss}"
    if not isfinite(gradient_norm):
        return f"the loss is {loss:.3g}, but the norm of its gradient is {gradient_norm}"
    if not weight_norm <= EXPLODED * initial_norm:
        return f"the weights exploded: their norm grew from {initial_norm:.3g} to {weight_norm:.3g}"
    return None


def list_cases(names: Iterable[str]) -> str:
    """Return the distinct names, sorted, as text such as "cases a, b and 3 more"."""
    distinct = sorted(set(names))
    more = f" and {len(distinct) - MOST_CASES} more" if len(distinct) > MOST_CASES else ""
    return f"case{'s' if len(distinct) > 1 else ''} {', '.join(distinct[:MOST_CASES])}{more}"


class TargetProbe:
    """A fixed set of tagged slices, not augmented, on which targets are compared between epochs."""

    def __init__(self, stage: EmStage, scans: Sequence[StageScan], input: Input) -> None:
        self.last: Tensor | None = None  # (N, K, H, W) uint8, the targets last measured
        chosen = tagged_slices(scans, PROBE_SLICES)
        slices = Slices(scans, input)
        size = stage.batch_size
        self._batches = [
            collate([slices[d] for d in chosen[i : i + size]])[0]
            for i in range(0, len(chosen), size)
        ]

    def measure(
        self, stage: EmStage, network: nn.Module, device: torch.device, context: StepContext
    ) -> dict[str, float]:
        """Return the shares of targets and of changed targets in the support.

        `probe_share` is the share of the support that is target. `flip_rate` is the share whose
        target differs from the last measurement; the first measurement has no `flip_rate`.

        Raises:
            WorkError: Targets are not in [0, 1].
        """
        if not self._batches:
            return {}
        y = self._targets(stage, network, device, context)
        support = sum(float(batch.support.sum()) for batch in self._batches)
        shares = {"probe_share": float(y.sum()) / max(support, 1.0)}
        if self.last is not None:
            shares["flip_rate"] = float((y != self.last).sum()) / max(support, 1.0)
        self.last = y
        return shares

    def snapshot(
        self, stage: EmStage, network: nn.Module, device: torch.device
    ) -> TargetSnapshot | None:
        """Return the targets last measured, or those of `network` before the first measurement.

        The snapshot has the slices with the largest regions, at most one per case. Return None if
        the probe has no slices.
        """
        if not self._batches:
            return None
        y = self.last
        if y is None:
            y = self._targets(stage, network, device, StepContext(progress=0))
        image = torch.cat([_displayed(batch) for batch in self._batches])
        region = torch.cat([batch.region[:, 0] for batch in self._batches])
        names = [name for batch in self._batches for name in batch.case]
        by_size = region.sum(dim=(1, 2)).argsort(descending=True, stable=True).tolist()
        largest = {names[index]: index for index in reversed(by_size)}  # of each case
        chosen = [i for i in by_size if largest[names[i]] == i][:SNAPSHOT_SLICES]
        return TargetSnapshot(image[chosen], region[chosen], y[chosen])

    def _targets(
        self, stage: EmStage, network: nn.Module, device: torch.device, context: StepContext
    ) -> Tensor:
        """Return the targets of all slices, (N, K, H, W) uint8."""
        batches = (batch.to(device) for batch in self._batches)
        y = torch.cat(
            [
                targets(stage, batch, None, evaluation_logits(network, batch), context).cpu()
                for batch in batches
            ]
        )
        if not ((y >= 0) & (y <= 1)).all():
            part = type(stage.estep).__name__
            raise WorkError(
                f"{part} returns targets from {y.min():g} to {y.max():g}; they must be in [0, 1].\n"
                "The E-step or the prior is wrong; check them with wsseg plugins check"
            )
        return y.round().byte()


def _displayed(batch: Batch) -> Tensor:
    """Return a batch for display: its colours, (B, H, W, 3), or one channel, (B, H, W)."""
    planes = batch.middle[:, list(displayed_channels(batch.channels))]
    return planes.movedim(1, -1) if planes.shape[1] > 1 else planes[:, 0]


def target_warning(history: Sequence[Mapping[str, Any]]) -> str | None:
    """Return a warning about the newest epoch's targets, or None.

    A problem is reported once, in the first epoch that has it.
    """
    problems = [target_problem(record) for record in history]
    newest = problems[-1]
    if newest is None or newest in problems[:-1]:
        return None
    record = history[-1]
    return (
        f"stage {record['stage']}, epoch {record['epoch']}: {100 * record['probe_share']:.1f} % of "
        f"the tagged slices' region is target: {TARGET_WARNINGS[newest]}"
    )
