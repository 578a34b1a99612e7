"""What a finished stage sees in a scan: its masks on the network's grid."""

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from wsseg.checkpoint import Trained
from wsseg.data.slices import Draw, Scan, Slices, collate, open_map, to_device
from wsseg.evidence import Batch
from wsseg.stages import PriorStage

BATCH_SLICES = 8  # bounds the memory that a prediction holds


@torch.inference_mode()
def stage_masks(trained: Trained, scan: Scan, fabric: Fabric) -> NDArray[np.bool_]:
    """Return the masks of a stage's classes, (K, Z, H, W); nothing outside `scan.region`.

    Only `scan.slices` are looked at. Where the network learnt, it decides alone (a new patient
    has no tag); else the prior does.
    """
    slices = Slices([scan], trained.input)
    shape = open_map(scan.image).shape
    masks = np.zeros((len(trained.stage.classes), *shape), np.bool_)
    for start in range(0, len(scan.slices), BATCH_SLICES):
        chosen = scan.slices[start : start + BATCH_SLICES]
        batch = to_device(collate([slices[Draw(0, z)] for z in chosen])[0], fabric.device)
        on = _decide(trained, batch, fabric) & batch.region
        masks[:, list(chosen)] = on.permute(1, 0, 2, 3).cpu().numpy()
    return masks


def _decide(trained: Trained, batch: Batch, fabric: Fabric) -> torch.Tensor:
    relation = trained.stage.relation
    if trained.network is None:
        assert isinstance(trained.stage, PriorStage), "only a prior decides without a network"  # noqa: S101
        return relation.decide(trained.stage.prior(batch).logit())
    with fabric.autocast():
        logits = trained.network.to(fabric.device)(batch.image)
    return relation.decide(logits.float())
