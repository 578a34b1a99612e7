"""Probabilities of pixels and of cases."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from wsseg.data.nifti import open_nifti, write_nifti_shares
from wsseg.evaluation.rows import read_rows

if TYPE_CHECKING:
    from tests.conftest import Wsseg


def test_probabilities_agree_with_the_mask_and_are_0_outside_the_region(
    wsseg: "Wsseg", trained: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    scans = [toy_cohort.parent / f"{number}-image.nii.gz" for number in (6, 7)]
    ended = wsseg("predict", trained, *scans, "--out", tmp_path, "--probabilities")
    assert ended.code == 0, ended.err
    rows = read_rows(tmp_path / "scores.csv")
    for scan, (_, row) in zip(scans, rows.iterrows(), strict=True):
        case = scan.name.removesuffix(".nii.gz")
        mask = np.asarray(open_nifti(tmp_path / scan.name).dataobj)
        shares = {}
        for label in ("1-infection", "2-consolidation"):
            image = open_nifti(tmp_path / "probabilities" / f"{case}.{label}.nii.gz")
            assert np.array_equal(image.affine, open_nifti(scan).affine)
            assert image.get_data_dtype() == np.uint16
            shares[label.partition("-")[2]] = image.get_fdata()
        infection, consolidation = shares["infection"], shares["consolidation"]
        assert infection.shape == mask.shape
        assert 0 <= infection.min() <= infection.max() <= 1
        # they differ at borders: a mask is interpolated after the decision
        assert ((infection >= 0.5) == (mask > 0)).mean() > 0.97
        assert ((consolidation >= 0.5) == (mask == 2)).mean() > 0.97
        assert (consolidation[infection < 0.1] < 0.5).all()
        for name, share in shares.items():
            assert share.max() <= row[f"{name}_probability"] + 1e-4 <= 1.001


def test_probabilities_do_not_change_masks_and_are_written_for_masks_that_exist(
    wsseg: "Wsseg", trained: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    scan = toy_cohort.parent / "6-image.nii.gz"
    assert wsseg("predict", trained, scan, "--out", tmp_path).code == 0
    before = (tmp_path / scan.name).read_bytes()
    assert not (tmp_path / "probabilities").exists()
    assert "infection_probability" not in read_rows(tmp_path / "scores.csv")
    assert wsseg("predict", trained, scan, "--out", tmp_path, "--probabilities").code == 0
    assert (tmp_path / scan.name).read_bytes() == before
    assert len(list((tmp_path / "probabilities").iterdir())) == 2
    assert "infection_probability" in read_rows(tmp_path / "scores.csv")


def test_shares_are_read_by_nibabel_with_an_error_below_a_half_step(tmp_path: Path) -> None:
    shares = np.array([0, 1e-5, 0.25, 1 / 3, 0.5, 1], np.float32).reshape(1, 2, 3)
    write_nifti_shares(tmp_path / "a.nii.gz", shares, np.diag([2.0, 2.0, 5.0, 1.0]))
    found = open_nifti(tmp_path / "a.nii.gz").get_fdata()
    assert found == pytest.approx(shares, abs=0.51 / 2**15)
    assert (found[0, 0, 0], found[0, 1, 1], found[0, 1, 2]) == (0, 0.5, 1)


def test_shares_are_read_by_itk_with_their_scale(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    shares = np.array([0, 0.25, 0.5, 1], np.float32).reshape(1, 2, 2)
    write_nifti_shares(tmp_path / "a.nii.gz", shares, np.diag([2.0, 2.0, 5.0, 1.0]))
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nii.gz")))
    assert sorted(found.flatten()) == [0, 0.25, 0.5, 1]
