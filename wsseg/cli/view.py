"""The command `wsseg view`."""

from typing import Annotated

import typer

from wsseg.cli.options import Run


def view(
    run: Run,
    case: Annotated[
        str | None, typer.Argument(help="A test case; without it, all test cases.")
    ] = None,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities", help="Also show the probability of each class, saved in the run."
        ),
    ] = False,
) -> None:
    """Write pages that show test cases in a browser.

    The page has the image, the predicted and annotated mask of each class, the regions, and the
    probabilities that are saved in the run, as layers in slices and in 3-D; pictures have no 3-D.
    It is one file in views/ that opens without a network connection. It contains the image: share
    it only if you may share the scan. Large scans are cropped to their regions and reduced to 8
    million voxels. The table of cases in a report links to the pages that exist when `wsseg
    report`, or `wsseg bench report`, writes it.

    Example: wsseg view runs/phi2 case-7
    """
    from wsseg.errors import InputError, known_words
    from wsseg.evaluation.manifest_cases import held_out_cases
    from wsseg.inference.calibration import calibrated
    from wsseg.inference.folders import RunFolder
    from wsseg.inference.probabilities import write_probabilities
    from wsseg.inference.run import load_run
    from wsseg.report.view_layers import view_of
    from wsseg.report.view_page import write_view
    from wsseg.runtime.console import Display

    display, loaded, folder = Display(), load_run(run), RunFolder(run)
    cases = {each.name: each for each in held_out_cases(loaded)}
    if case is not None and case not in cases:
        raise InputError(f"{run}: no test case is called {case!r}; {known_words(case, cases)}")
    chosen = list(cases.values()) if case is None else [cases[case]]
    judged = calibrated(loaded) if probabilities else None
    for each in display.track("writing pages", chosen, len(chosen)):
        if judged is not None:
            write_probabilities(judged, each, folder.predictions)
        write_view(folder.view(each.name), view_of(loaded, each), run.resolve().name)
    written = folder.view(chosen[0].name)
    size_mb = written.stat().st_size / 1e6
    pages = "1 page:" if len(chosen) == 1 else f"{len(chosen)} pages, such as"
    display.note(f"{pages} {written} ({size_mb:.1f} MB)")
    display.note(f"to link them in the report: wsseg report {run}, or wsseg bench report SUITE")
