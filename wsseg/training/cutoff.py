"""The shift of a network's log-odds with which its predictions have the area of the targets."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from wsseg.config.stages import EmStage
from wsseg.core.batch import Batch, StepContext
from wsseg.core.class_relation import ClassRelation
from wsseg.core.input import Input
from wsseg.data.batches import Slices, StageScan, collate
from wsseg.inference.mirroring import mean_over_mirrored
from wsseg.training.em import e_step, evaluation_logits
from wsseg.training.plain_slices import tagged_slices

MOST_SLICES = 512
SWEEPS = 50  # at most, over exclusive classes, whose shifts depend on each other
ENOUGH = 1e-3  # sweeps end when no shift changes by more


def tagged_batches(scans: Sequence[StageScan], input: Input, batch_size: int) -> Iterator[Batch]:
    """Yield evenly spaced slices with a tag, at most `MOST_SLICES`, in batches.

    Slices with uncertain tags are left out. The slices of a case are in different batches.
    """
    slices = Slices(scans, input)
    chosen = tagged_slices(scans, MOST_SLICES)
    batches = -(-len(chosen) // batch_size)
    for i in range(batches):
        yield collate([slices[draw] for draw in chosen[i::batches]])[0]


@torch.no_grad()
def shift_to_share(
    stage: EmStage, network: nn.Module, batches: Iterable[Batch], context: StepContext
) -> Tensor:
    """Return the shift of each class with which its predictions cover as much as its targets, (K,).

    Predictions and targets are those of `network` for all `batches`, inside the support. Both
    average over the images that the stage also mirrors in prediction (`stage.mirror`).
    """
    nothing = torch.empty(0, len(stage.classes))
    found = [[nothing, nothing, nothing > 0]]
    for batch in batches:
        logits = mean_over_mirrored(partial(evaluation_logits, network), batch, stage.mirror)
        y = e_step(stage, batch, logits, context)
        inside = batch.support.any(1)
        found.append([x.movedim(1, -1)[inside].cpu() for x in (logits, y, batch.support)])
    logits, y, support = (torch.cat(parts) for parts in zip(*found, strict=True))
    return matching_shift(logits, y, support, stage.relation)


def matching_shift(logits: Tensor, y: Tensor, support: Tensor, relation: ClassRelation) -> Tensor:
    """Return constants s such that logits + s choose each class for sum of y pixels, (K,).

    For each class k, the sum of y_k is over its support. It is rounded, and s_k lies halfway
    between the shifts at which one pixel more or less is chosen. s_k is 0 if the class has no
    pixel, or all of its support.

    Args:
        logits: (N, K), of pixels.
        y: Their targets, (N, K), from 0 to 1.
        support: Where each class is possible, (N, K) bool.
        relation: How the classes relate.
    """
    shift = torch.zeros(logits.shape[1])
    for _ in range(SWEEPS):
        before = shift.clone()
        for k in range(logits.shape[1]):
            shifted = (logits + shift)[:, :, None, None]
            margin = relation.margin(shifted)[support[:, k], k].flatten()
            chosen = round(float(y[support[:, k], k].sum()))
            if 0 < chosen < len(margin):
                least, most = margin.sort(descending=True).values[chosen - 1 : chosen + 1]
                shift[k] -= (least + most) / 2
        if (shift - before).abs().max() < ENOUGH:
            break
    return shift
