"""Patients' tags from their reports, each with the sentence that it comes from."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from wsseg.data.csv_table import Row, read_sheet
from wsseg.data.negation import Mention, mentions, strongest
from wsseg.errors import InputError
from wsseg.runtime.files import write_text

TAGS = {"present": "1", "absent": "0", "uncertain": "", "not mentioned": ""}
MEANINGS = {"1": "present", "0": "absent", "": "unknown"}
KEYS = ("patient", "case")  # what a row is about
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a cell that begins so

Keywords: TypeAlias = Mapping[str, Sequence[str]]  # by class


class Unmentioned(StrEnum):
    """The tag of a class that no report mentions."""

    UNKNOWN = "unknown"
    ABSENT = "absent"


@dataclass(frozen=True)
class Verdict:
    """What the reports of one patient say of one class."""

    statement: str  # a key of TAGS
    sentence: str = ""  # the first that states it


@dataclass(frozen=True)
class Reports:
    """The rows of a table of reports: patient (or case), report; other columns are left alone."""

    key: str
    texts: Mapping[str, tuple[str, ...]]  # by patient
    given: Mapping[str, Mapping[str, str]]  # by class and patient: tags that a person gave


def read_reports(path: Path) -> Reports:
    """Read a table of reports; a patient may have several rows.

    Raises:
        InputError: It has no such columns, or a row without a patient.
    """
    rows = read_sheet(path, ("*",), needed=("report",))
    key = next((key for key in KEYS if rows and key in rows[0].cells), None)
    if key is None:
        raise InputError(
            f"{path}: needs a row a report, with the columns patient (or case), report"
        )
    texts: dict[str, tuple[str, ...]] = {}
    given: dict[str, dict[str, str]] = {}
    for row in rows:
        name = _name(row, key)
        texts[name] = (*texts.get(name, ()), row.get("report"))
        for tag, cell in row.family("tag").items():
            if cell not in MEANINGS:
                raise InputError(
                    f"{row.place}: tag.{tag} is {cell!r}; possible: 1, 0, nothing (unknown)"
                )
            given.setdefault(tag, {})[name] = cell
    return Reports(key, texts, given)


def tags_of(reports: Reports, keywords: Keywords) -> dict[str, dict[str, Verdict]]:
    """Return a verdict by class and patient."""
    return {
        name: {patient: _verdict(texts, words) for patient, texts in reports.texts.items()}
        for name, words in keywords.items()
    }


def tag_of(verdict: Verdict, unmentioned: Unmentioned) -> str:
    """Return a cell of a cohort's table: 1 present, 0 absent, nothing for unknown."""
    silent = verdict.statement == "not mentioned"
    return "0" if silent and unmentioned is Unmentioned.ABSENT else TAGS[verdict.statement]


def write_tags(
    path: Path,
    reports: Reports,
    verdicts: Mapping[str, Mapping[str, Verdict]],
    unmentioned: Unmentioned,
) -> None:
    """Write a row a patient: tag.<class>, statement.<class> and sentence.<class>, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    kinds = ("tag", "statement", "sentence")
    writer.writerow([reports.key, *(f"{kind}.{name}" for name in verdicts for kind in kinds)])
    for patient in reports.texts:
        row = [patient]
        for of_patients in verdicts.values():
            verdict = of_patients[patient]
            row += [tag_of(verdict, unmentioned), verdict.statement, harmless(verdict.sentence)]
        writer.writerow(row)
    write_text(path, text.getvalue())


def agreement(
    verdicts: Mapping[str, Verdict], given: Mapping[str, str], unmentioned: Unmentioned
) -> dict[tuple[str, str], int]:
    """Count patients by (tag that a person gave, tag found)."""
    counts = {(a, b): 0 for a in MEANINGS for b in MEANINGS}
    for patient, verdict in verdicts.items():
        counts[given[patient], tag_of(verdict, unmentioned)] += 1
    return counts


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _verdict(texts: Sequence[str], words: Sequence[str]) -> Verdict:
    found: list[Mention] = [each for text in texts for each in mentions(text, words)]
    if not found:
        return Verdict("not mentioned")
    statement = strongest([each.statement for each in found])
    return Verdict(statement, next(each.sentence for each in found if each.statement == statement))


def _name(row: Row, key: str) -> str:
    name = row.get(key)
    if not name or name.startswith(FORMULA) or not name.isprintable():
        # The name is not shown: it may be a person's.
        raise InputError(
            f"{row.place}: its {key} is empty, or begins as a formula does (=, +, -, @)"
        )
    return name
