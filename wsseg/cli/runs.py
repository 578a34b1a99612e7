"""Commands that work on a run: train, score, report and manifest verify."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsseg.cli.command_help import Commands
from wsseg.cli.options import Accept, Changes, Run
from wsseg.cli.scan_warnings import show_scan_warnings

if TYPE_CHECKING:
    from wsseg.core.case import Case
    from wsseg.inference.run import Run as LoadedRun
    from wsseg.runtime.console import Display

manifest = Commands("Check the data that a run was trained on.")


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or a name from `wsseg recipe list`.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to create for the run.")],
    changes: Changes = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run in this folder.")
    ] = False,
    save_every: Annotated[
        int | None,
        typer.Option(min=1, help="Save a checkpoint every N steps and after every epoch."),
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="Number of GPUs, or of processes on a CPU (default: 1)."),
    ] = None,
    accept: Accept = None,
) -> None:
    """Train all stages of a recipe.

    The scans are first checked as by `wsseg data check`. To train on
    several nodes, start this command with torchrun or srun.

    Example: wsseg train my-recipe.yaml --out runs/first --set seed=1
    """
    from wsseg.runtime.launcher import launch
    from wsseg.runtime.process_group import launched_group, requested_group

    launched = launched_group()
    group = requested_group(devices, launched)
    if launched is None and group.processes > 1:
        raise typer.Exit(launch(group.processes))

    from wsseg.config.recipe_files import load_recipe
    from wsseg.errors import InterruptedWorkError, WorkError
    from wsseg.inference.folders import RunFolder
    from wsseg.runtime.console import Display, SilentDisplay
    from wsseg.runtime.group_errors import group_session
    from wsseg.training.context import RunContext
    from wsseg.training.run import split_of, train_stages

    display = Display() if group.is_leader else SilentDisplay()
    context = RunContext(RunFolder(out), display, save_every, group=group)
    how_to_continue = "To continue, run the same command with --resume"
    try:
        with group_session(group):
            loaded = load_recipe(recipe, changes or [])
            train_stages(loaded, split_of(loaded), context, resume=resume, accept=accept or [])
    except InterruptedWorkError as stop:
        raise WorkError(f"{stop}. {how_to_continue}") from None
    except KeyboardInterrupt:
        raise WorkError(f"interrupted; finished stages are saved. {how_to_continue}") from None
    display.note(f"trained: {out}\nnext: wsseg score {out}, or wsseg predict {out} SCAN --out DIR")


def score(
    run: Run,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities", help="Also evaluate probabilities, of pixels and of cases."
        ),
    ] = False,
) -> None:
    """Score a run on its test cases.

    Compares the predicted masks with the reference masks, where there are any, and writes
    scores.csv.

    With --probabilities, scores.csv has a column CLASS_probability, the largest probability of a
    pixel, and reliability.json states how often pixels with a given probability have the class, and
    their AUROC; the report shows both. This runs the networks once more, or twice after `wsseg
    calibrate`.

    Example: wsseg score runs/phi2
    """
    from wsseg.evaluation.evaluate import evaluate, missing_annotations
    from wsseg.evaluation.manifest_cases import held_out_cases
    from wsseg.evaluation.rows import read_rows, write_rows
    from wsseg.evaluation.summary import summarise
    from wsseg.inference.folders import RunFolder
    from wsseg.inference.run import load_run
    from wsseg.report.terminal import terminal_results
    from wsseg.runtime.console import Display, open_console

    display = Display()
    loaded = load_run(run)
    cases = held_out_cases(loaded)
    rows = [
        {"method": run.resolve().name, "seed": loaded.recipe.seed, **row}
        for row in display.track("scoring", evaluate(loaded, cases), len(cases))
    ]
    if probabilities:
        columns = _measure_probabilities(loaded, cases, display)
        rows = [{**row, **more} for row, more in zip(rows, columns, strict=True)]
    scores = RunFolder(run).scores
    write_rows(scores, rows)
    open_console().print(terminal_results(summarise(read_rows(scores))))
    show_scan_warnings(rows, display)
    for sentence in missing_annotations(cases, loaded.recipe.classes):
        display.warn(sentence)


def _measure_probabilities(
    run: "LoadedRun", cases: "Sequence[Case]", display: "Display"
) -> "list[Mapping[str, float]]":
    """Write the reliability of a run's probabilities, and return the columns of each case."""
    from wsseg.evaluation.measure_reliability import measure_cases, pooled
    from wsseg.evaluation.reliability import write_reliability
    from wsseg.inference.folders import RunFolder
    from wsseg.report.formatting import counted

    steps = display.track("measuring probabilities", measure_cases(run, cases), len(cases))
    measured = list(steps)
    found = pooled(run, measured)
    write_reliability(RunFolder(run.folder), found)
    for name, each in found.items():
        after = "" if each.calibrated is None else f", calibrated {each.calibrated.ece:.4f}"
        pixels = sum(each.uncalibrated.pixels)
        auc = "" if each.pixel_auc is None else f", pixel AUROC {each.pixel_auc:.3f}"
        display.note(
            f"{name}: expected calibration error {each.uncalibrated.ece:.4f}{after}{auc} "
            f"({counted(each.cases, 'case')}, {counted(pixels, 'pixel')})"
        )
    return [each.columns for each in measured]


def report(run: Run) -> None:
    """Write report.html for a scored run.

    Example: wsseg report runs/phi2
    """
    from wsseg.evaluation.manifest_cases import held_out_cases
    from wsseg.inference.run import load_run
    from wsseg.report.build import report_run
    from wsseg.runtime.console import Display

    Display().note(f"report: {report_run(run, held_out_cases(load_run(run)))}")


@manifest.callback()
def _manifest() -> None:
    """Make `verify` a subcommand: typer would otherwise merge a single command into its group."""


@manifest.command()
def verify(run: Run) -> None:
    """Check that the files a run was trained on are unchanged.

    Example: wsseg manifest verify runs/phi2
    """
    from wsseg.errors import WorkError, escape_unprintable
    from wsseg.inference.packed_run import run_folder
    from wsseg.training.manifest import changed_files, read_manifest

    files = read_manifest(run_folder(run))["files"]
    changed = changed_files(files)
    for each in changed:
        used_for = "; ".join([f"case {each.case}"] * bool(each.case) + [", ".join(each.uses)])
        typer.echo(escape_unprintable(f"{each.change}: {each.path} ({used_for})"))
    number = len({each["path"] for each in files})
    if changed:
        raise WorkError(f"{run}: {len(changed)} of {number} files changed since the run read them")
    typer.echo(f"{run}: all {number} files are unchanged")
