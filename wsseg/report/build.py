"""Building of the reports of runs and suites from the files in their folders."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from wsseg.config.recipe import Recipe
from wsseg.config.recipe_files import recipe_of_run, recipe_text
from wsseg.core.case import Case
from wsseg.errors import InputError
from wsseg.evaluation.comparison import Compare
from wsseg.evaluation.method_labels import ChosenFrom, label_methods, method_label
from wsseg.evaluation.published import PublishedResults
from wsseg.evaluation.reliability import read_reliability
from wsseg.evaluation.rows import read_rows
from wsseg.evaluation.summary import ranked, summarise
from wsseg.inference.folders import REPORT, RunFolder
from wsseg.inference.run import load_run
from wsseg.report.columns import RowKey
from wsseg.report.figures.em_targets import target_row
from wsseg.report.figures.key_cases import key_cases, key_slice
from wsseg.report.figures.panels import Panel, PanelRow
from wsseg.report.figures.sections import methods_with_scans
from wsseg.report.formatting import number
from wsseg.report.page import Page, write_page
from wsseg.report.predicted_case import PredictedCase, predicted_case
from wsseg.report.provenance import (
    chosen_settings,
    facts,
    failures,
    labels_used,
    origin_of_rows,
    versions,
)
from wsseg.training.log import Records, read_log
from wsseg.training.target_snapshots import load_snapshots

MAX_UNANNOTATED = 5  # cases without annotation that are shown, as many as key cases


@dataclass(frozen=True)
class ReportedRun:
    """A finished run of a method, and its test cases."""

    method: str
    folder: Path
    test: Sequence[Case]
    seed: int
    fold: str = ""

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of the run."""
        return recipe_of_run(RunFolder(self.folder).recipe)


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
        raise InputError(
            f"{folder}: {scores.name} is missing; create it with: wsseg score {folder}"
        )
    rows = read_rows(scores)
    if rows.empty:
        raise InputError(
            f"{scores}: the file has no rows; create it again with: wsseg score {folder}"
        )
    first = rows.iloc[0]
    run = ReportedRun(str(first["method"]), folder, test, int(first["seed"]), str(first["fold"]))
    return report_suite(folder, folder.resolve().name, rows, [run], ReportContext())


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
    summary = ranked(summarise(rows))
    ranks = {method: rank for rank, method in enumerate(summary["method"])}
    first_runs = _first_runs(sorted(runs, key=lambda run: ranks.get(run.method, len(ranks))))
    labels = {run.method: method_label(run.method, context.settings_from) for run in first_runs}
    compare = context.compare
    compared = (compare.baseline, compare.ceiling) if compare else ()
    with_scans = methods_with_scans(summary, compared)
    shown = [run for method in with_scans for run in runs if run.method == method]
    page = Page(
        title=title,
        rows=label_methods(rows, context.settings_from),
        facts=facts(rows, first_runs[0].folder, _written(runs)),
        curves={labels[run.method]: _curves(run.folder) for run in first_runs},
        logs=dict(_logs(runs, labels, out)),
        examples=list(_examples(rows, shown, labels)),
        provenance={"Software and cases": versions(first_runs[0].folder)}
        | ({"Rows": origin} if (origin := origin_of_rows(rows)) else {})
        | {f"Recipe {labels[run.method]}": recipe_text(run.recipe) for run in first_runs},
        target=first_runs[0].recipe.classes[-1],
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
        targets=[row for run in _first_runs(shown) for row in _targets(run, labels[run.method])],
        failures=failures(out),
        views={key: address for run in runs for key, address in _views(run, labels, out)},
        reliability={
            labels[run.method]: found
            for run in first_runs
            if (found := read_reliability(RunFolder(run.folder)))
        },
    )
    write_page(out / REPORT, page)
    return out / REPORT


def _written(runs: Sequence[ReportedRun]) -> date:
    """Return the date of the last scores of some runs."""
    files = [path for run in runs if (path := RunFolder(run.folder).scores).exists()]
    latest = max((path.stat().st_mtime for path in files), default=time.time())
    return datetime.fromtimestamp(latest, UTC).date()


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


def _views(run: ReportedRun, labels: Mapping[str, str], out: Path) -> Iterator[tuple[RowKey, str]]:
    """Yield the addresses, relative to `out`, of the pages that `wsseg view` wrote of a run."""
    for case in run.test:
        page = RunFolder(run.folder).view(case.name)
        if page.exists():
            address = quote(page.relative_to(out).as_posix())
            yield (labels[run.method], run.seed, run.fold, case.name), address


def _targets(run: ReportedRun, label: str) -> Iterator[PanelRow]:
    """Yield the saved targets of each EM stage of a run."""
    for name, stage in run.recipe.stages.items():
        snapshots = load_snapshots(RunFolder(run.folder).stage(name))
        if snapshots:
            heading = f"{label}, stage {name}"
            yield target_row(heading, stage.classes[-1], snapshots, run.recipe.display_window)


def _curves(folder: Path) -> list[Mapping[str, Any]]:
    """Return the epochs of all stages, including shared ones."""
    stages = load_run(folder).pipeline.stages.values()
    return [record for stage in stages for record in stage.history]


def _logs(
    runs: Sequence[ReportedRun], labels: Mapping[str, str], out: Path
) -> Iterator[tuple[str, Records]]:
    """Yield the log of each run after its folder in the suite, or after its method."""
    for run in runs:
        log = RunFolder(run.folder).log
        if log.exists():
            name = labels[run.method] if run.folder == out else str(run.folder.relative_to(out))
            yield name, read_log(log)


def _examples(
    rows: pd.DataFrame, runs: Sequence[ReportedRun], labels: Mapping[str, str]
) -> Iterator[PanelRow]:
    """Yield a few cases, each with its annotation and the predictions of all methods."""
    for name, heading in _pictured_cases(rows, runs, labels).items():
        predictions: dict[str, PredictedCase] = {}
        for run in runs:
            case = next((case for case in run.test if case.name == name), None)
            label = labels[run.method]
            if case is not None and label not in predictions:
                predictions[label] = predicted_case(load_run(run.folder), case)
        if predictions:  # the rows can have cases that no run of the suite was tested on
            yield _example(heading, predictions)


def _pictured_cases(
    rows: pd.DataFrame, runs: Sequence[ReportedRun], labels: Mapping[str, str]
) -> dict[str, str]:
    """Return the headings of the key cases of the best method, and of cases without annotation.

    If no case has a Dice, there is no best method, and the first cases are shown.
    """
    unannotated = _without_annotation(runs)
    best_first = ranked(summarise(rows)).dropna(subset="dice")
    if best_first.empty:
        names = [str(name) for name in rows["case"].unique()[:MAX_UNANNOTATED]]
        return {name: unannotated.get(name, name) for name in names}
    best = str(best_first["method"].iloc[0])
    keys = {
        case: f"{case}, {rank} case of {labels.get(best, best)}"
        for rank, case in key_cases(rows, best).items()
    }
    return keys | dict(list(unannotated.items())[:MAX_UNANNOTATED])


def _without_annotation(runs: Sequence[ReportedRun]) -> dict[str, str]:
    """Return the headings of the test cases in which the target is not annotated."""
    target = runs[0].recipe.classes[-1] if runs else ""
    return {
        case.name: f"{case.name}, {target} not annotated"
        for run in runs
        for case in run.test
        if target not in case.masks
    }


def _example(heading: str, predictions: Mapping[str, PredictedCase]) -> PanelRow:
    """Return a row with the annotation of a case, or its image, and the predictions by label."""
    first = next(iter(predictions.values()))
    target = first.target
    predicted = np.any([each.predicted[target] for each in predictions.values()], axis=0)
    z = key_slice(predicted, first.true.get(target))
    annotated = {name: mask[z] for name, mask in first.true.items()}
    panels = [Panel("annotated" if annotated else "image", first.image[z], annotated)]
    panels += [
        Panel(_with_dice(label, each), each.image[z], {c: m[z] for c, m in each.predicted.items()})
        for label, each in predictions.items()
    ]
    return PanelRow(f"{heading}, slice {z + 1} of {len(first.image)}", panels, first.window)


def _with_dice(label: str, case: PredictedCase) -> str:
    """Return the label of a method with the Dice of the target in the case, if it is defined."""
    if case.target not in case.true:
        return label
    predicted, true = case.predicted[case.target], case.true[case.target]
    size = int(predicted.sum()) + int(true.sum())
    both = int((predicted & true).sum())
    return f"{label}: {number(2 * both / size, 2)}" if true.any() else label
