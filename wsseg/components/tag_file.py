"""Tables of tags that others wrote: a row for an image, with its classes."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from wsseg.core.weak_labels import Tag
from wsseg.data.csv_table import Row, read_csv_table
from wsseg.data.image_files import FoundImage
from wsseg.data.tag_cells import parse_tag
from wsseg.errors import InputError

SEVERAL = re.compile(r"\s*[|;]\s*")  # between the classes of a cell
COLUMNS = ("image", "class", "tag.*", "patient", "split")


@dataclass(frozen=True)
class TagRow:
    """What a row says of its image."""

    image: FoundImage
    row: Row
    classes: tuple[str, ...] | None
    """The classes in the column `class`; None without such a cell."""
    tags: Mapping[str, Tag]
    """The tags in the columns `tag.CLASS`."""


def read_tag_file(
    path: Path, columns: Mapping[str, str], images: Sequence[FoundImage]
) -> tuple[list[TagRow], list[tuple[str, InputError]]]:
    """Return the rows of a CSV file with their images, and the problems of the other rows.

    The columns are `image` (a path below the folder of the images, or the name of a file, with or
    without its suffix), and optionally `class` (one class, or several with `|` between them),
    `tag.CLASS`, `patient` and `split`. All others are left out.

    Raises:
        InputError: The file cannot be read, or has no column `image`, or none with classes.
    """
    table = read_csv_table(path, ("*",), ("image",), columns)
    if not any(name == "class" or name.startswith("tag.") for name in table.columns):
        raise InputError(
            f"{path}: has no column class or tag.CLASS; its columns: {', '.join(table.columns)}. "
            "Say which column has the classes: columns: {NAME: class}"
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
        raise InputError(f"{path}: image {twice[0][0]} has several rows; each image has one")
    return rows, problems


def unique_names(images: Sequence[FoundImage]) -> dict[str, FoundImage]:
    """Return the images by each name that only one of them has."""
    names = [(name, each) for each in images for name in {each.place, each.path.name, each.stem}]
    times = Counter(name for name, _ in names)
    return {name: each for name, each in names if times[name] == 1}


def image_of_cell(cell: str, by_name: Mapping[str, FoundImage]) -> FoundImage | None:
    """Return the image that a cell names: by its path, or by the name of its file."""
    place = normalize("NFC", cell).replace("\\", "/").removeprefix("./")
    return by_name.get(place) or by_name.get(place.rpartition("/")[2])


def _tag_row(row: Row, by_name: Mapping[str, FoundImage]) -> TagRow:
    cell = row.get("image")
    image = image_of_cell(cell, by_name)
    if image is None:
        raise InputError(
            f"{row.place}: there is no image {cell!r}, or there are several. Write its path below "
            "the folder of the images"
        )
    tags: dict[str, Tag] = {}
    for name, tag in row.with_prefix("tag").items():
        try:
            tags[name] = parse_tag(tag)
        except ValueError as error:
            raise InputError(f"{row.place}: image {cell}, tag.{name} {error}") from None
    classes = row.name("class")
    return TagRow(image, row, tuple(SEVERAL.split(classes)) if classes else None, tags)
