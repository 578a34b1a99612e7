"""Expectation-maximisation (EM): learning pixel labels from the tags of images.

Known of each case i are its image x and its tag z: whether it has a class. The mask y, which has
y_j = 1 where pixel j has the class, is latent. A network f(x; Theta) gives each pixel's probability
of the class. Its weights Theta maximise the likelihood of the tags (Wu 2020, eq. 4),

    sum over cases of log P(z | x, f(x; Theta)).

The tag is related to the mask by a prior phi, which judges each pixel from its intensity (eq. 7):

    P(z | y, x) = c(z, x) * product over pixels of (phi_j if y_j = 1 else 1 - phi_j).

Each mini-batch is one iteration of EM (table I):

1. **Forward pass.** `forward` computes f = f(x; Theta') with the current weights Theta'.
2. **E-step.** `e_step` infers the mask. By Bayes' rule (eq. 34), the posterior of y_j = 1 is

       q_j = f_j phi_j / (f_j phi_j + (1 - f_j)(1 - phi_j)),

   that is, logit q_j = logit f_j + logit phi_j.

   The hard E-step takes the likelier label, q_j > 1/2 (eq. 36), which is f_j + phi_j > 1 (eq. 10);
   the soft E-step takes q_j itself. Outside the region, and where the tag excludes the class,
   y_j = 0.
3. **M-step.** One optimiser step on a loss between f(x; Theta) and y. The surrogate of eq. 32 is
   the cross-entropy, -log P(y | f(x; Theta)); eq. 11 replaces it by the smooth Dice loss.

In code, with `stage.prior` for phi, `stage.estep` for the rule of step 2 and `stage.loss` for the
loss of step 3:

    logits = forward(stage, network, batch)
    y = e_step(stage, batch, logits.e_step, progress)
    stage.objective(logits.m_step, y, batch).backward()
    optimizer.step()

`trainer.Trainer` runs these steps for all batches of a stage, and stages of other kinds with them:
these differ in their targets alone, which `targets` returns. `stage.train_stage` saves and resumes
that training, and `run.train` trains the stages of a recipe in order.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from wsseg.config.stages import EmStage, NetworkStage, TagsStage
from wsseg.core.batch import Batch, Evidence, Logits, Probability, at_least_float32
from wsseg.core.interfaces import EStep, Prior
from wsseg.errors import WorkError


class StepLogits(NamedTuple):
    """The network's logits of a batch, for the two halves of an EM iteration."""

    m_step: Logits  # of f(x; Theta), with gradients
    e_step: Logits  # of f(x; Theta'), without


def forward(stage: NetworkStage, network: nn.Module, batch: Batch) -> StepLogits:
    """Run the network on a batch in training mode.

    Both logits come from the same pass, unless an EM stage has `belief: evaluation`: then those of
    the E-step come from a pass of their own, in evaluation mode.
    """
    separate = isinstance(stage, EmStage) and stage.belief == "evaluation"
    e_step_logits = evaluation_logits(network, batch) if separate else None
    network.train()
    logits = at_least_float32(network(batch.image))
    return StepLogits(logits, logits.detach() if e_step_logits is None else e_step_logits)


@torch.no_grad()
def evaluation_logits(network: nn.Module, batch: Batch) -> Logits:
    """Run the network in evaluation mode: an image's logits depend on no other of the batch."""
    network.eval()
    return at_least_float32(network(batch.image))


@torch.no_grad()
def e_step(stage: EmStage, batch: Batch, logits: Logits, progress: float) -> Probability:
    """Infer the latent masks y, (B, K, H, W), from the network's logits and the prior.

    `progress` through the stage, from 0 to 1, is for E-steps that change during training.

    Raises:
        WorkError: The prior or the E-step returns a wrong shape. Broadcasting could hide that.
    """
    phi = _check_shape(stage.prior, stage.prior(batch), batch)
    evidence = Evidence(batch, at_least_float32(logits.detach()), phi, stage.relation, progress)
    return _check_shape(stage.estep, stage.estep(evidence), batch)


def targets(
    stage: NetworkStage, batch: Batch, labels: Probability | None, logits: Logits, progress: float
) -> Tensor:
    """Return what the M-step trains on.

    For an EM stage, the masks of the E-step, which uses `logits`; for a supervised stage, the true
    masks, `labels`, (B, K, H, W); for a stage that learns from tags without EM, the tags, (B, K).
    """
    if isinstance(stage, EmStage):
        return e_step(stage, batch, logits, progress)
    if isinstance(stage, TagsStage):
        return batch.tags
    if labels is None:
        raise ValueError("a supervised stage needs labels")
    return labels.to(batch.image.device, non_blocking=True)


def _check_shape(part: Prior | EStep, returned: Probability, batch: Batch) -> Probability:
    found, expected = tuple(returned.shape), tuple(batch.support.shape)
    if found != expected:
        raise WorkError(
            f"{type(part).__name__} returns shape {found}, but (B, K, H, W) = {expected} is "
            "required.\nCheck the plugin: wsseg plugins check"
        )
    return returned
