"""Where cases come from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, final

from wsseg.core.case import Case, repeated_names, splits_by_patient
from wsseg.core.interfaces import Cohort
from wsseg.data.csv_table import Row, read_sheet
from wsseg.errors import InputError, known_words

SPLITS = ("train", "test", "")
NOT_IN_A_NAME = frozenset('/\\:*?"<>|')  # what some file system forbids
LONGEST_NUMBER = 9  # digits; a scan has fewer slices than that
LONGEST_NAME = 100  # with a suffix it must stay below a file system's 255 bytes
TAGS = {"": None, "0": False, "1": True}

Tags: TypeAlias = Mapping[str, bool | None]


@final
class Table(Cohort):
    """The rows of a CSV file: case, patient, site, split, image, mask.<name>, tag.<class>.

    Only case and image must be there; a row without a patient is a patient of its own. An image
    is a NIfTI file or a folder of DICOM slices. Paths are relative to the table's file. An empty
    tag is unknown, 0 absent, 1 present; an empty mask cell is unlabelled. Beside it slices.csv, if
    there is one, has tags of single slices, counted from 0 as in the image file (of DICOM, along
    the normal of its plane): case, slice, tag.<class>.
    """

    path: Path
    mask_values: Mapping[str, tuple[int, ...]] = {}
    """Which labels of its file are a mask, as {lung: [1, 2]}; without, 1 (or 255) alone."""

    def cases(self) -> list[Case]:
        """List the cases in the order of their rows; raise `InputError` for any wrong cell."""
        cases, problems = self.read()
        if problems:
            raise problems[0][1]
        _check_unique(self.path, cases)
        return cases

    def read(self) -> tuple[list[Case], list[tuple[str, InputError]]]:
        """Return the cases of all rows that are fine, and what is wrong with the others, by case.

        Raises:
            InputError: The file is no table of cases.
        """
        columns = ("case", "patient", "site", "split", "image", "mask.*", "tag.*")
        rows = read_sheet(self.path, columns, needed=("case", "image"))
        if not rows:
            raise InputError(f"{self.path}: has no rows. A case is a row below the header.")
        cases, problems = list[Case](), list[tuple[str, InputError]]()
        slice_tags: Mapping[str, Mapping[int, Tags]] = {}
        try:
            path = self.path.with_name("slices.csv")
            slice_tags = _slice_tags(path, [row.get("case") for row in rows])
        except InputError as error:
            problems.append(("", error))
        for row in rows:
            try:
                cases.append(self._case(row, slice_tags))
            except InputError as error:
                problems.append((row.get("case"), error))
        return cases, problems

    def _case(self, row: Row, slice_tags: Mapping[str, Mapping[int, Tags]]) -> Case:
        name = _safe_name(row)
        files = {key: cell for key, cell in row.family("mask").items() if cell}
        return Case(
            name=name,
            patient=row.get("patient") or name,
            image=_file(row, "image"),
            site=row.get("site"),
            split=_split(row),
            masks={key: _file(row, f"mask.{key}") for key in files},
            mask_values={key: self.mask_values[key] for key in files if key in self.mask_values},
            tags=_tags(row),
            slice_tags=slice_tags.get(name, {}),
        )


def _safe_name(row: Row) -> str:
    name = row.get("case")
    odd = [c for c in name if c in NOT_IN_A_NAME or not c.isprintable()]
    if not name or odd or name.startswith(".") or len(name) > LONGEST_NAME:
        raise InputError(
            f"{row.place}: case {name!r} cannot name a file. "
            f"Use 1 to {LONGEST_NAME} letters, digits, '-', '_' and '.', the first not '.'."
        )
    return name


def _file(row: Row, column: str) -> Path:
    cell = row.get(column)
    path = row.path.parent / cell
    if not cell or not (path.is_file() or (column == "image" and path.is_dir())):
        what = f"there is no file {path}" if cell else "is empty"
        raise InputError(
            f"{row.place}: case {row.get('case')}, {column}: {what}. "
            f"Paths are relative to the folder of {row.path.name}."
        )
    return path


def _split(row: Row) -> str:
    split = row.get("split")
    if split not in SPLITS:
        raise InputError(
            f"{row.place}: case {row.get('case')}: unknown split {split!r}; "
            f"{known_words(split, SPLITS[:2])}, or an empty cell"
        )
    return split


def _tags(row: Row) -> dict[str, bool | None]:
    for name, cell in row.family("tag").items():
        if cell not in TAGS:
            raise InputError(
                f"{row.place}: case {row.get('case')}, tag.{name} is {cell!r}; "
                "possible: 1 (present), 0 (absent), nothing (unknown)"
            )
    return {name: TAGS[cell] for name, cell in row.family("tag").items()}


def _slice_tags(path: Path, cases: list[str]) -> dict[str, dict[int, Tags]]:
    if not path.exists():
        return {}
    tags: dict[str, dict[int, Tags]] = defaultdict(dict)
    for row in read_sheet(path, ("case", "slice", "tag.*"), needed=("case", "slice")):
        case, number = row.get("case"), row.get("slice")
        if case not in cases:
            raise InputError(f"{row.place}: unknown case {case!r}. The cohort's table has it not.")
        if not (number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER):
            raise InputError(
                f"{row.place}: slice {number[:LONGEST_NUMBER]!r} is no number of a slice. "
                "Slices count from 0."
            )
        if int(number) in tags[case]:
            raise InputError(f"{row.place}: slice {number} of case {case} is there twice")
        tags[case][int(number)] = _tags(row)
    return dict(tags)


def _check_unique(path: Path, cases: Sequence[Case]) -> None:
    """A case has one row, and a patient is in one split."""
    if twice := repeated_names(cases):
        raise InputError(f"{path}: case {twice[0]} is there twice. A case has one row.")
    for patient, splits in splits_by_patient(cases).items():
        if len(splits) > 1:
            raise InputError(
                f"{path}: patient {patient} is in the splits "
                f"{' and '.join(sorted(split or 'none' for split in splits))}. "
                "All scans of a patient belong in one."
            )
