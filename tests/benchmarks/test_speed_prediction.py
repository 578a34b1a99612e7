"""The alternatives to prediction and preparation do the same work as wsseg."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.peers import slide, smp_unet
from benchmarks.speed.phantom_run import Sizes, open_run, train_run, without_cropping
from benchmarks.speed.plain_prediction import plain_predictor, slice_stacks
from benchmarks.speed.prediction import dice, predict_file
from benchmarks.speed.prepare import by_authors, by_wsseg, difference_hu
from benchmarks.speed.scan_file import write_scan
from wsseg.data.nifti import open_nifti
from wsseg.runtime.files import cache_folder

SMALL = Sizes(size=64, slices=8, width=2, epochs=1)


def test_preparation_agrees_with_that_of_the_authors(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "scan.nii.gz", 320, 24)
    assert by_wsseg(path).shape == by_authors(path).shape == (6, 256, 256)
    assert difference_hu(path) < 5


@pytest.mark.slow
def test_the_plain_predictor_agrees_with_wsseg_without_cropping_in_float32(tmp_path: Path) -> None:
    folder, case = train_run(tmp_path, SMALL)
    run = without_cropping(open_run(folder, "float32"))
    plain_predictor(run).predict(case, tmp_path / "plain.nii.gz")
    predict_file(run, case, tmp_path)
    plain, ours = (
        np.asarray(open_nifti(tmp_path / name).dataobj) > 0
        for name in ("plain.nii.gz", f"{case.name}.nii.gz")
    )
    lung = run.predict(case).masks["lung"]
    grid = run.prepare(case).grid
    inside = grid.to_file(lung)
    assert dice(ours[inside], plain[inside]) > 0.99


@pytest.mark.slow
def test_a_stack_has_the_slices_around_its_own_and_repeats_the_last_one(tmp_path: Path) -> None:
    folder, case = train_run(tmp_path, SMALL)
    stacks = slice_stacks(open_run(folder), open_run(folder).prepare(case))
    assert stacks.shape == (8, 7, 64, 64)
    assert torch.equal(stacks[3, 0], stacks[0, 3])
    assert torch.equal(stacks[0, 0], stacks[0, 3])


def test_dice_of_masks_that_share_one_of_three_voxels_is_one_half() -> None:
    """2 · 1 / (2 + 2)."""
    assert dice(np.array([True, True, False]), np.array([False, True, True])) == 0.5


def test_windows_of_a_pixelwise_network_give_the_output_for_the_full_image() -> None:
    image = torch.randn(2, 3, 16, 16)
    network = nn.Conv2d(3, 1, 1)
    with torch.inference_mode():
        assert torch.allclose(slide(network, image, 8), network(image), atol=1e-5)


def test_the_unet_of_a_peer_has_the_given_width_at_full_resolution() -> None:
    head = smp_unet(4, 7).get_submodule("segmentation_head.0")
    assert isinstance(head, nn.Conv2d)
    assert head.in_channels == 4


def test_an_empty_cache_is_removed_after_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WSSEG_CACHE")
    before = cache_folder()
    with empty_cache():
        within = cache_folder()
        assert within != before
    assert cache_folder() == before
    assert not within.exists()


def test_a_synthetic_scan_has_air_tissue_and_lung(tmp_path: Path) -> None:
    voxels = np.asarray(open_nifti(write_scan(tmp_path / "a.nii.gz", 32, 5)).dataobj)
    middle = voxels[:, :, 2]
    assert middle[0, 0] == pytest.approx(-1000, abs=100)
    assert middle[16, 16] == pytest.approx(40, abs=100)
    assert middle[10, 16] == pytest.approx(-850, abs=100)
