"""Several sequences of a case are the channels of its image."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from wsseg.components.cohorts import Table
from wsseg.core.case import Case
from wsseg.core.input import Input
from wsseg.data.batches import SliceDraw, Slices, StageScan, collate
from wsseg.data.checks.geometry import geometry_findings, measure_geometry
from wsseg.data.file_digests import image_digest
from wsseg.data.prepare import prepare
from wsseg.data.reading import read_case, read_case_grid
from wsseg.errors import InputError

AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])  # the axes of the file are those of (Z, H, W)


def save(path: Path, canonical: NDArray[np.int16], affine: NDArray[np.float64] = AFFINE) -> Path:
    """Write voxels (Z, H, W)."""
    nib.save(nib.Nifti1Image(canonical.transpose(2, 1, 0), affine), path)
    return path


def ramp(columns: int = 4) -> NDArray[np.int16]:
    """Return two slices whose values are 10 times the number of the column."""
    return np.broadcast_to(10 * np.arange(columns, dtype=np.int16), (2, 4, columns))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    first = save(tmp_path / "t1.nii", ramp())
    images = {"t1": first, "flair": save(tmp_path / "flair.nii", ramp() + np.int16(100))}
    return Case("a", "a", first, images=images)


def test_each_sequence_is_a_channel_in_the_order_of_the_columns(tmp_path: Path, case: Case) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text("case,image.t1,image.flair\na,t1.nii,flair.nii\n")
    [read] = Table(path=table).cases()
    assert read == case
    volume = read_case(read)
    assert volume.channels == ("t1", "flair")
    assert volume.voxels.shape == (2, 2, 4, 4)
    assert (volume.channel("flair") == volume.channel("t1") + 100).all()
    with pytest.raises(InputError, match="2 channels, t1, flair; choose one"):
        volume.channel()
    with pytest.raises(InputError, match=r"no channel 'flare'; possible: flair, t1. Did you mean"):
        volume.channel("flare")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("case,image,image.t1\na,t1.nii,t1.nii\n", "a column image and a column image.t1"),
        ("case,patient\na,a\n", "no column is called 'image'"),
        ("case,image.t1,image.flair\na,t1.nii,\n", "image.flair: is empty"),
    ],
)
def test_a_table_has_one_image_or_all_sequences_of_each_case(
    tmp_path: Path,
    case: Case,  # noqa: ARG001 - its files
    text: str,
    problem: str,
) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=problem):
        Table(path=table).cases()


def test_a_sequence_on_another_grid_is_interpolated_linearly(tmp_path: Path, case: Case) -> None:
    """Its columns are 2 mm apart and start at column 0 of the first one: value 10 per 2 mm."""
    coarse = save(tmp_path / "coarse.nii", ramp(3), np.diag([-2.0, -1.0, 2.0, 1.0]))
    other = Case("a", "a", case.image, images={"t1": case.image, "flair": coarse})
    found = read_case(other).channel("flair")
    assert found[0, 0].tolist() == [0, 5, 10, 15]
    grid = read_case_grid(other)
    [finding] = [
        each
        for each in geometry_findings(other, measure_geometry(other, grid))
        if each.name == "resampled"
    ]
    assert "sequence flair is on another grid than t1" in finding.what
    assert measure_geometry(case, read_case_grid(case)).other_grids == ()


def test_channels_are_selected_and_ordered_by_the_input(case: Case) -> None:
    both = prepare(case, Input(size=4, slices=1))
    assert (both.channels, both.image.shape) == (("t1", "flair"), (2, 2, 4, 4))
    swapped = prepare(case, Input(size=4, slices=1, channels=("flair", "t1")))
    assert np.array_equal(swapped.image[::-1], both.image)
    one = prepare(case, Input(size=4, slices=1, channels=("flair",)))
    assert np.array_equal(one.image, both.image[1:])
    with pytest.raises(InputError, match=r"case a: its image has no channel 't2'"):
        prepare(case, Input(channels=("t2",)))
    with pytest.raises(InputError, match=r"input.offset has 3 entries, .* 2 channels: t1, flair"):
        prepare(case, Input(offset=(1, 2, 3)))


def test_the_digest_of_an_image_covers_all_sequences(tmp_path: Path, case: Case) -> None:
    before = image_digest(case)
    save(tmp_path / "flair.nii", ramp() + np.int16(101))
    assert image_digest(case) != before


def test_a_batch_has_the_slices_of_each_channel_together() -> None:
    """Slice z of channel c is 10 c + z everywhere."""
    image = 10 * np.arange(2)[:, None, None, None] + np.arange(3)[:, None, None]
    voxels = (image + np.zeros((2, 3, 4, 5))).astype(np.int16)
    scan = StageScan(
        "a", voxels, None, None, np.ones((3, 1), np.bool_), (0, 1, 2), channels=("t1", "flair")
    )
    sample = Slices([scan], Input(slices=3, size=4, fill=0))[SliceDraw(0, 1)]
    assert sample.image[0, 0].tolist() == [0, 1, 2, 10, 11, 12]
    batch, _ = collate([sample])
    assert batch.image.shape == (1, 2, 3, 4, 5)
    assert batch.image[0, :, :, 0, 0].tolist() == [[0, 1, 2], [10, 11, 12]]
    assert batch.middle[0, :, 0, 0].tolist() == [1, 11]
    assert batch.channel("flair")[0, :, 0, 0].tolist() == [11]
    with pytest.raises(InputError, match="choose one"):
        batch.channel()


def test_each_channel_has_its_own_fill() -> None:
    """Outside the mask, and where a rotation moves in what lies beyond the border."""
    voxels = np.stack([np.full((1, 4, 4), 5), np.full((1, 4, 4), 7)]).astype(np.int16)
    inside = np.ones((1, 4, 4), np.uint8)
    inside[0, 0, 0] = 0
    scan = StageScan(
        "a", voxels, inside, None, np.ones((1, 1), np.bool_), (0,), channels=("t1", "flair")
    )
    own = Slices([scan], Input(slices=1, size=4, fill=(-1, -2)))[SliceDraw(0, 0)]
    assert own.image[0, 0].tolist() == [-1, -2]
    assert own.image[1, 1].tolist() == [5, 7]
