"""Provenance of results: software versions, labels used for training, and failed jobs."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from wsseg.components.registry import registry
from wsseg.config.recipe_files import recipe_of_run
from wsseg.core.component import Component
from wsseg.evaluation.method_labels import ChosenFrom, recipe_name
from wsseg.inference.folders import RunFolder, failure_files
from wsseg.report.formatting import counted, significant
from wsseg.training.manifest import read_manifest

NONE = "none"  # of a kind of label
ORIGIN = {  # columns of rows by heading
    "Commit": "run.commit",
    "Versions": "run.versions",
    "Device": "run.device",
    "Precision": "run.precision",
    "Threads": "run.threads",
    "Date": "run.date",
}
SECONDS = "run.seconds"
SECONDS_PER_HOUR = 3600


def versions(folder: Path) -> dict[str, str]:
    """Return the software versions of a run, and its numbers of cases."""
    manifest = read_manifest(RunFolder(folder))
    return {name: str(version) for name, version in manifest["versions"].items()} | {
        "trained on": counted(len(manifest["train"]), "case"),
        "tested on": f"{counted(len(manifest['test']), 'case')} of other patients",
    }


def facts(rows: pd.DataFrame, folder: Path, written: date) -> dict[str, str]:
    """Return cohort, date, version and device of results, by heading.

    Args:
        rows: The rows of a suite, or of a run.
        folder: The folder of a run of it, of which the cohort is described.
        written: The date of the rows, for rows that do not have it.
    """
    manifest = read_manifest(RunFolder(folder))
    recipe = recipe_of_run(RunFolder(folder).recipe)
    cohort, test = _cohort_name(recipe.cohort), recipe.test
    trained = f"{counted(len(manifest['train']), 'case')} for training"
    tested = f"{rows['case'].nunique()} for testing"
    origin = origin_of_rows(rows)
    wsseg = f"wsseg {manifest['versions']['wsseg']}"
    commit = origin.get("Commit", wsseg)
    device = origin.get("Device", manifest.get("device"))  # runs of earlier versions do not have it
    return {
        "Cohort": f"{cohort}: {trained}, {tested}" + (f" ({_cohort_name(test)})" if test else ""),
        "Date": origin.get("Date", written.isoformat()),
        "Version": wsseg if commit.startswith("wsseg") else f"{wsseg}, commit {commit}",
    } | ({"Device": device} if device else {})


def _cohort_name(cohort: Component) -> str:
    """Return the name of a cohort in recipes, with the name of its file or folder if it has one."""
    paths = [path.name for _, path in cohort if isinstance(path, Path)]
    return " ".join([registry().name_of(cohort) or type(cohort).__name__, *paths[:1]])


def origin_of_rows(rows: pd.DataFrame) -> dict[str, str]:
    """Return what made the rows of a suite, by heading; empty for rows without provenance.

    Different values, such as the commits of several jobs, are listed. A value that is a list, such
    as the versions of a job, is listed by its items.
    """
    found = {
        heading: ", ".join(dict.fromkeys(item for value in values for item in value.split(", ")))
        for heading, column in ORIGIN.items()
        if column in rows and (values := sorted(set(rows[column]) - {""}))
    }
    if SECONDS not in rows:
        return found
    jobs = rows[rows[SECONDS] != ""].groupby(["method", "seed", "fold"])[SECONDS].first()
    hours = jobs.astype(float).sum() / SECONDS_PER_HOUR
    jobs_text = f"{len(jobs)}, {hours:.2f} hours in all; stages that jobs share count in each"
    return found | {"Jobs": jobs_text}


def labels_used(
    method: str, folder: Path, settings_from: Mapping[str, ChosenFrom]
) -> Iterator[dict[str, str]]:
    """Yield a row of texts by heading for each stage: the labels it was trained with.

    Args:
        method: The method's name.
        folder: A run of the method.
        settings_from: How the settings of each recipe were chosen, by the recipe's name.
    """
    run = RunFolder(folder)
    manifest, recipe = read_manifest(run), recipe_of_run(run.recipe)
    weak = manifest.get("weak_labels", {})  # runs of earlier versions do not have it
    for name, stage in recipe.stages.items():
        with_mask = {
            file["case"]
            for file in manifest["files"]
            if file["stage"] == name and file["use"] == "label"
        }
        masks = f"{' and '.join(stage.classes)}: {counted(len(with_mask), 'case')}"
        yield {
            "Method": method,
            "Stage": name,
            "Learns from": stage.learn,
            "True masks": masks if with_mask else NONE,
            "Tags": _describe_tags(manifest["tags"].get(name, {}), stage.classes) or NONE,
            "Other weak labels": _describe_weak_labels(weak.get(name, {}), stage.classes) or NONE,
            "Settings from": settings_from.get(recipe_name(method), "not stated"),
        }


def chosen_settings(folder: Path) -> Iterator[dict[str, str]]:
    """Yield a row of texts by heading for each setting of a run that was chosen by a criterion."""
    chosen: Mapping[str, Any] = read_manifest(RunFolder(folder)).get("chosen", {})
    for key, value in chosen.get("settings", {}).items():
        yield {
            "Setting": key,
            "Chosen": str(value),
            "Of": str(chosen["tried"][key]),
            "Criterion": f"{chosen['criterion']} {significant(chosen['value'])}",
            "On": f"{chosen['chosen_from']} of {counted(len(chosen['cases']), 'case')}",
            "Trials": str(chosen["trials"]),
        }


def failures(out: Path) -> dict[str, str]:
    """Return why jobs of a suite failed, by their folder within the suite's."""
    return {
        str(path.parent.relative_to(out)): path.read_text(encoding="utf-8").strip()
        for path in failure_files(out)
    }


def _describe_tags(by_case: Mapping[str, Any], classes: list[str]) -> str:
    """Return the numbers of cases, or slices, with a known tag of each class, and of positive ones.

    `by_case` has the tags of each case, or a mapping of them by slice in `slices`.
    """
    sliced = [tags["slices"].values() for tags in by_case.values() if "slices" in tags]
    unit = "slice" if sliced else "case"
    tags = [tags for each in sliced for tags in each] if sliced else list(by_case.values())
    texts = []
    for name in classes:
        known = [each[name] for each in tags if each.get(name) is not None]
        if known:
            doubtful = sum(0 < tag < 1 for tag in known)
            positive = sum(tag == 1 for tag in known)
            text = f"{name}: {counted(len(known), unit)}, {positive} positive"
            texts.append(text + f", {doubtful} uncertain" * bool(doubtful))
    return "; ".join(texts)


def _describe_weak_labels(by_case: Mapping[str, Any], classes: list[str]) -> str:
    """Return the numbers of cases with scribbles, boxes and shares of each class."""
    texts = []
    for name in classes:
        scribbles = sum(name in each.get("scribbles", ()) for each in by_case.values())
        boxes = [each["boxes"][name] for each in by_case.values() if name in each.get("boxes", {})]
        shares = sum(
            name in each.get("shares", {})
            or any(name in own for own in each.get("slice_shares", {}).values())
            for each in by_case.values()
        )
        parts = [f"scribbles of {counted(scribbles, 'case')}"] * bool(scribbles)
        drawn = f"{sum(boxes)} box{'es' * (sum(boxes) > 1)}"
        parts += [f"{drawn} in {counted(len(boxes), 'case')}"] * bool(boxes)
        parts += [f"shares of {counted(shares, 'case')}"] * bool(shares)
        texts += [f"{name}: {', '.join(parts)}"] * bool(parts)
    return "; ".join(texts)
