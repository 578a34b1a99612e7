from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsseg import InputError
from wsseg.data.split import by_fold
from wsseg.tools import read_case, read_case_mask
from wsseg_glioma.lgg import LggFlair

REAL = Path(__file__).resolve().parents[3] / "../shared/data/lgg-flair/lgg_flair_80.npz"
PATIENTS = np.array(["TCGA_CS_1_19970222", "TCGA_DU_2_19960513"])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def arrays() -> dict[str, NDArray[Any]]:
    """Return two patients with three shuffled slices of 4 x 5 pixels of value 10 z + index."""
    number = np.array([2, 0, 1, 1, 0, 2], np.int16)
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    mask = np.zeros((6, 4, 5), np.uint8)
    mask[3, 1, 2] = 1  # slice 1 of the first patient
    return {
        "flair": pixels + 10 * number.astype(np.uint8)[:, None, None],
        "mask": mask,
        "patient": PATIENTS[[1, 0, 1, 0, 1, 0]],
        "slice": number + 1,
    }


def cohort(folder: Path, **changes: NDArray[Any]) -> LggFlair:
    content: dict[str, Any] = arrays() | changes
    np.savez(folder / "lgg.npz", **content)
    return LggFlair(path=folder / "lgg.npz")


def test_each_patient_is_a_case_with_sorted_slices(tmp_path: Path) -> None:
    cases = cohort(tmp_path).cases()
    assert [case.name for case in cases] == [case.patient for case in cases] == PATIENTS.tolist()
    assert [case.site for case in cases] == ["CS", "DU"]
    for case in cases:
        assert read_case(case).channel()[:, 0, 0].tolist() == [0, 10, 20]


def test_slices_and_masks_are_read_upright(tmp_path: Path) -> None:
    case = cohort(tmp_path).cases()[0]
    volume = read_case(case)
    assert np.array_equal(volume.channel()[1], np.arange(20).reshape(4, 5) + 10)
    assert volume.spacing_mm == (5, 1.875, 1.875)
    assert np.argwhere(read_case_mask(case, "tumour", volume.grid)).tolist() == [[1, 1, 2]]


def test_a_slice_has_the_tag_if_its_mask_has_a_pixel(tmp_path: Path) -> None:
    first, second = cohort(tmp_path).cases()
    assert [first.tag("tumour", z) for z in range(3)] == [False, True, False]
    assert [second.tag("tumour", z) for z in range(3)] == [False, False, False]
    assert not first.tags  # there are no tags of the patient


def test_files_are_written_once(tmp_path: Path, cache: Path) -> None:
    found = cohort(tmp_path)
    image = found.cases()[0].image
    state = image.stat().st_mtime_ns
    assert found.cases()[0].image.stat().st_mtime_ns == state
    assert cache in image.parents


def test_a_file_with_other_content_gives_other_images(tmp_path: Path) -> None:
    image = cohort(tmp_path).cases()[0].image
    assert cohort(tmp_path, mask=np.ones((6, 4, 5), np.uint8)).cases()[0].image != image


def test_folds_do_not_split_a_patient(tmp_path: Path) -> None:
    split = by_fold(cohort(tmp_path).cases(), 0, 2)
    assert {case.patient for case in split.train} ^ {case.patient for case in split.test} == {
        *PATIENTS.tolist()
    }


def test_a_missing_file_is_reported_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lgg.npz: file not found.*\n?.*kaggle"):
        LggFlair(path=tmp_path / "lgg.npz").cases()


def test_a_file_that_is_not_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lgg.npz").write_bytes(b"PK no zip at all")
    with pytest.raises(InputError, match=r"lgg.npz: cannot be read as .npz"):
        LggFlair(path=tmp_path / "lgg.npz").cases()


def test_objects_are_not_unpickled(tmp_path: Path, cache: Path) -> None:
    harmful = np.array([object()] * 6, dtype=object)
    with pytest.raises(InputError, match=r"lgg.npz: cannot be read as .npz \(Object arrays"):
        cohort(tmp_path, patient=harmful).cases()
    assert not any((cache / "lgg-flair").rglob("*"))


@pytest.mark.parametrize("name", ["flair", "mask", "patient", "slice"])
def test_arrays_with_mismatched_shapes_are_refused(tmp_path: Path, name: str) -> None:
    array = arrays()[name]
    with pytest.raises(InputError, match="the shapes of its arrays do not match"):
        cohort(tmp_path, **{name: array[1:]}).cases()
    with pytest.raises(InputError, match="the shapes of its arrays do not match"):
        cohort(tmp_path, **{name: array[..., None]}).cases()


def test_a_missing_array_is_reported_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "lgg.npz", flair=np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(InputError, match="no array is called 'mask'; needed: flair, mask, patient"):
        LggFlair(path=tmp_path / "lgg.npz").cases()


@pytest.mark.skipif(not REAL.is_file(), reason="needs ../shared/data")
def test_the_tags_of_real_slices_agree_with_their_masks() -> None:
    cases = LggFlair(path=REAL).cases()
    tags = [tag["tumour"] for case in cases for tag in case.slice_tags.values()]
    assert (len(cases), len(tags), sum(map(bool, tags))) == (80, 2866, 1035)
    for case in cases[::16]:
        volume = read_case(case)
        mask = read_case_mask(case, "tumour", volume.grid)
        assert [bool(case.tag("tumour", z)) for z in range(len(mask))] == [
            bool(plane.any()) for plane in mask
        ]
