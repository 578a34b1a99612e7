"""What reports say of a finding; the rules by example, and as a whole on 100 sentences."""

import csv
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wsseg.cli import app
from wsseg.data.csv_table import read_csv_table
from wsseg.data.negation import mentions

SENTENCES = Path(__file__).with_name("reports_100.csv")
WORDS = ("consolidation", "consolidations", "consolidated", "consolidative")


def stated(report: str) -> list[str]:
    return [each.statement for each in mentions(report, WORDS)]


@pytest.mark.parametrize(
    ("sentence", "statement"),
    [
        ("Consolidation in both lower lobes.", "present"),
        ("No effusion, pneumothorax or consolidation.", "absent"),
        ("Consolidation has resolved.", "absent"),
        ("Consolidation cannot be excluded.", "uncertain"),
        ("Atelectasis versus consolidation.", "uncertain"),
        ("No atelectasis vs. consolidation.", "absent"),
        ("Consolidation?", "uncertain"),
        ("No change in the consolidation.", "present"),
        ("The consolidation has not resolved.", "present"),
        ("Near complete resolution of the consolidation.", "present"),
        ("No effusion but consolidation.", "present"),
        ("Consolidation, although no effusion was seen.", "present"),
        ("The non-consolidated lung is clear.", "absent"),
        ("Collapse-consolidation.", "present"),
        ("NO CONSOLIDATION", "absent"),
    ],
)
def test_a_rule_by_example(sentence: str, statement: str) -> None:
    assert stated(sentence) == [statement]


def test_the_strongest_mention_of_a_sentence_counts() -> None:
    report = (
        "No consolidation on the right, but possible consolidation and, on the left, consolidation."
    )
    assert stated(report) == ["present"]


def test_keywords_are_whole_words() -> None:
    assert stated("Preconsolidation changes; consolidations-like.") == ["present"]
    assert stated("Preconsolidational changes.") == []


def test_a_wrapped_line_is_one_sentence_and_a_bullet_begins_one() -> None:
    wrapped = "There is no\nconsolidation.\n- Effusion\n- Consolidation of the\n  right lower lobe"
    found = list(mentions(wrapped, WORDS))
    assert [each.statement for each in found] == ["absent", "present"]
    assert found[0].sentence == "There is no consolidation."
    assert found[1].sentence == "Consolidation of the right lower lobe"


def test_what_was_asked_or_seen_before_states_nothing() -> None:
    report = "INDICATION: Fever. Consolidation on radiograph.\nFINDINGS: No consolidation."
    assert stated(report) == ["absent"]
    assert stated("Comparison: consolidation in May.") == []


def test_phrases_may_be_keywords() -> None:
    found = mentions("No  crazy\npaving. Ground glass.", ["crazy paving"])
    assert [each.statement for each in found] == ["absent"]


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 60_000,
        " " * 60_000,
        "no " * 20_000,
        "-" * 60_000,
        "a:" * 30_000,
        "no consolidation " * 7000,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    start = time.perf_counter()
    list(mentions(f"{text} consolidation", WORDS))
    assert time.perf_counter() - start < 2


CLASS = "consolidation=consolidation,consolidations,consolidated,consolidative"


def run(*words: str) -> str:
    given = () if "--class" in words else ("--class", CLASS)
    done = CliRunner().invoke(app, ["data", "tags-from-reports", *words, *given])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_accuracy_on_100_sentences_is_what_the_command_prints(tmp_path: Path) -> None:
    """94 at the first run, 96 after two faults of the code (a hyphen, a question mark) were mended.

    The rest is left as it is: a misspelling, "consol", bone, and a comma that ends a negation.
    """
    output = run(str(SENTENCES), "--out", str(tmp_path / "tags.csv"))
    assert "96 of 100 agree with the given tags (96 %)" in output
    assert "1 given as present, derived as absent" in output


def table(folder: Path, *rows: tuple[str, ...]) -> str:
    with (folder / "reports.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(folder / "reports.csv")


def test_reports_of_a_patient_are_joined_and_never_printed(tmp_path: Path) -> None:
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


def test_silence_can_be_taken_for_absence(tmp_path: Path) -> None:
    path = table(tmp_path, ("case", "report"), ("a", "Clear lungs."), ("b", "Consolidation?"))
    run(path, "--out", str(tmp_path / "tags.csv"), "--unmentioned", "absent")
    rows = read_csv_table(tmp_path / "tags.csv", ("*",), ("case",)).rows
    assert [row.get("tag.consolidation") for row in rows] == ["0", ""]


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    evil = '=HYPERLINK("http://x","consolidation")'
    path = table(tmp_path, ("patient", "report"), ("a", evil), ("b", "@consolidation"))
    run(path, "--out", str(tmp_path / "tags.csv"))
    with (tmp_path / "tags.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@"}]
    assert f"'{evil}" in cells


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("patient", "text"), ("a", "x")], "has no column 'report'"),
        ([("name", "report"), ("a", "x")], "columns patient (or case) and report"),
        ([("patient", "report")], "columns patient (or case) and report"),
        ([("patient", "report"), ("", "x")], "line 2: its patient is empty"),
        ([("patient", "report"), ("=Erika", "x")], "line 2: its patient is empty or starts like"),
        (
            [("patient", "report", "tag.consolidation"), ("a", "x", "yes")],
            "tag.consolidation is 'yes'",
        ),
    ],
)
def test_a_wrong_table_is_refused_without_a_name(
    tmp_path: Path, rows: list[tuple[str, ...]], said: str
) -> None:
    words = ["data", "tags-from-reports", table(tmp_path, *rows), "--out", str(tmp_path / "t.csv")]
    done = CliRunner().invoke(app, [*words, "--class", CLASS])
    assert said in str(done.exception)
    assert "Erika" not in str(done.exception)


def test_reports_are_not_overwritten_by_their_tags(tmp_path: Path) -> None:
    path = table(tmp_path, ("case", "report"), ("a", "Clear lungs."))
    before = Path(path).read_bytes()
    done = CliRunner().invoke(
        app, ["data", "tags-from-reports", path, "--out", path, "--class", CLASS]
    )
    assert "is the file with the reports" in str(done.exception)
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("text", ["consolidation", "=x", "x=", "x= , "])
def test_a_wrong_class_is_refused(tmp_path: Path, text: str) -> None:
    path = table(tmp_path, ("case", "report"), ("a", "Clear lungs."))
    words = ["data", "tags-from-reports", path, "--out", str(tmp_path / "t.csv"), "--class", text]
    assert "write --class NAME=WORD,WORD" in str(CliRunner().invoke(app, words).exception)
    assert not (tmp_path / "t.csv").exists()


def test_without_a_class_the_error_shows_how_to_name_one(tmp_path: Path) -> None:
    path = table(tmp_path, ("case", "report"), ("a", "Clear lungs."))
    words = ["data", "tags-from-reports", path, "--out", str(tmp_path / "t.csv")]
    assert "--class is missing; write --class NAME=W" in str(
        CliRunner().invoke(app, words).exception
    )
    assert not (tmp_path / "t.csv").exists()
