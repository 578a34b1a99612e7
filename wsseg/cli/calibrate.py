"""The command `wsseg calibrate`."""

from wsseg.cli.options import Run


def calibrate(run: Run) -> None:
    """Calibrate probabilities on validation cases.

    Fits a temperature for each stage with a network: the number to divide the log-odds by so that
    the masks of the validation cases are most likely. Masks of test cases are not read.
    calibration.json in the folder of the run contains the temperatures and lists the masks that
    were read; `predict`, `score` and `view` use it with --probabilities. Masks and volumes do not
    change.

    Example: wsseg calibrate runs/first
    """
    from wsseg.errors import InputError
    from wsseg.evaluation.manifest_cases import validation_cases
    from wsseg.evaluation.temperature import fit_stages, stages_with_network
    from wsseg.inference.calibration import write_calibration
    from wsseg.inference.folders import RunFolder
    from wsseg.inference.run import load_run
    from wsseg.report.formatting import counted
    from wsseg.runtime.console import Display

    display, loaded = Display(), load_run(run)
    names, cases = stages_with_network(loaded), validation_cases(loaded)
    results = display.track("fitting", fit_stages(loaded, names, cases), len(names))
    fitted, problems = {}, []
    for name, result in results:
        if isinstance(result, str):
            problems.append(f"stage {name} is not calibrated: {result}")
        else:
            fitted[name] = result
    if not fitted:
        raise InputError(f"{run}: {problems[0]}")
    write_calibration(RunFolder(run), fitted)
    for problem in problems:
        display.warn(problem)
    for name, each in fitted.items():
        read = f"{counted(each.cases, 'case')}, {counted(each.pixels, 'pixel')}"
        display.note(
            f"{name}: temperature {each.temperature:.3g}; negative log-likelihood {each.nll:.4f}, "
            f"calibrated {each.calibrated_nll:.4f} ({read})"
        )
    display.note(f"next: wsseg score {run} --probabilities, then wsseg report {run}")
