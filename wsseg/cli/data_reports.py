"""wsseg data tags-from-reports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from wsseg.data.report_tags import Unmentioned


def tags_from_reports(
    reports: Annotated[Path, typer.Argument(help="CSV: patient (or case), report, and any other.")],
    out: Annotated[Path, typer.Option(help="The CSV that is written.")],
    classes: Annotated[
        list[str],
        typer.Option(
            "--class", help="NAME=WORD,WORD,...: the words that mean a class. Repeatable."
        ),
    ] = ["consolidation=consolidation,consolidations,consolidated,consolidative"],  # noqa: B006
    unmentioned: Annotated[
        Unmentioned, typer.Option(help="The tag where no report mentions a class.")
    ] = Unmentioned.UNKNOWN,
) -> None:
    """Make patients' tags from their reports.

    Each tag comes with the sentence that says so, to be checked by a person.

    No names and no text of a report are printed. Where the table has tag.NAME columns, filled in
    by a person, the command prints how often it agrees with them.

    Example: wsseg data tags-from-reports reports.csv --out tags.csv
    """
    from wsseg.data.report_tags import agreement, find_verdicts, read_reports, tag_cell, write_tags
    from wsseg.errors import InputError

    table, wanted = read_reports(reports), _keywords(classes)
    if out.exists() and out.samefile(reports):
        raise InputError(f"{out}: would be written over the reports; choose another --out")
    verdicts = find_verdicts(table, wanted)
    write_tags(out, table, verdicts, unmentioned)
    for name, of_patients in verdicts.items():
        tags = [tag_cell(verdict, unmentioned) for verdict in of_patients.values()]
        typer.echo(
            f"{name}: {tags.count('1')} present, {tags.count('0')} absent, "
            f"{tags.count('')} unknown, of {len(tags)} {table.key}s"
        )
        if name in table.manual_tags:
            _show(agreement(of_patients, table.manual_tags[name], unmentioned))
    typer.echo(f"tags: {out}\nread the sentences before you train on them")


def _keywords(classes: Sequence[str]) -> dict[str, list[str]]:
    from wsseg.errors import InputError

    found: dict[str, list[str]] = {}
    for text in classes:
        name, _, words = text.partition("=")
        found[name.strip()] = [word.strip() for word in words.split(",") if word.strip()]
        if not name.strip() or not found[name.strip()]:
            raise InputError(
                f"--class {text}: write NAME=WORD,WORD, such as effusion=effusion,fluid"
            )
    return found


def _show(counts: dict[tuple[str, str], int]) -> None:
    """Print how often what was found is what a person gave, and how it differs."""
    from wsseg.data.report_tags import MEANINGS

    same, total = sum(n for (a, b), n in counts.items() if a == b), sum(counts.values())
    typer.echo(f"  as given in {same} of {total} ({100 * same / total:.0f} %)")
    for (given, found), number in counts.items():
        if given != found and number:
            typer.echo(f"  {number} given as {MEANINGS[given]}, found {MEANINGS[found]}")
