"""wsseg train, predict, score, report."""

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="A folder that `wsseg train` wrote.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a value: a.b.c=VALUE, in YAML. May be repeated."),
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
) -> None:
    """Train all stages of a recipe.

    Example: wsseg train covid/demo-phi2 --out runs/phi2 --set seed=1
    """
    from wsseg.display import Display
    from wsseg.recipe import load_recipe
    from wsseg.stage_training import Workplace
    from wsseg.training import split_of, train_stages

    display = Display()
    loaded = load_recipe(recipe, changes or [])
    place = Workplace(out, display, save_every)
    train_stages(loaded, split_of(loaded), place, resume=resume)
    display.note(f"trained: {out}\nnext: wsseg score {out}, or wsseg predict {out} SCAN --out DIR")


def predict(
    run: Run,
    scans: Annotated[list[Path], typer.Argument(help="NIfTI files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Where masks and scores.csv are written.")],
) -> None:
    """Segment scans: a mask each in the scan's own grid, and a table of scores.

    Example: wsseg predict runs/phi2 scan.nii.gz --out masks
    """
    from wsseg.display import Display
    from wsseg.predict import cases_of, load_run
    from wsseg.score import write_rows

    display = Display()
    cases = cases_of(scans)
    loaded = load_run(run)
    rows = []
    for case in display.each("predicting", cases, len(cases)):
        prediction = loaded.predict(case)
        prediction.save(out)
        rows.append({"case": case.name, **prediction.scores})
    write_rows(out / "scores.csv", rows)
    values = ", ".join(f"{i} {name}" for i, name in enumerate(loaded.recipe.classes, 1))
    display.note(f"{len(rows)} masks (0 background, {values}) and scores.csv in {out}")


def score(run: Run) -> None:
    """Predict a run's test cases and compare them with their true masks.

    Example: wsseg score runs/phi2
    """
    from wsseg.display import Display, open_console
    from wsseg.evaluate import evaluate
    from wsseg.predict import load_run
    from wsseg.report.terminal import terminal_table
    from wsseg.score import read_rows, write_rows
    from wsseg.stats import summary
    from wsseg.training import split_of

    display = Display()
    loaded = load_run(run)
    cases = split_of(loaded.recipe).test
    rows = [
        {"method": run.name, "seed": loaded.recipe.seed, **row}
        for row in display.each("scoring", evaluate(loaded, cases), len(cases))
    ]
    write_rows(run / "scores.csv", rows)
    open_console().print(terminal_table(summary(read_rows(run / "scores.csv"))))


def report(run: Run) -> None:
    """Write a run's report.html from its scores.

    Example: wsseg report runs/phi2
    """
    from wsseg.display import Display
    from wsseg.pages import report_run
    from wsseg.predict import load_run
    from wsseg.training import split_of

    test = split_of(load_run(run).recipe).test
    Display().note(f"report: {report_run(run, test)}")
