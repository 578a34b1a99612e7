"""The command `wsseg tags-from-reports` and its tables."""

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wsseg.cli import app
from wsseg.tools import read_csv_table

CLASS = "consolidation=consolidation,consolidations,consolidated,consolidative"


def run(*words: str) -> str:
    given = () if "--class" in words else ("--class", CLASS)
    done = CliRunner().invoke(app, ["tags-from-reports", *words, *given])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def table(folder: Path, *rows: tuple[str, ...]) -> str:
    with (folder / "reports.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(folder / "reports.csv")


def test_the_reports_of_a_patient_are_combined_and_never_printed(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        ("patient", "date", "report"),
        ("Erika", "1.5.", "No consolidation."),
        ("Erika", "3.5.", "New consolidation. Effusion."),
        ("Max", "1.5.", "Clear lungs."),
    )
    output = run(path, "--out", str(tmp_path / "tags.csv"), "--class", "x=consolidation")
    assert "1 present, 0 absent, 1 unknown, of 2 patients" in output
    assert "Erika" not in output
    assert "Effusion" not in output
    rows = read_csv_table(tmp_path / "tags.csv", ("*",), ("patient",)).rows
    assert [dict(row.cells) for row in rows] == [
        {
            "patient": "Erika",
            "tag.x": "1",
            "statement.x": "present",
            "sentence.x": "New consolidation.",
        },
        {"patient": "Max", "tag.x": "", "statement.x": "not mentioned", "sentence.x": ""},
    ]


def test_reports_saved_by_a_german_spreadsheet_are_read(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    text = "Pat-ID;Befund;tag.x\nMüller;New consolidation, basal;ja\nMeier;No consolidation;nein\n"
    path.write_bytes(text.encode("cp1252"))
    words = ("--class", "x=consolidation", "--columns", "Pat-ID=patient,Befund=report")
    output = run(str(path), "--out", str(tmp_path / "tags.csv"), *words)
    assert "2 of 2 agree with the given tags" in output
    rows = read_csv_table(tmp_path / "tags.csv", ("*",), ("patient",)).rows
    assert [(row.get("patient"), row.get("tag.x")) for row in rows] == [
        ("Müller", "1"),
        ("Meier", "0"),
    ]


def test_reports_in_other_languages_are_named_and_leave_the_tag_unknown(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        ("patient", "report"),
        ("a", "Pas de consolidation."),
        ("b", "No consolidation."),
        ("b", "Keine Konsolidierung."),
        ("c", "Consolidation of the left lung."),
        ("c", "Sin consolidación."),
    )
    output = run(path, "--out", str(tmp_path / "tags.csv"), "--unmentioned", "absent")
    assert "only English is: reports 1 in French, 1 in German, 1 in Spanish." in output
    rows = read_csv_table(tmp_path / "tags.csv", ("*",), ("patient",)).rows
    assert [(row.get("tag.consolidation"), row.get("statement.consolidation")) for row in rows] == [
        ("", "in French"),
        ("", "in German"),
        ("1", "present"),
    ]


def test_unmentioned_findings_can_be_tagged_as_absent(tmp_path: Path) -> None:
    path = table(tmp_path, ("case", "report"), ("a", "Clear lungs."), ("b", "Consolidation?"))
    run(path, "--out", str(tmp_path / "tags.csv"), "--unmentioned", "absent")
    rows = read_csv_table(tmp_path / "tags.csv", ("*",), ("case",)).rows
    assert [row.get("tag.consolidation") for row in rows] == ["0", ""]


def test_an_uncertain_finding_can_have_a_probability(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        ("case", "report", "tag.consolidation"),
        ("a", "Consolidation cannot be excluded.", "0,5"),
        ("b", "No consolidation.", "0"),
    )
    output = run(path, "--out", str(tmp_path / "tags.csv"), "--uncertain", "0.5")
    assert "0 present, 1 absent, 0 unknown, 1 with a probability, of 2 cases" in output
    assert "2 of 2 agree with the given tags" in output
    rows = read_csv_table(tmp_path / "tags.csv", ("*",), ("case",)).rows
    assert [row.get("tag.consolidation") for row in rows] == ["0.5", "0"]


def test_no_written_cell_is_a_formula(tmp_path: Path) -> None:
    evil = '=HYPERLINK("http://x","consolidation")'
    path = table(tmp_path, ("patient", "report"), ("a", evil), ("b", "@consolidation"))
    run(path, "--out", str(tmp_path / "tags.csv"))
    with (tmp_path / "tags.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@"}]
    assert f"'{evil}" in cells


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("patient", "text"), ("a", "x")], "no column is called 'report'"),
        ([("name", "report"), ("a", "x")], "columns patient (or case) and report"),
        ([("patient", "report")], "columns patient (or case) and report"),
        ([("patient", "report"), ("", "x")], "line 2: the patient is empty"),
        ([("patient", "report"), ("=Erika", "x")], "line 2: the patient is empty, or starts like"),
        (
            [("patient", "report", "tag.consolidation"), ("a", "x", "maybe")],
            "tag.consolidation is 'maybe'",
        ),
    ],
)
def test_an_invalid_table_is_refused_without_showing_a_name(
    tmp_path: Path, rows: list[tuple[str, ...]], message: str
) -> None:
    words = ["tags-from-reports", table(tmp_path, *rows), "--out", str(tmp_path / "t.csv")]
    done = CliRunner().invoke(app, [*words, "--class", CLASS])
    assert message in str(done.exception)
    assert "Erika" not in str(done.exception)


def test_tags_are_not_written_over_the_reports(tmp_path: Path) -> None:
    path = table(tmp_path, ("case", "report"), ("a", "Clear lungs."))
    before = Path(path).read_bytes()
    done = CliRunner().invoke(app, ["tags-from-reports", path, "--out", path, "--class", CLASS])
    assert "is the file with the reports" in str(done.exception)
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("text", ["consolidation", "=x", "x=", "x= , "])
def test_an_invalid_class_option_is_refused(tmp_path: Path, text: str) -> None:
    path = table(tmp_path, ("case", "report"), ("a", "Clear lungs."))
    words = ["tags-from-reports", path, "--out", str(tmp_path / "t.csv"), "--class", text]
    assert "write --class NAME=WORD,WORD" in str(CliRunner().invoke(app, words).exception)
    assert not (tmp_path / "t.csv").exists()


def test_without_a_class_the_error_shows_how_to_name_one(tmp_path: Path) -> None:
    path = table(tmp_path, ("case", "report"), ("a", "Clear lungs."))
    words = ["tags-from-reports", path, "--out", str(tmp_path / "t.csv")]
    assert "--class is missing; write --class NAME=W" in str(
        CliRunner().invoke(app, words).exception
    )
    assert not (tmp_path / "t.csv").exists()
