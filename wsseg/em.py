"""Expectation-maximisation with a network: guess the labels, then learn the guess."""

import torch
from torch import Tensor, nn

from wsseg.evidence import Batch, Evidence, Logits, Probability, exact
from wsseg.interfaces import EStep, Prior
from wsseg.labels import Labels
from wsseg.stages import EmStage, Learning, TagsStage


@torch.no_grad()
def e_step(
    prior: Prior, estep: EStep, labels: Labels, batch: Batch, logits: Logits, progress: float
) -> Probability:
    """Guess y from what the network (its `logits`) and the prior believe about `batch`.

    The caller runs the network, in the mode and precision that its stage asks for. `progress` of
    the stage runs from 0 to 1.
    """
    return estep(Evidence(batch, exact(logits.detach()), prior(batch), labels, progress))


def targets(
    stage: Learning, network: nn.Module, batch: Batch, labels: Probability | None, progress: float
) -> Tensor:
    """Return what the M-step trains on: the true masks, the E-step's guess or the tags themselves.

    Masks are (B, K, H, W), tags (B, K). Where the network is asked it is in evaluation mode, so
    that y depends on no batch-mate.
    """
    if isinstance(stage, EmStage):
        network.eval()
        with torch.no_grad():
            logits = network(batch.image)
        return e_step(stage.prior, stage.estep, stage.relation, batch, logits, progress)
    if isinstance(stage, TagsStage):
        return batch.tags
    if labels is None:
        raise ValueError("a supervised stage needs labels")
    return labels.to(batch.image.device, non_blocking=True)
