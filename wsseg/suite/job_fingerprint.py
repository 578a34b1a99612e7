"""The fingerprint of a job: a digest of the settings and the code that determine its results.

Rows whose fingerprint differs from that of their job come from older settings or code. The
fingerprint depends neither on the machine, nor on the versions of other packages, nor on code that
only reads commands, checks data, writes files or reports. Documentation, comments and the messages
of errors do not count, and a function or class may move to another module.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import wsseg
from wsseg.components.registry import registry
from wsseg.config.recipe import Recipe
from wsseg.core.code_digest import code_locations, statement_digests
from wsseg.core.component import Component
from wsseg.runtime.files import fingerprint
from wsseg.suite.definition import Job
from wsseg.suite.tuning import with_settings

# Packages and modules that turn scans into rows, in addition to the parts that a recipe names.
DECIDING = (
    *("core", "data", "inference", "training"),
    *("evaluation/evaluate", "evaluation/scoring", "evaluation/selection", "suite/tuner"),
    *("runtime/collectives", "runtime/device", "runtime/memory_format", "runtime/random_numbers"),
)
# Modules of these packages that only check, download, convert, log or save.
NOT_DECIDING = frozenset(
    {
        *("core/code_digest", "core/contracts", "core/source", "core/tracker"),
        *("data/archive", "data/dicom", "data/dicom_file", "data/dicom_folder"),
        *("data/dicom_pixels", "data/dicom_series", "data/download", "data/file_names"),
        *("data/join_tags", "data/region_check", "data/region_shape", "data/template"),
        *("data/validation", "inference/batch_prediction", "inference/calibration"),
        "inference/checkpoint",
        *("inference/dicom_segmentation", "inference/ensemble", "inference/folders"),
        "inference/scans",
        *("training/context", "training/log"),
        *("training/manifest", "training/messages", "training/monitoring"),
        *("training/target_health", "training/target_snapshots", "training/trainer_events"),
        *("training/preflight", "training/tracking"),
        "training/record_by_tracker",
    }
)
CHECKS = "data/checks/"  # a package that only checks
NOT_DECIDING_KEYS = frozenset({"track", "window"})  # affect only records and figures
PACKAGE = Path(wsseg.__file__).parent


def job_fingerprint(job: Job) -> str:
    """Return the fingerprint of a job, before any of its settings are chosen."""
    recipe = job.recipe
    described = registry().describe(recipe)
    settings = {key: each for key, each in described.items() if key not in NOT_DECIDING_KEYS}
    choice = None if job.tuning is None else registry().describe(job.tuning)
    return fingerprint([_portable(settings), choice, job.split, sorted(_statements(job))])


def with_fingerprint(job: Job) -> Job:
    """Return a job with its fingerprint."""
    return replace(job, fingerprint=job_fingerprint(job))


def code_fingerprint(job: Job) -> str:
    """Return the fingerprint of the code alone, of wsseg and of a job's parts."""
    return fingerprint(sorted(_statements(job)))


def _statements(job: Job) -> frozenset[str]:
    """Return digests of the statements that decide a job's results, in wsseg and in its parts."""
    locations = frozenset().union(*map(code_locations, _parts(job)))
    return deciding_code().union(*map(_code_of_parts, locations))


def _parts(job: Job) -> Iterator[Component]:
    """Yield the parts of a job's recipe, in its order, then those among the settings to choose."""
    for recipe in (job.recipe, *_tried_recipes(job)):
        for part in (recipe.cohort, recipe.test, recipe.input):
            if part is not None:
                yield part
        for parts in (recipe.regions, recipe.stages, recipe.metrics, recipe.scores):
            yield from parts.values()


def _tried_recipes(job: Job) -> Iterator[Recipe]:
    """Yield the recipe with each of the values to choose from that can contain parts."""
    for key, values in job.tuning.settings.items() if job.tuning else ():
        for value in values:
            if isinstance(value, dict | list):
                yield with_settings(job.recipe, {key: value})


def _portable(value: Any) -> Any:
    """Return plain values with absolute paths reduced to file names."""
    if isinstance(value, dict):
        return {key: _portable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_portable(each) for each in value]
    if isinstance(value, str) and PurePath(value).is_absolute():
        return PurePath(value).name
    return value


_code_of_parts = cache(statement_digests)  # many jobs have the same parts


@cache
def deciding_code(package: Path = PACKAGE) -> frozenset[str]:
    """Return digests of wsseg's statements that decide results, without parts of recipes."""
    files = [package / f"{name}.py" for name in deciding_modules(package)]
    return frozenset().union(*map(statement_digests, files))


def deciding_modules(package: Path = PACKAGE) -> list[str]:
    """Return the modules whose code decides results, as "training/em", sorted."""
    found = []
    for name in DECIDING:
        folder = package / name
        files = folder.rglob("*.py") if folder.is_dir() else [package / f"{name}.py"]
        found += [file.relative_to(package).with_suffix("").as_posix() for file in files]
    return sorted(each for each in found if each not in NOT_DECIDING and CHECKS not in each)
