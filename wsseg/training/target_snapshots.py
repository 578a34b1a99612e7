"""Snapshots of EM's targets in a few slices, at the start, middle and end of a stage."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from wsseg.inference.checkpoint import read_weights, write_tensors
from wsseg.inference.folders import StageFolder

PREFIX = "epoch-"  # of the targets' keys in the file


@dataclass(frozen=True)
class TargetSnapshot:
    """The targets of N slices at one point in training, with their images."""

    image: Tensor  # (N, H, W) float, or (N, H, W, 3) in colours
    region: Tensor  # (N, H, W), nonzero inside
    targets: Tensor  # (N, K, H, W), 0 or 1


def snapshot_epochs(epochs: int) -> set[int]:
    """Return the epochs after which snapshots are saved; 0 is before the first."""
    return {0, epochs // 2, epochs}


def save_snapshot(folder: StageFolder, epoch: int, snapshot: TargetSnapshot | None) -> None:
    """Add the snapshot after an epoch to a stage's file. Epoch 0 starts a new file.

    Does nothing if `snapshot` is None, as for a stage without EM.
    """
    if snapshot is None:
        return
    path = folder.target_snapshots
    earlier: Mapping[str, Tensor] = read_weights(path) if epoch and path.exists() else {}
    tensors = {
        "image": snapshot.image.to(torch.float16),
        "region": snapshot.region.to(torch.uint8),
        f"{PREFIX}{epoch}": snapshot.targets.to(torch.uint8),
    }
    write_tensors(path, {**earlier, **tensors})


def load_snapshots(folder: StageFolder) -> dict[int, TargetSnapshot]:
    """Return a stage's snapshots by epoch; empty if no file was saved.

    Raises:
        InputError: The file is damaged.
    """
    if not folder.target_snapshots.exists():
        return {}
    tensors = read_weights(folder.target_snapshots)
    epochs = sorted(int(key.removeprefix(PREFIX)) for key in tensors if key.startswith(PREFIX))
    return {
        epoch: TargetSnapshot(tensors["image"], tensors["region"], tensors[f"{PREFIX}{epoch}"])
        for epoch in epochs
    }
