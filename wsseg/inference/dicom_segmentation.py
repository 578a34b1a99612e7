"""Writing of predicted masks as DICOM segmentation objects, which refer to the slices of the scan.

Standard: DICOM PS3.3, A.51 (Segmentation IOD). The objects are created with highdicom.
"""

import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wsseg.core.case import Case
from wsseg.data.csv_table import Row, read_csv_table
from wsseg.data.dicom_file import is_dicom, load_pydicom
from wsseg.data.dicom_series import Series, open_series
from wsseg.data.mask_files import mask_suffix
from wsseg.data.nifti import is_nifti_name
from wsseg.data.reading import case_in_errors, read_case_grid, read_mask
from wsseg.errors import InputError, known_words
from wsseg.inference.folders import PredictionFolder
from wsseg.runtime.files import atomic_write

OPTION = "--write dicom-seg"
Code: TypeAlias = tuple[str, str, str]  # scheme, value and meaning, such as SCT, 85756007, Tissue

TISSUE: Code = ("SCT", "85756007", "Tissue")  # fits any class; the default of 3D Slicer, too
CODE_COLUMNS = ("category", "type")
CODE_PARTS = 3
LONGEST = 64  # characters of a label
SERIES_NUMBER = 900  # lists of series show it after the scanner's series
UNICODE = "ISO_IR 192"
REFERRED_TO = (
    *("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("SOPClassUID", "SOPInstanceUID"),
)
MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyID", "StudyDate", "StudyTime", "AccessionNumber"),
)


@dataclass(frozen=True)
class SegmentCodes:
    """Codes of a terminology, such as SNOMED, for a class."""

    category: Code = TISSUE
    type: Code = TISSUE


@dataclass(frozen=True)
class SegmentationModel:
    """The model that made the segments: its classes, their codes, and its digest."""

    classes: Sequence[str]
    digest: str
    codes: Mapping[str, SegmentCodes] = field(default_factory=dict)  # by class; others: tissue


def read_codes(path: Path, classes: Sequence[str]) -> dict[str, SegmentCodes]:
    """Read the codes of classes from a CSV file with the columns class, category and type.

    A code is SCHEME:VALUE:MEANING, such as "SCT:52988006:Lesion".

    Raises:
        InputError: The file cannot be read, a class is unknown or repeated, or a code is invalid.
    """
    codes: dict[str, SegmentCodes] = {}
    for row in read_csv_table(path, ("class", *CODE_COLUMNS), ("class", *CODE_COLUMNS)).rows:
        name = row.get("class") or ""
        if name not in classes:
            raise InputError(
                f"{row.place}: the run has no class {name!r}; {known_words(name, classes)}"
            )
        if name in codes:
            raise InputError(f"{row.place}: class {name!r} appears twice; give each class one row")
        codes[name] = SegmentCodes(*(_code(row, column) for column in CODE_COLUMNS))
    return codes


def check_dicom(cases: Iterable[Case]) -> None:
    """Check, before the first prediction, that masks of these scans can refer to DICOM slices.

    Raises:
        InputError: A scan is not a DICOM series, its first file lacks an identifier, or highdicom
            is not installed.
    """
    load_highdicom()
    for case in cases:
        with case_in_errors(case):
            series = _series(case)
            _header(series.files[0])
            _check_single(series)


def write_dicom_seg(case: Case, model: SegmentationModel, folder: PredictionFolder) -> Path:
    """Write the predicted mask of a DICOM scan as a segmentation object, and return its path.

    Segment k has the voxels with value k of the mask in `folder`, and the name of that class. Its
    frames have the positions of the slices that they refer to, even if the gantry was tilted; empty
    frames are left out. As the standard requires, the file repeats the patient and
    the study of the scan.

    Raises:
        InputError: The headers of the scan are not sufficient for a reference to it.
    """
    with case_in_errors(case):
        series = _series(case)
        _check_single(series)
        grid = read_case_grid(case)
        sources = [_header(path) for path in series.files]
        for source in sources:
            if not source.get("SliceThickness"):  # some writers omit it
                source.SliceThickness = f"{grid.spacing_mm[0]:.6g}"
        path = folder.mask(case.name, mask_suffix(grid))
        masks = [read_mask(path, grid, (value,)) for value in range(1, len(model.classes) + 1)]
        planes = np.stack([grid.to_file(mask).T for mask in masks], axis=-1)
        try:
            made = _segmentation(sources, planes[_order(series)], model)
        except Exception as error:  # noqa: BLE001 - highdicom checks the headers of the scan
            # The text of the error is omitted because it may quote the header.
            raise InputError(
                f"{series.folder}: a DICOM segmentation cannot be made from its headers "
                f"({type(error).__name__}). Remove {OPTION}; the mask is also written as NIfTI."
            ) from None
    path = folder.segmentation(case.name)
    with atomic_write(path) as temporary:
        made.save_as(temporary)
    return path


def load_highdicom() -> Any:
    """Import highdicom and silence its log and its warnings, which may name the patient.

    Raises:
        InputError: It is not installed.
    """
    load_pydicom()
    try:
        import highdicom
    except ImportError:
        raise InputError(f"{OPTION} needs highdicom: pip install 'wsseg[dicom-seg]'") from None
    logging.getLogger("highdicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="highdicom")
    return highdicom


def _code(row: Row, column: str) -> Code:
    text = row.get(column) or ""
    scheme, value, meaning = (*(part.strip() for part in text.split(":", 2)), "", "")[:CODE_PARTS]
    if not (scheme and value and meaning) or max(map(len, (value, meaning))) > LONGEST:
        raise InputError(
            f"{row.place}: {column} is {text!r}; write a code as SCHEME:VALUE:MEANING, such as "
            f"{':'.join(TISSUE)}"
        )
    return scheme, value, meaning


def _series(case: Case) -> Series:
    """Open the DICOM series of a scan, or of its first sequence."""
    path, files = case.image, () if case.images else case.files
    if path.is_dir():
        return open_series(path, files)
    if not is_nifti_name(path) and is_dicom(path):
        return open_series(path.parent, files or (path,))
    kind = "a NIfTI file" if is_nifti_name(path) else "a picture"
    raise InputError(
        f"{path} is {kind}, but {OPTION} needs a DICOM series, since a DICOM segmentation refers "
        "to its slices.\n"
        f"Give the folder of the series, or remove {OPTION}; masks are then written as images."
    )


def _check_single(series: Series) -> None:
    if len(series.files) > 1 and any(each.frame is not None for each in series.slices):
        raise InputError(
            f"{series.folder}: the series has {len(series.files)} multi-frame files, but a DICOM "
            "segmentation can refer to only one.\n"
            f"Export the series as single slices or as one file, or remove {OPTION}."
        )


def _header(path: Path) -> Any:
    """Return all tags of a file except its voxels; missing tags that may be empty are added.

    Raises:
        InputError: An identifier that a segmentation refers to is missing.
    """
    tags = load_pydicom().dcmread(path, stop_before_pixels=True, force=True)
    if missing := [name for name in REFERRED_TO if not tags.get(name)]:
        raise InputError(
            f"{path}: the header has no {missing[0]}, which a DICOM segmentation refers to.\n"
            f"Export the series again with all tags, or remove {OPTION}."
        )
    for name in MAY_BE_EMPTY:
        if name not in tags:
            setattr(tags, name, "")
    return tags


def _order(series: Series) -> NDArray[np.intp]:
    """Return the order of a series' slices in its multi-frame file, or in its files."""
    frames = (each.frame for each in series.slices)
    return np.argsort([z if frame is None else frame for z, frame in enumerate(frames)])


def _segmentation(
    sources: Sequence[Any], planes: NDArray[np.bool_], model: SegmentationModel
) -> Any:
    hd, uid = load_highdicom(), load_pydicom().uid.generate_uid
    version = metadata.version("wsseg")
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=planes,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=_descriptions(model, version),
        series_instance_uid=uid(),
        series_number=SERIES_NUMBER,
        series_description="Segmentation by wsseg",
        sop_instance_uid=uid(),
        instance_number=1,
        manufacturer="wsseg",
        manufacturer_model_name="wsseg",
        software_versions=version,
        device_serial_number=model.digest,
        content_label="SEGMENTATION",
        specific_character_set=UNICODE,
    )


def _descriptions(model: SegmentationModel, version: str) -> list[Any]:
    hd, known = load_highdicom(), load_pydicom().sr.codedict.codes
    algorithm = hd.AlgorithmIdentificationSequence(
        name="wsseg",
        family=known.DCM.ArtificialIntelligence,
        version=version,
        parameters={"model": model.digest},
    )
    found = []
    for number, name in enumerate(model.classes, 1):
        codes = model.codes.get(name, SegmentCodes())
        concepts = [
            hd.sr.CodedConcept(value, scheme, meaning)
            for scheme, value, meaning in (codes.category, codes.type)
        ]
        found.append(
            hd.seg.SegmentDescription(
                segment_number=number,
                segment_label=name[:LONGEST],
                segmented_property_category=concepts[0],
                segmented_property_type=concepts[1],
                algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
            )
        )
    return found
