"""Row of pictures of the targets of the E-step in a few training slices, by epoch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wsseg.report.figures.panels import Panel, PanelRow
from wsseg.report.formatting import percent

if TYPE_CHECKING:
    from wsseg.training.target_snapshots import TargetSnapshot


def target_row(
    heading: str,
    target: str,
    snapshots: Mapping[int, "TargetSnapshot"],
    window: tuple[float, float] | None,
) -> PanelRow:
    """Return a panel for each slice and epoch; a slice's epochs follow each other.

    The caption of a panel has the share of the region that the targets mark.

    Args:
        heading: The heading of the row.
        target: The class of the targets that are shown, the last one of the snapshots.
        snapshots: The targets of N slices, by epoch; 0 is before the first.
        window: The values of black and white; None: percentiles 1 and 99.
    """
    panels = []
    for number in range(max((len(each.image) for each in snapshots.values()), default=0)):
        for epoch, snapshot in snapshots.items():
            region = snapshot.region[number].numpy() > 0
            mask = snapshot.targets[number, -1].numpy() > 0
            share = mask.sum() / max(1, region.sum())
            when = f"epoch {epoch}" if epoch else "start"
            image = snapshot.image[number].float().numpy()
            panels.append(Panel(f"{when}: {percent(share)}", image, {target: mask}, region))
    return PanelRow(heading, panels, window)
