"""Cases made from arrays: what is written into the cache is what is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsseg import Case, Grid, InputError, Volume
from wsseg.tools import ArrayCase, cached_cases, read_case, read_case_mask

SHAPE = (2, 3, 4)  # (Z, H, W)
UPRIGHT = np.diag([-2.0, -3.0, 5.0, 1.0])  # columns to the left, rows to the back, slices up
SAGITTAL = np.array([[0, 0, 2, 0], [-3, 0, 0, 0], [0, -5, 0, 0], [0, 0, 0, 1.0]])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def scan(**changes: Any) -> ArrayCase:
    """Return a case whose voxel (z, y, x) has the value 100 z + 10 y + x."""
    z, y, x = np.indices(SHAPE)
    grid = Grid((4, 3, 2), UPRIGHT)
    defaults: dict[str, Any] = {"name": "a", "volume": Volume((100 * z + 10 * y + x)[None], grid)}
    return ArrayCase(**defaults | changes)


def written(*scans: ArrayCase) -> list[Case]:
    return cached_cases("test", "key", lambda: scans)


@pytest.mark.parametrize(
    "grid", [Grid((4, 3, 2), UPRIGHT), Grid((3, 2, 4), SAGITTAL)], ids=["upright", "sagittal"]
)
def test_arrays_are_read_back_with_their_voxels_masks_and_spacing(grid: Grid) -> None:
    voxels = scan().volume.channel()
    mask = voxels == 112
    [case] = written(scan(volume=Volume(voxels[None], grid), masks={"tumour": mask}))
    volume = read_case(case)
    assert volume.channel().dtype == np.int16
    assert np.array_equal(volume.channel(), voxels)
    assert volume.spacing_mm == grid.spacing_mm == (5, 3, 2)
    assert np.argwhere(read_case_mask(case, "tumour", volume.grid)).tolist() == [[1, 1, 2]]


@pytest.mark.parametrize(
    ("value", "kind"), [(0.5, np.float32), (32768.0, np.float32), (-32768.0, np.int16)]
)
def test_values_that_int16_would_change_are_kept_as_float32(value: float, kind: type) -> None:
    volume = Volume(np.full(SHAPE, value)[None], Grid((4, 3, 2), UPRIGHT))
    [case] = written(scan(volume=volume))
    voxels = read_case(case).channel()
    assert voxels.dtype == kind
    assert (voxels == value).all()


def test_the_metadata_of_a_case_are_read_back() -> None:
    known = scan(
        patient="p", site="north", split="val", tags={"tumour": True, "cyst": None, "scar": False}
    )
    first, second = written(known, scan(name="b", slice_tags={1: {"tumour": False}}))
    assert (first.patient, first.site, first.split) == ("p", "north", "val")
    assert [first.tag(name, 0) for name in ("tumour", "cyst", "scar")] == [True, None, False]
    assert (second.name, second.patient, second.site, second.split) == ("b", "b", "", "")
    assert [second.tag("tumour", z) for z in range(2)] == [None, False]


def test_slice_tags_follow_the_slices_of_a_file_in_descending_order() -> None:
    grid = Grid((4, 3, 2), np.diag([-2.0, -3.0, -5.0, 1.0]))
    [case] = written(scan(volume=Volume(scan().volume.voxels, grid), slice_tags={0: {"t": True}}))
    volume = read_case(case)
    tags = [case.tag("t", volume.grid.slice_in_file(z)) for z in range(2)]
    assert tags == [True, None]


def test_files_of_cases_and_masks_with_similar_names_are_different() -> None:
    mask = np.ones(SHAPE, np.bool_)
    masked = scan(name="a", masks={"b": mask, "image": ~mask})
    first, second = written(masked, scan(name="a-b"))
    assert len({first.image, second.image, *first.masks.values()}) == 4


def test_arrays_are_made_and_written_once(cache: Path) -> None:
    made = []

    def arrays() -> Iterator[ArrayCase]:
        made.append(1)
        yield scan()

    assert cached_cases("test", {"v": 1}, arrays) == cached_cases("test", {"v": 1}, arrays)
    assert len(made) == 1
    [case] = cached_cases("test", {"v": 2}, arrays)
    assert len(made) == 2
    assert cache / "test" in case.image.parents


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a/b"}, "'a/b' cannot be used in a file name"),
        ({"masks": {"a:b": np.ones(SHAPE, np.bool_)}}, "'a:b' cannot be used in a file name"),
        ({"split": "tset"}, "case a: unknown split 'tset'.*test"),
        ({"masks": {"m": np.ones((2, 4, 3), np.bool_)}}, r"mask m has shape \(2, 4, 3\), but the"),
        ({"masks": {"m": np.ones(SHAPE)}}, "mask m has type float64; use bool"),
        ({"slice_tags": {2: {"t": True}}}, "slice_tags has slice 2; possible: 0 to 1"),
        (
            {"volume": Volume(np.ones(SHAPE)[None], Grid((2, 3, 4), UPRIGHT))},
            r"the image has shape",
        ),
        ({"volume": Volume(np.ones(SHAPE)[None], Grid((4, 3, 2), UPRIGHT, "LPS"))}, "grid.axes"),
    ],
)
def test_an_invalid_case_is_refused_and_nothing_is_written(
    cache: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        written(scan(name="first"), scan(**changes))
    assert not any((cache / "test").iterdir())


def test_cases_that_contradict_each_other_are_refused(cache: Path) -> None:
    with pytest.raises(InputError, match="case a appears twice"):
        written(scan(), scan())
    with pytest.raises(InputError, match="patient p is in the splits test and train"):
        written(scan(patient="p", split="test"), scan(name="b", patient="p", split="train"))
    with pytest.raises(InputError, match="the cohort has no cases"):
        written()
    assert not any((cache / "test").iterdir())
