"""The command `wsseg predict`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wsseg.cli.options import Backend, Jobs, NameBy, Scheduler
from wsseg.cli.scan_warnings import show_scan_warnings

if TYPE_CHECKING:
    from wsseg.core.case import Case
    from wsseg.data.dicom_folder import Skipped
    from wsseg.inference.dicom_segmentation import SegmentationModel
    from wsseg.inference.ensemble import Ensemble
    from wsseg.inference.folders import PredictionFolder
    from wsseg.inference.run import Run
    from wsseg.runtime.console import Display

MORE_OUTPUT = "Additional output"  # the heading of these options in the help

Mirror = Annotated[
    Literal["left-right", "front-back", "both"] | None,
    typer.Option(
        help="Also predict mirrored images, and average the log-odds; both: all four images."
    ),
]
Overlays = Annotated[
    bool,
    typer.Option("--overlays", rich_help_panel=MORE_OUTPUT, help="Pictures with mask outlines."),
]
Pictures = Annotated[
    bool,
    typer.Option(
        "--pictures",
        rich_help_panel=MORE_OUTPUT,
        help="A contact sheet of each scan with its largest findings, in pictures/.",
    ),
]
Probabilities = Annotated[
    bool,
    typer.Option(
        "--probabilities",
        rich_help_panel=MORE_OUTPUT,
        help="The probability of each class: maps in probabilities/, the largest value in "
        "scores.csv. Calibrated if `wsseg calibrate` was run.",
    ),
]
Agreement = Annotated[
    bool,
    typer.Option(
        "--agreement",
        rich_help_panel=MORE_OUTPUT,
        help="For SUITE/METHOD: the share of runs that predict a class, in agreement/, and their "
        "Dice coefficient, in scores.csv.",
    ),
]
Write = Annotated[
    Literal["dicom-seg"] | None,
    typer.Option(
        rich_help_panel=MORE_OUTPUT,
        help="DICOM segmentation objects of DICOM scans, in dicom-seg/. They name the patient and "
        "the study.",
    ),
]
Codes = Annotated[
    Path | None,
    typer.Option(
        metavar="CODES.csv",
        rich_help_panel=MORE_OUTPUT,
        help="With --write dicom-seg: the codes of classes, SCHEME:VALUE:MEANING, in the columns "
        "class, category and type (default: tissue).",
    ),
]
MAX_SKIPPED_SHOWN = 20


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
    mirror: Mirror = None,
    overlays: Overlays = False,
    pictures: Pictures = False,
    probabilities: Probabilities = False,
    agreement: Agreement = False,
    write: Write = None,
    codes: Codes = None,
    jobs: Jobs = None,
    backend: Backend = "loky",
    scheduler: Scheduler = None,
) -> None:
    """Segment scans with a trained run.

    Writes a mask on the grid of each scan, and scores.csv with the scores of each scan and the
    warnings of `wsseg data check`. Masks of pictures are PNG files whose grey levels are the
    class numbers. If the command is interrupted, run it again: scans with a mask are skipped.

    For a folder SUITE/METHOD, the log-odds of all its runs are averaged, stage by stage.

    Folders are searched for DICOM series at any depth. Of each study, the axial series with the
    most slices is segmented, or every axial series of an MR study; the others are listed.

    Example: wsseg predict runs/phi2 scan.nii.gz --out masks
    """
    from wsseg.errors import InputError
    from wsseg.evaluation.rows import write_rows
    from wsseg.inference.batch_prediction import predict_all
    from wsseg.inference.ensemble import load_ensemble
    from wsseg.inference.folders import PredictionFolder
    from wsseg.inference.mirroring import DIRECTIONS
    from wsseg.inference.scans import check_scans, find_scans, pseudonyms_of
    from wsseg.report.formatting import counted
    from wsseg.runtime.console import Display
    from wsseg.runtime.executors import open_workers
    from wsseg.runtime.files import remove_leftovers
    from wsseg.runtime.folder_lock import lock_folder

    display, folder = Display(), PredictionFolder(out)
    directions = DIRECTIONS if mirror == "both" else tuple(d for d in DIRECTIONS if d == mirror)
    ensemble = load_ensemble(run, directions)
    loaded, members = ensemble.run, len(ensemble.members)
    if agreement and members == 1:
        raise InputError(
            f"{run}: this is a single run, but --agreement compares several; give SUITE/METHOD"
        )
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
            show_scan_warnings(rows, display)
            values = ", ".join(f"{i} {name}" for i, name in enumerate(loaded.recipe.classes, 1))
            masks = counted(len(rows), "mask")
            display.note(f"{masks} (0 background, {values}) and scores.csv in {out}")
        errors = [each for _, each in results if isinstance(each, Exception)]
        if errors:
            _raise_first(errors, len(cases), display)


def _with_temperatures(run: "Run", display: "Display") -> "Run":
    """Return the run with calibrated probabilities, or as it is, and print which it is."""
    from wsseg.inference.calibration import calibrated

    found = calibrated(run)
    how = "are not calibrated" if found is run else "of pixels are calibrated"
    display.note(f"{run.folder}: probabilities {how}")
    return found


def _more_columns(
    case: "Case",
    folder: "PredictionFolder",
    judged: "Run | None",
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
    run: "Run",
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
    cases: "Sequence[Case]", run: "Run", folder: "PredictionFolder", display: "Display"
) -> None:
    """Write the contact sheet of each case."""
    from wsseg.report.contact_sheet import write_contact_sheet

    for case in display.track("drawing", cases, len(cases)):
        write_contact_sheet(run, case, folder)


def _segmentation_model(
    run: "Run", cases: "Sequence[Case]", codes: Path | None
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


def _raise_first(errors: Sequence[Exception], scans: int, display: "Display") -> None:
    """Raise the first error of the scans without a mask, and print the others as warnings."""
    from wsseg.errors import InputError, WorkError

    for error in errors[1:]:
        display.warn(str(error))
    failed = f"{len(errors)} of {scans} scans have no mask; " if scans > 1 else ""
    kind = InputError if isinstance(errors[0], InputError) else WorkError
    raise kind(f"{failed}{errors[0]}")
