"""Masks of the prior alone, and of prior and network together, to compare with the prediction.

An EM stage predicts with its network alone, because a new patient has no tag. These masks show what
its prior contributes.
"""

import torch
from lightning_fabric import Fabric

from wsseg.config.stages import EmStage
from wsseg.core.batch import Batch, Evidence, Probability
from wsseg.core.case import Case
from wsseg.core.contracts import check_probability
from wsseg.core.volume import VoxelMask
from wsseg.data.prepare import prepare
from wsseg.data.scan_grid import to_scan_grid
from wsseg.inference.checkpoint import TrainedStage
from wsseg.inference.run import Run
from wsseg.inference.stage_prediction import DecisionRule, stage_logits, stage_masks


def ablation_masks(run: Run, case: Case) -> dict[str, VoxelMask]:
    """Return masks of the last class for "prior" and "both", as if the case had its tag.

    "prior" is phi > 1/2; "both" is logit f + logit phi > 0 (Wu 2020, eq. 10). Both are on the
    scan's own grid. Empty unless the last stage learns by EM.
    """
    name, stage = list(run.recipe.stages.items())[-1]
    if not isinstance(stage, EmStage):
        return {}
    prepared = prepare(case, run.recipe.input, run.recipe.regions)
    trained = run.pipeline.stages[name]
    scan = run.pipeline.scan(trained.stage, prepared)
    rules: dict[str, DecisionRule] = {"prior": _by_prior, "both": by_posterior}
    return {
        source: to_scan_grid(prepared, stage_masks(trained, scan, run.pipeline.fabric, rule)[-1])
        for source, rule in rules.items()
    }


def _by_prior(trained: TrainedStage, batch: Batch, _fabric: Fabric) -> torch.Tensor:
    return trained.stage.relation.decide(_phi(trained, batch).logit())


def by_posterior(trained: TrainedStage, batch: Batch, fabric: Fabric) -> torch.Tensor:
    """Decide with network and prior together, where the tags of the batch allow a class."""
    relation = trained.stage.relation
    logits = stage_logits(trained, batch, fabric)
    return relation.decide(Evidence(batch, logits, _phi(trained, batch), relation).log_odds)


def _phi(trained: TrainedStage, batch: Batch) -> Probability:
    assert isinstance(trained.stage, EmStage), "checked by ablation_masks"  # noqa: S101
    prior = trained.stage.prior
    return check_probability(prior, prior(batch), batch)
