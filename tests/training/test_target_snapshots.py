"""Snapshots of EM's targets during a stage."""

from pathlib import Path

import pytest
import torch

from wsseg.errors import InputError
from wsseg.inference.folders import RunFolder, StageFolder
from wsseg.training.target_snapshots import (
    TargetSnapshot,
    load_snapshots,
    save_snapshot,
    snapshot_epochs,
)

IMAGE = torch.arange(40.0).reshape(2, 4, 5) - 600
REGION = torch.arange(40).reshape(2, 4, 5) % 3 > 0


def snapshot(targets: torch.Tensor) -> TargetSnapshot:
    return TargetSnapshot(IMAGE, REGION, targets)


def test_a_stage_keeps_snapshots_of_its_start_middle_and_end() -> None:
    assert snapshot_epochs(8) == {0, 4, 8}
    assert snapshot_epochs(1) == {0, 1}


def test_snapshots_are_loaded_as_they_were_saved_in_order_of_epochs(tmp_path: Path) -> None:
    folder, generator = StageFolder(tmp_path), torch.Generator().manual_seed(0)
    saved = {
        epoch: torch.randint(2, (2, 1, 4, 5), generator=generator, dtype=torch.uint8)
        for epoch in (0, 4, 12)
    }
    for epoch, targets in saved.items():
        save_snapshot(folder, epoch, snapshot(targets))
    loaded = load_snapshots(folder)
    assert list(loaded) == [0, 4, 12]
    for epoch, targets in saved.items():
        assert torch.equal(loaded[epoch].image.float(), IMAGE)
        assert torch.equal(loaded[epoch].region.bool(), REGION)
        assert torch.equal(loaded[epoch].targets, targets)


def test_a_restarted_stage_discards_the_snapshots_of_the_earlier_attempt(tmp_path: Path) -> None:
    folder, targets = StageFolder(tmp_path), torch.zeros(2, 1, 4, 5)
    for epoch in (0, 5, 0):
        save_snapshot(folder, epoch, snapshot(targets))
    assert list(load_snapshots(folder)) == [0]


def test_a_stage_without_em_has_no_snapshots(tmp_path: Path) -> None:
    save_snapshot(StageFolder(tmp_path), 0, None)
    assert list(tmp_path.iterdir()) == []
    assert load_snapshots(StageFolder(tmp_path)) == {}


def test_a_damaged_file_of_snapshots_is_an_input_error(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    folder.target_snapshots.write_bytes(b"no tensors")
    with pytest.raises(InputError, match="damaged"):
        load_snapshots(folder)


def test_a_run_keeps_snapshots_only_of_its_em_stage(trained: Path) -> None:
    """The toy recipe has 12 epochs; three of its training cases have the tag."""
    run = RunFolder(trained)
    assert load_snapshots(run.stage("infection")) == {}
    snapshots = load_snapshots(run.stage("consolidation"))
    assert list(snapshots) == [0, 6, 12]
    last = snapshots[12]
    assert last.image.shape == last.region.shape == (3, 32, 32)
    assert last.targets.shape == (3, 1, 32, 32)
    assert last.targets.any()
    assert not (last.targets[:, 0] > last.region).any()  # targets lie inside the region
