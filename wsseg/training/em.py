"""Expectation-maximisation (EM): learning pixel labels from the tags of images.

Each case has an image x and a tag z, which states whether the image contains a class. The mask y,
with y_j = 1 where pixel j belongs to the class, is not observed. A network f(x; Theta) predicts the
probability of the class for each pixel. EM finds the weights Theta that maximise the likelihood of
the tags (Wu 2020, eq. 4):

    maximise over Theta:  sum over cases of log P(z | x, f(x; Theta)).

A prior phi connects the tag with the mask. It judges each pixel by its intensity (eq. 7 and 9):

    P(z | y, x) = c(z, x) * product over pixels of (phi_j if y_j = 1, 1 - phi_j if y_j = 0).

One mini-batch is one iteration (table I):

1. **Forward pass.** The network computes f = f(x; Theta') with the current weights Theta'.
2. **E-step.** The mask is inferred from f and phi, pixel by pixel. y_j = 1 has probability
   proportional to f_j phi_j, and y_j = 0 to (1 - f_j)(1 - phi_j) (eq. 35). The posterior is

       q_j = f_j phi_j / (f_j phi_j + (1 - f_j)(1 - phi_j)),

   which is a sum of log-odds: logit q_j = logit f_j + logit phi_j. The hard E-step chooses the
   likelier label: y_j = 1 where q_j > 1/2 (eq. 36), that is, where f_j + phi_j > 1 (eq. 10). The
   soft E-step uses y_j = q_j. Where the tag excludes the class, and outside the region, y_j = 0.
   Other weak labels enter here, too: scribbles and boxes fix the y_j of single pixels, and bounds
   limit the share of pixels with y_j = 1 in an image (`Batch.known`, `Batch.bounds`).
3. **M-step.** The optimiser takes one step on a loss between f(x; Theta) and y. In theory this is
   the cross-entropy -log P(y | f(x; Theta)) (eq. 32), whose best f is the mean of the targets of
   pixels that look alike. The paper uses the smooth Dice loss (eq. 11), whose best f is 0 or 1.

In code, with phi in `stage.prior`, the rule of step 2 in `stage.estep` and the loss of step 3 in
`stage.loss`:

    logits = forward(stage, networks, batch)
    y = e_step(stage, batch, logits.e_step, context)
    stage.objective(logits.m_step, y, batch).backward()
    optimizer.step()

`Trainer` in trainer.py runs this loop. It trains supervised stages in the same way: only their
targets differ, see `targets`. `train_stage` in stage.py saves, resumes and reuses the training of a
stage, and `train` in run.py trains the stages of a recipe in order.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from wsseg.config.stages import EmStage, MethodStage, NetworkStage, TagsStage
from wsseg.core.batch import (
    Batch,
    Evidence,
    Logits,
    Outputs,
    Probability,
    StepContext,
    at_least_float32,
)
from wsseg.core.contracts import check_loss, check_probability


class StepLogits(NamedTuple):
    """The logits of a batch for the two steps of an EM iteration."""

    m_step: Logits  # with gradients
    e_step: Logits  # without gradients
    auxiliary: tuple[Logits, ...] = ()  # of inner layers, with gradients


class Networks(NamedTuple):
    """The network that is trained, and the network with its averaged weights, if any."""

    trained: nn.Module
    average: nn.Module | None = None

    def of_targets(self, stage: NetworkStage) -> nn.Module:
        """Return the network whose predictions in evaluation mode the targets are computed from."""
        if self.average is not None and stage.source_of_belief == "average":
            return self.average
        return self.trained


def forward(stage: NetworkStage, networks: Networks, batch: Batch) -> StepLogits:
    """Run the network on a batch in training mode.

    If `stage.source_of_belief` is "training", the logits of both steps come from the same pass.
    Otherwise, those of the E-step come from a separate pass in evaluation mode.
    """
    separate = stage.source_of_belief != "training"
    e_step_logits = evaluation_logits(networks.of_targets(stage), batch) if separate else None
    networks.trained.train()
    returned = networks.trained(batch.image)
    main, auxiliary = returned if isinstance(returned, Outputs) else (returned, ())
    logits = at_least_float32(main)
    return StepLogits(
        logits,
        logits.detach() if e_step_logits is None else e_step_logits,
        tuple(map(at_least_float32, auxiliary)),
    )


@torch.no_grad()
def evaluation_logits(network: nn.Module, batch: Batch) -> Logits:
    """Run the network in evaluation mode, in which images do not affect each other."""
    network.eval()
    return at_least_float32(network(batch.image))


@torch.no_grad()
def e_step(stage: EmStage, batch: Batch, logits: Logits, context: StepContext) -> Probability:
    """Infer the latent masks y, (B, K, H, W), from the network's logits and the prior.

    Known pixels override the E-step: y = 1 where a pixel of the support is known to have a class,
    and y = 0 where it is known not to have it.

    Raises:
        ContractError: The prior or the E-step returns no tensor of the right shape.
    """
    evidence = evidence_of(stage, batch, logits, context)
    y = check_probability(stage.estep, stage.estep(evidence), batch)
    if (known := evidence.known) is None:
        return y
    return y.masked_fill((known > 0) & batch.support, 1).masked_fill(known < 0, 0)


@torch.no_grad()
def evidence_of(stage: EmStage, batch: Batch, logits: Logits, context: StepContext) -> Evidence:
    """Return the input of the E-step for a batch: the network's logits and the prior's phi.

    Raises:
        ContractError: The prior returns no tensor of the right shape.
    """
    phi = check_probability(stage.prior, stage.prior(batch), batch)
    return Evidence(
        batch,
        at_least_float32(logits.detach()),
        phi,
        stage.relation,
        progress=context.progress,
        epoch=context.epoch,
        memory=context.memory,
    )


def targets(
    stage: NetworkStage,
    batch: Batch,
    labels: Probability | None,
    logits: Logits,
    context: StepContext,
) -> Tensor:
    """Return the targets that the M-step trains on.

    - EM stage: the masks that the E-step infers from `logits`, (B, K, H, W).
    - Supervised stage: the true masks, `labels`, (B, K, H, W).
    - Stage that learns from tags without EM: the tags, (B, K).
    - Stage with a method of its own: `logits`, detached, (B, K, H, W).
    """
    if isinstance(stage, EmStage):
        return e_step(stage, batch, logits, context)
    if isinstance(stage, TagsStage):
        return batch.tags
    if isinstance(stage, MethodStage):
        return at_least_float32(logits.detach())
    if labels is None:
        raise ValueError("a supervised stage needs labels")
    return labels.to(batch.image.device, non_blocking=True)


def step_loss(
    stage: NetworkStage, outputs: Sequence[Logits], y: Tensor, batch: Batch, context: StepContext
) -> Tensor:
    """Return the loss of a step: the main loss plus the weighted mean of the auxiliary losses.

        L = L(logits) + auxiliary_weight * mean of L(auxiliary logits)

    Raises:
        ContractError: The loss, or the stage's method, returns no scalar with a gradient.
    """
    main, *auxiliary = (
        check_loss(stage.criterion, stage.objective(each, y, batch, context)) for each in outputs
    )
    if not auxiliary:
        return main
    return main + stage.auxiliary_weight * torch.stack(auxiliary).mean()
