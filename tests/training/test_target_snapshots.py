from pathlib import Path

import pytest
import torch

from wsseg.errors import InputError
from wsseg.training.target_snapshots import FILE, keep_planes, moments, read_planes


def planes(value: int) -> dict[str, torch.Tensor]:
    return {
        "image": torch.full((2, 4, 5), -600.0),
        "region": torch.ones(2, 4, 5, dtype=torch.bool),
        "targets": torch.full((2, 1, 4, 5), value, dtype=torch.uint8),
    }


def test_start_middle_and_end_are_kept() -> None:
    assert moments(8) == {0, 4, 8}
    assert moments(1) == {0, 1}


def test_what_is_kept_is_read(tmp_path: Path) -> None:
    for epoch in (0, 4, 12):
        keep_planes(tmp_path, epoch, planes(epoch % 3))
    seen, by_epoch = read_planes(tmp_path)
    assert seen["image"].unique().tolist() == [-600]
    assert list(by_epoch) == [0, 4, 12]
    assert by_epoch[4].unique().tolist() == [1]


def test_a_new_start_forgets_what_an_earlier_one_kept(tmp_path: Path) -> None:
    keep_planes(tmp_path, 0, planes(0))
    keep_planes(tmp_path, 5, planes(1))
    keep_planes(tmp_path, 0, planes(1))
    assert list(read_planes(tmp_path)[1]) == [0]


def test_a_stage_that_does_not_guess_keeps_nothing(tmp_path: Path) -> None:
    keep_planes(tmp_path, 0, {})
    assert not (tmp_path / FILE).exists()
    assert read_planes(tmp_path) == ({}, {})


def test_a_damaged_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no tensors")
    with pytest.raises(InputError, match="damaged"):
        read_planes(tmp_path)


def test_a_run_keeps_the_targets_of_its_weak_stage(trained: Path) -> None:
    assert not (trained / "stages/infection" / FILE).exists()
    seen, by_epoch = read_planes(trained / "stages/consolidation")
    assert list(by_epoch) == [0, 6, 12]
    count = len(seen["image"])
    assert 1 <= count <= 3
    assert by_epoch[12].shape == (count, 1, 32, 32)
    assert not (by_epoch[12][:, 0] > seen["region"]).any()  # targets lie inside the region
