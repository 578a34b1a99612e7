"""Commands that work on a run: train, predict, score, report and manifest verify."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wsseg.cli.command_help import Commands

if TYPE_CHECKING:
    from wsseg.core.case import Case
    from wsseg.data.dicom_folder import Skipped
    from wsseg.inference.batch_prediction import Row
    from wsseg.inference.dicom_segmentation import SegmentationModel
    from wsseg.inference.ensemble import Ensemble
    from wsseg.inference.folders import PredictionFolder
    from wsseg.inference.run import Run as LoadedRun
    from wsseg.runtime.console import Display

Run = Annotated[Path, typer.Argument(help="The folder of a run, written by `wsseg train`.")]
FolderOrFile = Annotated[
    Path, typer.Argument(help="The folder of a run, or a file written by `wsseg pack`.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set a recipe value, such as seed=1 or a.b.c=VALUE. Repeatable.",
    ),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FINDING", help="Continue despite this finding of `wsseg data check`. Repeatable."
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COLUMN",
        help="Columns with other names: NAME=COLUMN,NAME=COLUMN, such as Pat-ID=patient; "
        "NAME= leaves one out. Repeatable.",
    ),
]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Number of parallel worker processes (default: 1).")
]
Backend = Annotated[
    Literal["loky", "dask"], typer.Option(help="loky: local processes; dask: a Dask cluster.")
]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of the Dask scheduler, with --backend dask.")
]

NameBy = Annotated[
    str,
    typer.Option(
        metavar="path|TABLE.csv",
        help="Name DICOM scans after their folders (path), or by a table with the columns case and "
        "PatientID or AccessionNumber.",
    ),
]
Mirror = Annotated[
    Literal["left-right", "front-back", "both"] | None,
    typer.Option(
        help="Also predict mirrored images, and average the log-odds; both: all four images."
    ),
]
Write = Annotated[
    Literal["dicom-seg"] | None,
    typer.Option(help="Also write masks of DICOM scans as DICOM segmentation objects."),
]
Codes = Annotated[
    Path | None,
    typer.Option(
        metavar="CODES.csv",
        help="With --write dicom-seg: codes of classes, with the columns class, category and type. "
        "A code is SCHEME:VALUE:MEANING.",
    ),
]
MAX_SKIPPED_SHOWN = 20

MAX_WARNINGS = 5  # printed about scans

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


def predict(
    run: Annotated[
        Path,
        typer.Argument(
            help="The folder of a run or of a suite's method, or a file written by `wsseg pack`."
        ),
    ],
    scans: Annotated[
        list[Path],
        typer.Argument(
            help="NIfTI files, pictures, folders of these or of DICOM series, or a cohort.csv."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the masks and scores.csv.")],
    name_by: NameBy = "path",
    overlays: Annotated[
        bool, typer.Option("--overlays", help="Also write pictures with outlines of the masks.")
    ] = False,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures", help="Also write a contact sheet of each scan with its largest findings."
        ),
    ] = False,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities", help="Also write the probability of each class, of pixels and cases."
        ),
    ] = False,
    mirror: Mirror = None,
    agreement: Annotated[
        bool,
        typer.Option("--agreement", help="Also write how far the runs of a suite's method agree."),
    ] = False,
    write: Write = None,
    codes: Codes = None,
    jobs: Jobs = None,
    backend: Backend = "loky",
    scheduler: Scheduler = None,
) -> None:
    """Segment scans with a trained run.

    Writes a mask on the grid of each scan, and a table of scores. Masks of pictures are PNG files
    whose grey levels are the values of the classes; --overlays draws them on the pictures. Scans
    with an unlikely geometry in the header or with an implausible region get the warnings of `wsseg
    data check`, also in the table. If the command is interrupted, run it again: scans that already
    have a mask are skipped.

    With --pictures, the folder pictures/ has a PNG of each scan with its name, sizes and scores,
    and up to four slices through the largest findings: without masks, with the annotation, if a
    cohort.csv names one, and with the prediction.

    With --probabilities, the folder probabilities/ has a file for each scan and class, and
    scores.csv a column CLASS_probability, the largest probability of a pixel. The probabilities of
    pixels are calibrated if `wsseg calibrate` was run before.

    For a folder SUITE/METHOD, the log-odds of the runs of all seeds and folds are averaged, stage
    by stage. With --agreement, the folder agreement/ has a file for each scan and class with the
    share of runs that predict the class, and scores.csv a column CLASS_agreement, the Dice
    coefficient pooled over all pairs of runs.

    With --write dicom-seg, the folder dicom-seg/ has the mask of each DICOM scan as a segmentation
    object with a segment for each class, which refers to the slices of the scan and, as the
    standard requires, names the patient and the study. Without --codes, all classes have the code
    of tissue.

    Folders are searched for DICOM series at any depth. Of each study, the axial series with the
    most slices is segmented; the command lists the others with the reasons.

    Example: wsseg predict runs/phi2 scan.nii.gz --out masks
    """
    from wsseg.errors import InputError
    from wsseg.evaluation.rows import write_rows
    from wsseg.inference.batch_prediction import predict_all
    from wsseg.inference.ensemble import DIRECTIONS, load_ensemble
    from wsseg.inference.folders import PredictionFolder
    from wsseg.inference.scans import check_scans, find_scans, pseudonyms_of
    from wsseg.runtime.console import Display
    from wsseg.runtime.executors import open_workers
    from wsseg.runtime.files import remove_leftovers
    from wsseg.runtime.folder_lock import lock_folder

    display, folder = Display(), PredictionFolder(out)
    directions = DIRECTIONS if mirror == "both" else tuple(d for d in DIRECTIONS if d == mirror)
    ensemble = load_ensemble(run, directions)
    loaded, members = ensemble.run, len(ensemble.members)
    if agreement and members == 1:
        raise InputError(f"{run}: is one run, and --agreement compares several; name SUITE/METHOD")
    if members > 1:
        display.note(f"{run}: averaging {members} runs")
    found = find_scans(scans, loaded.recipe.input.unit.modality, pseudonyms_of(name_by))
    cases = found.cases
    _print_skipped(found.skipped, display)
    check_scans(cases, out)
    if codes is not None and write is None:
        raise InputError("--codes describes segments; add --write dicom-seg")
    model = None if write is None else _segmentation_model(loaded, cases, codes)
    judged = _with_temperatures(loaded, display) if probabilities else None
    with lock_folder(out), open_workers(backend, jobs, scheduler) as workers:
        remove_leftovers(out)
        predicted = predict_all(loaded, cases, out, workers, directions)
        by_name = {
            case.name: result for case, result in display.track("predicting", predicted, len(cases))
        }
        results = [(case, by_name[case.name]) for case in cases]
        done = [(case, row) for case, row in results if not isinstance(row, Exception)]
        compared = ensemble if agreement else None
        rows = [{**row, **_more_columns(case, folder, judged, compared)} for case, row in done]
        if rows:
            write_rows(folder.scores, rows)
            for case, _ in done:
                _write_more(loaded, case, folder, overlays, model)
            if pictures:
                _draw([case for case, _ in done], loaded, folder, display)
            _show_scan_warnings(rows, display)
            values = ", ".join(f"{i} {name}" for i, name in enumerate(loaded.recipe.classes, 1))
            display.note(f"{len(rows)} masks (0 background, {values}) and scores.csv in {out}")
        errors = [each for _, each in results if isinstance(each, Exception)]
        if errors:
            _raise_first(errors, len(cases), display)


def _with_temperatures(run: "LoadedRun", display: "Display") -> "LoadedRun":
    """Return the run with calibrated probabilities, or as it is, and print which it is."""
    from wsseg.inference.calibration import calibrated

    found = calibrated(run)
    how = "are not calibrated" if found is run else "of pixels are calibrated"
    display.note(f"{run.folder}: probabilities {how}")
    return found


def _more_columns(
    case: "Case",
    folder: "PredictionFolder",
    judged: "LoadedRun | None",
    ensemble: "Ensemble | None",
) -> dict[str, float]:
    """Write what was asked for that has a column in scores.csv, and return these columns.

    Probabilities are those of `judged`.
    """
    columns: dict[str, float] = {}
    if judged is not None:
        from wsseg.inference.probabilities import write_probabilities

        columns |= write_probabilities(judged, case, folder)
    if ensemble is not None:
        from wsseg.inference.ensemble import write_agreement

        columns |= write_agreement(ensemble, case, folder)
    return columns


def _write_more(
    run: "LoadedRun",
    case: "Case",
    folder: "PredictionFolder",
    overlays: bool,
    model: "SegmentationModel | None",
) -> None:
    """Write what was asked for in addition to the mask of a case."""
    if overlays:
        from wsseg.report.outlines import write_outlines

        write_outlines(run, case, folder)
    if model is not None:
        from wsseg.inference.dicom_segmentation import write_dicom_seg

        write_dicom_seg(case, model, folder)


def _draw(
    cases: "Sequence[Case]", run: "LoadedRun", folder: "PredictionFolder", display: "Display"
) -> None:
    """Write the contact sheet of each case."""
    from wsseg.report.contact_sheet import write_contact_sheet

    for case in display.track("drawing", cases, len(cases)):
        write_contact_sheet(run, case, folder)


def _segmentation_model(
    run: "LoadedRun", cases: "Sequence[Case]", codes: Path | None
) -> "SegmentationModel":
    """Check that DICOM segmentations of the scans are possible, and describe the run in them."""
    from wsseg.inference.batch_prediction import digest_of
    from wsseg.inference.dicom_segmentation import SegmentationModel, check_dicom, read_codes

    classes = run.recipe.classes
    known = {} if codes is None else read_codes(codes, classes)
    check_dicom(cases)
    return SegmentationModel(classes, digest_of(run), known)


def _print_skipped(skipped: "Sequence[Skipped]", display: "Display") -> None:
    for each in skipped[:MAX_SKIPPED_SHOWN]:
        display.note(str(each))
    if len(skipped) > MAX_SKIPPED_SHOWN:
        more = len(skipped) - MAX_SKIPPED_SHOWN
        display.note(f"and {more} more (wsseg data check --json lists them)")


def _show_scan_warnings(rows: "Sequence[Row]", display: "Display") -> None:
    warned = [row for row in rows if "warnings" in row]
    for row in warned[:MAX_WARNINGS]:
        display.warn(f"case {row['case']}: {row['warnings']}")
    if len(warned) > MAX_WARNINGS:
        more = len(warned) - MAX_WARNINGS
        display.warn(f"{more} more scans have warnings, which scores.csv lists")


def _raise_first(errors: Sequence[Exception], scans: int, display: "Display") -> None:
    """Raise the first error of the scans without a mask, and print the others as warnings."""
    from wsseg.errors import InputError, WorkError

    for error in errors[1:]:
        display.warn(str(error))
    failed = f"{len(errors)} of {scans} scans have no mask; " if scans > 1 else ""
    kind = InputError if isinstance(errors[0], InputError) else WorkError
    raise kind(f"{failed}{errors[0]}")


def score(
    run: Run,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities", help="Also measure the probabilities of pixels, and those of cases."
        ),
    ] = False,
) -> None:
    """Score a run on its test cases.

    Compares the predicted masks with the reference masks, as far as there are any, and writes
    scores.csv.

    With --probabilities, scores.csv has a column CLASS_probability, the largest probability of a
    pixel, and reliability.json says how often pixels with a probability have the class; the report
    shows it. Networks are applied once more, and twice if `wsseg calibrate` was run before.

    Example: wsseg score runs/phi2
    """
    from wsseg.evaluation.evaluate import evaluate, held_out_cases, missing_annotations
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
    _show_scan_warnings(rows, display)
    for sentence in missing_annotations(cases, loaded.recipe.classes):
        display.warn(sentence)


def _measure_probabilities(
    run: "LoadedRun", cases: "Sequence[Case]", display: "Display"
) -> "list[Mapping[str, float]]":
    """Write the reliability of a run's probabilities, and return the columns of each case."""
    from wsseg.evaluation.measure_reliability import measure_cases, pooled
    from wsseg.evaluation.reliability import write_reliability
    from wsseg.inference.folders import RunFolder

    steps = display.track("measuring probabilities", measure_cases(run, cases), len(cases))
    measured = list(steps)
    found = pooled(run, measured)
    write_reliability(RunFolder(run.folder), found)
    for name, each in found.items():
        after = "" if each.calibrated is None else f", calibrated {each.calibrated.ece:.4f}"
        display.note(
            f"{name}: expected calibration error {each.uncalibrated.ece:.4f}{after} "
            f"({each.cases} cases, {sum(each.uncalibrated.pixels):,} pixels)"
        )
    return [each.columns for each in measured]


def report(run: Run) -> None:
    """Write report.html for a scored run.

    Example: wsseg report runs/phi2
    """
    from wsseg.evaluation.evaluate import held_out_cases
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
