"""The command `wsseg data join`."""

from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

import pytest

from wsseg.data.csv_table import read_csv_table

if TYPE_CHECKING:
    from tests.conftest import Wsseg

COHORT = """\
case,patient,image,tag.x
a1,anna,a1.nii.gz,
a2,anna,a2.nii.gz,1
b,,b.nii.gz,0
c,cleo,c.nii.gz,1
"""


def join(wsseg: "Wsseg", folder: Path, tags: str, *words: str, cohort: str = COHORT) -> list[str]:
    """Join two tables, and return the tags of each case as "x,y"; print what the command prints."""
    (folder / "cohort.csv").write_text(cohort, encoding="utf-8")
    (folder / "tags.csv").write_text(tags, encoding="utf-8")
    out = folder / "tagged.csv"
    ended = wsseg("data", "join", folder / "cohort.csv", folder / "tags.csv", "--out", out, *words)
    assert ended.code == 0, ended.err
    print(ended.out)
    return [
        f"{row.get('tag.x')},{row.get('tag.y')}" for row in read_csv_table(out, ("*",), ()).rows
    ]


def test_tags_are_joined_by_patient_and_known_tags_are_kept(
    wsseg: "Wsseg", tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tags = "patient,tag.x,statement.x,tag.y\nanna,1,present,0\nb,,unknown,1\ndora,1,present,1\n"
    assert join(wsseg, tmp_path, tags) == ["1,0", "1,0", "0,1", "1,"]
    assert "3 of 4 cases have tags, matched by patient; rows of tags without a case: 1" in (
        capsys.readouterr().out
    )
    header = (tmp_path / "tagged.csv").read_text().splitlines()[0]
    assert header == "case,patient,image,tag.x,tag.y"


def test_tags_of_cases_are_joined_by_case(wsseg: "Wsseg", tmp_path: Path) -> None:
    tags = "case;patient;tag.y\na2;anna;ja\nc;cleo;nein\n"
    assert join(wsseg, tmp_path, tags) == [",", "1,1", "0,", "1,0"]


def test_columns_of_both_tables_may_have_other_names(wsseg: "Wsseg", tmp_path: Path) -> None:
    cohort = COHORT.replace("case,patient", "Fall,Pat-ID")
    tags = "Pat-ID,Tumor\nanna,x\n"
    words = ("--columns", "Fall=case,Pat-ID=patient", "--columns", "Tumor=tag.y")
    assert join(wsseg, tmp_path, tags, *words, cohort=cohort) == [",1", "1,1", "0,", "1,"]


def test_names_match_whatever_their_unicode_form(wsseg: "Wsseg", tmp_path: Path) -> None:
    cohort = f"case,image\n{normalize('NFD', 'Müller')},m.nii.gz\n"
    tags = f"case,tag.x\n{normalize('NFC', 'Müller')},1\n"
    assert join(wsseg, tmp_path, tags, cohort=cohort) == ["1,"]


@pytest.mark.parametrize(
    ("tags", "words", "message"),
    [
        ("patient,tag.x\ncleo,0\n", (), "line 5: tag.x is 1, but 0 in"),
        ("patient,tag.x\nanna,1\nanna,1\n", (), "line 3: its patient is already in line 2"),
        ("patient,tag.x\n,1\n", (), "line 2: its patient is empty"),
        ("patient,tag.x\nanna,perhaps\n", (), "tag.x is 'perhaps'; possible: 1 or yes"),
        ("patient,x\nanna,1\n", (), "no column is called tag.CLASS; the columns are: patient, x"),
        ("name,tag.x\nanna,1\n", (), "no column is called patient or case"),
        ("patient,tag.x\nanna,1\n", ("--columns", "Pat=patient"), "neither table has a column"),
    ],
)
def test_tables_that_cannot_be_joined_are_refused(
    wsseg: "Wsseg", tmp_path: Path, tags: str, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "cohort.csv").write_text(COHORT)
    (tmp_path / "tags.csv").write_text(tags)
    out = tmp_path / "tagged.csv"
    tables = (tmp_path / "cohort.csv", tmp_path / "tags.csv")
    wsseg("data", "join", *tables, "--out", out, *words).refused(message)
    assert not out.exists()


def test_a_joined_table_lies_next_to_its_cohort_and_overwrites_nothing(
    wsseg: "Wsseg", tmp_path: Path
) -> None:
    (tmp_path / "cohort.csv").write_text(COHORT)
    (tmp_path / "tags.csv").write_text("case,tag.x\n")
    tables = (tmp_path / "cohort.csv", tmp_path / "tags.csv")
    wsseg("data", "join", *tables, "--out", tmp_path / "cohort.csv").refused("already exists")
    wsseg("data", "join", *tables, "--out", tmp_path / "new" / "a.csv").refused(
        "must be in the folder of"
    )
    assert (tmp_path / "cohort.csv").read_text() == COHORT
