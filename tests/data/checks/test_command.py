"""The command `wsseg data check`: its arguments, its table and its order of findings."""

from typing import TYPE_CHECKING

import pytest

from tests.data.checks.hospital import Hospital, found, short
from tests.data.checks.mistakes import drawn, padded, picture

if TYPE_CHECKING:
    from tests.conftest import Wsseg


def test_nothing_is_found_in_a_cohort_without_errors(wsseg: "Wsseg", hospital: Hospital) -> None:
    for cohort in (hospital.table, hospital.folder):
        ended = wsseg("data", "check", cohort, "--unit", "HU")
        assert ended.code == 0
        assert ended.out == "7 scans: no problems found\n"


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
        assert wsseg("data", "check", hospital.table, *words).out == "7 scans: no problems found\n"


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


def test_a_scan_with_many_names_has_a_short_row(wsseg: "Wsseg", hospital: Hospital) -> None:
    rows = [f"x{number},a.nii.gz" for number in range(20)]
    hospital.table.write_text("\n".join(["case,image", *rows]) + "\n")
    ended = wsseg("data", "check", hospital.table)
    (row,) = [line for line in ended.out.splitlines() if "duplicate-scan" in line]
    assert "x0, x1, x2, x3, x4, x5, x6, x7 and 12 more" in row
    assert "(a.nii.gz, a.nii.gz, a.nii.gz, …)" in row
    assert "--accept duplicate-scan" in row  # not wrapped, where there is no terminal


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.csv",), "file not found"),
        (("no-recipe",), "no recipe is called 'no-recipe'"),
        (("COHORT", "--accept", "wrong-unit"), "--accept wrong-unit: possible: affine-shift"),
        (("COHORT", "--accept", "oblik"), "Did you mean 'oblique'"),
        (("COHORT", "--set", "seed=1"), "not a recipe"),
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
