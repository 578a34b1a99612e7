"""Recording of a run by a tracker during training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsseg.core.tracker import TrackedRun
from wsseg.errors import one_line
from wsseg.runtime.console import Display
from wsseg.training.target_snapshots import TargetSnapshot

TARGET_RGB = (255, 140, 0)
COLOUR_NDIM = 4  # of colour slices, (N, H, W, 3)
OPACITY = 0.5  # of the targets in a picture
NOT_METRICS = ("epoch", "epochs")  # numbers of an epoch's record that are not passed on


@dataclass
class RecordByTracker:
    """Passes a run's results to a tracker; stops after the tracker's first error."""

    run: TrackedRun | None
    pictures: bool
    display: Display

    def recipe(self, text: str) -> None:
        """Record the recipe."""
        self._record(lambda run: run.recipe(text))

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Record the numbers of an epoch."""
        values = {
            f"{record['stage']}/{key}": float(value)
            for key, value in record.items()
            if isinstance(value, int | float) and key not in NOT_METRICS
        }
        self._record(lambda run: run.metrics(values, record["epoch"]))

    def warning(self, text: str, epoch: int) -> None:
        """Record a warning."""
        self._record(lambda run: run.warning(text, epoch))

    def targets(self, stage: str, epoch: int, snapshot: TargetSnapshot | None) -> None:
        """Record a picture of the targets of EM, if the tracker records pictures."""
        if snapshot is not None and self.pictures:
            picture = target_picture(snapshot)
            self._record(lambda run: run.picture(f"{stage}/targets", picture, epoch))

    def close(self) -> None:
        """Finish the record."""
        self._record(lambda run: run.close())

    def _record(self, call: Callable[[TrackedRun], None]) -> None:
        if self.run is None:
            return
        try:
            call(self.run)
        except Exception as error:  # noqa: BLE001 - a tracker may raise anything
            self.display.warn(f"the tracker failed; the run is not recorded ({one_line(error)})")
            self.run = None


def target_picture(snapshot: TargetSnapshot) -> NDArray[np.uint8]:
    """Return the slices of a snapshot side by side, (H, N * W, 3), with tinted targets."""
    image, targets = snapshot.image.float().cpu(), snapshot.targets.cpu()
    low, high = image.min(), image.max()
    scaled = 255 * (image - low) / (high - low).clamp(min=1e-6)
    colours = scaled if scaled.ndim == COLOUR_NDIM else scaled[..., None].expand(-1, -1, -1, 3)
    tinted = (1 - OPACITY) * colours + OPACITY * torch.tensor(TARGET_RGB)
    marked = (targets.amax(1) > 0)[..., None]
    slices = torch.where(marked, tinted, colours).round().to(torch.uint8)
    return np.concatenate(list(slices.numpy()), axis=1)
