"""The masks that a trained stage predicts for a scan, on the network's grid."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from wsseg.config.stages import NetworkStage, PriorStage, TagsStage
from wsseg.core.batch import Batch, Logits, at_least_float32
from wsseg.core.contracts import check_probability
from wsseg.data.batches import (
    Slices,
    StageScan,
    all_slices,
    load_batches,
    load_into_memory,
    split_into_batches,
)
from wsseg.data.maps import read_map
from wsseg.inference.checkpoint import TrainedStage
from wsseg.inference.cropping import CroppedNetwork, box_around
from wsseg.inference.fusion import fused
from wsseg.inference.mirroring import mean_over_mirrored
from wsseg.runtime.memory_format import to_channels_last

# Decides which pixels have each class, (B, K, H, W) bool.
DecisionRule: TypeAlias = Callable[[TrainedStage, Batch, Fabric], torch.Tensor]

BATCH_SLICES = 4  # keeps a layer's output within what the C library reuses: `device.KEPT`


def predicted_classes(trained: TrainedStage, batch: Batch, fabric: Fabric) -> torch.Tensor:
    """Decide with the network alone, because new patients have no tags; without one, with phi."""
    if trained.network is None:
        assert isinstance(trained.stage, PriorStage), "only a prior decides without a network"  # noqa: S101
        prior = trained.stage.prior
        return trained.stage.relation.decide(check_probability(prior, prior(batch), batch).logit())
    return trained.stage.decide(stage_logits(trained, batch, fabric), batch.region)


@torch.inference_mode()
def stage_masks(
    trained: TrainedStage, scan: StageScan, fabric: Fabric, rule: DecisionRule = predicted_classes
) -> NDArray[np.bool_]:
    """Return the masks of a stage's classes, (K, Z, H, W), empty outside `scan.region`.

    Only `scan.slices` are predicted; the masks of all other slices are empty.
    """
    shape = (len(trained.stage.classes), *read_map(scan.image).shape[1:])
    masks = np.zeros(shape, np.bool_)
    _fill(masks, scan, trained, lambda batch: rule(trained, batch, fabric), fabric)
    return masks


@torch.inference_mode()
def stage_probabilities(
    trained: TrainedStage, scan: StageScan, fabric: Fabric
) -> NDArray[np.float32]:
    """Return the probabilities of a stage's classes, (K, Z, H, W), 0 outside `scan.region`.

    They come from the network, or are phi for a stage without a network.
    """
    shape = (len(trained.stage.classes), *read_map(scan.image).shape[1:])
    probabilities = np.zeros(shape, np.float32)
    _fill(probabilities, scan, trained, lambda batch: _probability(trained, batch, fabric), fabric)
    return probabilities


def _fill(
    planes: NDArray[Any],
    scan: StageScan,
    trained: TrainedStage,
    rule: Callable[[Batch], torch.Tensor],
    fabric: Fabric,
) -> None:
    """Write the results of `rule` inside the region into (K, Z, H, W), for `scan.slices`."""
    scan = load_into_memory(scan)
    slices = Slices([scan], trained.input)
    for loaded in load_batches(slices, split_into_batches(all_slices([scan]), BATCH_SLICES)):
        batch = loaded.batch.to(fabric.device)
        inside = rule(batch).masked_fill(~batch.region, 0)
        planes[:, [draw.z for draw in loaded.draws]] = inside.permute(1, 0, 2, 3).cpu().numpy()


def _probability(trained: TrainedStage, batch: Batch, fabric: Fabric) -> torch.Tensor:
    stage = trained.stage
    if isinstance(stage, PriorStage):
        return check_probability(stage.prior, stage.prior(batch), batch).float()
    logits = stage_logits(trained, batch, fabric)
    probability = stage.relation.probability(logits)
    if isinstance(stage, TagsStage):
        possible = stage.loss.possible(stage.relation.logit(logits), batch.region)
        return probability.where(possible, 0)
    return probability


def stage_logits(trained: TrainedStage, batch: Batch, fabric: Fabric) -> Logits:
    """Run the network of a stage; where the images are empty, logits may be 0.

    The logits are the mean over the original and the mirrored images (`stage.mirror`).
    """
    stage = trained.stage
    assert isinstance(stage, NetworkStage), "only a learning stage has a network"  # noqa: S101
    return mean_over_mirrored(lambda each: _logits(trained, each, fabric), batch, stage.mirror)


def _logits(trained: TrainedStage, batch: Batch, fabric: Fabric) -> Logits:
    stage, network = trained.stage, trained.network
    assert network is not None, "only a learning stage has logits"  # noqa: S101
    assert isinstance(stage, NetworkStage), "only a learning stage has a network"  # noqa: S101
    fills = trained.input.fixed_fills(len(batch.channels))  # None: they differ between images
    with fabric.autocast():
        if fills is None or stage.backbone is None or not stage.backbone.local:
            return at_least_float32(_fused(network, fabric)(batch.image))
        cropped = _cropped(network, fabric, tuple(batch.image.shape[1:]), fills)
        fill = torch.tensor(fills, device=batch.image.device)[:, None, None, None]
        content = (batch.image != fill).any(dim=(1, 2)) | batch.region[:, 0]
        box = box_around(content.any(dim=0), cropped.multiple)
        return at_least_float32(cropped(batch.image, box))


@lru_cache(maxsize=8)  # enough for the stages of two runs; networks are compared by identity
def _fused(network: nn.Module, fabric: Fabric) -> nn.Module:
    return to_channels_last(fused(network)).to(fabric.device)


@lru_cache(maxsize=8)
def _cropped(
    network: nn.Module, fabric: Fabric, shape: tuple[int, ...], fills: tuple[float, ...]
) -> CroppedNetwork:
    channels, slices, height, width = shape
    empty = torch.tensor(fills, device=fabric.device).repeat_interleave(slices)
    planes = empty.expand(1, height, width, -1).contiguous().permute(0, 3, 1, 2)  # channels last
    ready = to_channels_last(fused(network)).to(fabric.device)
    return CroppedNetwork(ready, planes.unflatten(1, (channels, slices)))
