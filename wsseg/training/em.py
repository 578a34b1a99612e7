"""Expectation-maximisation with a network: guess the labels, then learn the guess."""

import torch
from torch import Tensor, nn

from wsseg.config.stages import EmStage, Learning, TagsStage
from wsseg.core.batch import Batch, Evidence, Logits, Probability, at_least_float32
from wsseg.core.class_relation import ClassRelation
from wsseg.core.interfaces import EStep, Prior
from wsseg.errors import WorkError


@torch.no_grad()
def e_step(
    prior: Prior, estep: EStep, labels: ClassRelation, batch: Batch, logits: Logits, progress: float
) -> Probability:
    """Guess y from what the network (its `logits`) and the prior believe about `batch`.

    The caller runs the network, in the mode and precision that its stage asks for. `progress` of
    the stage runs from 0 to 1.

    Raises:
        WorkError: The prior or the E-step returns another shape than its contract says, which
            could still be added up to targets.
    """
    phi = _shaped(prior, prior(batch), batch)
    evidence = Evidence(batch, at_least_float32(logits.detach()), phi, labels, progress)
    return _shaped(estep, estep(evidence), batch)


def forward(stage: Learning, network: nn.Module, batch: Batch) -> tuple[Logits, Logits]:
    """Run the network for a step; return what the M-step learns with, and what the E-step believes.

    Both are the same, but where an EM stage wants its belief from evaluation.
    """
    asks = isinstance(stage, EmStage) and stage.belief == "evaluation"
    believed = evaluated(network, batch) if asks else None
    network.train()
    logits = at_least_float32(network(batch.image))
    return logits, logits.detach() if believed is None else believed


@torch.no_grad()
def evaluated(network: nn.Module, batch: Batch) -> Logits:
    """Run the network in evaluation mode: what it says of an image depends on no batch-mate."""
    network.eval()
    return at_least_float32(network(batch.image))


def targets(
    stage: Learning, batch: Batch, labels: Probability | None, logits: Logits, progress: float
) -> Tensor:
    """Return what the M-step trains on: the true masks, the E-step's guess or the tags themselves.

    Masks are (B, K, H, W), tags (B, K). The E-step guesses from `logits`, the network's belief.
    """
    if isinstance(stage, EmStage):
        return e_step(stage.prior, stage.estep, stage.relation, batch, logits, progress)
    if isinstance(stage, TagsStage):
        return batch.tags
    if labels is None:
        raise ValueError("a supervised stage needs labels")
    return labels.to(batch.image.device, non_blocking=True)


def _shaped(part: Prior | EStep, returned: Probability, batch: Batch) -> Probability:
    found, wanted = tuple(returned.shape), tuple(batch.support.shape)
    if found != wanted:
        raise WorkError(
            f"{type(part).__name__} returns {found}, not (B, K, H, W) = {wanted}.\n"
            "It breaks its contract; wsseg plugins check says more"
        )
    return returned
