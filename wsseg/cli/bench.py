"""wsseg bench run, report."""

from pathlib import Path
from typing import Annotated

import typer

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
    from wsseg.bench import run_suite
    from wsseg.display import Display
    from wsseg.errors import WorkError
    from wsseg.lock import locked
    from wsseg.suite import load_suite, plan

    display = Display()
    loaded = load_suite(suite)
    jobs = plan(loaded, suite.parent)
    if dry_run:
        for job in jobs:
            done = (out / job.folder / "scores.csv").exists()
            typer.echo(f"{job.folder}  {'done' if done else 'to do'}")
        return
    with locked(out):
        failed = run_suite(jobs, out, display)
        _show(loaded, jobs, out)
    if failed:
        raise WorkError(
            f"{len(failed)} of {len(jobs)} jobs failed; the same command tries them again"
        )
