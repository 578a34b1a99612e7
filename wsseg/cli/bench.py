"""wsseg bench run, report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsseg.suite import Job, Suite

app = typer.Typer(help="Run benchmark suites.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def run(
    suite: Annotated[Path, typer.Argument(help="A suite's YAML file.")],
    out: Annotated[Path, typer.Option(help="The suite's folder; what is done there is kept.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be done.")
    ] = False,
) -> None:
    """Train and score every method, seed and fold of a suite.

    Example: wsseg bench run benchmarks/phantom/suite.yaml --out runs/demo
    """
    from wsseg.bench import run_suite, state
    from wsseg.display import Display
    from wsseg.errors import WorkError
    from wsseg.lock import locked
    from wsseg.suite import load_suite, plan

    display = Display()
    loaded = load_suite(suite)
    jobs = plan(loaded, suite.parent)
    if dry_run:
        for job in jobs:
            typer.echo(f"{job.folder}  {state(job, out)}")
        return
    with locked(out):
        failed = run_suite(jobs, out, display)
        _show(loaded, jobs, suite, out)
    if failed:
        raise WorkError(
            f"{len(failed)} of {len(jobs)} jobs failed; the same command tries them again"
        )


def _show(suite: "Suite", jobs: "Sequence[Job]", source: Path, out: Path) -> None:
    """Print the table and write the report of what is done."""
    from wsseg.bench import collect_rows, split_of_job
    from wsseg.display import open_console
    from wsseg.pages import Shown, report_suite
    from wsseg.report.terminal import terminal_table
    from wsseg.stats import summary

    done = [job for job in jobs if (out / job.folder / "scores.csv").exists()]
    if not done:
        return
    rows = collect_rows(done, out)
    runs = [Shown(job.method, out / job.folder, split_of_job(job).test) for job in done]
    compared = suite.compare
    if compared is not None and compared.baseline not in {job.method for job in done}:
        typer.echo(f"not compared: {compared.baseline} is not done", err=True)
        compared = None
    page = report_suite(out, source.resolve().parent.name, rows, runs, compared)
    open_console().print(terminal_table(summary(rows)))
    typer.echo(f"rows: {out / 'rows.csv'}\nreport: {page}")
