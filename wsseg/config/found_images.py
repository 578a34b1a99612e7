"""The images of a user, and their labels from the names of files and folders or from tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsseg.components.found_cohort import found_cohort
from wsseg.components.registry import registry
from wsseg.core.case import Case
from wsseg.core.contracts import cases_of
from wsseg.core.interfaces import Cohort
from wsseg.data.image_files import stem_of
from wsseg.data.reading import read_case_grid, read_case_mask
from wsseg.errors import InputError

TEST_SHARE = 0.2  # of the patients, if nothing says which images are for testing
JOINED = "object"  # the name of several classes together


@dataclass(frozen=True)
class FoundImages:
    """What names of files and tables say about the images."""

    settings: Mapping[str, Any]  # of the cohort
    cases: Sequence[Case]
    classes: Sequence[str]
    joined: Sequence[str]  # the names that are merged into the only class, if there are several


def find_images(path: Path) -> FoundImages:
    """Return the images at a path, with their classes and the settings of their cohort.

    Raises:
        InputError: There are no images, or they have no labels.
    """
    settings = found_cohort(path)
    cases = cases_of(_cohort(settings))
    names = sorted({name for case in cases for name in _labelled(case)})
    if not names:
        tables = ", ".join(file.name for file in sorted(path.glob("*.csv")))
        raise InputError(
            f"{path}: no labels found for its images. Put images with and without the class into "
            "two folders, such as crack and good, or add a CSV file with the columns image and "
            "class" + (f"; {tables} has no such columns" if tables else "")
        )
    joined: list[str] = []
    if settings["use"] == "folder":
        has_background = any(case.tags and True not in case.tags.values() for case in cases)
        if len(names) > 1 and has_background:
            joined = [name for name in names if any(name in case.tags for case in cases)]
            names = [JOINED]
            settings["classes"] = {names[0]: joined}
        elif any("." in name for name in names) and all(case.tags for case in cases):
            settings["classes"] = {name.replace(".", "_"): [name] for name in names}
            names = list(settings["classes"])
        if not any(case.split for case in cases) or _tags_are_only_tested(cases):
            settings["split"] = {"test": TEST_SHARE}
        if contradictory := _contradictory(cases_of(_cohort(settings))):
            settings["leave_out"] = contradictory
    return FoundImages(settings, cases_of(_cohort(settings)), names, joined)


def _labelled(case: Case) -> set[str]:
    """Return the classes of which a case has a tag, a mask or another label."""
    return {*case.tags, *case.masks, *case.scribbles, *case.boxes, *case.shares}


def _contradictory(cases: Sequence[Case]) -> list[str]:
    """Return the names of the images whose masks contradict their tags."""
    names = []
    for case in cases:
        tagged = [name for name in case.masks if case.tags.get(name) is not None]
        grid = read_case_grid(case) if tagged else None
        if grid is not None and any(
            read_case_mask(case, name, grid).any() != case.tags[name] for name in tagged
        ):
            names.append(stem_of(case.image))
    return names


def _tags_are_only_tested(cases: Sequence[Case]) -> bool:
    """Return whether classes occur only in test images, as in data sets for anomaly detection."""
    present = {case.is_for_training for case in cases if True in case.tags.values()}
    return present == {False}


def _cohort(settings: Mapping[str, Any]) -> Cohort:
    made: Cohort = registry().make(Cohort, **settings)
    return made
