import numpy as np
import pytest
import torch

from wsseg.report.figures.em_targets import target_row
from wsseg.training.target_snapshots import TargetSnapshot


def test_the_targets_have_a_panel_per_slice_and_epoch_with_their_share_of_the_region() -> None:
    region = torch.zeros(2, 40, 30)
    region[:, 10:20, 10:20] = 1
    half, nothing = region.clone(), torch.zeros_like(region)
    half[:, 15:] = 0
    row = target_row(
        "em, stage two",
        "consolidation",
        {
            epoch: TargetSnapshot(torch.zeros(2, 40, 30), region, targets[:, None])
            for epoch, targets in {0: region, 4: half, 8: nothing}.items()
        },
        window=(-1, 1),
    )
    captions = ["start: 100 %", "epoch 4: 50 %", "epoch 8: 0 %"]
    assert [panel.caption for panel in row.panels] == 2 * captions
    assert row.classes == ["consolidation"]
    assert [panel.masks["consolidation"].sum() for panel in row.panels[:3]] == [100, 50, 0]
    assert all(panel.region is not None and panel.region.sum() == 100 for panel in row.panels)


@pytest.mark.filterwarnings("error")
def test_targets_in_an_empty_region_are_0_percent() -> None:
    empty = torch.zeros(1, 8, 8)
    row = target_row("em", "x", {0: TargetSnapshot(empty, empty, empty[:, None])}, None)
    assert [panel.caption for panel in row.panels] == ["start: 0 %"]
    assert not np.any(row.panels[0].masks["x"])
