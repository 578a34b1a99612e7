"""Watches what a fit does: its numbers, and the targets of EM, whose collapse no loss shows."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from wsseg.config.stages import EmStage
from wsseg.core.input import Input
from wsseg.data.batches import Scan, Slices, all_slices, collate, to_device
from wsseg.errors import InputError, WorkError
from wsseg.training.em import evaluated, targets

PROBE_SLICES = 32
PLANES = 3  # of them, to be looked at
COLLAPSED = 0.001  # of the support is on: the network will learn nothing but the background
FULL = 0.97  # of the support is on: the tag alone decides, the pixels say nothing
PATIENCE = 0.4  # of the epochs, in which targets may still find their place
EXPLODED = 1e4  # times the norm of the weights that a stage began with
MOST_CASES = 5  # named in a message
COLLAPSE, EXPLOSION = "collapse", "explosion"  # of targets
TOLD = {
    COLLAPSE: "the targets have collapsed to nothing. Likely cause: the prior is stricter than the "
    "images, or a loss per image that sees too few positives; try a lower midpoint of the prior, "
    "or `loss: {use: batch-dice}`",
    EXPLOSION: "the targets fill the region. Likely cause: a prior that never says no (such as the "
    "constant 1), or a learning rate too low to leave the first guess; nothing in the pixels "
    "decides any more",
}


def check_positives(stage: str, classes: Sequence[str], scans: Sequence[Scan]) -> None:
    """Raise `InputError` where no slice is said to have any class: nothing is to be learnt."""
    if not any(scan.tags[list(scan.slices)].any() for scan in scans):
        slices = sum(len(scan.slices) for scan in scans)
        raise InputError(
            f"stage {stage}: none of {slices} training slices has {' or '.join(classes)} "
            f"({named(scan.name for scan in scans)}).\n"
            "A network would only learn to find nothing; add cases that have it"
        )


def divergence(loss: float, gradient: float, weights: float, began: float) -> str | None:
    """Say which number of a step is none, or absurd; nothing where all are sound.

    `gradient` and `weights` are Euclidean norms over all parameters, `began` that of the weights
    at the stage's start.
    """
    if not isfinite(loss):
        return f"the loss is {loss}"
    if not isfinite(gradient):
        return f"the loss is {loss:.3g}, but its gradient's norm is {gradient}"
    if not weights <= EXPLODED * began:
        return f"the weights exploded: their norm, once {began:.3g}, is {weights:.3g}"
    return None


def named(cases: Iterable[str]) -> str:
    """Return "cases a, b and 3 more", each once."""
    names = sorted(set(cases))
    more = f" and {len(names) - MOST_CASES} more" if len(names) > MOST_CASES else ""
    return f"case{'s' if len(names) > 1 else ''} {', '.join(names[:MOST_CASES])}{more}"


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

        The first look has nothing to compare with, and no `flip_rate`. Raises `WorkError` for
        targets that are no probabilities.
        """
        if not self._batches:
            return {}
        y = self._guess(network, device, progress)
        support = sum(float(batch.support.sum()) for batch in self._batches)
        shares = {"probe_share": float(y.sum()) / max(support, 1.0)}
        if self.last is not None:
            shares["flip_rate"] = float((y != self.last).sum()) / max(support, 1.0)
        self.last = y
        return shares

    def planes(self, network: nn.Module, device: torch.device) -> dict[str, Tensor]:
        """Return `image`, `region` and the newest `targets` of some slices, for `target_planes`.

        Those with most region, each of another case. Before the first look, they are guessed.
        """
        if not self._batches:
            return {}
        y = self._guess(network, device, 0.0) if self.last is None else self.last
        image = torch.cat([batch.middle[:, 0] for batch in self._batches])
        region = torch.cat([batch.region[:, 0] for batch in self._batches])
        names = [name for batch in self._batches for name in batch.case]
        largest = region.sum(dim=(1, 2)).argsort(descending=True, stable=True).tolist()
        of_case = {names[place]: place for place in reversed(largest)}  # the largest of each
        chosen = [place for place in largest if of_case[names[place]] == place][:PLANES]
        return {"image": image[chosen], "region": region[chosen], "targets": y[chosen]}

    def _guess(self, network: nn.Module, device: torch.device, progress: float) -> Tensor:
        """Return the targets of all slices, (B, K, H, W) uint8."""
        batches = (to_device(batch, device) for batch in self._batches)
        y = torch.cat(
            [
                targets(self._stage, batch, None, evaluated(network, batch), progress).cpu()
                for batch in batches
            ]
        )
        if not ((y >= 0) & (y <= 1)).all():
            part = type(self._stage.estep).__name__
            raise WorkError(
                f"{part} returns targets from {y.min():g} to {y.max():g}, not in [0, 1].\n"
                "It, or the prior, breaks its contract; wsseg plugins check says more"
            )
        return y.round().byte()


def warning_about(history: Sequence[Mapping[str, Any]]) -> str | None:
    """Name what is wrong with the newest targets, once, and its likely cause."""
    found = [trouble(record) for record in history]
    newest = found[-1]
    if newest is None or newest in found[:-1]:
        return None
    record = history[-1]
    return (
        f"stage {record['stage']}, epoch {record['epoch']}: {100 * record['probe_share']:.1f} % of "
        f"the tagged slices' region is target: {TOLD[newest]}"
    )


def trouble(record: Mapping[str, Any]) -> str | None:
    """Say of an epoch's record which of `TOLD` its targets are in; the first epochs are excused."""
    if not {"probe_share", "epoch", "epochs"} <= record.keys():
        return None
    if record["epoch"] < PATIENCE * record["epochs"]:
        return None
    if record["probe_share"] < COLLAPSED:
        return COLLAPSE
    return EXPLOSION if record["probe_share"] > FULL else None
