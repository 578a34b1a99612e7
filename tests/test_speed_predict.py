"""What prediction and preparation are compared with does the same work."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.peers import slide, smp_unet
from benchmarks.speed.phantom_run import Sizes, opened, trained_run, uncropped
from benchmarks.speed.plain_prediction import plain, windows_of
from benchmarks.speed.prediction import dice, predict_file
from benchmarks.speed.prepare import by_authors, by_wsseg, difference_hu
from benchmarks.speed.scan_file import write_scan
from wsseg.data.nifti import open_nifti
from wsseg.runtime.files import cache_folder

SMALL = Sizes(size=64, slices=8, width=2, epochs=1)


def test_preparation_agrees_with_the_authors_way(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "scan.nii.gz", 320, 24)
    assert by_wsseg(path).shape == by_authors(path).shape == (6, 256, 256)
    assert difference_hu(path) < 5


def test_plain_use_gives_the_mask_that_wsseg_gives_uncropped_in_float32(tmp_path: Path) -> None:
    folder, case = trained_run(tmp_path, SMALL)
    run = uncropped(opened(folder, "float32"))
    plain(run).predict(case, tmp_path / "plain.nii.gz")
    predict_file(run, case, tmp_path)
    theirs, ours = (
        np.asarray(open_nifti(tmp_path / name).dataobj) > 0
        for name in ("plain.nii.gz", f"{case.name}.nii.gz")
    )
    lung = run.predict(case).masks["lung"]
    grid = run.prepare(case).grid
    inside = grid.to_file(lung)
    assert dice(ours[inside], theirs[inside]) > 0.99


def test_a_window_has_the_slices_around_its_own(tmp_path: Path) -> None:
    folder, case = trained_run(tmp_path, SMALL)
    windows = windows_of(opened(folder), opened(folder).prepare(case))
    assert windows.shape == (8, 7, 64, 64)
    assert torch.equal(windows[3, 0], windows[0, 3])
    assert torch.equal(windows[0, 0], windows[0, 3])


def test_dice_of_masks_that_share_one_of_three_voxels() -> None:
    """2 · 1 / (2 + 2)."""
    assert dice(np.array([True, True, False]), np.array([False, True, True])) == 0.5


def test_windows_of_a_pixelwise_network_join_to_its_whole_output() -> None:
    image = torch.randn(2, 3, 16, 16)
    network = nn.Conv2d(3, 1, 1)
    with torch.inference_mode():
        assert torch.allclose(slide(network, image, 8), network(image), atol=1e-5)


def test_a_peers_network_ends_as_wide_as_ours() -> None:
    head = smp_unet(4, 7).get_submodule("segmentation_head.0")
    assert isinstance(head, nn.Conv2d)
    assert head.in_channels == 4


def test_an_empty_cache_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WSSEG_CACHE")
    before = cache_folder()
    with empty_cache():
        within = cache_folder()
        assert within != before
    assert cache_folder() == before
    assert not within.exists()


def test_a_scan_file_has_air_tissue_and_lung(tmp_path: Path) -> None:
    voxels = np.asarray(open_nifti(write_scan(tmp_path / "a.nii.gz", 32, 5)).dataobj)
    middle = voxels[:, :, 2]
    assert middle[0, 0] == pytest.approx(-1000, abs=100)
    assert middle[16, 16] == pytest.approx(40, abs=100)
    assert middle[10, 16] == pytest.approx(-850, abs=100)
