"""What a finished stage sees in a scan: its masks on the network's grid."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from wsseg.config.stages import Learning, PriorStage
from wsseg.core.batch import Batch, Logits, at_least_float32
from wsseg.data.batches import (
    Scan,
    Slices,
    all_slices,
    batches_of,
    in_memory,
    loaded,
    read_map,
    to_device,
)
from wsseg.inference.checkpoint import Trained
from wsseg.inference.cropping import Cropped, box_around
from wsseg.inference.fusion import folded

Rule: TypeAlias = Callable[[Trained, Batch, Fabric], torch.Tensor]  # decides (B, K, H, W) bool

BATCH_SLICES = 4  # bounds the memory that a prediction holds: of a layer, `machine.KEPT`


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
    scan = in_memory(scan)
    slices = Slices([scan], trained.input)
    masks = np.zeros((len(trained.stage.classes), *read_map(scan.image).shape), np.bool_)
    parts = batches_of([all_slices([scan])], BATCH_SLICES)
    for draws, (gathered, _) in zip(parts, loaded(slices, parts), strict=True):
        batch = to_device(gathered, fabric.device)
        on = rule(trained, batch, fabric) & batch.region
        masks[:, [draw.z for draw in draws]] = on.permute(1, 0, 2, 3).cpu().numpy()
    return masks


def logits_of(trained: Trained, batch: Batch, fabric: Fabric) -> Logits:
    """Run a stage's network, which it must have; where the images are empty, logits may be 0."""
    stage, network = trained.stage, trained.network
    assert network is not None, "only a learning stage has logits"  # noqa: S101
    assert isinstance(stage, Learning), "what has a network has learnt"  # noqa: S101
    with fabric.autocast():
        if stage.backbone is None or not stage.backbone.local:
            return at_least_float32(_whole(network, fabric)(batch.image))
        fill, shape = trained.input.fill, batch.image.shape[1:]
        cropped = _cropped(network, fabric, tuple(shape), fill)
        seen = (batch.image != fill).any(dim=1) | batch.region[:, 0]
        return at_least_float32(cropped(batch.image, box_around(seen.any(dim=0), cropped.multiple)))


@lru_cache(maxsize=8)  # the stages of a run or two; networks are told by identity
def _whole(network: nn.Module, fabric: Fabric) -> nn.Module:
    return folded(network).to(memory_format=torch.channels_last).to(fabric.device)


@lru_cache(maxsize=8)
def _cropped(network: nn.Module, fabric: Fabric, shape: tuple[int, ...], fill: float) -> Cropped:
    nothing = torch.full((1, *shape), fill, device=fabric.device)
    ready = folded(network).to(memory_format=torch.channels_last).to(fabric.device)
    return Cropped(ready, nothing.contiguous(memory_format=torch.channels_last))
