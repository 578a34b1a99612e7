"""What EM's targets were in a few slices at a stage's start, middle and end: for the eye."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from wsseg.inference.checkpoint import read_weights, write_tensors

FILE = "targets.safetensors"  # beside a stage's weights


def moments(epochs: int) -> set[int]:
    """Return after which epochs targets are kept; 0 is before the first."""
    return {0, epochs // 2, epochs}


def keep_planes(folder: Path, epoch: int, planes: Mapping[str, Tensor]) -> None:
    """Add the targets of an epoch to a stage's file: `epoch-<n>`, beside `image` and `region`.

    `planes` has `image` and `region`, (N, H, W), and `targets`, (N, K, H, W); with none of them,
    nothing is done. Epoch 0 begins a new file.
    """
    if not planes:
        return
    path = folder / FILE
    before = read_weights(path) if epoch and path.exists() else {}
    now = {
        "image": planes["image"].to(torch.float16),
        "region": planes["region"].to(torch.uint8),
        f"epoch-{epoch}": planes["targets"].to(torch.uint8),
    }
    write_tensors(path, before | now)


def read_planes(folder: Path) -> tuple[dict[str, Tensor], dict[int, Tensor]]:
    """Return `image` and `region`, and the targets by epoch; nothing where none were kept.

    Raises:
        InputError: The file is damaged.
    """
    if not (folder / FILE).exists():
        return {}, {}
    found = read_weights(folder / FILE)
    by_epoch = {
        int(name.removeprefix("epoch-")): planes
        for name, planes in found.items()
        if name.startswith("epoch-")
    }
    return {name: found[name] for name in ("image", "region")}, dict(sorted(by_epoch.items()))
