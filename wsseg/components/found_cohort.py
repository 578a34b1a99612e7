"""Infers the settings of a cohort from the content of a folder or table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from wsseg.components.folder import BACKGROUND, WITHOUT, WORD_END, means_background
from wsseg.components.tag_file import KINDS, image_of_cell, unique_names
from wsseg.core.case import SPLITS
from wsseg.data.coco import check_images_match, read_coco_boxes
from wsseg.data.csv_table import CsvTable, read_csv_table
from wsseg.data.image_files import SUFFIXES, FoundImage, find_images
from wsseg.data.tag_cells import parse_tag
from wsseg.errors import InputError

TABLE = "cohort.csv"
SCRIBBLES = "scribbles"  # a folder
CASE_COLUMNS = {"case", "image"}  # of a cohort's table
CLASS_COLUMNS = ("class", "label", "tag", "category", "diagnosis", "finding", "defect", "type")
PATIENT_COLUMNS = ("patient", "patient_id", "patientid", "subject", "subject_id")
NOT_CLASSES = frozenset({*PATIENT_COLUMNS, "split", "site", "mask"})
NEGATIONS = frozenset({*WITHOUT, "non", "not"}) - BACKGROUND  # as the first word of a name
NUMBERS = frozenset({"0"})  # in longer names, such as batch_0, they say nothing
ANNOTATIONS = "annotations"  # a folder of COCO files
MOST_CLASSES = 20
LEAST_MATCHES = 0.9  # of the cells of a column with the names of images


def suggests_background(name: str) -> bool:
    """Return whether a name contains a word that means that no class is present.

    It covers more names than `means_background`, which the cohort `folder` uses.

    Example:
        >>> from wsseg.components.found_cohort import suggests_background
        >>> names = ("good", "Apple___healthy", "non_cracked", "not good", "Apple___rot")
        >>> [name for name in names if suggests_background(name)]
        ['good', 'Apple___healthy', 'non_cracked']
    """
    first, *others = filter(None, WORD_END.split(name.lower()))
    has_word = bool((BACKGROUND - NUMBERS - {"no"}).intersection((first, *others)))
    return means_background(name) or has_word != (bool(others) and first in NEGATIONS)


def found_cohort(path: Path) -> dict[str, Any]:
    """Return the recipe's settings of a cohort.

    A table with the columns `case` and `image`, or a folder with such a `cohort.csv`, is the cohort
    `table`. Any other table must name images below its folder and their classes.

    Raises:
        InputError: There is no such file or folder, the file is an image, or the table has no
            column with names of images or none with classes.
    """
    if not path.exists():
        raise InputError(f"{path}: not found. Give a folder of images or a CSV file")
    if path.is_dir() and (path / TABLE).exists():
        return {"use": "table", "path": path / TABLE}
    if path.is_file():
        if path.name.lower().endswith(SUFFIXES):
            raise InputError(
                f"{path}: this is an image. Give the folder that contains it, or a CSV file"
            )
        table = read_csv_table(path, ("*",), ())
        if set(table.columns) >= CASE_COLUMNS:
            return {"use": "table", "path": path}
        images = find_images(path.parent)
        columns = _columns(table, images)
        if columns is None:
            raise InputError(
                f"{path}: the table needs a column with the names of images below {path.parent} "
                f"and one with their classes; the columns are: {', '.join(table.columns)}. Call "
                "these two image and class"
            )
        table_of = {"use": "folder", "path": path.parent, "tags": path, "columns": columns}
        return table_of | _other_weak_labels(path.parent, images)
    found: dict[str, Any] = {"use": "folder", "path": path}
    images = find_images(path)
    for tags in sorted(path.glob("*.csv")):
        columns = _columns(read_csv_table(tags, ("*",), ()), images)
        if columns is not None:
            found |= {"tags": tags, "columns": columns}
            break
    return found | _other_weak_labels(path, images)


def _other_weak_labels(path: Path, images: Sequence[FoundImage]) -> dict[str, Path]:
    """Return the folder `scribbles` and the COCO file of `images` in a folder, if there are any."""
    found = {"scribbles": path / SCRIBBLES} if (path / SCRIBBLES).is_dir() else {}
    for file in (*sorted(path.glob("*.json")), *sorted((path / ANNOTATIONS).glob("*.json"))):
        with suppress(InputError):
            check_images_match(read_coco_boxes(file), file, [image.path for image in images])
            return found | {"boxes": file}
    return found


def _columns(table: CsvTable, images: Sequence[FoundImage]) -> dict[str, str] | None:
    """Return the meaning of the columns of a table of tags; None if it is not such a table."""
    cells = {name: [row.get(name) for row in table.rows] for name in table.columns}
    image = _image_column(cells, images)
    if image is None or not table.rows:
        return None
    others = {name: values for name, values in cells.items() if name != image}
    columns = {image: "image"} | _class_columns(others)
    if len(columns) == 1 and not any(name.split(".")[0] in KINDS for name in others):
        return None
    for name in others:
        if name.lower() in PATIENT_COLUMNS and "patient" not in columns.values():
            columns[name] = "patient"
    if "split" in others and not set(others["split"]) <= set(SPLITS):
        columns["split"] = ""
    return columns


def _image_column(cells: Mapping[str, Sequence[str]], images: Sequence[FoundImage]) -> str | None:
    by_name = unique_names(images)

    def matches(name: str) -> int:
        return sum(image_of_cell(cell, by_name) is not None for cell in cells[name])

    best = max(cells, key=lambda name: (name.lower() == "image", matches(name)), default=None)
    if best is None or matches(best) < max(1, LEAST_MATCHES * len(cells[best])):
        return None
    return best


def _class_columns(cells: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the column of classes as `class`, or columns of tags as `tag.NAME`."""
    words = {name: Counter(filter(None, values)) for name, values in cells.items()}
    possible = [
        name
        for name, counts in words.items()
        if name.lower() not in NOT_CLASSES
        and 1 < len(counts) <= MOST_CLASSES
        and max(counts.values()) > 1
        and not _are_tags(counts)
    ]
    tags = {name: counts for name, counts in words.items() if len(counts) > 1 and _are_tags(counts)}
    for has_classes in (
        lambda name: any(suggests_background(word) for word in words[name]),
        lambda name: name.lower() in CLASS_COLUMNS,
        lambda _: len(possible) == 1 and not tags,
    ):
        for name in filter(has_classes, possible):
            return {name: "class"}
    return {name: f"tag.{name.removeprefix('tag.')}" for name in tags}


def _are_tags(cells: Mapping[str, int]) -> bool:
    """Return whether all cells are tags, and those that are probabilities are a part of them."""
    try:
        tags = {parse_tag(cell) for cell in cells}
    except ValueError:
        return False
    return tags <= {True, False} or tags > {True, False}
