"""Finds the scans at the paths that a user gives, and the files to skip."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from os.path import realpath
from pathlib import Path
from unicodedata import normalize

from wsseg.components.cohorts import Table, case_name
from wsseg.core.case import Case
from wsseg.data.csv_table import read_csv_table
from wsseg.data.dicom import read_identifier
from wsseg.data.dicom_file import DIRECTORY
from wsseg.data.dicom_folder import FoundSeries, Skipped, choose_scans, find_series
from wsseg.data.dicom_series import open_series
from wsseg.data.file_names import find_path
from wsseg.data.image_files import find_images, image_names, shortened, stem_of
from wsseg.data.mask_files import mask_suffix
from wsseg.data.nifti import is_nifti_name
from wsseg.data.reading import case_in_errors, read_case_grid
from wsseg.errors import InputError
from wsseg.inference.folders import PredictionFolder, RunFolder
from wsseg.runtime.files import SIDE_FILE

BY_PATH = "path"
IDENTIFIERS = ("PatientID", "AccessionNumber")
MAX_REASONS = 3  # in a message


@dataclass(frozen=True)
class FoundScans:
    """The scans at some paths, and the files that are not scans."""

    cases: list[Case]
    skipped: list[Skipped]


@dataclass(frozen=True)
class Pseudonyms:
    """The names of DICOM scans by an identifier in their files, which is never shown."""

    path: Path
    identifier: str  # one of IDENTIFIERS
    names: dict[str, str]


def pseudonyms_of(rule: str) -> Pseudonyms | None:
    """Return the names of DICOM scans from a CSV file, or None for the rule "path".

    The columns of the file are `case`, and `PatientID` or `AccessionNumber`.

    Raises:
        InputError: The file cannot be read, or an identifier is missing or has two rows.
    """
    if rule == BY_PATH:
        return None
    path = Path(rule)
    if path.suffix.lower() != ".csv":
        raise InputError(
            f"--name-by {rule}: must be {BY_PATH}, or a CSV file with the columns case and "
            f"{' or '.join(IDENTIFIERS)}"
        )
    table = read_csv_table(path, ("case", *IDENTIFIERS), required=("case",))
    columns = [name for name in IDENTIFIERS if name in table.columns]
    if len(columns) != 1:
        raise InputError(
            f"{path}: must have exactly one of the columns {' and '.join(IDENTIFIERS)}"
        )
    names: dict[str, str] = {}
    for row in table.rows:
        identifier = row.get(columns[0])
        if not identifier or identifier in names:
            problem = "appears twice" if identifier else "is empty"
            raise InputError(
                f"{row.place}: the {columns[0]} {problem}; give each {columns[0]} one row"
            )
        names[identifier] = case_name(row)
    return Pseudonyms(path, columns[0], names)


def case_of(path: Path) -> Case:
    """Return a scan as a case, named after its file or folder."""
    name = normalize("NFC", path.resolve().name) if path.is_dir() else stem_of(path)
    return Case(name=name, patient=name, image=path)


def find_scans(
    paths: Iterable[Path], modality: str = "", pseudonyms: Pseudonyms | None = None
) -> FoundScans:
    """Return the scans at some paths.

    A path is a NIfTI file, a picture, a cohort's table (cohort.csv), or a folder. The scans of a
    folder are its NIfTI files and the DICOM series below it that `choose_scans` chooses; if there
    are none, they are the pictures below it. A DICOM scan is named after its folders below the
    path, or by `pseudonyms`; equal names are numbered.

    Raises:
        InputError: A folder contains no scan, two scans have the same name, or `pseudonyms` lacks
            an identifier.
    """
    cases: dict[str, Case] = {}
    skipped: list[Skipped] = []
    for path in paths:
        found = _scans_at(find_path(path), modality, pseudonyms)
        skipped += found.skipped
        for case in found.cases:
            if case.name in cases:
                other, remedy = cases[case.name].image, "predict them into separate folders"
                if case.image.is_dir() and other.is_dir():
                    remedy = (
                        "give the folder that contains both, to name them after their folders, or "
                        f"{remedy}"
                    )
                raise InputError(f"{case.image} and {other} are both named {case.name}; {remedy}")
            cases[case.name] = case
    return FoundScans(list(cases.values()), skipped)


def check_scans(cases: Sequence[Case], out: Path) -> None:
    """Check scans before the first prediction, without reading voxels.

    Raises:
        InputError: A file's header is invalid, `out` is not a folder or holds a run, or a mask
            would overwrite its scan.
    """
    if next(each for each in (out, *out.absolute().parents) if each.exists()).is_file():
        raise InputError(f"{out}: not a folder, or inside a file; give a folder")
    folder = PredictionFolder(out)
    if RunFolder(out).stages.is_dir():
        raise InputError(
            f"{out}: this is the folder of a run, whose {folder.scores.name} would be overwritten; "
            "choose another --out"
        )
    for case in cases:
        mask = folder.mask(case.name, mask_suffix(read_case_grid(case)))
        for path in case.image_files.values():
            if realpath(mask) == realpath(path):  # also resolves link cycles
                raise InputError(
                    f"{path}: its mask would overwrite it; choose another folder as --out"
                )


def _scans_at(path: Path, modality: str, pseudonyms: Pseudonyms | None) -> FoundScans:
    if path.suffix.lower() == ".csv":
        return _scans_of_table(path)
    if path.name.startswith(SIDE_FILE) or path.name.upper() == DIRECTORY:
        raise InputError(
            f"{path}: this file contains no image. Give the folder of the images instead."
        )
    if not path.is_dir():
        return FoundScans([case_of(path)], [])
    files = [case_of(each) for each in sorted(path.iterdir()) if is_nifti_name(each)]
    found, skipped = find_series(path)
    scans, others = choose_scans(found, modality)
    cases = files + _numbered([_dicom_case(path, scan, pseudonyms) for scan in scans])
    if not cases and (pictures := find_images(path)):
        names = zip(image_names(pictures), pictures, strict=True)
        return FoundScans([Case(name, name, each.path) for name, each in names], [])
    if not cases:
        reasons = "; ".join(dict.fromkeys(str(each) for each in others[:MAX_REASONS]))
        raise InputError(
            f"{path}: no images found; possible: .nii.gz and .nii files, DICOM series, PNG, JPEG, "
            "BMP, GIF, TIFF and .npy files" + (f".\n{reasons}" if reasons else "")
        )
    return FoundScans(cases, skipped + others)


def _scans_of_table(path: Path) -> FoundScans:
    cases, skipped = list[Case](), list[Skipped]()
    for case in Table(path=path).cases():
        if case.images or not case.image.is_dir():
            cases.append(case)
            continue
        with case_in_errors(case):
            series = open_series(case.image)
        cases.append(replace(case, files=series.files))
        skipped += series.skipped
    return FoundScans(cases, skipped)


def _dicom_case(root: Path, scan: FoundSeries, pseudonyms: Pseudonyms | None) -> Case:
    files = tuple(header.path for header in scan.headers)
    if pseudonyms is None:
        name = _name_by_path(root, scan.folder)
        return Case(name=name, patient=name, image=scan.folder, files=files)
    name = pseudonyms.names.get(read_identifier(files[0], pseudonyms.identifier), "")
    if not name:
        raise InputError(
            f"{scan.folder}: {pseudonyms.path} has no row for the {pseudonyms.identifier} of this "
            "scan. Add a row, or leave the scan out."
        )
    return Case(name=name, patient=name, image=scan.folder, files=files)


def _name_by_path(root: Path, folder: Path) -> str:
    """Join the names of the folders below `root`; a long start is replaced by a digest."""
    name = "_".join(folder.relative_to(root).parts) or root.resolve().name
    return shortened(normalize("NFC", name))


def _numbered(cases: Sequence[Case]) -> list[Case]:
    """Append a number, from 1, to names that are not unique."""
    times, used = Counter(case.name for case in cases), Counter[str]()
    numbered = []
    for case in cases:
        used[case.name] += 1
        unique = times[case.name] == 1
        name = case.name if unique else f"{case.name}-{used[case.name]}"
        numbered.append(replace(case, name=name))
    return numbered
