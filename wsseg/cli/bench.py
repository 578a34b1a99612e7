"""wsseg bench run, report."""

from pathlib import Path
from typing import Annotated

import typer

SUITE = "suite.yaml"  # in a suite's folder: what was run

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
    from wsseg.files import write_text
    from wsseg.lock import locked
    from wsseg.suite import load_suite, plan

    jobs = plan(load_suite(suite), suite.parent)
    if dry_run:
        for job in jobs:
            typer.echo(f"{job.folder}  {state(job, out)}")
        return
    with locked(out):
        failed = run_suite(jobs, out, Display())
        if len(failed) < len(jobs):
            write_text(out / SUITE, suite.read_text(encoding="utf-8"))
            _show(out)
    if failed:
        raise WorkError(
            f"{len(failed)} of {len(jobs)} jobs failed; the same command tries them again"
        )


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="A folder that `wsseg bench run` wrote.")],
) -> None:
    """Make a suite's table and page again from its rows.

    Example: wsseg bench report runs/demo
    """
    _show(out)


def _show(out: Path) -> None:
    """Print the table and write the report of what is done."""
    from wsseg.display import open_console
    from wsseg.evaluate import held_out
    from wsseg.pages import Shown, report_suite
    from wsseg.predict import load_run
    from wsseg.report.terminal import terminal_table
    from wsseg.score import read_rows
    from wsseg.stats import summary
    from wsseg.suite import load_suite, run_folder

    rows = read_rows(out / "rows.csv")
    done = rows[["method", "seed", "fold"]].drop_duplicates().itertuples(index=False)
    folders = [(m, out / run_folder(m, s, int(f) if f else None)) for m, s, f in done]
    runs = [Shown(method, folder, held_out(load_run(folder))) for method, folder in folders]
    compared = load_suite(out / SUITE).compare
    if compared is not None and compared.baseline not in {shown.method for shown in runs}:
        typer.echo(f"not compared: {compared.baseline} is not done", err=True)
        compared = None
    page = report_suite(out, out.resolve().name, rows, runs, compared)
    open_console().print(terminal_table(summary(rows)))
    typer.echo(f"rows: {out / 'rows.csv'}\nreport: {page}")
