"""Prediction as one writes it without a framework: every slice whole, NCHW, float32."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.phantom_run import STAGE
from wsseg.core.case import Case
from wsseg.data.batches import read_map
from wsseg.data.prepare import Prepared, to_scan_grid
from wsseg.data.reading import write_mask
from wsseg.inference.run import Run

BATCH_SLICES = 8


@dataclass(frozen=True)
class Plain:
    """A run's network in plain use. The scan is prepared and written as wsseg does it."""

    run: Run
    network: nn.Module

    def predict(self, case: Case, path: Path) -> None:
        """Segment a scan, file to file."""
        with empty_cache():
            prepared = self.run.prepare(case)
            mask = to_scan_grid(prepared, self._mask(windows_of(self.run, prepared)))
            write_mask(path, mask.astype(np.uint8), prepared.grid)

    @torch.inference_mode()
    def _mask(self, windows: Tensor) -> NDArray[np.bool_]:
        """Return where the network says yes, (Z, H, W)."""
        parts = [self.network(part.contiguous()) > 0 for part in windows.split(BATCH_SLICES)]
        return torch.cat(parts)[:, 0].numpy()


def plain(run: Run) -> Plain:
    """Return a run's network as torch makes one: NCHW, float32, batch norm apart."""
    network = run.pipeline.stages[STAGE].network
    assert network is not None  # noqa: S101
    return Plain(run, deepcopy(network).to(memory_format=torch.contiguous_format).eval())


def windows_of(run: Run, prepared: Prepared) -> Tensor:
    """Return what the network sees of each slice, (Z, S, H, W), a view of the masked scan."""
    lung = run.pipeline.region_map(run.recipe.input.mask, prepared)
    assert lung is not None  # noqa: S101
    seen = np.where(read_map(lung), prepared.image, np.float32(run.recipe.input.fill))
    margin = run.recipe.input.slices // 2
    padded = np.pad(seen, ((margin, margin), (0, 0), (0, 0)), mode="edge")
    return torch.from_numpy(padded).unfold(0, run.recipe.input.slices, 1).permute(0, 3, 1, 2)
