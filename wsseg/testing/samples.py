"""Small inputs with edge cases, on which components are checked."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from wsseg.core.batch import Batch, Evidence
from wsseg.core.channels import ONE_CHANNEL, RGB
from wsseg.core.volume import Grid, Volume, VoxelMask

CHANNELS = RGB  # of images with several channels


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers that depend only on the seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def batch(
    classes: int, slices: int, dtype: torch.dtype, channels: tuple[str, ...] = ONE_CHANNEL
) -> Batch:
    """Return three images: a normal one, one with an empty region and one without tags."""
    image = -200 + 400 * noise(3, len(channels), slices, 16, 12)
    region = noise(3, 1, 16, 12, seed=1) > 0
    region[1] = False
    tags = torch.ones(3, classes, dtype=torch.bool)
    tags[2] = False
    return Batch(image.to(dtype), region, tags, channels=channels)


def without_region(batch: Batch) -> Batch:
    """Return the images of a batch with an empty region."""
    return replace(batch, region=torch.zeros_like(batch.region))


def evidence(classes: int, dtype: torch.dtype, channels: tuple[str, ...] = ONE_CHANNEL) -> Evidence:
    """Return evidence with logits up to about 50 and a phi whose values include 0, 1/2 and 1."""
    images = batch(classes, 5, dtype, channels)
    logits = 20 * noise(*images.support.shape, seed=2)
    phi = noise(*images.support.shape, seed=3).sigmoid().mul(4).round().div(4)
    return Evidence(images, logits.to(dtype).requires_grad_(), phi.to(dtype))


def weak_evidence(
    classes: int, dtype: torch.dtype, channels: tuple[str, ...] = ONE_CHANNEL
) -> Evidence:
    """Return evidence with known pixels, boxes, bounds of one image and an uncertain tag.

    A pixel is known to have at most one class.
    """
    plain = evidence(classes, dtype, channels)
    images = plain.batch
    which = noise(3, 1, 16, 12, seed=4).mul(4).round()  # the number of a class, or none
    known = (which == torch.arange(classes)[:, None, None]).to(torch.int8)
    known -= (noise(*images.support.shape, seed=5) > 1).to(torch.int8) * (known == 0)
    boxes = torch.zeros(3, classes, 2, 16, 12, dtype=torch.bool)
    boxes[:, :, 0, 2:9, 1:7] = True
    bounds = torch.full((3, classes, 2), torch.nan)
    bounds[0, 0] = torch.tensor([0.2, 0.4])
    probability = images.tags.float()
    probability[0] = 0.5
    known *= images.support  # a wrong tag would contradict them
    weak = replace(images, known=known, boxes=boxes, bounds=bounds, tag_probability=probability)
    return replace(plain, batch=weak)


def evidence_to_fit(classes: int, channels: tuple[str, ...] = ONE_CHANNEL) -> Evidence:
    """Return evidence for `EStep.fit`: logits of 0, and a larger phi in images with tags."""
    images = batch(classes, 5, torch.float32, channels)
    tagged = images.tags[:, :, None, None]
    phi = (noise(*images.support.shape, seed=3) + 2.0 * tagged).sigmoid()
    return Evidence(images, torch.zeros_like(phi), phi, progress=0)


def volume() -> Volume:
    """Return a block of bright tissue, with a dark cavity, in dark surroundings.

    Voxels are int16, (1, 8, 32, 32), of 5 x 8 x 8 mm: 0 outside, 1000 in the tissue, 50 in the
    cavity.
    """
    voxels = np.zeros((1, 8, 32, 32), np.int16)
    voxels[:, 1:, 4:28, 6:26] = 1000
    voxels[:, 2:6, 10:18, 12:20] = 50
    return Volume(voxels, Grid((32, 32, 8), np.diag([8.0, 8.0, 5.0, 1.0])))


def with_channels(volume: Volume) -> Volume:
    """Repeat a volume of one channel as `CHANNELS`; the last channel is brighter."""
    voxels = np.concatenate([volume.voxels, volume.voxels, volume.voxels + 9])
    return Volume(voxels, volume.grid, CHANNELS)


def masks() -> list[VoxelMask]:
    """Return masks: all voxels, two overlapping boxes, a single voxel and nothing."""
    made = [np.zeros((4, 12, 10), dtype=np.bool_) for _ in range(5)]
    made[0][:] = True
    made[1][1:3, 2:8, 2:8] = True
    made[2][2:4, 4:10, 1:6] = True
    made[3][0, 0, 0] = True
    return made
