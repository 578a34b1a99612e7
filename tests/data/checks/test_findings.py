"""Each mistake in a cohort is found, once, with its severity, case and remedy."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.data.checks.hospital import AFFINE, Hospital, found, short
from tests.data.checks.mistakes import (
    a_hundred_times,
    boxed_beyond_the_edge,
    boxed_outside,
    boxed_where_it_is_absent,
    cleared,
    copied,
    coronal,
    drawn,
    emptied,
    exchanged_classes,
    exchanged_files,
    far_apart,
    fewer,
    finer,
    graded_where_it_is_absent,
    identity,
    in_both_splits,
    labelled,
    misspelt,
    noise,
    normalised,
    padded,
    picture,
    rectangular,
    resampled_labels,
    scribbled_nothing,
    scribbled_where_it_is_absent,
    scribbled_with_another_value,
    scribbled_with_the_mask,
    shifted,
    smaller,
    thicker,
    tilted,
    truncated,
    turn,
    turned_in_one_affine,
    twice,
    untagged,
    windowed,
    without_intercept,
)
from wsseg.components.cohorts import Table
from wsseg.data.checks.findings import ACCEPTABLE
from wsseg.data.checks.run import list_cases

if TYPE_CHECKING:
    from tests.conftest import Wsseg

FOUND: Mapping[Callable[[Hospital], None], tuple[str, str, str, str]] = {
    picture: ("error", "wrong-unit", "c", "like an 8-bit picture"),
    without_intercept: ("error", "wrong-unit", "c", "without its rescale intercept"),
    normalised: ("error", "wrong-unit", "c", "normalised"),
    padded: ("warning", "padding", "c", "8.3 % of its voxels are below -1100 HU, down to -3024"),
    windowed: ("warning", "clipped", "c", "highest value, 40 HU"),
    identity: (
        "warning",
        "no-geometry",
        "c",
        "its header has no orientation, and its voxel size may be wrong",
    ),
    rectangular: ("warning", "odd-spacing", "c", "5 × 4 mm"),
    a_hundred_times: ("warning", "odd-spacing", "c", "its slices measure 0.8 × 0.96 mm"),
    far_apart: ("warning", "odd-spacing", "c", "40 mm apart"),
    coronal: ("warning", "not-axial", "c", "12 × 4 mm in slices 4 mm apart"),
    tilted: ("warning", "oblique", "c", "tilted by 29°"),
    turned_in_one_affine: ("warning", "two-affines", "c", "(sform, qform) that lie 239 mm apart"),
    shifted: ("error", "affine-shift", "c", "lies up to 3 mm from its image (more than the 0.4 mm"),
    smaller: ("error", "mask-shape", "c", "its shape is (23, 20, 6), but its image has (24"),
    labelled: ("error", "unknown-labels", "c", "has unknown labels 7"),
    resampled_labels: ("note", "rounded-labels", "c", "differ from integers by up to 0.0005"),
    emptied: ("warning", "empty-mask", "c", "mask.lung is empty (c-lung.nii.gz)"),
    cleared: ("error", "tag-contradicts-mask", "c", "tag.lesion is 1, but the mask is empty"),
    drawn: ("error", "tag-contradicts-mask", "f", "tag.lesion is 0, but the mask has 48 voxels"),
    exchanged_files: ("error", "files-swapped", "c", "c-lung.nii.gz looks like a mask, and c.nii"),
    exchanged_classes: ("error", "classes-swapped", "c", "mask.lung lies in mask.lesion"),
    copied: (
        "error",
        "duplicate-scan",
        "a, d",
        "several patients or splits (a.nii.gz, copy",
    ),
    in_both_splits: ("error", "patient-overlap", "c, g", "in the splits test and train"),
    finer: ("warning", "mixed-spacing", "", "pixels of the network's grid"),
    thicker: ("warning", "mixed-spacing", "", "slices are 5 mm apart in a, 11 mm in c"),
    fewer: ("warning", "few-positives", "", "3 of 6 training cases have lesion"),
    untagged: ("error", "no-labels", "", "none of 6 training cases is tagged with lesion"),
    scribbled_with_another_value: ("error", "wrong-scribble", "c", "has unknown labels 5"),
    scribbled_nothing: ("warning", "empty-scribble", "c", "scribble.lesion labels no pixel"),
    scribbled_where_it_is_absent: (
        "error",
        "tag-contradicts-scribble",
        "f",
        "tag.lesion is 0, but scribbles.nii.gz shows the class in slice 2",
    ),
    scribbled_with_the_mask: ("error", "scribble-is-mask", "c", "scribble.lesion and mask.lesion"),
    boxed_outside: (
        "error",
        "outside-image",
        "c",
        "box.lesion from x 30 to 34 and y 2",
    ),
    boxed_beyond_the_edge: (
        "warning",
        "beyond-image",
        "c",
        "box.lesion from x 10 to 50 and y 2",
    ),
    boxed_where_it_is_absent: (
        "error",
        "tag-contradicts-box",
        "f",
        "tag.lesion is 0, but there is",
    ),
    graded_where_it_is_absent: (
        "error",
        "tag-contradicts-share",
        "f",
        "tag.lesion is 0, but share.lesion is 0.25 to 0.5",
    ),
    truncated: ("error", "unreadable", "c", "is truncated"),
    misspelt: ("error", "wrong-row", "c", "line 4: case c, image: there is no file"),
    twice: ("error", "case-twice", "a", "two cases called a"),
}
ALONE = sorted(set(FOUND) - {identity, a_hundred_times, coronal, far_apart, misspelt, fewer},
               key=lambda harm: harm.__name__)  # fmt: skip


@pytest.mark.parametrize("harm", FOUND, ids=lambda harm: harm.__name__)
def test_each_error_is_found_with_its_severity_its_case_and_its_text(
    wsseg: "Wsseg", hospital: Hospital, harm: Callable[[Hospital], None]
) -> None:
    severity, name, case, words = FOUND[harm]
    harm(hospital)
    findings = found(wsseg, hospital)
    of_name = [each for each in findings if each["name"] == name]
    assert short(of_name) == [(severity, name, case)], findings
    assert words in of_name[0]["what"]


@pytest.mark.parametrize("harm", ALONE, ids=lambda harm: harm.__name__)
def test_one_error_causes_one_finding(
    wsseg: "Wsseg", hospital: Hospital, harm: Callable[[Hospital], None]
) -> None:
    harm(hospital)
    assert len(found(wsseg, hospital)) == 1


def test_every_acceptable_name_is_that_of_a_finding() -> None:
    elsewhere = {"constant-image", "implausible-region", "outside-region", "resampled"}
    assert set(ACCEPTABLE) - {name for _, name, _, _ in FOUND.values()} == elsewhere


def test_all_errors_are_found_in_one_run(wsseg: "Wsseg", hospital: Hospital) -> None:
    for harm in (shifted, drawn, in_both_splits):
        harm(hospital)
    hospital.change("b.nii.gz", "bee.nii.gz")
    hospital.save("a", noise(0, 256))
    names = {each["name"] for each in found(wsseg, hospital)}
    errors = {"affine-shift", "tag-contradicts-mask", "patient-overlap", "wrong-row", "wrong-unit"}
    assert errors <= names


def test_all_invalid_rows_of_a_table_are_listed(hospital: Hospital) -> None:
    hospital.change("a.nii.gz", "x.nii.gz")
    hospital.change("d-lung.nii.gz", "y.nii.gz")
    problems = [finding.what for finding in list_cases(Table(path=hospital.table)).findings]
    assert ["line 2" in problems[0], "line 5" in problems[1], len(problems)] == [True, True, 2]


@pytest.mark.parametrize(("z_mm", "findings"), [(10, 0), (10 * (1 + 1e-6), 0), (10.1, 1)])
def test_spacings_twice_as_large_are_not_mixed_whatever_the_rounding_error(
    wsseg: "Wsseg", hospital: Hospital, z_mm: float, findings: int
) -> None:
    turn(hospital, np.diag([-4.0, -4.0, z_mm, 1.0]))  # the others have 5 mm
    mixed = [each for each in found(wsseg, hospital) if each["name"] == "mixed-spacing"]
    assert len(mixed) == findings


@pytest.mark.parametrize(("z_mm", "findings"), [(15, 0), (15 * (1 + 1e-6), 0), (15.1, 1)])
def test_slices_exactly_as_far_apart_as_allowed_are_not_reported_whatever_the_rounding_error(
    wsseg: "Wsseg", hospital: Hospital, z_mm: float, findings: int
) -> None:
    turn(hospital, np.diag([-4.0, -4.0, z_mm, 1.0]))
    odd = [each for each in found(wsseg, hospital) if each["name"] == "odd-spacing"]
    assert len(odd) == findings


def test_a_tag_of_a_slice_that_contradicts_the_mask_is_found(
    wsseg: "Wsseg", hospital: Hospital
) -> None:
    rows = "a,0,0\na,1,1\na,2,1\na,3,0\nb,2,1\n"  # the lesion of each is in slices 2 and 3
    (hospital.folder / "slices.csv").write_text(f"case,slice,tag.lesion\n{rows}")
    (finding,) = found(wsseg, hospital)
    assert (finding["name"], finding["case"]) == ("tag-contradicts-mask", "a")
    assert "differ in 2 slices (1, 3)" in finding["what"]


def test_a_tag_of_a_slice_that_does_not_exist_is_found(wsseg: "Wsseg", hospital: Hospital) -> None:
    (hospital.folder / "slices.csv").write_text("case,slice,tag.lesion\na,6,0\n")
    (finding,) = found(wsseg, hospital)
    assert (finding["name"], finding["case"]) == ("stray-slice", "a")


def test_a_copy_of_a_scan_of_the_same_patient_is_only_a_warning(
    wsseg: "Wsseg", hospital: Hospital
) -> None:
    copied(hospital)
    hospital.change("patient-d", "patient-a")
    assert short(found(wsseg, hospital)) == [("warning", "duplicate-scan", "a, d")]


def test_a_mask_whose_affine_differs_by_rounding_is_not_reported(
    wsseg: "Wsseg", hospital: Hospital
) -> None:
    hospital.save("c-lung", hospital.voxels("c-lung"), AFFINE * 1.0001)
    assert found(wsseg, hospital) == []
