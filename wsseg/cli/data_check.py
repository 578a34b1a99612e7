"""The command data check."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsseg.cli.options import Accept, Changes, Columns, NameBy

if TYPE_CHECKING:
    from rich.table import Table

    from wsseg.data.checks.expected import Expectations
    from wsseg.data.checks.findings import Finding
    from wsseg.data.checks.run import CaseList

COLOURS: Mapping[str, str] = {"error": "red", "warning": "yellow", "note": "dim"}
MAX_ROWS_PER_KIND = 5  # of findings in the table
MAX_CASES_PER_ROW = 8


def check(
    cohort: Annotated[
        str,
        typer.Argument(
            help="A cohort.csv, a folder of scans, a recipe file or the name of a recipe."
        ),
    ],
    changes: Changes = None,
    accept: Accept = None,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="UNIT",
            help="Unit of the scans' values, by its name in `wsseg plugins list` (default: any).",
        ),
    ] = None,
    name_by: NameBy = "path",
    columns: Columns = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
) -> None:
    """Check the scans, masks and tags of a cohort for errors.

    Given a recipe, the command also checks the requirements of the recipe, and the regions that it
    computes. Measurements and regions are cached, so that the files are not read again. The exit
    code is 1 if there is an error.

    Example: wsseg data check mine/cohort.csv
    """
    from wsseg.data.checks.findings import (
        Finding,
        case_with_accepted,
        check_acceptable,
        with_accepted,
    )
    from wsseg.data.checks.run import check_cases
    from wsseg.errors import WorkError
    from wsseg.runtime.console import Display

    check_acceptable(accept or [])
    display, names, findings = Display(), set[str](), list[Finding]()
    for listed, expected in _cohorts_to_check(cohort, changes, unit, name_by, columns):
        findings += listed.findings
        findings += check_cases(
            [case_with_accepted(case, accept or []) for case in listed.cases],
            expected,
            accept or [],
            lambda facts, number: display.track("checking scans", facts, number),
        )
        names |= {case.name for case in listed.cases}
    findings = with_accepted(dict.fromkeys(findings), accept or [])
    _print_findings(cohort, len(names), findings, as_json=as_json)
    if errors := sum(finding.severity == "error" for finding in findings):
        raise WorkError(f"{cohort}: {errors} error{'s' * (errors > 1)} found")


def _cohorts_to_check(
    cohort: str,
    changes: Sequence[str] | None,
    unit: str | None,
    name_by: str,
    columns: Sequence[str] | None,
) -> "Iterable[tuple[CaseList, Expectations]]":
    from wsseg.data.file_names import find_path
    from wsseg.errors import InputError

    path = find_path(Path(cohort))
    if name_by != "path" and not path.is_dir():
        raise InputError(
            f"{cohort}: not a folder of images; remove --name-by, which names the images of a "
            "folder"
        )
    if path.suffix in (".yaml", ".yml") or not (path.exists() or path.suffix == ".csv"):
        from wsseg.config.recipe_files import load_recipe
        from wsseg.training.preflight import lists_of_cases

        if unit is not None:
            raise InputError(
                f"{cohort}: the unit is part of the recipe; write --set input.unit={unit}"
            )
        if columns:
            raise InputError(
                f"{cohort}: the names of columns are part of the recipe, such as cohort: "
                "{use: table, path: cohort.csv, columns: {Pat-ID: patient}}"
            )
        return lists_of_cases(load_recipe(cohort, changes or []))
    if changes:
        raise InputError(f"{cohort}: not a recipe; remove --set, which changes values of a recipe")
    return [_cohort_without_recipe(path, unit or "any", name_by, columns or [])]


def _cohort_without_recipe(
    path: Path, unit: str, name_by: str, columns: Sequence[str]
) -> "tuple[CaseList, Expectations]":
    from wsseg.components.cohorts import Table
    from wsseg.components.registry import make
    from wsseg.core.image_unit import ImageUnit
    from wsseg.core.input import Input
    from wsseg.data.checks.expected import Expectations
    from wsseg.data.checks.run import CaseList, list_cases
    from wsseg.data.csv_table import parse_columns
    from wsseg.errors import InputError

    input = Input(unit=make(ImageUnit, unit))
    if path.is_dir() and (path / "cohort.csv").exists():
        path /= "cohort.csv"
    if path.suffix == ".csv":
        found = list_cases(Table(path=path, columns=parse_columns(columns)))
    elif columns:
        raise InputError(
            f"{path}: this is a folder of images; remove --columns, which renames the columns of a "
            "table"
        )
    else:
        from wsseg.data.checks.scans import skipped_files
        from wsseg.inference.scans import find_scans, pseudonyms_of

        scans = find_scans([path], input.unit.modality, pseudonyms_of(name_by))
        found = CaseList(scans.cases, [skipped_files("", str(each)) for each in scans.skipped])
    slice_tags = (tags for case in found.cases for tags in case.slice_tags.values())
    names = (name for tags in (*(c.tags for c in found.cases), *slice_tags) for name in tags)
    return found, Expectations(input, tags=tuple(dict.fromkeys(names)))


def _print_findings(
    cohort: str, cases: int, findings: "Sequence[Finding]", *, as_json: bool
) -> None:
    import json
    from dataclasses import asdict

    from wsseg.data.checks.findings import SEVERITIES
    from wsseg.report.formatting import counted
    from wsseg.runtime.console import open_console

    counts = {s: sum(finding.severity == s for finding in findings) for s in SEVERITIES}
    if as_json:
        rows = [asdict(finding) | {"acceptable": finding.acceptable} for finding in findings]
        content = {"cohort": cohort, "cases": cases, "counts": counts, "findings": rows}
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    if findings:
        open_console().print(_findings_table(findings))
    words = [counted(n, s) for s, n in counts.items() if n]
    typer.echo(f"{counted(cases, 'scan')}: {', '.join(words) or 'no problems found'}")


def _findings_table(findings: "Sequence[Finding]") -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for head in ("severity", "finding"):  # not wrapped, so that names can be copied
        table.add_column(head, no_wrap=True)
    for head in ("case", "what", "remedy"):
        table.add_column(head, overflow="fold")
    for kind in dict.fromkeys((finding.severity, finding.name) for finding in findings):
        same = [finding for finding in findings if (finding.severity, finding.name) == kind]
        for each in same[:MAX_ROWS_PER_KIND]:
            remedy = each.remedy
            if each.acceptable and each.severity == "error":
                remedy += f"; or --accept {each.name}"
            words = (each.severity, each.name, _first_cases(each.case), each.what, remedy)
            table.add_row(*map(Text, words), style=COLOURS[each.severity])
        if len(same) > MAX_ROWS_PER_KIND:
            more = f"and {len(same) - MAX_ROWS_PER_KIND} more (--json lists them)"
            table.add_row(*map(Text, (*kind, "…", more, "")), style=COLOURS[kind[0]])
    return table


def _first_cases(cases: str) -> str:
    names = cases.split(", ")
    more = len(names) - MAX_CASES_PER_ROW
    return ", ".join(names[:MAX_CASES_PER_ROW]) + (f" and {more} more" if more > 0 else "")
