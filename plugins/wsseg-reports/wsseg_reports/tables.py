"""Tables of reports, and the tags of patients derived from them with the supporting sentences."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from wsseg import InputError
from wsseg.tools import parse_tag, read_csv_table, tag_cell, write_text
from wsseg_reports.grammar import mentions
from wsseg_reports.languages import FUNCTION_WORDS, foreign_language

FOREIGN = {language: f"in {language}" for language in FUNCTION_WORDS}
STRONGEST_FIRST = ("present", "uncertain", *FOREIGN.values(), "absent", "former", "not mentioned")
TAGS = {"present": "1", "absent": "0"}  # by statement; all others leave the tag unknown
MEANINGS = {"1": "present", "0": "absent", "": "unknown"}
KEYS = ("patient", "case")  # columns that may identify a row
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet evaluates cells that start with one

Keywords: TypeAlias = Mapping[str, Sequence[str]]  # by class
Verdicts: TypeAlias = "Mapping[str, Mapping[str, Verdict]]"  # by class and patient


@dataclass(frozen=True)
class Verdict:
    """What the reports of one patient state about one class."""

    statement: str
    """One of `STRONGEST_FIRST`."""
    sentence: str = ""
    """The first sentence that states it."""


@dataclass(frozen=True)
class Reports:
    """The reports of all patients, and the tags that people gave them."""

    key: str
    """The column that identifies the patients: patient or case."""
    texts: Mapping[str, tuple[str, ...]]
    """The reports of each patient."""
    manual_tags: Mapping[str, Mapping[str, str]]
    """The tags that people gave, by class and patient."""

    def languages(self) -> list[str]:
        """Return the language of each report that is not in English."""
        found = [foreign_language(text) for texts in self.texts.values() for text in texts]
        return [language for language in found if language is not None]


def read_reports(path: Path, renamed: Mapping[str, str]) -> Reports:
    """Read a CSV file with the columns patient (or case) and report.

    A patient may have several rows. Columns tag.<class> hold tags that people gave; all others are
    ignored. `renamed` maps names of columns in the file to their new names.

    Raises:
        InputError: A column is missing, a row has no patient, or a tag is invalid.
    """
    table = read_csv_table(path, ("*",), ("report",), renamed)
    key = next((key for key in KEYS if key in table.columns), None)
    if key is None or not table.rows:
        raise InputError(
            f"{path}: the table must have the columns patient (or case) and report, and a row for "
            "each report"
        )
    texts: dict[str, tuple[str, ...]] = {}
    manual_tags: dict[str, dict[str, str]] = {}
    for row in table.rows:
        name = row.name(key)
        if not name or name.startswith(FORMULA) or not name.isprintable():
            # The message omits the name, which may be a person's.
            raise InputError(
                f"{row.place}: the {key} is empty, or starts like a formula (=, +, -, @); correct "
                "it"
            )
        texts[name] = (*texts.get(name, ()), row.get("report"))
        for tag, cell in row.with_prefix("tag").items():
            try:
                manual_tags.setdefault(tag, {})[name] = tag_cell(parse_tag(cell))
            except ValueError as error:
                raise InputError(f"{row.place}: tag.{tag} {error}") from None
    return Reports(key, texts, manual_tags)


def find_verdicts(reports: Reports, keywords: Keywords) -> Verdicts:
    """Return a verdict for each class and patient."""
    return {
        name: {patient: find_verdict(texts, words) for patient, texts in reports.texts.items()}
        for name, words in keywords.items()
    }


def find_verdict(texts: Sequence[str], words: Sequence[str]) -> Verdict:
    """Return the strongest statement of the reports of a patient about a class."""
    found = [Verdict("not mentioned")]
    for text in texts:
        if language := foreign_language(text):
            found.append(Verdict(FOREIGN[language]))
        else:
            found += [Verdict(each.statement, each.sentence) for each in mentions(text, words)]
    return min(found, key=lambda verdict: STRONGEST_FIRST.index(verdict.statement))


def tag_of_statement(*, unmentioned: str, uncertain: float | None) -> dict[str, str]:
    """Return the cell of a cohort's table for each statement; others leave the tag unknown.

    Args:
        unmentioned: "absent" or "unknown", for a class that no report of a patient mentions.
        uncertain: The probability of a class that is stated as uncertain; None: unknown.
    """
    silent = {"not mentioned": "0"} if unmentioned == "absent" else {}
    return TAGS | silent | {"uncertain": tag_cell(uncertain)}


def write_tags(path: Path, reports: Reports, verdicts: Verdicts, tag_of: Mapping[str, str]) -> None:
    """Write a CSV row per patient: tag.<class>, statement.<class> and sentence.<class>.

    `tag_of` has the tags by statement.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    kinds = ("tag", "statement", "sentence")
    writer.writerow([reports.key, *(f"{kind}.{name}" for name in verdicts for kind in kinds)])
    for patient in reports.texts:
        row = [patient]
        for of_patients in verdicts.values():
            verdict = of_patients[patient]
            tag = tag_of.get(verdict.statement, "")
            row += [tag, verdict.statement, escape_formula(verdict.sentence)]
        writer.writerow(row)
    write_text(path, text.getvalue())


def agreement(
    verdicts: Mapping[str, Verdict], manual: Mapping[str, str], tag_of: Mapping[str, str]
) -> dict[tuple[str, str], int]:
    """Count the patients with each pair of (tag that a person gave, tag from the reports).

    A probability counts as unknown.
    """
    counts = {(a, b): 0 for a in MEANINGS for b in MEANINGS}
    for patient, verdict in verdicts.items():
        pair = manual[patient], tag_of.get(verdict.statement, "")
        given, derived = (cell if cell in MEANINGS else "" for cell in pair)
        counts[given, derived] += 1
    return counts


def escape_formula(cell: str) -> str:
    """Return a cell that no spreadsheet evaluates as a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
