"""wsseg train, predict, score, report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from wsseg.runtime.console import Display

Run = Annotated[Path, typer.Argument(help="A folder that `wsseg train` wrote.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a value: a.b.c=VALUE, in YAML. May be repeated."),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(help="Go on with this finding of `wsseg data check`. May be repeated."),
]

Jobs = Annotated[int | None, typer.Option(min=1, help="How many at a time; 1 by default.")]
Backend = Annotated[
    Literal["loky", "dask"], typer.Option(help="Processes here, or a Dask cluster's workers.")
]
Scheduler = Annotated[
    str | None, typer.Option(help="A Dask scheduler's address, for --backend dask.")
]


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or file; `wsseg recipe list`.")],
    out: Annotated[Path, typer.Option(help="The new run's folder.")],
    changes: Changes = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.")
    ] = False,
    save_every: Annotated[
        int | None, typer.Option(min=1, help="Save every so many steps, not only each epoch.")
    ] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="GPUs, or processes on a CPU, to train on; 1.")
    ] = None,
    accept: Accept = None,
) -> None:
    """Train all stages of a recipe.

    Before, its scans are checked as by `wsseg data check`. Under torchrun or Slurm's srun, the
    processes that they begin train together.

    Example: wsseg train covid/demo-phi2 --out runs/phi2 --set seed=1
    """
    from wsseg.runtime.launcher import launch
    from wsseg.runtime.process_group import launched_group, requested_group

    here = launched_group()
    group = requested_group(devices, here)
    if here is None and group.processes > 1:
        raise typer.Exit(launch(group.processes))

    from wsseg.config.recipe import load_recipe
    from wsseg.errors import InterruptedWorkError, WorkError
    from wsseg.runtime.console import Display, SilentDisplay
    from wsseg.runtime.group_errors import group_session
    from wsseg.training.run import split_of, train_stages
    from wsseg.training.stage import RunContext

    display = Display() if group.is_leader else SilentDisplay()
    place = RunContext(out, display, save_every, group=group)
    try:
        with group_session(group):
            loaded = load_recipe(recipe, changes or [])
            train_stages(loaded, split_of(loaded), place, resume=resume, accept=accept or [])
    except InterruptedWorkError as stop:
        raise WorkError(f"{stop}. The same command with --resume goes on from there") from None
    except KeyboardInterrupt:
        raise WorkError(
            "interrupted; what is finished is kept. "
            "The same command with --resume goes on from there"
        ) from None
    display.note(f"trained: {out}\nnext: wsseg score {out}, or wsseg predict {out} SCAN --out DIR")


def predict(
    run: Run,
    scans: Annotated[
        list[Path],
        typer.Argument(help="NIfTI files, DICOM folders, folders of them, or a cohort.csv."),
    ],
    out: Annotated[Path, typer.Option(help="Where masks and scores.csv are written.")],
    jobs: Jobs = None,
    backend: Backend = "loky",
    scheduler: Scheduler = None,
) -> None:
    """Segment scans: masks on their own grids, and a table of scores.

    The same command again takes over the masks that are there and makes the rest.

    Example: wsseg predict runs/phi2 scan.nii.gz --out masks
    """
    from wsseg.evaluation.rows import write_rows
    from wsseg.inference.batch_prediction import predict_all
    from wsseg.inference.run import cases_of, check_scans, load_run
    from wsseg.runtime.console import Display
    from wsseg.runtime.executors import open_workers
    from wsseg.runtime.files import remove_leftovers
    from wsseg.runtime.folder_lock import lock_folder

    display, cases = Display(), cases_of(scans)
    check_scans(cases, out)
    loaded = load_run(run)
    with lock_folder(out), open_workers(backend, jobs, scheduler) as workers:
        remove_leftovers(out)
        work = predict_all(loaded, cases, out, workers)
        came = {case.name: row for case, row in display.each("predicting", work, len(cases))}
        ordered = [came[case.name] for case in cases]
        rows = [row for row in ordered if not isinstance(row, Exception)]
        if rows:
            write_rows(out / "scores.csv", rows)
            values = ", ".join(f"{i} {name}" for i, name in enumerate(loaded.recipe.classes, 1))
            display.note(f"{len(rows)} masks (0 background, {values}) and scores.csv in {out}")
        _tell([error for error in ordered if isinstance(error, Exception)], len(cases), display)


def _tell(failed: "list[Exception]", scans: int, display: "Display") -> None:
    """Say why some scans have no mask; the first reason ends the command."""
    from wsseg.errors import InputError, WorkError

    for other in failed[1:]:
        display.warn(str(other))
    if failed:
        others = f"{len(failed)} of {scans} scans have no mask; " if scans > 1 else ""
        kind = InputError if isinstance(failed[0], InputError) else WorkError
        raise kind(f"{others}{failed[0]}")


def score(run: Run) -> None:
    """Compare what a run predicts in its test cases with the truth.

    Example: wsseg score runs/phi2
    """
    from wsseg.evaluation.evaluate import evaluate, held_out
    from wsseg.evaluation.rows import read_rows, write_rows
    from wsseg.evaluation.summary import summary
    from wsseg.inference.run import load_run
    from wsseg.report.terminal import terminal_table
    from wsseg.runtime.console import Display, open_console

    display = Display()
    loaded = load_run(run)
    cases = held_out(loaded)
    rows = [
        {"method": run.resolve().name, "seed": loaded.recipe.seed, **row}
        for row in display.each("scoring", evaluate(loaded, cases), len(cases))
    ]
    write_rows(run / "scores.csv", rows)
    open_console().print(terminal_table(summary(read_rows(run / "scores.csv"))))


def report(run: Run) -> None:
    """Write a run's report.html from its scores.

    Example: wsseg report runs/phi2
    """
    from wsseg.evaluation.evaluate import held_out
    from wsseg.inference.run import load_run
    from wsseg.report.build import report_run
    from wsseg.runtime.console import Display

    Display().note(f"report: {report_run(run, held_out(load_run(run)))}")
