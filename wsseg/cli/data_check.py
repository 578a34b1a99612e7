"""wsseg data check."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wsseg.cli.runs import Accept, Changes

if TYPE_CHECKING:
    from rich.table import Table

    from wsseg.data.checks.expected import Expected
    from wsseg.data.checks.findings import Finding
    from wsseg.data.checks.run import Listed

COLOURS: Mapping[str, str] = {"error": "red", "warning": "yellow", "note": "dim"}
MOST_ROWS = 5  # of one kind of finding, in the table
MOST_CASES = 8  # of one finding, in the table


def check(
    cohort: Annotated[
        str, typer.Argument(help="A cohort.csv, a folder of scans, or a recipe's name or file.")
    ],
    changes: Changes = None,
    accept: Accept = None,
    unit: Annotated[
        Literal["HU", "any"] | None,
        typer.Option(help="Of the scans: HU for CT (the default), any else. A recipe says it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
) -> None:
    """Find all that is wrong with a cohort.

    Each file is read once; what was measured is kept in the cache. Ends with 1 where there is an
    error. A recipe's cohorts are checked for what that recipe wants of them.

    Example: wsseg data check mine/cohort.csv
    """
    from wsseg.data.checks.findings import Finding, accepted, accepting, check_acceptable
    from wsseg.data.checks.run import check
    from wsseg.errors import WorkError
    from wsseg.runtime.console import Display

    check_acceptable(accept or [])
    display, names, found = Display(), set[str](), list[Finding]()
    for listed, expected in _named(cohort, changes, unit):
        found += listed.findings
        found += check(
            [accepting(case, accept or []) for case in listed.cases],
            expected,
            accept or [],
            lambda facts, number: display.track("checking scans", facts, number),
        )
        names |= {case.name for case in listed.cases}
    found = accepted(dict.fromkeys(found), accept or [])
    _show(cohort, len(names), found, as_json=as_json)
    if errors := sum(finding.severity == "error" for finding in found):
        raise WorkError(f"{cohort}: {errors} error{'s' * (errors > 1)} found")


def _named(
    cohort: str, changes: Sequence[str] | None, unit: Literal["HU", "any"] | None
) -> "Iterable[tuple[Listed, Expected]]":
    from wsseg.errors import InputError

    path = Path(cohort)
    if path.suffix in (".yaml", ".yml") or not (path.exists() or path.suffix == ".csv"):
        from wsseg.config.recipe import load_recipe
        from wsseg.training.preflight import listed_for

        if unit is not None:
            raise InputError(f"{cohort}: a recipe says its unit; write --set input.unit={unit}")
        return listed_for(load_recipe(cohort, changes or []))
    if changes:
        raise InputError(f"{cohort}: is no recipe, and has nothing that --set could change")
    return [_without_recipe(path, unit or "HU")]


def _without_recipe(path: Path, unit: Literal["HU", "any"]) -> "tuple[Listed, Expected]":
    from wsseg.components.cohorts import Table
    from wsseg.core.input import Input
    from wsseg.data.checks.expected import Expected
    from wsseg.data.checks.run import Listed, listed

    if path.is_dir() and (path / "cohort.csv").exists():
        path /= "cohort.csv"
    if path.suffix == ".csv":
        found = listed(Table(path=path))
    else:
        from wsseg.inference.run import cases_of

        found = Listed(cases_of([path]), [])
    of_slices = (tags for case in found.cases for tags in case.slice_tags.values())
    named = (name for tags in (*(c.tags for c in found.cases), *of_slices) for name in tags)
    return found, Expected(Input(unit=unit), tags=tuple(dict.fromkeys(named)))


def _show(cohort: str, cases: int, found: "Sequence[Finding]", *, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from wsseg.data.checks.findings import SEVERITIES
    from wsseg.runtime.console import open_console

    counts = {s: sum(finding.severity == s for finding in found) for s in SEVERITIES}
    if as_json:
        rows = [asdict(finding) | {"acceptable": finding.acceptable} for finding in found]
        about = {"cohort": cohort, "cases": cases, "counts": counts, "findings": rows}
        typer.echo(json.dumps(about, indent=2, ensure_ascii=False))
        return
    if found:
        open_console().print(_table(found))
    words = [f"{n} {s}{'s' * (n != 1)}" for s, n in counts.items() if n]
    typer.echo(f"{cases} scan{'s' * (cases != 1)}: {', '.join(words) or 'nothing found'}")


def _table(found: "Sequence[Finding]") -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for head in ("severity", "finding"):  # names to be copied
        table.add_column(head, no_wrap=True)
    for head in ("case", "what", "remedy"):
        table.add_column(head, overflow="fold")
    for kind in dict.fromkeys((finding.severity, finding.name) for finding in found):
        same = [finding for finding in found if (finding.severity, finding.name) == kind]
        for each in same[:MOST_ROWS]:
            remedy = each.remedy
            if each.acceptable and each.severity == "error":
                remedy += f"; or --accept {each.name}"
            words = (each.severity, each.name, _first(each.case), each.what, remedy)
            table.add_row(*map(Text, words), style=COLOURS[each.severity])
        if len(same) > MOST_ROWS:
            more = f"and {len(same) - MOST_ROWS} more (--json lists them)"
            table.add_row(*map(Text, (*kind, "…", more, "")), style=COLOURS[kind[0]])
    return table


def _first(cases: str) -> str:
    names = cases.split(", ")
    more = len(names) - MOST_CASES
    return ", ".join(names[:MOST_CASES]) + (f" and {more} more" if more > 0 else "")
