"""The command `wsseg tags-from-reports`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from wsseg_reports.tables import Reports, Verdict

SYNTAX = "--class NAME=WORD,WORD, such as --class effusion=effusion,effusions"


def tags_from_reports(
    reports: Annotated[
        Path, typer.Argument(help="CSV file with the columns patient (or case) and report.")
    ],
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME=WORDS",
            help="A class and the words that mean it: NAME=WORD,WORD,... Repeatable.",
        ),
    ] = None,
    unmentioned: Annotated[
        Literal["unknown", "absent"],
        typer.Option(help="Tag of a class that no report of a patient mentions."),
    ] = "unknown",
    uncertain: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help='Probability of an uncertain class, such as 0.5 for "cannot be excluded". '
            "Default: its tag is unknown.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COLUMN",
            help="Rename columns: NAME=COLUMN,NAME=COLUMN, such as Pat-ID=patient. Repeatable.",
        ),
    ] = None,
) -> None:
    """Derive tags of patients from their reports.

    Reports must be in English. The output has the sentence that led to each tag, so that a person
    can check it. The command prints no names and no text of the reports. If the table has columns
    tag.NAME with tags given by a person, it prints how often the derived tags agree with them.

    Example: wsseg tags-from-reports reports.csv --out tags.csv --class edema=edema,oedema
    """
    from wsseg import InputError
    from wsseg.tools import parse_columns
    from wsseg_reports.tables import find_verdicts, read_reports, tag_of_statement, write_tags

    table = read_reports(reports, parse_columns(columns or []))
    keywords = _keywords(classes or [])
    tag_of = tag_of_statement(unmentioned=unmentioned, uncertain=uncertain)
    if out.exists() and out.samefile(reports):
        raise InputError(f"{out}: this is the file with the reports; choose another --out")
    verdicts = find_verdicts(table, keywords)
    write_tags(out, table, verdicts, tag_of)
    for name, of_patients in verdicts.items():
        _print_counts(name, of_patients, table, tag_of)
    if languages := Counter(table.languages()):
        numbers = ", ".join(f"{number} in {language}" for language, number in languages.items())
        typer.echo(
            f"not read, because only English is: reports {numbers}. The tags of these patients are "
            "unknown, unless another report states that the class is present"
        )
    typer.echo(f"tags: {out}\nread the sentences before you train on these tags")


def _keywords(classes: Sequence[str]) -> dict[str, list[str]]:
    """Parse NAME=WORD,WORD."""
    from wsseg import InputError

    if not classes:
        raise InputError(f"--class is missing; write {SYNTAX}")
    keywords: dict[str, list[str]] = {}
    for text in classes:
        name, _, words = text.partition("=")
        keywords[name.strip()] = [word.strip() for word in words.split(",") if word.strip()]
        if not name.strip() or not keywords[name.strip()]:
            raise InputError(f"--class {text}: write {SYNTAX}")
    return keywords


def _print_counts(
    name: str, verdicts: Mapping[str, "Verdict"], table: "Reports", tag_of: Mapping[str, str]
) -> None:
    """Print how many patients have which tag of a class, and the agreement with given tags."""
    from wsseg_reports.tables import MEANINGS, agreement

    tags = [tag_of.get(verdict.statement, "") for verdict in verdicts.values()]
    counted = {meaning: tags.count(cell) for cell, meaning in MEANINGS.items()}
    likely = len(tags) - sum(counted.values())
    counted |= {"with a probability": likely} if likely else {}
    numbers = ", ".join(f"{number} {meaning}" for meaning, number in counted.items())
    typer.echo(f"{name}: {numbers}, of {len(tags)} {table.key}s")
    if name not in table.manual_tags:
        return
    counts = agreement(verdicts, table.manual_tags[name], tag_of)
    equal, total = sum(n for (a, b), n in counts.items() if a == b), sum(counts.values())
    typer.echo(f"  {equal} of {total} agree with the given tags ({100 * equal / total:.0f} %)")
    for (given, derived), number in counts.items():
        if given != derived and number:
            typer.echo(f"  {number} given as {MEANINGS[given]}, derived as {MEANINGS[derived]}")
