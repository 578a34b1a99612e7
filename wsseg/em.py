"""Expectation-maximisation with a network: guess the labels, then learn the guess."""

import torch

from wsseg.evidence import Batch, Evidence, Logits, Probability
from wsseg.interfaces import EStep, Prior
from wsseg.labels import Labels


@torch.no_grad()
def e_step(
    prior: Prior, estep: EStep, labels: Labels, batch: Batch, logits: Logits, progress: float
) -> Probability:
    """Guess y from what the network (its `logits`) and the prior believe about `batch`.

    The caller runs the network, in the mode and precision that its stage asks for.
    """
    return estep(Evidence(batch, logits.detach().float(), prior(batch), labels, progress))
