"""Building of the reports of runs and suites from the files in their folders."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from wsseg.config.recipe_files import recipe_text
from wsseg.core.case import Case
from wsseg.data.reading import read_case, read_case_mask
from wsseg.errors import InputError
from wsseg.evaluation.comparison import Compare
from wsseg.evaluation.method_labels import ChosenFrom, label_methods, method_label
from wsseg.evaluation.published import PublishedResults
from wsseg.evaluation.rows import read_rows
from wsseg.evaluation.summary import summarise
from wsseg.inference.folders import REPORT, RunFolder
from wsseg.inference.run import Run, load_run
from wsseg.report.figures.em_targets import TargetPlanes
from wsseg.report.figures.overlay import Overlay, displayed, key_cases, key_slice
from wsseg.report.figures.sections import methods_with_scans
from wsseg.report.page import Page, ranked, write_page
from wsseg.report.provenance import chosen_settings, failures, labels_used, origin_of_rows, versions
from wsseg.training.log import read_log
from wsseg.training.target_snapshots import load_snapshots

MAX_UNANNOTATED = 5  # cases without annotation that are shown, as many as key cases


@dataclass(frozen=True)
class ReportedRun:
    """A finished run of a method, and its test cases."""

    method: str
    folder: Path
    test: Sequence[Case]


@dataclass(frozen=True)
class ReportContext:
    """What a suite's file states about its results: comparison, choice of settings, publication."""

    compare: Compare | None = None
    settings_from: Mapping[str, ChosenFrom] = field(default_factory=dict)
    published: PublishedResults | None = None


def report_run(folder: Path, test: Sequence[Case]) -> Path:
    """Write the report of a run, and return its path.

    Raises:
        InputError: The run has no scores.
    """
    scores = RunFolder(folder).scores
    if not scores.exists():
        raise InputError(f"{folder}: has no {scores.name}; create it with: wsseg score {folder}")
    rows = read_rows(scores)
    if rows.empty:
        raise InputError(f"{scores}: has no rows; create it again with: wsseg score {folder}")
    name = folder.resolve().name
    return report_suite(folder, name, rows, [ReportedRun(name, folder, test)], ReportContext())


def report_suite(
    out: Path,
    title: str,
    rows: pd.DataFrame,
    runs: Sequence[ReportedRun],
    context: ReportContext,
) -> Path:
    """Write the report of a suite, and return its path.

    Args:
        out: The suite's folder.
        title: The title of the report.
        rows: The scores of all finished runs.
        runs: The finished runs, from which figures and provenance are made.
        context: What the suite's file states about its results.
    """
    first_runs = _first_runs(runs)
    labels = {run.method: method_label(run.method, context.settings_from) for run in first_runs}
    compare = context.compare
    compared = (compare.baseline, compare.ceiling) if compare else ()
    with_scans = methods_with_scans(summarise(rows), compared)
    page = Page(
        title=title,
        rows=label_methods(rows, context.settings_from),
        curves={labels[run.method]: _curves(run.folder) for run in first_runs},
        overlays=list(_overlays(rows, [run for run in runs if run.method in with_scans], labels)),
        provenance={"Software and cases": versions(first_runs[0].folder)}
        | ({"Rows": origin} if (origin := origin_of_rows(rows)) else {})
        | {
            f"Recipe {labels[run.method]}": recipe_text(load_run(run.folder).recipe)
            for run in first_runs
        },
        target=load_run(first_runs[0].folder).recipe.classes[-1],
        baseline=labels[compare.baseline] if compare else None,
        metric=compare.metric if compare else "dice",
        ceiling=labels[compare.ceiling] if compare and compare.ceiling else None,
        published=_label_published(context.published, labels),
        labels=[
            row | {"Method": labels[run.method]}
            for run in first_runs
            for row in labels_used(run.method, run.folder, context.settings_from)
        ],
        chosen=[
            {"Run": str(run.folder.relative_to(out))} | row
            for run in runs
            for row in chosen_settings(run.folder)
        ],
        targets=[
            planes
            for run in first_runs
            if run.method in with_scans
            for planes in _targets(run.folder, labels[run.method])
        ],
        failures=failures(out),
    )
    write_page(out / REPORT, page)
    return out / REPORT


def _first_runs(runs: Sequence[ReportedRun]) -> list[ReportedRun]:
    """Return the first run of each method, of several seeds or folds."""
    by_method: dict[str, ReportedRun] = {}
    for run in runs:
        by_method.setdefault(run.method, run)
    return list(by_method.values())


def _label_published(
    published: PublishedResults | None, labels: Mapping[str, str]
) -> PublishedResults | None:
    """Return the published results with the labels of their methods; other methods are left out."""
    if published is None:
        return None
    methods = {labels[m]: values for m, values in published.methods.items() if m in labels}
    return published.model_copy(update={"methods": methods})


def _targets(folder: Path, label: str) -> Iterator[TargetPlanes]:
    """Yield the saved targets of each EM stage of a run."""
    recipe = load_run(folder).recipe
    for name, stage in recipe.stages.items():
        snapshots = load_snapshots(RunFolder(folder).stage(name))
        if snapshots:
            first = next(iter(snapshots.values()))
            yield TargetPlanes(
                caption=f"{label}, stage {name}",
                target=stage.classes[-1],
                image=first.image.numpy(),
                region=first.region.numpy() > 0,
                by_epoch={n: each.targets[:, -1].numpy() > 0 for n, each in snapshots.items()},
                window=recipe.display_window,
            )


def _curves(folder: Path) -> list[Mapping[str, Any]]:
    """Return the epochs of all stages, including shared ones, and the run's warnings."""
    records: list[Mapping[str, Any]] = []
    for stage in load_run(folder).pipeline.stages.values():
        records += [{"event": "epoch", **record} for record in stage.history]
    log = RunFolder(folder).log
    if log.exists():
        records += [record for record in read_log(log) if record["event"] == "warning"]
    return records


def _overlays(
    rows: pd.DataFrame, runs: Sequence[ReportedRun], labels: Mapping[str, str]
) -> Iterator[Overlay]:
    """Yield the predictions of each method for a few cases."""
    for name, group in _pictured_cases(rows, labels).items():
        drawn: set[str] = set()
        for run in runs:
            case = next((case for case in run.test if case.name == name), None)
            if case is not None and run.method not in drawn:
                drawn.add(run.method)
                yield _overlay(load_run(run.folder), case, labels[run.method], group)


def _pictured_cases(rows: pd.DataFrame, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the headings of the key cases of the best method, by case.

    If no case is annotated, there is no best method, and the first cases are shown.
    """
    best_first = ranked(summarise(rows).dropna(subset="dice"))
    if best_first.empty:
        return {name: f"{name}, not annotated" for name in rows["case"].unique()[:MAX_UNANNOTATED]}
    best = str(best_first["method"].iloc[0])
    return {
        case: f"{case}, {rank} case of {labels.get(best, best)}"
        for rank, case in key_cases(rows, best).items()
    }


def _overlay(run: Run, case: Case, label: str, group: str) -> Overlay:
    prediction = run.predict(case)
    image, classes = displayed(read_case(case)), run.recipe.classes
    true = {
        name: read_case_mask(case, name, prediction.mask.grid)
        for name in classes
        if name in case.masks
    }
    target = classes[-1]
    z = key_slice(prediction.masks[target], true.get(target))
    return Overlay(
        caption=f"{label}, slice {z + 1} of {len(image)}",
        image=image[z],
        predicted={name: prediction.masks[name][z] for name in classes},
        true={name: mask[z] for name, mask in true.items()},
        group=group,
        window=run.recipe.display_window,
    )
