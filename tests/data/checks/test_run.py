"""`wsseg data check` finds all that is wrong with a cohort, and nothing where all is well."""

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
from wsseg.config.recipe import load_recipe
from wsseg.data.checks.findings import ACCEPTABLE, accepting
from wsseg.data.checks.measurements import facts_of
from wsseg.data.checks.run import listed
from wsseg.data.checks.value_range import values_of
from wsseg.data.reading import read_case_grid, read_case_mask
from wsseg.runtime.console import SilentDisplay
from wsseg.suite import runner as bench
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
    """Seven CTs in a folder, `a` to `g`, of which `f` has no lesion and `g` is for testing."""

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
    """Return the findings of the command, which ends with 1 where one of them is an error."""
    ended = wsseg("data", "check", hospital.table, "--json", *words)
    findings: list[dict[str, str]] = json.loads(ended.out)["findings"]
    assert ended.code == int(any(each["severity"] == "error" for each in findings)), ended.err
    assert all(each["what"] and each["remedy"] for each in findings)
    return findings


def short(findings: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(each["severity"], each["name"], each["case"]) for each in findings]


def test_nothing_is_found_where_all_is_well(wsseg: "Wsseg", hospital: Hospital) -> None:
    for cohort in (hospital.table, hospital.folder):
        ended = wsseg("data", "check", cohort)
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
    """Its qform has x and y the other way round: a corner is sqrt(184² + 152²) mm away."""
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
    """The same scan in another file: not compressed, and its array turned."""
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
    picture: ("error", "not-hu", "c", "like an 8-bit picture"),
    without_intercept: ("error", "not-hu", "c", "without its rescale intercept"),
    normalised: ("error", "not-hu", "c", "normalised"),
    padded: ("warning", "padding", "c", "8.3 % of its voxels are below air, down to -3024 HU"),
    windowed: ("warning", "clipped", "c", "highest value, 40 HU"),
    identity: ("warning", "no-geometry", "c", "does not say how it lies"),
    rectangular: ("warning", "odd-spacing", "c", "5 × 4 mm"),
    a_hundred_times: ("warning", "odd-spacing", "c", "0.8 × 0.96 mm large"),
    far_apart: ("warning", "odd-spacing", "c", "40 mm apart"),
    coronal: ("warning", "not-axial", "c", "12 × 4 mm in slices 4 mm apart"),
    tilted: ("warning", "oblique", "c", "tilted by 29°"),
    turned_in_one_affine: ("warning", "two-affines", "c", "(sform, qform) that lie 239 mm apart"),
    shifted: ("error", "affine-shift", "c", "lies up to 3 mm from its image (more than the 0.4 mm"),
    smaller: ("error", "mask-shape", "c", "its shape is (23, 20, 6), its image's (24, 20, 6)"),
    labelled: ("error", "unknown-labels", "c", "has unknown labels 7"),
    emptied: ("warning", "empty-mask", "c", "mask.lung is empty (c-lung.nii.gz)"),
    cleared: ("error", "tag-contradicts-mask", "c", "tag.lesion is 1, but the mask is empty"),
    drawn: ("error", "tag-contradicts-mask", "f", "tag.lesion is 0, but the mask has 48 voxels"),
    exchanged_files: ("error", "files-swapped", "c", "c-lung.nii.gz looks like a mask, and c.nii"),
    exchanged_classes: ("error", "classes-swapped", "c", "mask.lung lies in mask.lesion"),
    copied: ("error", "duplicate-scan", "a, d", "as if of several patients (a.nii.gz, copy.nii)"),
    in_both_splits: ("error", "patient-overlap", "c, g", "in the splits test and train"),
    finer: ("warning", "mixed-spacing", "", "pixels of the network's grid"),
    thicker: ("warning", "mixed-spacing", "", "slices are 5 mm apart in a, 11 mm in c"),
    fewer: ("warning", "few-positives", "", "3 of 6 training cases have lesion"),
    untagged: ("error", "no-labels", "", "none of 6 training cases is tagged with lesion"),
    truncated: ("error", "unreadable", "c", "is truncated"),
    misspelt: ("error", "wrong-row", "c", "line 4: case c, image: there is no file"),
    twice: ("error", "case-twice", "a", "is there twice"),
}


@pytest.mark.parametrize("harm", FOUND, ids=lambda harm: harm.__name__)
def test_it_is_found(wsseg: "Wsseg", hospital: Hospital, harm: Callable[[Hospital], None]) -> None:
    severity, name, case, words = FOUND[harm]
    harm(hospital)
    findings = found(wsseg, hospital)
    told = [each for each in findings if each["name"] == name]
    assert short(told) == [(severity, name, case)], findings
    assert words in told[0]["what"]


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
def test_one_mistake_is_found_once(
    wsseg: "Wsseg", hospital: Hospital, harm: Callable[[Hospital], None]
) -> None:
    harm(hospital)
    assert len(found(wsseg, hospital)) == 1


def test_every_name_that_can_be_accepted_is_that_of_something_found() -> None:
    only_with_a_recipe = {"constant-image", "outside-region"}
    assert set(ACCEPTABLE) - {name for _, name, _, _ in FOUND.values()} == only_with_a_recipe


def test_all_is_found_not_only_the_first(wsseg: "Wsseg", hospital: Hospital) -> None:
    for harm in (shifted, drawn, in_both_splits):
        harm(hospital)
    hospital.change("b.nii.gz", "bee.nii.gz")
    hospital.save("a", noise(0, 256))
    names = {each["name"] for each in found(wsseg, hospital)}
    errors = {"affine-shift", "tag-contradicts-mask", "patient-overlap", "wrong-row", "not-hu"}
    assert errors <= names


def test_the_worst_comes_first(wsseg: "Wsseg", hospital: Hospital) -> None:
    for harm in (padded, drawn):
        harm(hospital)
    assert [each["severity"] for each in found(wsseg, hospital)] == ["error", "warning"]


def test_what_is_accepted_is_no_error_but_stays_known(wsseg: "Wsseg", hospital: Hospital) -> None:
    drawn(hospital)
    words = ("--accept", "tag-contradicts-mask")
    assert short(found(wsseg, hospital, *words)) == [("note", "tag-contradicts-mask", "f")]


def test_what_is_no_ct_is_no_error_where_none_is_expected(
    wsseg: "Wsseg", hospital: Hospital
) -> None:
    picture(hospital)
    padded_too = hospital.voxels("d").copy()
    padded_too[0] = -3024
    hospital.save("d", padded_too)
    assert found(wsseg, hospital, "--unit", "any") == []


def test_a_slices_tag_that_contradicts_the_mask_is_named(
    wsseg: "Wsseg", hospital: Hospital
) -> None:
    rows = "a,0,0\na,1,1\na,2,1\na,3,0\nb,2,1\n"  # the lesion of each is in slices 2 and 3
    (hospital.folder / "slices.csv").write_text(f"case,slice,tag.lesion\n{rows}")
    (finding,) = found(wsseg, hospital)
    assert (finding["name"], finding["case"]) == ("tag-contradicts-mask", "a")
    assert "differ in 2 slices (1, 3)" in finding["what"]


def test_a_tag_of_a_slice_that_is_not_there_is_named(wsseg: "Wsseg", hospital: Hospital) -> None:
    (hospital.folder / "slices.csv").write_text("case,slice,tag.lesion\na,6,0\n")
    (finding,) = found(wsseg, hospital)
    assert (finding["name"], finding["case"]) == ("stray-slice", "a")


def test_a_copy_of_the_same_patient_is_only_warned_of(wsseg: "Wsseg", hospital: Hospital) -> None:
    copied(hospital)
    hospital.change("patient-d", "patient-a")
    assert short(found(wsseg, hospital)) == [("warning", "duplicate-scan", "a, d")]


def test_a_scan_under_many_names_is_a_short_row(wsseg: "Wsseg", hospital: Hospital) -> None:
    rows = [f"x{number},a.nii.gz" for number in range(20)]
    hospital.table.write_text("\n".join(["case,image", *rows]) + "\n")
    ended = wsseg("data", "check", hospital.table)
    (row,) = [line for line in ended.out.splitlines() if "duplicate-scan" in line]
    assert "x0, x1, x2, x3, x4, x5, x6, x7 and 12 more" in row
    assert "(a.nii.gz, a.nii.gz, a.nii.gz, …)" in row
    assert "--accept duplicate-scan" in row  # not wrapped, where there is no terminal


def test_a_rounded_affine_is_no_shift(wsseg: "Wsseg", hospital: Hospital) -> None:
    hospital.save("c-lung", hospital.voxels("c-lung"), AFFINE * 1.0001)
    assert found(wsseg, hospital) == []


def test_the_table_tells_severity_case_remedy_and_the_flag(
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


def test_a_kind_of_finding_is_listed_five_times_at_most(wsseg: "Wsseg", hospital: Hospital) -> None:
    for name in "abcdefg":
        voxels = hospital.voxels(name).copy()
        voxels[:2] = -2000
        hospital.save(name, voxels)
    ended = wsseg("data", "check", hospital.table)
    assert ended.code == 0
    assert ended.out.count("down to -2000 HU") == 5
    assert "and 2 more" in ended.out
    assert len(found(wsseg, hospital)) == 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.csv",), "there is no such file"),
        (("no-recipe",), "no recipe is called 'no-recipe'"),
        (("COHORT", "--accept", "not-hu"), "--accept not-hu: possible: affine-shift"),
        (("COHORT", "--accept", "oblik"), "Did you mean 'oblique'"),
        (("COHORT", "--set", "seed=1"), "is no recipe"),
        (("covid/demo-phi2", "--unit", "any"), "--set input.unit=any"),
    ],
)
def test_wrong_use_ends_with_2(
    wsseg: "Wsseg", hospital: Hospital, words: tuple[str, ...], said: str
) -> None:
    given = [str(hospital.table) if word == "COHORT" else word for word in words]
    assert said.lower() in wsseg("data", "check", *given).error.lower()
    wsseg("data", "check", *given).refused()


def test_a_file_is_read_again_only_when_it_has_changed(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = [case for case in Table(path=hospital.table).cases() if case.name == "c"]
    first = facts_of(case)
    with monkeypatch.context() as patch:
        patch.setattr("wsseg.data.checks.measurements.read_case", None)  # called, it would fail
        patch.setattr("wsseg.data.checks.measurements.read_case_labels", None)
        assert facts_of(case) == first
    hospital.save("c-lesion", hospital.voxels("c-lesion") * 7)
    assert facts_of(case).masks["lesion"].strange
    assert facts_of(case).scan == first.scan


def test_damaged_facts_are_measured_again(hospital: Hospital) -> None:
    case = Table(path=hospital.table).cases()[0]
    first = facts_of(case)
    (path,) = (hospital.folder.parent / "cache").glob("facts/*/facts.json")
    for text in ("", "[]", '{"scan": {"shape": 1}}'):
        path.write_text(text)
        assert facts_of(case) == first


def test_the_overlap_of_two_masks_is_counted(hospital: Hospital) -> None:
    overlap = facts_of(Table(path=hospital.table).cases()[0]).overlaps["lung", "lesion"]
    assert overlap.first_in_second == pytest.approx(48 / (16 * 12 * 5))
    assert overlap.second_in_first == 1


def test_values_are_summarised_alike_in_int16_and_float() -> None:
    voxels = np.array([[[-3024, -1000, 40], [40, 0, 7]]], np.int16)
    for array in (voxels, voxels.astype(np.float32)):
        values = values_of(array)
        assert (values.lowest, values.highest) == (-3024, 40)
        assert (values.seen_lowest, values.seen_highest) == (-1000, 40)
        assert values.beyond_share == pytest.approx(1 / 6)
        assert values.highest_share == pytest.approx(2 / 6)
        assert values.labels == (-3024, -1000, 0, 7, 40)


def test_a_table_lists_all_wrong_rows(hospital: Hospital) -> None:
    hospital.change("a.nii.gz", "x.nii.gz")
    hospital.change("d-lung.nii.gz", "y.nii.gz")
    told = [finding.what for finding in listed(Table(path=hospital.table)).findings]
    assert ["line 2" in told[0], "line 5" in told[1], len(told)] == [True, True, 2]


# With a recipe: what it wants of its cohort, and before training.

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


def test_a_recipe_that_clips_is_not_told_of_padding(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    padded(hospital)
    assert wsseg("data", "check", recipe).out == "7 scans: nothing found\n"
    unclipped = wsseg("data", "check", recipe, "--set", "input.clip=null")
    assert "padding" in unclipped.out


def test_a_lone_case_with_classes_exchanged_is_found_by_the_recipes_regions(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    lines = hospital.table.read_text().splitlines()
    hospital.table.write_text("\n".join([lines[0], lines[3]]) + "\n")
    exchanged_classes(hospital)
    assert "classes-swapped" not in wsseg("data", "check", hospital.table).out
    assert "classes-swapped" in wsseg("data", "check", recipe).out


def test_a_mask_outside_its_region_is_warned_of(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[0:3, 0:3, 2] = 1
    hospital.save("c-lesion", lesion)
    ended = wsseg("data", "check", recipe)
    assert ended.code == 0
    assert "0 % of mask.lesion lies in mask.lung, its region" in ended.out


def test_an_image_of_one_value_is_refused_also_where_the_unit_is_any(
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


def test_training_is_refused_and_names_the_flag_that_accepts(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    copied(hospital)
    refused = train(wsseg, recipe)
    refused.refused("case a, d: the same scan under 2 names", "--accept duplicate-scan")
    assert not (hospital.folder / "run").exists()
    assert train(wsseg, recipe, "--accept", "duplicate-scan").code == 0
    about = json.loads((hospital.folder / "run" / "manifest.json").read_text())
    assert about["accepted"] == ["duplicate-scan"]


def test_a_mask_with_another_affine_is_used_voxel_by_voxel_where_that_is_accepted(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    for case in "cg":  # of a test case too, which scoring reads
        affine = np.diag([1.0, 1.0, 1.0, 1.0])
        hospital.save(f"{case}-lung", hospital.voxels(f"{case}-lung"), affine)
    train(wsseg, recipe).refused("case c: c-lung.nii.gz: lies up to", "--accept affine-shift")
    assert train(wsseg, recipe, "--accept", "affine-shift").code == 0
    assert wsseg("score", hospital.folder / "run").code == 0
    third = Table(path=hospital.table).cases()[2]
    mask = read_case_mask(accepting(third, ["affine-shift"]), "lung", read_case_grid(third))
    assert np.array_equal(mask, hospital.voxels("c-lung").transpose(2, 1, 0) > 0)


def test_training_opens_no_mask_of_a_weakly_learnt_class(hospital: Hospital, recipe: Path) -> None:
    for case in "abcdef":
        hospital.file(f"{case}-lesion").write_bytes(b"nobody may look at this")
    loaded = load_recipe(recipe)
    assert collect_findings(loaded, split_of(loaded), (), SilentDisplay()) == []


def test_warnings_are_told_before_training(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    fewer(hospital)
    copied(hospital)
    ended = wsseg("train", recipe, "--out", hospital.folder / "run")
    ended.refused("the same scan")
    assert "warning: 3 of 6 training cases have lesion" in ended.err
    assert "[few-positives]" in ended.err


def test_a_suite_looks_at_its_cohort_once(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def counted(*args: Any) -> Any:
        looks.append("")
        return collect_findings(*args)

    monkeypatch.setattr(bench, "look", counted)
    monkeypatch.setattr("wsseg.training.run.checked", None)
    suite = hospital.folder / "suite.yaml"
    change = f"{{extends: {recipe.name}, stages: {{lesion: {UNTRAINED}}}}}"
    suite.write_text(f"recipes: {{prior: {change}}}\nseeds: [0, 1]\n")
    copied(hospital)
    words = ("bench", "run", suite, "--out", hospital.folder / "suite")
    wsseg(*words).refused("the same scan", "--accept duplicate-scan")
    assert wsseg(*words, "--accept", "duplicate-scan").code == 0
    assert len(looks) == 2  # a command


# Real scans, where they are.

needs_real_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason="no real scans in ../shared/data beside the project"
)


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
        (SHARED / "dicom-small",): {"padding"},
        (ct,): set(),
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
