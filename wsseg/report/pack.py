"""Packing of a run: what is shared of it, and its model card.

A packed run has no paths, no images, no masks, and no names of cases, patients or sites.
"""

import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from wsseg.components.cohorts import Table
from wsseg.components.registry import registry
from wsseg.config.paths import paths_in
from wsseg.config.recipe import Recipe
from wsseg.config.stages import NetworkStage, Stage, earlier_start
from wsseg.errors import InputError
from wsseg.evaluation.rows import read_rows
from wsseg.evaluation.summary import summarise
from wsseg.inference.calibration import copy_calibration
from wsseg.inference.checkpoint import (
    TrainedStage,
    check_can_be_saved,
    read_record,
    read_weights,
    save_stage,
)
from wsseg.inference.folders import RunFolder
from wsseg.inference.packed_run import write_packed
from wsseg.inference.run import Run, load_run
from wsseg.report.model_card import TrainingData, model_card
from wsseg.runtime import yaml12
from wsseg.runtime.files import write_text
from wsseg.training.manifest import read_manifest

PACKAGES = ("wsseg", "torch", "numpy")
METHOD = "run"  # instead of the name of the folder, which could be that of a patient
WORDS = {True: "present", False: "absent", None: "unknown"}
NO_COHORT = Table(path=Path("not-included.csv"))


def pack(run: Path, out: Path, licence: str | None) -> str:
    """Write what is needed to predict with a run as one file, and return its model card.

    Raises:
        InputError: The folder holds no finished run, or a part of it needs a file.
    """
    loaded, source = load_run(run), RunFolder(run)
    recipe = shareable_recipe(loaded)
    paths = [each for each in paths_in(recipe) if each[0] != ("cohort", "path")]
    if paths:
        key = ".".join(map(str, paths[0][0]))
        raise InputError(f"{run}: {key} names a file, which a packed run does not contain")
    scores = summary_of_scores(source)
    versions = {name: metadata.version(name) for name in PACKAGES}
    record: dict[str, Any] = {
        "licence": licence,
        "distributions": sorted(registry().distributions(registry().describe(recipe))),
        "versions": {"python": platform.python_version(), **versions},
    }
    card = model_card(recipe, training_data(source), scores, record)
    with TemporaryDirectory() as temporary:
        folder = RunFolder(Path(temporary))
        text = yaml12.dump(registry().describe(recipe), sort_keys=False, allow_unicode=True)
        write_text(folder.recipe, text)
        for name, trained in loaded.pipeline.stages.items():
            shared = replace(
                read_record(source.stage(name)),
                stage=shareable_stage(trained),
                history=(),
                fingerprint=None,
            )
            check_can_be_saved(shared)
            path = source.stage(name).weights
            weights = read_weights(path) if trained.network is not None else {}
            save_stage(folder.stage(name), shared, weights)
        copy_calibration(source, folder)
        if scores is not None:
            write_text(folder.scores, scores.to_csv(index=False))
        write_text(folder.card, card)
        write_packed(folder, record, out)
    return card


def shareable_recipe(run: Run) -> Recipe:
    """Return the recipe of a run with its trained stages and without cohorts."""
    stages = {name: shareable_stage(trained) for name, trained in run.pipeline.stages.items()}
    changes = {"cohort": NO_COHORT, "test": None, "stages": stages}
    return run.recipe.model_copy(update=changes)


def shareable_stage(trained: TrainedStage) -> Stage:
    """Return a stage without its cohort and without the files that its weights started from."""
    stage = trained.stage.model_copy(update={"cohort": None})
    if not isinstance(stage, NetworkStage):
        return stage
    assert stage.backbone is not None, "a trained stage names its backbone"  # noqa: S101
    start = stage.start if earlier_start(stage) is not None else None
    return stage.model_copy(update={"backbone": stage.backbone.untrained(), "start": start})


def summary_of_scores(folder: RunFolder) -> pd.DataFrame | None:
    """Return the means over the test cases of a run; None if it is not scored."""
    if not folder.scores.exists():
        return None
    rows = read_rows(folder.scores).assign(method=METHOD)
    return summarise(rows).drop(columns="method")


def training_data(folder: RunFolder) -> TrainingData:
    """Return the numbers of cases and tags that a run's manifest lists."""
    manifest = read_manifest(folder)
    tags = {stage: tag_counts(cases.values()) for stage, cases in manifest.get("tags", {}).items()}
    numbers = {key: len(manifest.get(key, ())) for key in ("train", "validation", "test")}
    return TrainingData(numbers, tags)


def tag_counts(cases: Iterable[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Return how many cases have each class, lack it, or have tags of slices or no tag of it."""
    counts = dict[str, Counter[str]]()
    for tags in cases:
        slices = tags.get("slices", {}).values()
        for name, tag in tags.items():
            if name != "slices":
                by_slice = tag is None and any(each.get(name) is not None for each in slices)
                word = "tagged by slice" if by_slice else WORDS[tag]
                counts.setdefault(name, Counter())[word] += 1
    return counts
