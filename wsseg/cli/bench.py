"""Commands for benchmark suites: bench run, bench tune and bench report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from wsseg.cli.command_help import Commands
from wsseg.cli.options import Accept, Backend, Jobs, Scheduler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from wsseg.evaluation.comparison import Compare
    from wsseg.report.build import ReportedRun
    from wsseg.suite.definition import Job

Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, help="Threads per worker (default: the cores divided by --jobs)."),
]

app = Commands("Run benchmark suites.")


@app.command()
def run(
    suite: Annotated[Path, typer.Argument(help="The YAML file of a suite.")],
    out: Annotated[Path, typer.Option(help="Folder for the suite; finished jobs are kept.")],
    jobs: Jobs = None,
    threads: Threads = None,
    backend: Backend = "loky",
    scheduler: Scheduler = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the jobs that would run, and stop.")
    ] = False,
    accept: Accept = None,
) -> None:
    """Train and score every method, seed and fold of a suite.

    The command first checks that the files of all cohorts exist, and that no job's folder holds a
    run with other settings or of other code; --dry-run checks this, too.

    Run the same command again to continue an interrupted suite or to retry failed jobs.

    Example: wsseg bench run benchmarks/phantom/suite.yaml --out runs/demo
    """
    from wsseg.errors import WorkError
    from wsseg.runtime.console import Display
    from wsseg.runtime.executors import open_workers
    from wsseg.suite.definition import load_suite, plan, suite_text
    from wsseg.suite.folder import SuiteFolder
    from wsseg.suite.runner import SuiteContext, run_suite
    from wsseg.training.preflight import require_files

    loaded = load_suite(suite)
    planned = plan(loaded, suite.parent)
    if dry_run:
        _print_plan(planned, out, jobs or 1, threads, backend)
        _require_no_refusal(planned, out)
        require_files(job.recipe for job in planned)
        return
    with open_workers(backend, jobs, scheduler, threads) as workers:
        context = SuiteContext(SuiteFolder(out), workers, Display(), tuple(accept or ()))
        failed = run_suite(planned, suite_text(loaded), context)
    if len(failed) < len(planned):
        _write_report(out)
    if failed:
        raise WorkError(
            f"{len(failed)} of {len(planned)} jobs failed; run the same command again to retry them"
        )


@app.command()
def tune(
    suite: Annotated[Path, typer.Argument(help="The YAML file of a suite.")],
    out: Annotated[Path, typer.Option(help="Folder of the suite, as for `wsseg bench run`.")],
    jobs: Jobs = None,
    threads: Threads = None,
    backend: Backend = "loky",
    scheduler: Scheduler = None,
    accept: Accept = None,
) -> None:
    """Choose the settings in a suite's `tune`, per seed and fold.

    No test case is used. `wsseg bench run` with the same --out then uses the chosen settings. Run
    the same command again to continue, also after raising the number of trials. Needs Optuna
    (pip install 'wsseg[tune]').

    Example: wsseg bench tune benchmarks/phantom/suite.yaml --out runs/demo
    """
    from wsseg.errors import WorkError
    from wsseg.runtime.console import Display
    from wsseg.runtime.executors import open_workers
    from wsseg.suite.definition import load_suite, plan
    from wsseg.suite.folder import SuiteFolder
    from wsseg.suite.runner import SuiteContext
    from wsseg.suite.tune_suite import tune_suite

    planned = plan(load_suite(suite), suite.parent)
    with open_workers(backend, jobs, scheduler, threads) as workers:
        context = SuiteContext(SuiteFolder(out), workers, Display(), tuple(accept or ()))
        failed = tune_suite(planned, context)
    for each in failed:
        typer.echo(f"{each.job.folder}: {each.reason}", err=True)
    if failed:
        raise WorkError(
            f"for {len(failed)} jobs, no settings were chosen; run the same command again to retry"
        )


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="The folder of a suite, from `wsseg bench run`.")],
) -> None:
    """Write the report of a suite and print its tables.

    Jobs that have not finished are left out.

    Example: wsseg bench report runs/demo
    """
    _write_report(out)


def _print_plan(
    planned: "Sequence[Job]", out: Path, jobs: int, threads: int | None, backend: str
) -> None:
    from wsseg.runtime.executors import threads_per_process
    from wsseg.suite.dry_run import DurationEstimate, plan_lines
    from wsseg.suite.folder import SuiteFolder
    from wsseg.suite.timings import machine, measured_durations

    here = machine(threads or threads_per_process(jobs))
    measured = measured_durations(here) if backend == "loky" else {}
    for line in plan_lines(planned, SuiteFolder(out), DurationEstimate(jobs, measured)):
        typer.echo(line)


def _require_no_refusal(planned: "Sequence[Job]", out: Path) -> None:
    from wsseg.errors import InputError
    from wsseg.suite.dry_run import refusals
    from wsseg.suite.folder import SuiteFolder

    if refused := refusals(planned, SuiteFolder(out)):
        raise InputError(
            f"{len(refused)} of {len(planned)} jobs would be refused, so none would run; "
            "the plan above states why"
        )


def _write_report(out: Path) -> None:
    from wsseg.errors import InputError
    from wsseg.evaluation.method_labels import label_methods
    from wsseg.evaluation.rows import read_rows
    from wsseg.report.build import ReportContext, report_suite
    from wsseg.report.terminal import terminal_comparison
    from wsseg.runtime.console import open_console
    from wsseg.suite.definition import load_suite
    from wsseg.suite.folder import SuiteFolder

    folder = SuiteFolder(out)
    if not folder.rows.exists():
        raise InputError(
            f"{out}: {folder.rows.name} is missing, because no job has finished. Run the suite: "
            f"wsseg bench run SUITE --out {out}"
        )
    rows = read_rows(folder.rows)
    suite = load_suite(folder.definition)
    comparison = _possible_comparison(suite.compare, rows)
    context = ReportContext(comparison, suite.chosen_from, suite.published)
    runs = _finished_runs(out, rows)
    page = report_suite(out, out.resolve().name, rows, runs, context)
    labelled = label_methods(rows, suite.chosen_from)
    open_console().print(terminal_comparison(labelled, comparison, suite.chosen_from))
    _repeat_warnings(out, runs, rows)
    typer.echo(f"rows: {folder.rows}\nreport: {page}")


def _finished_runs(out: Path, rows: "DataFrame") -> "list[ReportedRun]":
    from wsseg.evaluation.manifest_cases import held_out_cases
    from wsseg.inference.run import load_run
    from wsseg.report.build import ReportedRun
    from wsseg.suite.folder import SuiteFolder, run_path

    finished = rows[["method", "seed", "fold"]].drop_duplicates().itertuples(index=False)
    suite = SuiteFolder(out)
    runs = []
    for method, seed, fold in finished:
        folder = suite.run(run_path(method, seed, int(fold) if fold else None)).path
        runs.append(ReportedRun(method, folder, held_out_cases(load_run(folder)), seed, fold))
    return runs


def _repeat_warnings(out: Path, runs: "Sequence[ReportedRun]", rows: "DataFrame") -> None:
    """Print the warnings of all runs again, below the tables, where they are still visible."""
    from wsseg.inference.folders import RunFolder
    from wsseg.report.terminal import repeated_warnings
    from wsseg.runtime.console import Display
    from wsseg.training.log import read_log

    logs = {str(each.folder.relative_to(out)): RunFolder(each.folder).log for each in runs}
    records = {name: read_log(path) for name, path in logs.items() if path.exists()}
    display = Display()
    for text in repeated_warnings(records, rows):
        display.warn(text)


def _possible_comparison(comparison: "Compare | None", rows: "DataFrame") -> "Compare | None":
    """Return the part of the comparison that the finished jobs allow; print what is missing."""
    from wsseg.errors import did_you_mean

    if comparison is None:
        return None
    finished = set(rows["method"])
    if comparison.baseline not in finished:
        typer.echo(f"no comparison: {comparison.baseline} has not finished", err=True)
        return None
    if comparison.metric not in rows:
        hint = did_you_mean(comparison.metric, map(str, rows))
        typer.echo(f"no comparison: no row has {comparison.metric!r}{hint}", err=True)
        return None
    if comparison.ceiling is not None and comparison.ceiling not in finished:
        typer.echo(f"no share of the gap: {comparison.ceiling} has not finished", err=True)
        return comparison.model_copy(update={"ceiling": None})
    return comparison
