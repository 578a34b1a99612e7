import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from wsseg import Input, InputError
from wsseg.data.prepare import prepare, prepare_mask
from wsseg.tools import read_case, read_case_mask
from wsseg_covid.medseg import MedSeg9, MedSeg100
from wsseg_ct import HounsfieldUnits

SAMPLE = Path(__file__).resolve().parents[3] / "../shared/data/medseg100-sample"
needs_sample = pytest.mark.skipif(not SAMPLE.is_dir(), reason="needs ../shared/data")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4)), path)


def slices(folder: Path) -> MedSeg100:
    """Write four slices: healthy, ground-glass, consolidation and effusion."""
    labels = np.zeros((6, 5, 4), np.uint8)
    for z, label in enumerate((0, 1, 2, 3)):
        labels[2, 1, z] = label
    save(folder / "tr_im.nii.gz", np.arange(120, dtype=np.int16).reshape(6, 5, 4) - 1000)
    save(folder / "tr_mask.nii.gz", labels)
    return MedSeg100(root=folder, neighbours=3)


def test_a_tag_is_the_presence_of_a_class_in_the_slice(tmp_path: Path) -> None:
    tags = [case.tags for case in slices(tmp_path).cases()]
    assert [tag["infection"] for tag in tags] == [False, True, True, False]
    assert [tag["ground-glass"] for tag in tags] == [False, True, False, False]
    assert [tag["consolidation"] for tag in tags] == [False, False, True, False]


def test_pleural_effusion_is_infection_if_its_label_is_among_those_of_infection(
    tmp_path: Path,
) -> None:
    cohort = slices(tmp_path).model_copy(update={"infection_labels": (1, 2, 3)})
    cases = cohort.cases()
    assert [case.tags["infection"] for case in cases] == [False, True, True, True]
    masks = [read_case_mask(case, "infection", read_case(case).grid) for case in cases]
    assert [int(mask.sum()) for mask in masks] == [0, 1, 1, 1]
    assert [case.tags["consolidation"] for case in cases] == [False, False, True, False]


def test_consecutive_slices_have_the_same_patient(tmp_path: Path) -> None:
    cases = slices(tmp_path).cases()
    assert [case.name for case in cases] == [f"slice-00{z}" for z in range(4)]
    assert [case.patient for case in cases] == ["slices-000-002"] * 3 + ["slices-003-005"]


def test_slices_and_masks_are_read_upright(tmp_path: Path) -> None:
    case = slices(tmp_path).cases()[2]
    volume = read_case(case)
    assert volume.channel().shape == (1, 5, 6)
    assert np.array_equal(volume.channel()[0], np.arange(120).reshape(6, 5, 4)[..., 2].T - 1000)
    assert np.argwhere(read_case_mask(case, "consolidation", volume.grid)).tolist() == [[0, 1, 2]]


def test_unknown_labels_are_refused(tmp_path: Path) -> None:
    cohort = slices(tmp_path)
    save(tmp_path / "tr_mask.nii.gz", np.full((6, 5, 4), 7, np.uint8))
    case = cohort.cases()[1]
    with pytest.raises(
        InputError, match=r"case slice-001: .*unknown labels 7; possible: 0, 1, 2, 3"
    ):
        read_case_mask(case, "infection", read_case(case).grid)


def test_missing_files_are_reported_with_their_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tr_im.nii.gz: .*was not found.*13521488"):
        MedSeg100(root=tmp_path).cases()
    with pytest.raises(InputError, match=r"1.nii.gz: .*was not found.*13521509"):
        MedSeg9(root=tmp_path).cases()


def test_image_and_mask_with_different_numbers_of_slices_are_refused(tmp_path: Path) -> None:
    cohort = slices(tmp_path)
    save(tmp_path / "tr_mask.nii.gz", np.zeros((6, 5, 3), np.uint8))
    with pytest.raises(InputError, match=r"has 3 slices, but tr_im.nii.gz has 4"):
        cohort.cases()


def test_medseg_9_has_nine_scans_with_four_masks_each(tmp_path: Path) -> None:
    labels = np.arange(4, dtype=np.uint8).reshape(4, 1, 1)
    for number in range(1, 10):
        save(tmp_path / "rp_im" / f"{number}.nii.gz", np.zeros((4, 1, 1), np.int16))
        save(tmp_path / "rp_msk" / f"{number}.nii.gz", labels)
        save(tmp_path / "rp_lung_msk" / f"{number}.nii.gz", np.minimum(labels, 1))
    with_effusion = MedSeg9(root=tmp_path, infection_labels=(1, 2, 3)).cases()[0]
    assert read_case_mask(with_effusion, "infection", read_case(with_effusion).grid).sum() == 3
    cases = MedSeg9(root=tmp_path).cases()
    assert [case.name for case in cases] == [f"medseg-{number}" for number in range(1, 10)]
    assert len({case.patient for case in cases}) == 9
    grid = read_case(cases[0]).grid
    counts = {name: int(read_case_mask(cases[0], name, grid).sum()) for name in cases[0].masks}
    assert counts == {"infection": 2, "ground-glass": 1, "consolidation": 1, "lung": 3}


@needs_sample
def test_real_slices_have_the_spine_at_the_bottom_and_39_tags_of_consolidation() -> None:
    cases = MedSeg100(root=Path(os.path.normpath(SAMPLE))).cases()
    assert len(cases) == 50
    assert sum(bool(case.tags["consolidation"]) for case in cases) == 39
    bone = np.stack([read_case(case).channel()[0] > 200 for case in cases[:10]])
    assert bone[:, 192:, 64:192].sum() > 3 * bone[:, :64, 64:192].sum()


@needs_sample
def test_a_real_slice_is_prepared_without_change() -> None:
    case = MedSeg100(root=SAMPLE).cases()[7]
    prepared = prepare(case, Input(slices=1, size=256, unit=HounsfieldUnits()))
    assert prepared.shape == (1, 256, 256)
    assert np.array_equal(prepared.image[0, 0], read_case(case).channel()[0])
    truth = read_case_mask(case, "consolidation", prepared.grid)
    assert np.array_equal(prepare_mask(prepared, "consolidation") > 0, truth)
