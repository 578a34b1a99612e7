"""The reports of a run and of a suite: gathers from their folders what a page shows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from wsseg.config.recipe import recipe_text
from wsseg.core.case import Case
from wsseg.data.reading import read_case, read_case_mask
from wsseg.errors import InputError
from wsseg.evaluation.comparison import Compare
from wsseg.evaluation.method_labels import ChosenFrom, label_methods, method_label
from wsseg.evaluation.published import PublishedResults
from wsseg.evaluation.rows import read_rows
from wsseg.evaluation.summary import summarise
from wsseg.inference.run import Run, load_run
from wsseg.report.figures.em_targets import TargetPlanes
from wsseg.report.figures.overlay import Overlay, telling_cases, telling_slice
from wsseg.report.figures.sections import pictured
from wsseg.report.page import Page, ranked, write_page
from wsseg.report.provenance import failures, labels_seen, versions
from wsseg.training.log import read_log
from wsseg.training.target_snapshots import read_planes

REPORT = "report.html"


@dataclass(frozen=True)
class ReportedRun:
    """A run as a page needs it."""

    method: str
    folder: Path
    test: Sequence[Case]


@dataclass(frozen=True)
class ReportContext:
    """What a suite's results are held against, and what chose its methods' settings."""

    compare: Compare | None = None
    settings_from: Mapping[str, ChosenFrom] = field(default_factory=dict)
    published: PublishedResults | None = None


def report_run(folder: Path, test: Sequence[Case]) -> Path:
    """Write a run's report from its scores.

    Raises:
        InputError: It was not scored yet.
    """
    if not (folder / "scores.csv").exists():
        raise InputError(f"{folder}: has no scores.csv; make it with: wsseg score {folder}")
    rows = read_rows(folder / "scores.csv")
    if rows.empty:
        raise InputError(
            f"{folder / 'scores.csv'}: has no rows; make it again: wsseg score {folder}"
        )
    name = folder.resolve().name
    return _write(folder, name, rows, [ReportedRun(name, folder, test)], ReportContext())


def report_suite(
    out: Path, title: str, rows: pd.DataFrame, runs: Sequence[ReportedRun], held: ReportContext
) -> Path:
    """Write a suite's report from its rows; pictures come from `runs`."""
    return _write(out, title, rows, runs, held)


def _write(
    out: Path, title: str, rows: pd.DataFrame, runs: Sequence[ReportedRun], held: ReportContext
) -> Path:
    firsts = {shown.method: shown for shown in reversed(runs)}  # of several seeds or folds
    ordered = [firsts[method] for method in dict.fromkeys(shown.method for shown in runs)]
    names = {shown.method: method_label(shown.method, held.settings_from) for shown in ordered}
    compare = held.compare
    seen = pictured(summarise(rows), (compare.baseline, compare.ceiling) if compare else ())
    page = Page(
        title=title,
        rows=label_methods(rows, held.settings_from),
        curves={names[shown.method]: _curves(shown.folder) for shown in ordered},
        overlays=list(_overlays(rows, [shown for shown in runs if shown.method in seen], names)),
        provenance={"Made from": versions(ordered[0].folder)}
        | {f"Recipe {names[shown.method]}": _recipe(shown.folder) for shown in ordered},
        target=load_run(ordered[0].folder).recipe.classes[-1],
        baseline=names[compare.baseline] if compare else None,
        metric=compare.metric if compare else "dice",
        ceiling=names[compare.ceiling] if compare and compare.ceiling else None,
        published=_named(held.published, names),
        labels=[
            row | {"Method": names[shown.method]}
            for shown in ordered
            for row in labels_seen(shown.method, shown.folder, held.settings_from)
        ],
        targets=[
            planes
            for shown in ordered
            if shown.method in seen
            for planes in _targets(shown, names[shown.method])
        ],
        failures=failures(out),
    )
    write_page(out / REPORT, page)
    return out / REPORT


def _named(published: PublishedResults | None, names: Mapping[str, str]) -> PublishedResults | None:
    """Return what was published by the names that tables show."""
    if published is None:
        return None
    methods = {names[m]: values for m, values in published.methods.items() if m in names}
    return published.model_copy(update={"methods": methods})


def _targets(shown: ReportedRun, name: str) -> Iterator[TargetPlanes]:
    """Show what each EM stage of a run was trained on, if that was kept."""
    recipe = load_run(shown.folder).recipe
    for stage_name, stage in recipe.stages.items():
        seen, by_epoch = read_planes(shown.folder / "stages" / stage_name)
        if seen:
            yield TargetPlanes(
                caption=f"{name}, stage {stage_name}",
                target=stage.classes[-1],
                image=seen["image"].numpy(),
                region=seen["region"].numpy() > 0,
                by_epoch={epoch: planes[:, -1].numpy() > 0 for epoch, planes in by_epoch.items()},
                window=recipe.display_window,
            )


def _curves(folder: Path) -> list[Mapping[str, Any]]:
    """Return the records of every stage, also of those that another run trained."""
    records: list[Mapping[str, Any]] = []
    for stage in load_run(folder).regions.trained.values():
        records += [{"event": "epoch", **record} for record in stage.history]
    if (folder / "log.jsonl").exists():
        records += [r for r in read_log(folder / "log.jsonl") if r["event"] == "warning"]
    return records


def _overlays(
    rows: pd.DataFrame, runs: Sequence[ReportedRun], names: Mapping[str, str]
) -> Iterator[Overlay]:
    """Show the best, the median and the worst cases of the best method, by every method."""
    found = ranked(summarise(rows).dropna(subset="dice"))
    if found.empty:
        return
    best = str(found["method"].iloc[0])
    for word, name in telling_cases(rows, best).items():
        seen: set[str] = set()
        for shown in runs:
            case = next((case for case in shown.test if case.name == name), None)
            if case is not None and shown.method not in seen:
                seen.add(shown.method)
                group = f"{name}, {word} of {names[best]}"
                yield _overlay(load_run(shown.folder), case, names[shown.method], group)


def _overlay(run: Run, case: Case, method: str, group: str) -> Overlay:
    prediction = run.predict(case)
    image, classes = read_case(case).voxels, run.recipe.classes
    true = {
        name: read_case_mask(case, name, prediction.mask.grid)
        for name in classes
        if name in case.masks
    }
    target = classes[-1]
    z = telling_slice(prediction.masks[target], true.get(target))
    return Overlay(
        caption=f"{method}, slice {z + 1} of {len(image)}",
        image=image[z],
        predicted={name: prediction.masks[name][z] for name in classes},
        true={name: mask[z] for name, mask in true.items()},
        group=group,
        window=run.recipe.display_window,
    )


def _recipe(folder: Path) -> str:
    return recipe_text(load_run(folder).recipe)
