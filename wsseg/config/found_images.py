"""The images of a user, and their labels from the names of files and folders or from tables."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wsseg.components.found_cohort import found_cohort, suggests_background
from wsseg.components.registry import registry
from wsseg.core.case import Case
from wsseg.core.contracts import cases_of
from wsseg.core.interfaces import Cohort
from wsseg.data import image_files
from wsseg.data.image_files import stem_of
from wsseg.data.reading import read_case_grid, read_case_labels, read_case_mask
from wsseg.data.validation import unexpected_labels
from wsseg.errors import InputError

TEST_SHARE = 0.2  # of the patients, if nothing says which images are for testing
JOINED = "object"  # the name of several classes together
MASKS_SAMPLE = 200  # masks whose values are read
MOST_VALUES = 20  # of the masks of a class


@dataclass(frozen=True)
class FoundImages:
    """What names of files and tables say about the images."""

    settings: Mapping[str, Any]  # of the cohort
    cases: Sequence[Case]
    classes: Sequence[str]
    joined: Sequence[str]  # the names that are merged into the only class, if there are several
    without: Sequence[str]  # the names that mean no class, but not to the cohort
    advice: str  # what to do if all images or none have a class


def find_images(path: Path) -> FoundImages:
    """Return the images at a path, with their classes and the settings of their cohort.

    Raises:
        InputError: There are no images, or they have no labels.
    """
    settings = found_cohort(path)
    cases = cases_of(_cohort(settings))
    names = sorted({name for case in cases for name in _labelled(case)})
    is_folder = settings["use"] == "folder"
    without = [name for name in names if is_folder and _means_no_class(name, cases)]
    names = [name for name in names if name not in without]
    if not names:
        raise InputError(
            f"{path}: no labels found for its images. Put images with and without the class into "
            f"two folders, such as crack and good, or {_with_table(path)}"
        )
    joined: list[str] = []
    if is_folder:
        if "tags" not in settings:
            _check_depth(path, names)
        has_background = any(
            case.tags and True not in {case.tags.get(name) for name in names} for case in cases
        )
        if len(names) > 1 and has_background:
            joined = [name for name in names if any(name in case.tags for case in cases)]
            names = [JOINED]
            settings["classes"] = {names[0]: joined}
        elif without or (any("." in each for each in names) and all(case.tags for case in cases)):
            settings["classes"] = {name.replace(".", "_"): [name] for name in names}
            names = list(settings["classes"])
        if not any(case.split for case in cases) or _tags_are_only_tested(cases):
            settings["split"] = {"test": TEST_SHARE}
    if values := _mask_values(cases_of(_cohort(settings))):
        settings["mask_values"] = values
    if is_folder and (wrong := _contradictory(cases_of(_cohort(settings)))):
        settings["leave_out"] = wrong
    advice = _advice(path, settings)
    return FoundImages(settings, cases_of(_cohort(settings)), names, joined, without, advice)


def _means_no_class(name: str, cases: Sequence[Case]) -> bool:
    """Return whether a tag means that there is no class, or is only the folder of all images."""
    tags = {case.tags.get(name) for case in cases}
    if suggests_background(name):
        return None not in tags
    return tags == {True} and any(set(case.boxes) - {name} for case in cases)


def _check_depth(path: Path, names: Sequence[str]) -> None:
    """Raise `InputError` if folders that mean no class are below others that are not classes."""
    for image in image_files.find_images(path):
        depth = next((n for n, name in enumerate(image.folders) if suggests_background(name)), 0)
        if depth and image.folders[0] in names:
            raise InputError(
                f"{path}: the folder {image.folders[depth]} is below {image.folders[0]}, so "
                f"{image.folders[0]} would be a class. Give a folder whose classes are directly "
                f"below it, such as {'/'.join(image.folders[:depth])}, or add a CSV file with the "
                "columns image and class"
            )


def _mask_values(cases: Sequence[Case]) -> dict[str, list[int]]:
    """Return the values of each class that has masks with others than 0 and 1, or 0 and 255."""
    present: dict[str, set[float]] = defaultdict(set)
    unusual = set[str]()
    masked = [case for case in cases if case.masks]
    for case in masked[:: 1 + len(masked) // MASKS_SAMPLE]:
        grid = read_case_grid(case)
        for name in case.masks:
            labels = np.unique(np.round(read_case_labels(case, name, grid).voxels, 3))
            present[name].update(labels.tolist())
            if unexpected_labels(labels.tolist(), None, None):
                unusual.add(name)
    return {
        name: sorted(int(value) for value in values if value)
        for name, values in present.items()
        if name in unusual
        and len(values) <= MOST_VALUES
        and all(value % 1 == 0 for value in values)
    }


def _are_labels(values: Collection[float]) -> bool:
    """Return whether values are a few integers, not shades of grey."""
    return len(values) <= MOST_VALUES and all(value % 1 == 0 for value in values)


def _advice(path: Path, settings: Mapping[str, Any]) -> str:
    if settings["use"] != "folder" or "tags" in settings:
        return "Add such images, or correct the tags"
    return (
        "The folders of the images were taken as classes. If they are, add such images, for "
        f"example in a folder called good; otherwise, {_with_table(path)}"
    )


def _with_table(path: Path) -> str:
    tables = ", ".join(file.name for file in sorted(path.glob("*.csv")))
    unclear = f"; {tables} has no such columns" if tables else ""
    return f"add a CSV file with the columns image and class{unclear}"


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
