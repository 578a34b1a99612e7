"""The reports of a run and of a suite: gathers from their folders what a page shows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from wsseg.data.case import Case
from wsseg.data.volume import read_case, read_case_mask
from wsseg.errors import InputError
from wsseg.predict import Run, load_run
from wsseg.recipe import recipe_text
from wsseg.report.log import read_log
from wsseg.report.overlay import Overlay, telling_cases, telling_slice
from wsseg.report.page import Page, write_page
from wsseg.score import read_rows
from wsseg.stats import summary
from wsseg.suite import Compare

REPORT = "report.html"


@dataclass(frozen=True)
class Shown:
    """A run as a page needs it."""

    method: str
    folder: Path
    test: Sequence[Case]


def report_run(folder: Path, test: Sequence[Case]) -> Path:
    """Write a run's report from its scores.

    Raises:
        InputError: It was not scored yet.
    """
    if not (folder / "scores.csv").exists():
        raise InputError(f"{folder}: has no scores.csv; make it with: wsseg score {folder}")
    rows = read_rows(folder / "scores.csv")
    name = folder.resolve().name
    return _write(folder, name, rows, [Shown(name, folder, test)], None)


def report_suite(
    out: Path, title: str, rows: pd.DataFrame, runs: Sequence[Shown], compare: Compare | None
) -> Path:
    """Write a suite's report from its rows; pictures come from `runs`."""
    return _write(out, title, rows, runs, compare)


def _write(
    out: Path, title: str, rows: pd.DataFrame, runs: Sequence[Shown], compare: Compare | None
) -> Path:
    firsts = {shown.method: shown for shown in reversed(runs)}  # of several seeds or folds
    ordered = [firsts[method] for method in dict.fromkeys(shown.method for shown in runs)]
    page = Page(
        title=title,
        rows=rows,
        curves={shown.method: _curves(shown.folder) for shown in ordered},
        overlays=list(_overlays(rows, runs)),
        provenance={"Made from": _provenance(ordered[0].folder)}
        | {f"Recipe {shown.method}": _recipe(shown.folder) for shown in ordered},
        target=load_run(ordered[0].folder).recipe.classes[-1],
        baseline=compare.baseline if compare else None,
        metric=compare.metric if compare else "dice",
    )
    write_page(out / REPORT, page)
    return out / REPORT


def _curves(folder: Path) -> list[Mapping[str, Any]]:
    """Return the records of every stage, also of those that another run trained."""
    records: list[Mapping[str, Any]] = []
    for stage in load_run(folder).regions.trained.values():
        records += [{"event": "epoch", **record} for record in stage.history]
    if (folder / "log.jsonl").exists():
        records += [r for r in read_log(folder / "log.jsonl") if r["event"] == "warning"]
    return records


def _overlays(rows: pd.DataFrame, runs: Sequence[Shown]) -> Iterator[Overlay]:
    """Show the best, the median and the worst case of the best method, by every method."""
    found = summary(rows).dropna(subset="dice")
    if found.empty:
        return
    best = str(found.sort_values("dice")["method"].iloc[-1])
    for word, name in telling_cases(rows, best).items():
        seen: set[str] = set()
        for shown in runs:
            case = next((case for case in shown.test if case.name == name), None)
            if case is not None and shown.method not in seen:
                seen.add(shown.method)
                yield _overlay(load_run(shown.folder), case, f"{shown.method}: {name}, {word}")


def _overlay(run: Run, case: Case, caption: str) -> Overlay:
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
        caption=f"{caption}, slice {z + 1} of {len(image)}",
        image=image[z],
        predicted={name: prediction.masks[name][z] for name in classes},
        true={name: mask[z] for name, mask in true.items()},
        window=run.recipe.window,
    )


def _provenance(folder: Path) -> dict[str, Any]:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    uses: dict[str, set[str]] = {}
    for file in manifest["files"]:
        uses.setdefault(f"stage {file['stage']} read", set()).add(file["use"])
    return (
        {name: str(version) for name, version in manifest["versions"].items()}
        | {name: ", ".join(sorted(kinds)) for name, kinds in uses.items()}
        | {
            "trained on": f"{len(manifest['train'])} cases",
            "tested on": f"{len(manifest['test'])} cases, no patient in common",
        }
    )


def _recipe(folder: Path) -> str:
    return recipe_text(load_run(folder).recipe)
