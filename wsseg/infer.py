"""What a finished stage sees in a scan: its masks on the network's grid."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from wsseg.checkpoint import Trained
from wsseg.data.slices import Draw, Scan, Slices, collate, open_map, to_device
from wsseg.evidence import Batch, Logits
from wsseg.stages import PriorStage

Rule: TypeAlias = Callable[[Trained, Batch, Fabric], torch.Tensor]  # decides (B, K, H, W) bool

BATCH_SLICES = 8  # bounds the memory that a prediction holds


def alone(trained: Trained, batch: Batch, fabric: Fabric) -> torch.Tensor:
    """Decide as a new patient needs it, who has no tag: by the network, if any learnt."""
    if trained.network is None:
        assert isinstance(trained.stage, PriorStage), "only a prior decides without a network"  # noqa: S101
        return trained.stage.relation.decide(trained.stage.prior(batch).logit())
    return trained.stage.decide(logits_of(trained, batch, fabric), batch.region)


@torch.inference_mode()
def stage_masks(
    trained: Trained, scan: Scan, fabric: Fabric, rule: Rule = alone
) -> NDArray[np.bool_]:
    """Return the masks of a stage's classes, (K, Z, H, W); nothing outside `scan.region`.

    Only `scan.slices` are looked at.
    """
    slices = Slices([scan], trained.input)
    shape = open_map(scan.image).shape
    masks = np.zeros((len(trained.stage.classes), *shape), np.bool_)
    for start in range(0, len(scan.slices), BATCH_SLICES):
        chosen = scan.slices[start : start + BATCH_SLICES]
        batch = to_device(collate([slices[Draw(0, z)] for z in chosen])[0], fabric.device)
        on = rule(trained, batch, fabric) & batch.region
        masks[:, list(chosen)] = on.permute(1, 0, 2, 3).cpu().numpy()
    return masks


def logits_of(trained: Trained, batch: Batch, fabric: Fabric) -> Logits:
    """Run a stage's network, which it must have."""
    assert trained.network is not None, "only a learning stage has logits"  # noqa: S101
    with fabric.autocast():
        logits: Logits = trained.network.to(fabric.device)(batch.image)
    return logits.float()
