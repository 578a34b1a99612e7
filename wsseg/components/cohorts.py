"""The cohort that reads its cases from a CSV file."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, final

from wsseg.core.case import (
    MAX_NAME_LENGTH,
    SPLITS,
    Case,
    fits_file_names,
    repeated_names,
    splits_by_patient,
)
from wsseg.core.interfaces import Cohort
from wsseg.data.csv_table import Row, read_csv_table
from wsseg.data.file_names import find_path
from wsseg.data.tag_cells import parse_tag
from wsseg.errors import InputError, known_words

SLICE_COLUMNS = ("case", "slice", "tag.*")
MAX_SHOWN = 9  # letters of a wrong slice number in a message
SLICE_NUMBER = re.compile(r"([0-9]{1,9})(?:[.,]0*)?")  # spreadsheets write 3.0 or 3,0 for 3

Tags: TypeAlias = Mapping[str, bool | None]


@final
class Table(Cohort):
    """A cohort in a CSV file with a row for each case.

    Columns:

    - `case`: a unique name, up to 100 characters that a file name may have. Required.
    - `image`: a NIfTI file, a picture or a folder of DICOM files, relative to the CSV file. Of the
      series below a folder, the axial one with the most slices is read. Required.
    - `patient`: the default is the name of the case.
    - `site`: the hospital or scanner.
    - `split`: `train`, `test` or empty. All cases of a patient have the same split.
    - `mask.NAME`: a NIfTI file or a picture, relative to the CSV file; empty if the case has no
      such mask.
    - `tag.CLASS`: 1 or yes if the class is present, 0 or no if it is absent, empty if that is
      unknown.

    A file `slices.csv` in the same folder is optional. Its columns `case`, `slice` and `tag.CLASS`
    set tags of single slices, which take precedence over the tags of the case. Slices are counted
    from 0, as in the image file, or for DICOM along the normal of the image plane.

    Example:
        >>> from wsseg import Table
        >>> case = Table(path="cohort.csv").cases()[0]
        >>> case.name, case.split, case.image.name, sorted(case.masks)
        ('case-0', 'test', '0.nii.gz', ['tumour'])
    """

    path: Path
    """The CSV file, separated by commas, semicolons or tabs."""
    columns: Mapping[str, str] = {}
    """The columns above by their names in the file, such as {Pat-ID: patient}; an empty name leaves
    a column out."""
    mask_values: Mapping[str, tuple[int, ...]] = {}
    """For each mask the values in its file that belong to it, such as {tumour: [1, 4]}. The default
    is 1, or 255."""

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
        """Return the cases of all valid rows, and the problems of the others with their case names.

        Raises:
            InputError: The file cannot be read as a table of cases.
        """
        columns = ("case", "patient", "site", "split", "image", "mask.*", "tag.*")
        rows = read_csv_table(self.path, columns, ("case", "image"), self.columns).rows
        if not rows:
            raise InputError(f"{self.path}: has no rows. Add a row for each case below the header.")
        cases, problems = list[Case](), list[tuple[str, InputError]]()
        slice_tags: Mapping[str, Mapping[int, Tags]] = {}
        try:
            path = self.path.with_name("slices.csv")
            slice_tags = _slice_tags(path, [row.name("case") for row in rows])
        except InputError as error:
            problems.append(("", error))
        for row in rows:
            try:
                cases.append(self._case(row, slice_tags))
            except InputError as error:
                problems.append((row.get("case"), error))
        return cases, problems

    def _case(self, row: Row, slice_tags: Mapping[str, Mapping[int, Tags]]) -> Case:
        name = case_name(row)
        files = {key: cell for key, cell in row.with_prefix("mask").items() if cell}
        return Case(
            name=name,
            patient=row.name("patient") or name,
            image=_file(row, "image"),
            site=row.get("site"),
            split=_split(row),
            masks={key: _file(row, f"mask.{key}") for key in files},
            mask_values={key: self.mask_values[key] for key in files if key in self.mask_values},
            tags=_tags(row),
            slice_tags=slice_tags.get(name, {}),
        )


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
    if not cell or not (path.is_file() or (column == "image" and path.is_dir())):
        problem = f"there is no file {path}" if cell else "is empty"
        raise InputError(
            f"{row.place}: case {row.get('case')}, {column}: {problem}. "
            f"Paths are relative to the folder of {row.path.name}."
        )
    return path


def _split(row: Row) -> str:
    split = row.get("split")
    if split not in SPLITS:
        raise InputError(
            f"{row.place}: case {row.get('case')}: unknown split {split!r}; "
            f"{known_words(split, SPLITS[:-1])}, or an empty cell"
        )
    return split


def _tags(row: Row) -> dict[str, bool | None]:
    tags: dict[str, bool | None] = {}
    for name, cell in row.with_prefix("tag").items():
        try:
            tags[name] = parse_tag(cell)
        except ValueError as error:
            raise InputError(f"{row.place}: case {row.get('case')}, tag.{name} {error}") from None
    return tags


def _slice_tags(path: Path, cases: list[str]) -> dict[str, dict[int, Tags]]:
    if not path.exists():
        return {}
    tags: dict[str, dict[int, Tags]] = defaultdict(dict)
    for row in read_csv_table(path, SLICE_COLUMNS, required=("case", "slice")).rows:
        case, number = row.name("case"), SLICE_NUMBER.fullmatch(row.get("slice"))
        if case not in cases:
            raise InputError(
                f"{row.place}: unknown case {case!r}; the cohort's table has no row for it"
            )
        if number is None:
            raise InputError(
                f"{row.place}: slice {row.get('slice')[:MAX_SHOWN]!r} is not a slice number; "
                "slices are counted from 0"
            )
        index = int(number[1])
        if index in tags[case]:
            raise InputError(f"{row.place}: slice {index} of case {case} appears twice")
        tags[case][index] = _tags(row)
    return dict(tags)


def _check_unique(path: Path, cases: Sequence[Case]) -> None:
    """Raise `InputError` if a case has several rows or a patient is in several splits."""
    if repeated := repeated_names(cases):
        raise InputError(f"{path}: case {repeated[0]} appears twice; each case has one row")
    for patient, splits in splits_by_patient(cases).items():
        if len(splits) > 1:
            raise InputError(
                f"{path}: patient {patient} is in the splits "
                f"{' and '.join(sorted(split or 'none' for split in splits))}. "
                "Put all scans of a patient in the same split."
            )
