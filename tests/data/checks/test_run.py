"""`wsseg data check` finds all errors of a cohort, and none in a cohort without any."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from wsseg.components.cohorts import Table
from wsseg.config.recipe_files import load_recipe
from wsseg.core.case import Case
from wsseg.data.checks.findings import ACCEPTABLE, case_with_accepted
from wsseg.data.checks.measurements import CaseFacts, measure_case
from wsseg.data.checks.run import list_cases
from wsseg.data.checks.value_range import value_range
from wsseg.data.reading import read_case_grid, read_case_mask
from wsseg.runtime.console import SilentDisplay
from wsseg.training.preflight import collect_findings
from wsseg.training.run import split_of

if TYPE_CHECKING:
    from tests.conftest import Wsseg

SHARED = Path(__file__).resolve().parents[3] / "../shared/data"
AFFINE = np.diag([-4.0, -4.0, 5.0, 1.0])
SHAPE = (24, 20, 6)

Array = NDArray[Any]


@dataclass(frozen=True)
class Hospital:
    """Seven CT scans in a folder, `a` to `g`; `f` has no lesion, and `g` is a test case."""

    folder: Path

    @property
    def table(self) -> Path:
        return self.folder / "cohort.csv"

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.nii.gz"

    def voxels(self, name: str) -> Array:
        return np.asarray(nib.Nifti1Image.from_filename(self.file(name)).dataobj)

    def save(self, name: str, voxels: Array, affine: Array = AFFINE) -> None:
        nib.save(nib.Nifti1Image(voxels, affine), self.file(name))

    def change(self, old: str, new: str) -> None:
        text = self.table.read_text()
        assert old in text
        self.table.write_text(text.replace(old, new, 1))


@pytest.fixture
def hospital(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    made = Hospital(tmp_path / "hospital")
    made.folder.mkdir()
    lines = ["case,patient,split,image,mask.lung,mask.lesion,tag.lesion"]
    for number, name in enumerate("abcdefg"):
        voxels = np.random.default_rng(number).normal(0, 60, SHAPE)
        lung, lesion = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
        lung[4:20, 4:16, 1:] = 1
        lesion[8:12, 6:12, 2:4] = name != "f"
        voxels += np.where(lung > lesion, -850, 0)
        made.save(f"{name}", np.rint(voxels).astype(np.int16))
        made.save(f"{name}-lung", lung)
        made.save(f"{name}-lesion", lesion)
        split, tag = "test" if name == "g" else "train", int(name != "f")
        files = f"{name}.nii.gz,{name}-lung.nii.gz,{name}-lesion.nii.gz"
        lines.append(f"{name},patient-{name},{split},{files},{tag}")
    made.table.write_text("\n".join(lines) + "\n")
    return made


def found(wsseg: "Wsseg", hospital: Hospital, *words: object) -> list[dict[str, str]]:
    """Return the findings of the command, whose exit code is 1 if one of them is an error."""
    ended = wsseg("data", "check", hospital.table, "--unit", "HU", "--json", *words)
    findings: list[dict[str, str]] = json.loads(ended.out)["findings"]
    assert ended.code == int(any(each["severity"] == "error" for each in findings)), ended.err
    assert all(each["what"] and each["remedy"] for each in findings)
    return findings


def short(findings: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(each["severity"], each["name"], each["case"]) for each in findings]


def test_nothing_is_found_in_a_cohort_without_errors(wsseg: "Wsseg", hospital: Hospital) -> None:
    for cohort in (hospital.table, hospital.folder):
        ended = wsseg("data", "check", cohort, "--unit", "HU")
        assert ended.code == 0
        assert ended.out == "7 scans: nothing found\n"


def noise(low: float, high: float) -> Array:
    return np.random.default_rng(9).integers(int(low), int(high), SHAPE).astype(np.int16)


def picture(h: Hospital) -> None:
    h.save("c", noise(0, 256))


def without_intercept(h: Hospital) -> None:
    h.save("c", (h.voxels("c") + 1024).astype(np.int16))


def normalised(h: Hospital) -> None:
    h.save("c", (h.voxels("c") / 1000).astype(np.float32))


def padded(h: Hospital) -> None:
    voxels = h.voxels("c").copy()
    voxels[:2] = -3024
    h.save("c", voxels)


def windowed(h: Hospital) -> None:
    h.save("c", h.voxels("c").clip(-1000, 40))


def identity(h: Hospital) -> None:
    h.save("c", h.voxels("c"), np.eye(4))


def rectangular(h: Hospital) -> None:
    turn(h, np.diag([-4.0, -5.0, 5.0, 1.0]))


def a_hundred_times(h: Hospital) -> None:
    turn(h, np.diag([-0.04, -0.04, 0.05, 1.0]))


def far_apart(h: Hospital) -> None:
    turn(h, np.diag([-4.0, -4.0, 40.0, 1.0]))


def coronal(h: Hospital) -> None:
    turn(h, np.diag([-4.0, -12.0, 4.0, 1.0]))


def tilted(h: Hospital) -> None:
    c, s = np.cos(0.5), np.sin(0.5)
    turn(h, np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]]) @ AFFINE)


def turn(h: Hospital, affine: Array) -> None:
    """Give a case's image and masks another affine."""
    for name in ("c", "c-lung", "c-lesion"):
        h.save(name, h.voxels(name), affine)


def turned_in_one_affine(h: Hospital) -> None:
    """Flip x and y of the qform: a corner is then sqrt(184² + 152²) mm away."""
    image = nib.Nifti1Image(h.voxels("c"), AFFINE)
    image.set_qform(np.diag([4.0, 4.0, 5.0, 1.0]), code="scanner")
    nib.save(image, h.file("c"))


def shifted(h: Hospital) -> None:
    affine = AFFINE.copy()
    affine[0, 3] = 3
    h.save("c-lesion", h.voxels("c-lesion"), affine)


def smaller(h: Hospital) -> None:
    h.save("c-lesion", h.voxels("c-lesion")[1:])


def labelled(h: Hospital) -> None:
    h.save("c-lesion", h.voxels("c-lesion") * 7)


def resampled_labels(h: Hospital) -> None:
    h.save("c-lesion", h.voxels("c-lesion") * np.float32(0.9995))


def emptied(h: Hospital) -> None:
    h.save("c-lung", h.voxels("c-lung") * 0)


def cleared(h: Hospital) -> None:
    h.save("c-lesion", h.voxels("c-lesion") * 0)


def drawn(h: Hospital) -> None:
    h.save("f-lesion", h.voxels("c-lesion"))


def exchanged_files(h: Hospital) -> None:
    h.change("c.nii.gz,c-lung.nii.gz", "c-lung.nii.gz,c.nii.gz")


def exchanged_classes(h: Hospital) -> None:
    h.change("c-lung.nii.gz,c-lesion.nii.gz", "c-lesion.nii.gz,c-lung.nii.gz")


def copied(h: Hospital) -> None:
    """Use the same scan in another file: not compressed, with another orientation."""
    image = nib.Nifti1Image.from_filename(h.file("a"))
    turned = image.as_reoriented(nib.orientations.axcodes2ornt("PRI"))
    nib.save(turned, h.folder / "copy.nii")
    h.change("d.nii.gz", "copy.nii")


def in_both_splits(h: Hospital) -> None:
    h.change("patient-g", "patient-c")


def finer(h: Hospital) -> None:
    h.save("c", h.voxels("c"), np.diag([-1.5, -1.5, 5.0, 1.0]))
    for name in ("c-lung", "c-lesion"):
        h.save(name, h.voxels(name), np.diag([-1.5, -1.5, 5.0, 1.0]))


def thicker(h: Hospital) -> None:
    turn(h, np.diag([-4.0, -4.0, 11.0, 1.0]))


def fewer(h: Hospital) -> None:
    for name in "ab":
        h.change(f"{name}-lesion.nii.gz,1", ",0")


def untagged(h: Hospital) -> None:
    h.table.write_text(h.table.read_text().replace(".nii.gz,1\n", ".nii.gz,\n"))
    h.change("f-lesion.nii.gz,0", "f-lesion.nii.gz,")
    h.change("f-lesion.nii.gz", "")


def truncated(h: Hospital) -> None:
    data = h.file("c").read_bytes()
    h.file("c").write_bytes(data[: len(data) // 2])


def misspelt(h: Hospital) -> None:
    h.change("c.nii.gz", "see.nii.gz")


def twice(h: Hospital) -> None:
    h.change("b,patient-b", "a,patient-b")


FOUND: Mapping[Callable[[Hospital], None], tuple[str, str, str, str]] = {
    picture: ("error", "wrong-unit", "c", "like an 8-bit picture"),
    without_intercept: ("error", "wrong-unit", "c", "without its rescale intercept"),
    normalised: ("error", "wrong-unit", "c", "normalised"),
    padded: ("warning", "padding", "c", "8.3 % of its voxels are below -1100 HU, down to -3024"),
    windowed: ("warning", "clipped", "c", "highest value, 40 HU"),
    identity: ("warning", "no-geometry", "c", "its header has no orientation and no voxel size"),
    rectangular: ("warning", "odd-spacing", "c", "5 × 4 mm"),
    a_hundred_times: ("warning", "odd-spacing", "c", "its slices measure 0.8 × 0.96 mm"),
    far_apart: ("warning", "odd-spacing", "c", "40 mm apart"),
    coronal: ("warning", "not-axial", "c", "12 × 4 mm in slices 4 mm apart"),
    tilted: ("warning", "oblique", "c", "tilted by 29°"),
    turned_in_one_affine: ("warning", "two-affines", "c", "(sform, qform) that lie 239 mm apart"),
    shifted: ("error", "affine-shift", "c", "lies up to 3 mm from its image (more than the 0.4 mm"),
    smaller: ("error", "mask-shape", "c", "its shape is (23, 20, 6), its image's (24, 20, 6)"),
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
    truncated: ("error", "unreadable", "c", "is truncated"),
    misspelt: ("error", "wrong-row", "c", "line 4: case c, image: there is no file"),
    twice: ("error", "case-twice", "a", "two cases called a"),
}


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


@pytest.mark.parametrize(("z_mm", "findings"), [(10, 0), (10 * (1 + 1e-6), 0), (10.1, 1)])
def test_spacings_twice_as_large_are_not_mixed_whatever_the_rounding_error(
    wsseg: "Wsseg", hospital: Hospital, z_mm: float, findings: int
) -> None:
    turn(hospital, np.diag([-4.0, -4.0, z_mm, 1.0]))  # the others have 5 mm
    mixed = [each for each in found(wsseg, hospital) if each["name"] == "mixed-spacing"]
    assert len(mixed) == findings


@pytest.mark.parametrize(("z_mm", "findings"), [(15, 0), (15 * (1 + 1e-6), 0), (15.1, 1)])
def test_slices_just_as_far_apart_as_allowed_are_not_odd_whatever_the_rounding_error(
    wsseg: "Wsseg", hospital: Hospital, z_mm: float, findings: int
) -> None:
    turn(hospital, np.diag([-4.0, -4.0, z_mm, 1.0]))
    odd = [each for each in found(wsseg, hospital) if each["name"] == "odd-spacing"]
    assert len(odd) == findings


ALONE = sorted(set(FOUND) - {identity, a_hundred_times, coronal, far_apart, misspelt, fewer},
               key=lambda harm: harm.__name__)  # fmt: skip


@pytest.mark.parametrize("harm", ALONE, ids=lambda harm: harm.__name__)
def test_one_error_causes_one_finding(
    wsseg: "Wsseg", hospital: Hospital, harm: Callable[[Hospital], None]
) -> None:
    harm(hospital)
    assert len(found(wsseg, hospital)) == 1


def test_every_acceptable_name_is_that_of_a_finding() -> None:
    only_with_a_recipe = {"constant-image", "implausible-region", "outside-region"}
    assert set(ACCEPTABLE) - {name for _, name, _, _ in FOUND.values()} == only_with_a_recipe


def test_all_errors_are_found_in_one_run(wsseg: "Wsseg", hospital: Hospital) -> None:
    for harm in (shifted, drawn, in_both_splits):
        harm(hospital)
    hospital.change("b.nii.gz", "bee.nii.gz")
    hospital.save("a", noise(0, 256))
    names = {each["name"] for each in found(wsseg, hospital)}
    errors = {"affine-shift", "tag-contradicts-mask", "patient-overlap", "wrong-row", "wrong-unit"}
    assert errors <= names


def test_findings_are_sorted_by_severity(wsseg: "Wsseg", hospital: Hospital) -> None:
    for harm in (padded, drawn):
        harm(hospital)
    assert [each["severity"] for each in found(wsseg, hospital)] == ["error", "warning"]


def test_an_accepted_error_becomes_a_note(wsseg: "Wsseg", hospital: Hospital) -> None:
    drawn(hospital)
    words = ("--accept", "tag-contradicts-mask")
    assert short(found(wsseg, hospital, *words)) == [("note", "tag-contradicts-mask", "f")]


def test_without_a_unit_images_may_have_any_values(wsseg: "Wsseg", hospital: Hospital) -> None:
    picture(hospital)
    windowed_too = hospital.voxels("d").clip(-1000, 40)
    windowed_too[0] = -3024
    hospital.save("d", windowed_too)
    for words in ((), ("--unit", "any")):
        assert wsseg("data", "check", hospital.table, *words).out == "7 scans: nothing found\n"


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


def test_a_scan_with_many_names_has_a_short_row(wsseg: "Wsseg", hospital: Hospital) -> None:
    rows = [f"x{number},a.nii.gz" for number in range(20)]
    hospital.table.write_text("\n".join(["case,image", *rows]) + "\n")
    ended = wsseg("data", "check", hospital.table)
    (row,) = [line for line in ended.out.splitlines() if "duplicate-scan" in line]
    assert "x0, x1, x2, x3, x4, x5, x6, x7 and 12 more" in row
    assert "(a.nii.gz, a.nii.gz, a.nii.gz, …)" in row
    assert "--accept duplicate-scan" in row  # not wrapped, where there is no terminal


def test_a_mask_whose_affine_differs_by_rounding_is_not_found(
    wsseg: "Wsseg", hospital: Hospital
) -> None:
    hospital.save("c-lung", hospital.voxels("c-lung"), AFFINE * 1.0001)
    assert found(wsseg, hospital) == []


def test_the_table_has_severity_case_remedy_and_the_option_that_accepts(
    wsseg: "Wsseg", hospital: Hospital
) -> None:
    drawn(hospital)
    ended = wsseg("data", "check", hospital.table)
    assert ended.code == 1
    for words in ("severity", "error", "tag-contradicts-mask", "Correct the tag or the mask; or"):
        assert words in ended.out
    assert "--accept tag-contradicts-mask" in ended.out
    assert "7 scans: 1 error" in ended.out
    assert "1 error found" in ended.error


def test_the_table_lists_at_most_five_findings_of_a_kind(
    wsseg: "Wsseg", hospital: Hospital
) -> None:
    for name in "abcdefg":
        voxels = hospital.voxels(name).copy()
        voxels[:2] = -2000
        hospital.save(name, voxels)
    ended = wsseg("data", "check", hospital.table, "--unit", "HU")
    assert ended.code == 0
    assert ended.out.count("down to -2000,") == 5
    assert "and 2 more" in ended.out
    assert len(found(wsseg, hospital)) == 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.csv",), "there is no such file"),
        (("no-recipe",), "no recipe is called 'no-recipe'"),
        (("COHORT", "--accept", "wrong-unit"), "--accept wrong-unit: possible: affine-shift"),
        (("COHORT", "--accept", "oblik"), "Did you mean 'oblique'"),
        (("COHORT", "--set", "seed=1"), "is not a recipe"),
        (("COHORT", "--unit", "Hu"), "no ImageUnit is called 'Hu'; possible: HU, any"),
        (("covid/demo-phi2", "--unit", "any"), "--set input.unit=any"),
    ],
)
def test_wrong_arguments_end_with_exit_code_2(
    wsseg: "Wsseg", hospital: Hospital, words: tuple[str, ...], said: str
) -> None:
    given = [str(hospital.table) if word == "COHORT" else word for word in words]
    assert said.lower() in wsseg("data", "check", *given).error.lower()
    wsseg("data", "check", *given).refused()


def test_columns_with_other_names_are_checked(wsseg: "Wsseg", hospital: Hospital) -> None:
    hospital.table.write_text(hospital.table.read_text().replace("patient", "Pat-ID", 1))
    renamed = ("--columns", "Pat-ID=patient")
    assert wsseg("data", "check", hospital.table, *renamed).code == 0
    wsseg("data", "check", hospital.table).refused("unknown column 'Pat-ID'")
    wsseg("data", "check", "covid/demo-phi2", *renamed).refused("part of the recipe")


def measure(case: Case) -> CaseFacts:
    return measure_case(case, lowest_measured=-1100)


def test_a_file_is_read_again_only_when_it_has_changed(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = [case for case in Table(path=hospital.table).cases() if case.name == "c"]
    first = measure(case)
    with monkeypatch.context() as patch:
        patch.setattr("wsseg.data.checks.measurements.read_case", None)  # called, it would fail
        patch.setattr("wsseg.data.checks.measurements.read_case_labels", None)
        assert measure(case) == first
    hospital.save("c-lesion", hospital.voxels("c-lesion") * 7)
    assert measure(case).masks["lesion"].unexpected_labels
    assert measure(case).scan == first.scan


def test_damaged_facts_are_measured_again(hospital: Hospital) -> None:
    case = Table(path=hospital.table).cases()[0]
    first = measure(case)
    (path,) = (hospital.folder.parent / "cache").glob("facts/*/facts.json")
    for text in ("", "[]", '{"scan": {"shape": 1}}'):
        path.write_text(text)
        assert measure(case) == first


def test_the_overlap_of_two_masks_is_measured_as_shares_of_both(hospital: Hospital) -> None:
    overlap = measure(Table(path=hospital.table).cases()[0]).overlaps["lung", "lesion"]
    assert overlap.first_in_second == pytest.approx(48 / (16 * 12 * 5))
    assert overlap.second_in_first == 1


def test_int16_and_float_voxels_have_the_same_summary() -> None:
    voxels = np.array([[[-3024, -1000, 40], [40, 0, 7]]], np.int16)
    for array in (voxels, voxels.astype(np.float32)):
        values = value_range(array, lowest_measured=-1100)
        assert (values.lowest, values.highest) == (-3024, 40)
        assert (values.measured_lowest, values.measured_highest) == (-1000, 40)
        assert values.unmeasured_share == pytest.approx(1 / 6)
        assert values.highest_share == pytest.approx(2 / 6)
        assert values.labels == (-3024, -1000, 0, 7, 40)
        assert value_range(array, -np.inf).unmeasured_share == 0


def test_facts_are_measured_again_for_a_unit_with_another_lowest_value(hospital: Hospital) -> None:
    case = Table(path=hospital.table).cases()[0]
    for lowest in (-1100, 0, -np.inf):
        scan = measure_case(case, lowest).scan
        assert scan is not None
        voxels = hospital.voxels("a")
        assert scan.values.measured_lowest == voxels[voxels >= lowest].min()


def test_all_wrong_rows_of_a_table_are_listed(hospital: Hospital) -> None:
    hospital.change("a.nii.gz", "x.nii.gz")
    hospital.change("d-lung.nii.gz", "y.nii.gz")
    problems = [finding.what for finding in list_cases(Table(path=hospital.table)).findings]
    assert ["line 2" in problems[0], "line 5" in problems[1], len(problems)] == [True, True, 2]


# With a recipe, and before training.

RECIPE = """\
cohort: {{use: table, path: {cohort}}}
input: {{slices: 1, size: 16, unit: HU, clip: [-1024, 300], offset: -1000, scale: 500, thick: null}}
regions: {{lung: {{use: file, mask: lung}}}}
stages:
  lesion:
    learn: em
    classes: [lesion]
    region: lung
    backbone: {{use: additive-unet, width: 2}}
    prior: {{use: threshold, hu: -300}}
    estep: {{use: hard}}
    loss: {{use: batch-dice}}
    epochs: 1
    batch_size: 8
    optimizer: {{lr: 1.0e-3}}
"""


@pytest.fixture
def recipe(hospital: Hospital) -> Path:
    path = hospital.folder / "recipe.yaml"
    path.write_text(RECIPE.format(cohort=hospital.table))
    return path


def test_padding_is_not_found_if_the_recipe_clips_it(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    padded(hospital)
    assert wsseg("data", "check", recipe).out == "7 scans: nothing found\n"
    unclipped = wsseg("data", "check", recipe, "--set", "input.clip=null")
    assert "padding" in unclipped.out


def test_swapped_classes_of_a_single_case_are_found_by_the_regions_of_the_recipe(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    lines = hospital.table.read_text().splitlines()
    hospital.table.write_text("\n".join([lines[0], lines[3]]) + "\n")
    exchanged_classes(hospital)
    assert "classes-swapped" not in wsseg("data", "check", hospital.table).out
    assert "classes-swapped" in wsseg("data", "check", recipe).out


def test_a_mask_outside_its_region_is_a_warning(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[0:3, 0:3, 2] = 1
    hospital.save("c-lesion", lesion)
    ended = wsseg("data", "check", recipe)
    assert ended.code == 0
    assert "0 % of mask.lesion lies in mask.lung, its region" in ended.out


def test_an_image_with_a_single_value_is_refused_in_any_unit(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    hospital.save("c", np.full(SHAPE, -1000, np.int16))
    ended = wsseg("data", "check", recipe, "--set", "input.unit=any")
    assert ended.code == 1
    assert "every voxel is -1000" in ended.out


UNTRAINED = "{learn: nothing, classes: [lesion], region: lung, prior: {use: threshold, hu: -300}}"


def train(wsseg: "Wsseg", recipe: Path, *words: object) -> Any:
    change = f"stages.lesion={UNTRAINED}"
    return wsseg("train", recipe, "--out", recipe.parent / "run", "--set", change, *words)


def test_training_stops_at_an_error_and_names_the_option_that_accepts_it(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    copied(hospital)
    refused = train(wsseg, recipe)
    refused.refused("case a, d: the same scan has 2 names", "--accept duplicate-scan")
    assert not (hospital.folder / "run").exists()
    assert train(wsseg, recipe, "--accept", "duplicate-scan").code == 0
    about = json.loads((hospital.folder / "run" / "manifest.json").read_text())
    assert about["accepted"] == ["duplicate-scan"]


def test_an_accepted_mask_with_another_affine_is_used_voxel_by_voxel(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    for case in "cg":  # of a test case too, which scoring reads
        affine = np.diag([1.0, 1.0, 1.0, 1.0])
        hospital.save(f"{case}-lung", hospital.voxels(f"{case}-lung"), affine)
    train(wsseg, recipe).refused("case c: c-lung.nii.gz: lies up to", "--accept affine-shift")
    assert train(wsseg, recipe, "--accept", "affine-shift").code == 0
    assert wsseg("score", hospital.folder / "run").code == 0
    third = Table(path=hospital.table).cases()[2]
    mask = read_case_mask(
        case_with_accepted(third, ["affine-shift"]), "lung", read_case_grid(third)
    )
    assert np.array_equal(mask, hospital.voxels("c-lung").transpose(2, 1, 0) > 0)


def test_the_check_before_training_opens_no_mask_of_a_weakly_learnt_class(
    hospital: Hospital, recipe: Path
) -> None:
    for case in "abcdef":
        hospital.file(f"{case}-lesion").write_bytes(b"nobody may look at this")
    loaded = load_recipe(recipe)
    assert collect_findings(loaded, split_of(loaded), (), SilentDisplay()) == []


def test_warnings_are_printed_before_training(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    fewer(hospital)
    copied(hospital)
    ended = wsseg("train", recipe, "--out", hospital.folder / "run")
    ended.refused("the same scan")
    assert "warning: 3 of 6 training cases have lesion" in ended.err
    assert "[few-positives]" in ended.err


def test_a_suite_checks_its_cohort_once(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def counted(case: Case, lowest_measured: float) -> CaseFacts:
        measured.append(case.name)
        return measure_case(case, lowest_measured)

    monkeypatch.setattr("wsseg.data.checks.run.measure_case", counted)
    suite = hospital.folder / "suite.yaml"
    change = f"{{extends: {recipe.name}, stages: {{lesion: {UNTRAINED}}}}}"
    suite.write_text(f"recipes: {{prior: {change}}}\nseeds: [0, 1]\n")
    copied(hospital)
    words = ("bench", "run", suite, "--out", hospital.folder / "suite")
    wsseg(*words).refused("the same scan", "--accept duplicate-scan")
    assert sorted(measured) == list("abcdefg")
    assert wsseg(*words, "--accept", "duplicate-scan").code == 0
    assert sorted(measured) == sorted("abcdefg" * 2)  # once in each of the two commands


# Real scans.

needs_real_data = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")


@pytest.mark.slow
@needs_real_data
def test_real_cohorts_have_no_errors(wsseg: "Wsseg", tmp_path: Path) -> None:
    """The pictures that MedSeg's slices come from were clipped; the DICOM scan is padded."""
    medseg = f"cohort={{use: medseg-100, root: {SHARED / 'medseg100-sample'}}}"
    glioma = f"cohort.path={SHARED / 'lgg-flair' / 'lgg_flair_80.npz'}"
    ct = tmp_path / "ct"
    ct.mkdir()
    for path in (SHARED / "ct-small").glob("*ct*.nii.gz"):
        if "seg" not in path.name:
            (ct / path.name).symlink_to(path.resolve())
    allowed = {
        ("covid/phi2", "--set", medseg): {"clipped"},
        ("glioma/em", "--set", glioma): set[str](),
        (SHARED / "dicom-small", "--unit", "HU"): {"padding"},
        (ct, "--unit", "HU"): set(),
    }
    for words, names in allowed.items():
        ended = wsseg("data", "check", *words, "--json")
        assert ended.code == 0, ended.err
        assert {each["name"] for each in json.loads(ended.out)["findings"]} == names, words


@pytest.mark.slow
def test_the_phantom_is_clean(wsseg: "Wsseg") -> None:
    words = ("cohort.cases=15", "cohort.size=64", "cohort.slices=12")
    changes = [word for each in words for word in ("--set", each)]
    ended = wsseg("data", "check", "covid/demo-phi2", *changes)
    assert ended.out == "15 scans: nothing found\n", ended.err
