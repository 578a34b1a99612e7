"""Search for DICOM series in a folder, and choice of the scan of each study."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsseg.data.dicom import Header, read_header
from wsseg.data.dicom_file import is_dicom
from wsseg.data.nifti import is_nifti_name
from wsseg.runtime.files import files_below, sha256

MIN_SLICES = 3  # scouts have fewer
PLANES = ("sagittal", "coronal", "axial")  # by the axis of the normal
CONTRASTS = "MR"  # the series of an MR study show different quantities
NOT_AN_IMAGE = "not an image"
EMPTY = "empty; if it was a slice, copy it again"
BROKEN_LINK = "a link to a missing file"
COPY = "the same content as another file of the series"


@dataclass(frozen=True)
class Skipped:
    """Files below a folder that belong to no scan, with the reason."""

    folder: Path
    files: int
    reason: str

    @property
    def what(self) -> str:
        """The number of files and the reason."""
        return f"skipped {self.files} file{'s' * (self.files != 1)}: {self.reason}"

    def __str__(self) -> str:
        return f"{self.folder}: {self.what}"


@dataclass(frozen=True)
class FoundSeries:
    """The files of one series, which may be in several folders."""

    headers: tuple[Header, ...]

    @property
    def folder(self) -> Path:
        """The folder of the files, or the deepest one that contains all their folders."""
        return Path(os.path.commonpath({header.path.parent for header in self.headers}))

    @property
    def slices(self) -> int:
        """The number of usable slices."""
        return sum(len(header.slices) for header in self.headers)

    @property
    def plane(self) -> str:
        """The plane of the patient that is nearest to the slices."""
        first = next(each for header in self.headers for each in header.slices)
        return PLANES[int(np.abs(np.cross(first.along_row, first.along_column)).argmax())]

    def skipped(self, reason: str) -> Skipped:
        """Return a record that all files of the series were skipped."""
        return Skipped(self.folder, len(self.headers), reason)


def find_series(folder: Path) -> tuple[list[FoundSeries], list[Skipped]]:
    """Read the headers of all DICOM files below a folder, and group them by series.

    Scouts form a separate series, even if they have the identifier of another one. Copies of a file
    are skipped.

    Raises:
        InputError: A DICOM file cannot be read.
    """
    series: dict[tuple[str, str, bool], list[Header]] = defaultdict(list)
    skipped: Counter[tuple[Path, str]] = Counter()
    for path in files_below(folder):
        if not is_dicom(path):
            skipped[folder, _why_not(path)] += not is_nifti_name(path)
            continue
        header = read_header(path)
        if header.not_an_image:
            skipped[path.parent, header.not_an_image] += 1
        elif header.problem and not header.series:
            raise header.problem
        else:
            name = header.series or str(path.parent)
            series[header.study, name, header.is_scout].append(header)
    found = []
    for headers in series.values():
        copies = _copies(headers)
        skipped.update((each.path.parent, COPY) for each in headers if each.path in copies)
        found.append(FoundSeries(tuple(each for each in headers if each.path not in copies)))
    return found, [Skipped(place, n, reason) for (place, reason), n in skipped.items() if n]


def _why_not(path: Path) -> str:
    """Return the reason why a file that is not DICOM was skipped."""
    if not path.exists():
        return BROKEN_LINK
    return NOT_AN_IMAGE if path.stat().st_size else EMPTY


def _copies(headers: Sequence[Header]) -> set[Path]:
    """Return the files with the same content as an earlier one; only files alike are compared."""
    alike: dict[object, list[Path]] = defaultdict(list)
    for header in headers:
        positions = tuple(tuple(each.position) for each in header.slices)
        alike[header.path.stat().st_size, positions].append(header.path)
    copies = set[Path]()
    for paths in alike.values():
        digests = set[str]()
        for path in paths if len(paths) > 1 else ():
            digest = sha256(path)
            if digest in digests:
                copies.add(path)
            digests.add(digest)
    return copies


def choose_scans(
    found: Sequence[FoundSeries], modality: str = ""
) -> tuple[list[FoundSeries], list[Skipped]]:
    """Choose the axial series with the most slices of each study.

    If there is only one series, it is chosen. Each modality of a study has its own scan, and all
    its MR series are chosen, because they show different quantities.

    Args:
        found: All series below a folder.
        modality: The modality of the scans, as DICOM abbreviates it; "" for any.

    Returns:
        The scans, and the skipped series with the reasons.
    """
    if len(found) <= 1:
        return list(found), []
    skipped = [each.skipped(reason) for each in found if (reason := _unsuitable(each, modality))]
    suitable = [each for each in found if not _unsuitable(each, modality)]
    groups: dict[object, list[FoundSeries]] = defaultdict(list)
    for index, each in enumerate(suitable):
        first = each.headers[0]
        alone = not first.study or first.modality == CONTRASTS
        groups[index if alone else (first.study, first.modality)].append(each)
    chosen = [max(group, key=lambda each: each.slices) for group in groups.values()]
    skipped += [
        each.skipped("another axial series of the study has at least as many slices")
        for each in suitable
        if not any(each is scan for scan in chosen)
    ]
    return chosen, skipped


def _unsuitable(series: FoundSeries, modality: str) -> str:
    """Return the reason why a series is not a scan of its study, or ""."""
    first = series.headers[0]
    if modality and first.modality not in ("", modality):
        return f"its modality is not {modality}"
    if first.is_scout:
        return "a scout"
    if not series.slices:
        return "no slices: its images have no position, or are in colour"
    if series.plane != PLANES[-1]:
        return f"a reformat or another series with {series.plane} slices"
    if series.slices < MIN_SLICES:
        return f"only {series.slices} slice{'s' * (series.slices != 1)}, as in a scout"
    return ""
