"""Tables of weak labels from any source, with a row for each image."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from unicodedata import normalize

from wsseg.core.weak_labels import Bounds, Box, Tag
from wsseg.data.box_cells import parse_boxes
from wsseg.data.csv_table import Row, read_csv_table
from wsseg.data.image_files import FoundImage
from wsseg.data.share_cells import parse_share
from wsseg.data.tag_cells import parse_tag
from wsseg.errors import InputError

SEVERAL = re.compile(r"\s*[|;]\s*")  # between the classes of a cell
KINDS = ("tag", "box", "share")  # of labels, in columns such as tag.CLASS

T = TypeVar("T")


@dataclass(frozen=True)
class TagRow:
    """The content of a row about an image."""

    image: FoundImage
    row: Row
    classes: tuple[str, ...] | None
    """The classes in the column `class`; None without such a cell."""
    tags: Mapping[str, Tag]
    """The tags in the columns `tag.CLASS`."""
    boxes: Mapping[str, tuple[Box, ...]]
    """The boxes in the columns `box.CLASS`, without empty cells."""
    shares: Mapping[str, Bounds]
    """The shares in the columns `share.CLASS`, without empty cells."""


def read_tag_file(
    path: Path, columns: Mapping[str, str], images: Sequence[FoundImage]
) -> tuple[list[TagRow], list[tuple[str, InputError]]]:
    """Return the rows of a CSV file with their images, and the problems of the other rows.

    The columns are `image` (a path below the folder of the images, or the name of a file, with or
    without its suffix), and optionally `class` (one class, or several with `|` between them),
    `tag.CLASS`, `box.CLASS`, `share.CLASS`, `patient` and `split`. All others are left out.

    Raises:
        InputError: The file cannot be read, or has no column `image`, or none with labels.
    """
    table = read_csv_table(path, ("*",), ("image",), columns)
    if not any(name == "class" or name.split(".")[0] in KINDS for name in table.columns):
        raise InputError(
            f"{path}: no column is called class, tag.CLASS, box.CLASS or share.CLASS; the columns "
            f"are: {', '.join(table.columns)}. State which column has the classes: columns: "
            "{NAME: class}"
        )
    by_name = unique_names(images)
    rows, problems = list[TagRow](), list[tuple[str, InputError]]()
    for row in table.rows:
        try:
            rows.append(_tag_row(row, by_name))
        except InputError as error:
            problems.append((row.name("image"), error))
    twice = Counter(each.image.place for each in rows).most_common(1)
    if twice and twice[0][1] > 1:
        raise InputError(f"{path}: image {twice[0][0]} has several rows; give each image one row")
    return rows, problems


def unique_names(images: Sequence[FoundImage]) -> dict[str, FoundImage]:
    """Return the images by path, file name and stem, without names that are not unique."""
    names = [(name, each) for each in images for name in {each.place, each.path.name, each.stem}]
    times = Counter(name for name, _ in names)
    return {name: each for name, each in names if times[name] == 1}


def image_of_cell(cell: str, by_name: Mapping[str, FoundImage]) -> FoundImage | None:
    """Return the image that a cell names by its path or its file name."""
    place = normalize("NFC", cell).replace("\\", "/").removeprefix("./")
    return by_name.get(place) or by_name.get(place.rpartition("/")[2])


def _tag_row(row: Row, by_name: Mapping[str, FoundImage]) -> TagRow:
    cell = row.get("image")
    image = image_of_cell(cell, by_name)
    if image is None:
        raise InputError(
            f"{row.place}: no image, or more than one, is called {cell!r}. Write its path relative "
            "to the folder of the images"
        )
    classes = row.name("class")
    boxes, shares = _parsed(row, "box", parse_boxes), _parsed(row, "share", parse_share)
    return TagRow(
        image,
        row,
        tuple(SEVERAL.split(classes)) if classes else None,
        tags=_parsed(row, "tag", parse_tag),
        boxes={name: each for name, each in boxes.items() if each},
        shares={name: each for name, each in shares.items() if each is not None},
    )


def _parsed(row: Row, kind: str, parse: Callable[[str], T]) -> dict[str, T]:
    """Return the values of the cells of columns `kind`.<class>, by class."""
    values: dict[str, T] = {}
    for name, cell in row.with_prefix(kind).items():
        try:
            values[name] = parse(cell)
        except ValueError as error:
            where = f"{row.place}: image {row.get('image')}, {kind}.{name}"
            raise InputError(f"{where} {error}") from None
    return values
