"""The cohort that reads its cases from a CSV file."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar, final

from wsseg.core.case import (
    MAX_NAME_LENGTH,
    SPLITS,
    Case,
    fits_file_names,
    repeated_names,
    splits_by_patient,
)
from wsseg.core.interfaces import Cohort
from wsseg.core.weak_labels import Bounds, Box, ScribbleValues, Tag
from wsseg.data.box_cells import parse_boxes
from wsseg.data.coco import boxes_of_file, check_images_match, read_coco_boxes
from wsseg.data.csv_table import Row, read_csv_table
from wsseg.data.file_names import find_path
from wsseg.data.share_cells import parse_share
from wsseg.data.tag_cells import parse_tag
from wsseg.errors import InputError, known_words

COLUMNS = ("case", "patient", "site", "split", "image", "image.*", "mask.*", "tag.*")
WEAK_COLUMNS = ("scribble.*", "box.*", "share.*")
SLICE_COLUMNS = ("case", "slice", "tag.*", "box.*", "share.*")
MAX_SHOWN = 9  # letters of a wrong slice number in a message
SLICE_NUMBER = re.compile(r"([0-9]{1,9})(?:[.,]0*)?")  # spreadsheets write 3.0 or 3,0 for 3

T = TypeVar("T")


@dataclass(frozen=True)
class RowLabels:
    """The weak labels of a case, or of one of its slices, in a row of a table."""

    tags: Mapping[str, Tag]
    boxes: Mapping[str, tuple[Box, ...]]
    shares: Mapping[str, Bounds]


@final
class Table(Cohort):
    """A cohort in a CSV file with a row for each case.

    Columns:

    - `case`: a unique name, up to 100 characters that a file name may have. Required.
    - `image`: a NIfTI file, a picture or a folder of DICOM files, relative to the CSV file. Of the
      series below a folder, the axial one with the most slices is read. Required.
    - `image.NAME`: instead of `image`, the files of several sequences, such as `image.t1` and
      `image.t2`. They become the channels of the image, in the order of the columns, and are
      resampled to the grid of the first one.
    - `patient`: the default is the name of the case.
    - `site`: the hospital or scanner.
    - `split`: `train`, `test` or empty. All cases of a patient have the same split.
    - `mask.NAME`: a NIfTI file or a picture, relative to the CSV file; empty if the case has no
      such mask.
    - `tag.CLASS`: 1 or yes if the class is present, 0 or no if it is absent, the probability that
      it is present, such as 0.5, or empty if nothing is known.
    - `scribble.CLASS`: a NIfTI file or a picture, relative to the CSV file, which labels some
      pixels: 1 for the class, 2 for its absence and 0 for unknown (see `scribble_values`).
    - `box.CLASS`: boxes that contain all pixels of the class, such as
      `12 30 40 25 / 90 14 20 20`: x, y, width and height in pixels of the file. In a scan, x, y, z,
      width, height and depth.
    - `share.CLASS`: the share of the stage's region that the class covers, such as `25-50 %`.

    A file `slices.csv` in the same folder is optional. Its columns `case`, `slice`, `tag.CLASS`,
    `box.CLASS` and `share.CLASS` describe single slices; tags and shares override those of the
    case. Slices are counted from 0, as in the image file, or for DICOM along the normal of
    the image plane.

    Example:
        >>> from wsseg import Table
        >>> case = Table(path="cohort.csv").cases()[0]
        >>> case.name, case.split, case.image.name, sorted(case.masks)
        ('case-0', 'test', '0.nii.gz', ['tumour'])
    """

    path: Path
    """The CSV file, separated by commas, semicolons or tabs."""
    columns: Mapping[str, str] = {}
    """Columns to rename, by their names in the file, such as {Pat-ID: patient}; an empty name
    drops a column."""
    mask_values: Mapping[str, tuple[int, ...]] = {}
    """The values that belong to each mask in its files, such as {tumour: [1, 4]}. The default is 1,
    or 255."""
    scribble_values: Mapping[str, ScribbleValues] = {}
    """The meaning of values in the scribble files of each class, such as {tumour: {present: [1],
    absent: [0], unknown: [4]}}."""
    boxes: Path | None = None
    """A COCO file (JSON) with boxes. Images are matched by the end of their paths, classes by the
    names of categories. If an image in the file has no box of a class, the class is absent."""

    def cases(self) -> list[Case]:
        """List the cases in the order of their rows.

        Raises:
            InputError: The file cannot be read, or a cell is invalid.
        """
        cases, problems = self.read()
        if problems:
            raise problems[0][1]
        _check_unique(self.path, cases)
        return cases

    def read(self) -> tuple[list[Case], list[tuple[str, InputError]]]:
        """Return the cases of all valid rows, and the error of each other row with its case name.

        Raises:
            InputError: The file cannot be read as a table of cases.
        """
        table = read_csv_table(self.path, (*COLUMNS, *WEAK_COLUMNS), ("case",), self.columns)
        _check_image_columns(self.path, table.columns)
        rows = table.rows
        if not rows:
            raise InputError(
                f"{self.path}: the table has no rows. Add a row for each case below the header."
            )
        cases, problems = list[Case](), list[tuple[str, InputError]]()
        coco = {} if self.boxes is None else read_coco_boxes(self.boxes)
        slices: Mapping[str, Mapping[int, RowLabels]] = {}
        try:
            path = self.path.with_name("slices.csv")
            slices = _labels_of_slices(path, {row.name("case") for row in rows})
        except InputError as error:
            problems.append(("", error))
        for row in rows:
            try:
                case = self._case(row, slices.get(row.name("case"), {}))
                cases.append(with_boxes(case, boxes_of_file(coco, case.image)))
            except InputError as error:
                problems.append((row.get("case"), error))
        if self.boxes is not None and cases:
            check_images_match(coco, self.boxes, [case.image for case in cases])
        return cases, problems

    def _case(self, row: Row, slices: Mapping[int, RowLabels]) -> Case:
        name = case_name(row)
        images = {key: _file(row, f"image.{key}") for key in row.with_prefix("image")}
        masks, scribbles = (
            {
                key: _file(row, f"{kind}.{key}")
                for key, cell in row.with_prefix(kind).items()
                if cell
            }
            for kind in ("mask", "scribble")
        )
        of_case = _labels(row)
        boxes = [of_case.boxes, *(each.boxes for each in slices.values())]
        return Case(
            name=name,
            patient=row.name("patient") or name,
            image=next(iter(images.values())) if images else _file(row, "image"),
            site=row.get("site"),
            split=_split(row),
            masks=masks,
            mask_values={key: self.mask_values[key] for key in masks if key in self.mask_values},
            tags=of_case.tags,
            slice_tags={z: each.tags for z, each in slices.items() if each.tags},
            scribbles=scribbles,
            scribble_values={
                key: self.scribble_values[key] for key in scribbles if key in self.scribble_values
            },
            boxes=_joined(boxes),
            shares=of_case.shares,
            slice_shares={z: each.shares for z, each in slices.items() if each.shares},
            images=images,
        )


def with_boxes(case: Case, boxes: Mapping[str, tuple[Box, ...]]) -> Case:
    """Return a case with more boxes; classes with an empty tuple of boxes are absent."""
    absent: dict[str, Tag] = {name: False for name, each in boxes.items() if not each}
    known = {name: tag for name, tag in case.tags.items() if tag is not None}
    found = {name: each for name, each in boxes.items() if each}
    return replace(case, tags={**case.tags, **absent, **known}, boxes=_joined([case.boxes, found]))


def case_name(row: Row) -> str:
    """Return the name of a case, from a row with the column `case`.

    Raises:
        InputError: It cannot be part of a file name.
    """
    name = row.name("case")
    if not fits_file_names(name):
        raise InputError(
            f"{row.place}: case {name!r} cannot be used as a file name. Use 1 to "
            f"{MAX_NAME_LENGTH} letters, digits, '-', '_' and '.', and no '.' at the start."
        )
    return name


def _file(row: Row, column: str) -> Path:
    cell = row.get(column)
    path = find_path(row.path.parent / cell)
    is_image = column.partition(".")[0] == "image"
    if not cell or not (path.is_file() or (is_image and path.is_dir())):
        problem = f"there is no file {path}" if cell else "is empty"
        raise InputError(
            f"{row.place}: case {row.get('case')}, {column}: {problem}. "
            f"Paths are relative to the folder of {row.path.name}."
        )
    return path


def _files(row: Row, kind: str) -> dict[str, Path]:
    """Return the files in the columns `kind`.<name> by name, without those of empty cells."""
    return {
        name: _file(row, f"{kind}.{name}") for name, cell in row.with_prefix(kind).items() if cell
    }


def _check_image_columns(path: Path, columns: Sequence[str]) -> None:
    """Raise `InputError` unless there is either `image`, or one or more columns `image.NAME`."""
    several = [name for name in columns if name.startswith("image.")]
    if "image" not in columns and not several:
        raise InputError(
            f"{path}: no column is called 'image'; the columns are: {', '.join(columns)}"
        )
    if "image" in columns and several:
        raise InputError(
            f"{path}: there are both a column image and a column {several[0]}; use image for one "
            "file per case, or image.NAME for one file per channel"
        )


def _split(row: Row) -> str:
    split = row.get("split")
    if split not in SPLITS:
        raise InputError(
            f"{row.place}: case {row.get('case')}: unknown split {split!r} (an empty cell means "
            f"train); {known_words(split, SPLITS[:-1])}"
        )
    return split


def _labels(row: Row, slice_index: int | None = None) -> RowLabels:
    """Return the labels in the cells of a row, which is about a case or one of its slices."""
    return RowLabels(
        tags=_parsed(row, "tag", parse_tag),
        boxes={
            name: boxes
            for name, boxes in _parsed(
                row, "box", partial(parse_boxes, slice_index=slice_index)
            ).items()
            if boxes
        },
        shares={
            name: share
            for name, share in _parsed(row, "share", parse_share).items()
            if share is not None
        },
    )


def _parsed(row: Row, kind: str, parse: Callable[[str], T]) -> dict[str, T]:
    """Return the values of the cells of columns `kind`.<class>, by class."""
    values: dict[str, T] = {}
    for name, cell in row.with_prefix(kind).items():
        try:
            values[name] = parse(cell)
        except ValueError as error:
            where = f"{row.place}: case {row.get('case')}, {kind}.{name}"
            raise InputError(f"{where} {error}") from None
    return values


def _joined(boxes: Iterable[Mapping[str, tuple[Box, ...]]]) -> dict[str, tuple[Box, ...]]:
    joined: dict[str, tuple[Box, ...]] = {}
    for each in boxes:
        for name, some in each.items():
            joined[name] = (*joined.get(name, ()), *some)
    return joined


def _labels_of_slices(path: Path, cases: Collection[str]) -> dict[str, dict[int, RowLabels]]:
    if not path.exists():
        return {}
    rows: dict[str, dict[int, RowLabels]] = defaultdict(dict)
    for row in read_csv_table(path, SLICE_COLUMNS, required=("case", "slice")).rows:
        case, number = row.name("case"), SLICE_NUMBER.fullmatch(row.get("slice"))
        if case not in cases:
            raise InputError(
                f"{row.place}: unknown case {case!r}; add a row for it to the cohort's table, or "
                "remove this row"
            )
        if number is None:
            raise InputError(
                f"{row.place}: slice {row.get('slice')[:MAX_SHOWN]!r} is not a slice number; write "
                "an integer, counted from 0"
            )
        index = int(number[1])
        if index in rows[case]:
            raise InputError(
                f"{row.place}: slice {index} of case {case} appears twice; give each slice one row"
            )
        rows[case][index] = _labels(row, index)
    return dict(rows)


def _check_unique(path: Path, cases: Sequence[Case]) -> None:
    """Raise `InputError` if a case has several rows or a patient is in several splits."""
    if repeated := repeated_names(cases):
        raise InputError(f"{path}: case {repeated[0]} appears twice; give each case one row")
    for patient, splits in splits_by_patient(cases).items():
        if len(splits) > 1:
            raise InputError(
                f"{path}: patient {patient} is in the splits "
                f"{' and '.join(sorted(split or 'none' for split in splits))}. Put all cases of a "
                "patient in the same split."
            )
