"""wsseg bench run, report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wsseg.cli.runs import Accept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from wsseg.evaluation.comparison import Compare
    from wsseg.suite.definition import Job

app = typer.Typer(help="Run benchmark suites.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def run(
    suite: Annotated[Path, typer.Argument(help="A suite's YAML file.")],
    out: Annotated[Path, typer.Option(help="The suite's folder; what is done there is kept.")],
    jobs: Annotated[
        int | None, typer.Option(min=1, help="How many at a time; 1 by default.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of each job; by default they share the cores.")
    ] = None,
    backend: Annotated[
        Literal["loky", "dask"], typer.Option(help="Processes here, or a Dask cluster's workers.")
    ] = "loky",
    scheduler: Annotated[
        str | None, typer.Option(help="A Dask scheduler's address, for --backend dask.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be done.")
    ] = False,
    accept: Accept = None,
) -> None:
    """Train and score every method, seed and fold of a suite.

    The same command again does what is left of it, and what failed.

    Example: wsseg bench run benchmarks/phantom/suite.yaml --out runs/demo
    """
    from wsseg.errors import WorkError
    from wsseg.runtime.console import Display
    from wsseg.runtime.executors import open_workers
    from wsseg.suite.definition import load_suite, plan, suite_text
    from wsseg.suite.runner import run_suite

    loaded = load_suite(suite)
    planned = plan(loaded, suite.parent)
    if dry_run:
        _tell(planned, out, jobs, threads, backend)
        return
    with open_workers(backend, jobs, scheduler, threads) as workers:
        failed = run_suite(planned, suite_text(loaded), out, workers, Display(), accept or [])
    if len(failed) < len(planned):
        _show(out)
    if failed:
        raise WorkError(
            f"{len(failed)} of {len(planned)} jobs failed; the same command tries them again"
        )


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="A folder that `wsseg bench run` wrote.")],
) -> None:
    """Make a suite's table and page again from its rows.

    Example: wsseg bench report runs/demo
    """
    _show(out)


def _tell(
    planned: "Sequence[Job]", out: Path, jobs: int | None, threads: int | None, backend: str
) -> None:
    from wsseg.runtime.executors import threads_each
    from wsseg.suite.dry_run import Clock, plan_lines
    from wsseg.suite.timings import machine, paces

    known = paces(machine(threads or threads_each(jobs or 1))) if backend == "loky" else {}
    for line in plan_lines(planned, out, Clock(jobs or 1, known)):
        typer.echo(line)


def _show(out: Path) -> None:
    """Print the tables and write the report of what is done."""
    from wsseg.errors import InputError
    from wsseg.evaluation.comparison import gap_closed, paired_differences
    from wsseg.evaluation.evaluate import held_out_cases
    from wsseg.evaluation.method_labels import MARK, MARK_NOTE, label_methods, method_label
    from wsseg.evaluation.rows import read_rows
    from wsseg.evaluation.summary import summarise
    from wsseg.inference.run import load_run
    from wsseg.report.build import ReportContext, ReportedRun, report_suite
    from wsseg.report.comparison_tables import left_out, unequal_rows
    from wsseg.report.terminal import covered_table, terminal_table
    from wsseg.runtime.console import open_console
    from wsseg.suite.definition import load_suite, run_folder
    from wsseg.suite.folder import ROWS, SUITE

    if not (out / ROWS).exists():
        raise InputError(
            f"{out}: has no {ROWS}; no job is done there. Run it: wsseg bench run SUITE --out {out}"
        )
    rows = read_rows(out / ROWS)
    done = rows[["method", "seed", "fold"]].drop_duplicates().itertuples(index=False)
    folders = [(m, out / run_folder(m, s, int(f) if f else None)) for m, s, f in done]
    runs = [
        ReportedRun(method, folder, held_out_cases(load_run(folder))) for method, folder in folders
    ]
    suite = load_suite(out / SUITE)
    compared = _done(suite.compare, rows)
    held = ReportContext(compared, suite.settings_from, suite.published)
    page = report_suite(out, out.resolve().name, rows, runs, held)
    console, named = open_console(), label_methods(rows, suite.settings_from)
    found = summarise(named)
    console.print(terminal_table(found))
    notes = [unequal_rows(found)]
    if compared is not None:
        baseline = method_label(compared.baseline, suite.settings_from)
        notes += left_out(paired_differences(named, compared.metric, baseline))
    if compared is not None and compared.ceiling is not None:
        ceiling = method_label(compared.ceiling, suite.settings_from)
        if len(way := gap_closed(named, baseline, ceiling)):
            console.print(covered_table(way))
            notes += left_out(way)
    for note in filter(None, notes):
        typer.echo(note)
    if named["method"].str.endswith(MARK).any():
        typer.echo(MARK_NOTE)
    typer.echo(f"rows: {out / ROWS}\nreport: {page}")


def _done(compare: "Compare | None", rows: "DataFrame") -> "Compare | None":
    """Return what can be compared, and say what cannot."""
    from wsseg.errors import did_you_mean

    done = set(rows["method"])
    if compare is not None and compare.baseline not in done:
        typer.echo(f"not compared: {compare.baseline} is not done", err=True)
        return None
    if compare is not None and compare.metric not in rows:
        close = did_you_mean(compare.metric, map(str, rows))
        typer.echo(f"not compared: no row has {compare.metric!r}{close}", err=True)
        return None
    if compare is not None and compare.ceiling not in (None, *done):
        typer.echo(f"no share of the way: {compare.ceiling} is not done", err=True)
        return compare.model_copy(update={"ceiling": None})
    return compare
