"""Prediction without a framework: on full slices, in NCHW and float32."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.phantom_run import STAGE
from benchmarks.speed.plain_training import FILL_HU
from wsseg.core.case import Case
from wsseg.data.maps import read_map
from wsseg.data.mask_files import write_mask
from wsseg.data.prepare import Prepared
from wsseg.data.scan_grid import to_scan_grid
from wsseg.inference.run import Run

BATCH_SLICES = 8


class OneChannel(nn.Module):
    """A network of wsseg for the slices of one channel, (B, S, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, slices: Tensor) -> Tensor:
        """Return the logits, (B, K, H, W)."""
        logits: Tensor = self.network(slices[:, None])
        return logits


@dataclass(frozen=True)
class PlainPredictor:
    """The network of a run in plain PyTorch. Scans are prepared and written as in wsseg."""

    run: Run
    network: nn.Module

    def predict(self, case: Case, path: Path) -> None:
        """Segment a scan and write its mask to `path`."""
        with empty_cache():
            prepared = self.run.prepare(case)
            mask = to_scan_grid(prepared, self._mask(slice_stacks(self.run, prepared)))
            write_mask(path, mask.astype(np.uint8), prepared.grid)

    @torch.inference_mode()
    def _mask(self, stacks: Tensor) -> NDArray[np.bool_]:
        """Return where the logits are positive, (Z, H, W)."""
        parts = [self.network(part.contiguous()) > 0 for part in stacks.split(BATCH_SLICES)]
        return torch.cat(parts)[:, 0].numpy()


def plain_predictor(run: Run) -> PlainPredictor:
    """Return the network of a run in NCHW and float32, with separate batch norm."""
    network = run.pipeline.stages[STAGE].network
    assert network is not None  # noqa: S101
    plain = OneChannel(deepcopy(network)).to(memory_format=torch.contiguous_format)
    return PlainPredictor(run, plain.eval())


def slice_stacks(run: Run, prepared: Prepared) -> Tensor:
    """Return the input of the network for each slice, (Z, S, H, W), a view of the masked scan."""
    lung = run.pipeline.region_map(run.recipe.input.mask, prepared)
    assert lung is not None  # noqa: S101
    masked = np.where(read_map(lung), prepared.image[0], np.float32(FILL_HU))
    margin = run.recipe.input.slices // 2
    padded = np.pad(masked, ((margin, margin), (0, 0), (0, 0)), mode="edge")
    return torch.from_numpy(padded).unfold(0, run.recipe.input.slices, 1).permute(0, 3, 1, 2)
