"""What a run's prior says alone of a scan, and what prior and network say together.

A weak stage predicts by its network alone. These two tell what the prior adds to it.
"""

import torch
from lightning_fabric import Fabric

from wsseg.config.stages import EmStage
from wsseg.core.batch import Batch, Evidence, Probability
from wsseg.core.case import Case
from wsseg.core.volume import VoxelMask
from wsseg.data.prepare import prepare, to_scan_grid
from wsseg.inference.checkpoint import Trained
from wsseg.inference.run import Run
from wsseg.inference.stage_prediction import Rule, logits_of, stage_masks


def beliefs(run: Run, case: Case) -> dict[str, VoxelMask]:
    """Return the target's masks by "prior" and by "both", as if the case had the tag.

    phi > 1/2, and logit f + logit phi > 0 (Wu 2020, eq. 10), on the scan's own grid. There are none
    unless the last stage learns by EM.
    """
    name, stage = list(run.recipe.stages.items())[-1]
    if not isinstance(stage, EmStage):
        return {}
    prepared = prepare(case, run.recipe.input, run.recipe.regions)
    trained = run.regions.trained[name]
    scan = run.regions.scan(trained.stage, prepared)
    rules: dict[str, Rule] = {"prior": _by_prior, "both": _by_both}
    return {
        source: to_scan_grid(prepared, stage_masks(trained, scan, run.regions.fabric, rule)[-1])
        for source, rule in rules.items()
    }


def _by_prior(trained: Trained, batch: Batch, _fabric: Fabric) -> torch.Tensor:
    return trained.stage.relation.decide(_phi(trained, batch).logit())


def _by_both(trained: Trained, batch: Batch, fabric: Fabric) -> torch.Tensor:
    relation = trained.stage.relation
    logits = logits_of(trained, batch, fabric)
    return relation.decide(Evidence(batch, logits, _phi(trained, batch), relation).log_odds)


def _phi(trained: Trained, batch: Batch) -> Probability:
    assert isinstance(trained.stage, EmStage), "checked by beliefs"  # noqa: S101
    return trained.stage.prior(batch)
