"""Access to DICOM files with pydicom. Its messages quote the files and are never shown."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wsseg.errors import InputError
from wsseg.runtime.files import SIDE_FILE

MAGIC_AT, MAGIC = 128, b"DICM"
SUFFIXES = (".dcm", ".ima")  # old files have no magic word
DIRECTORY = "DICOMDIR"  # the index of a disc, which has no image
DEFLATED = "1.2.840.10008.1.2.1.99"  # the file is compressed as one stream


def is_dicom(path: Path) -> bool:
    """Return whether a file has the magic word or a suffix of DICOM."""
    if not path.is_file() or path.name.startswith(SIDE_FILE) or path.name.upper() == DIRECTORY:
        return False
    try:
        with path.open("rb") as file:
            file.seek(MAGIC_AT)
            return file.read(len(MAGIC)) == MAGIC or path.suffix.lower() in SUFFIXES
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def read_tags(path: Path, names: Sequence[str], *, stop_before_pixels: bool) -> Any:
    """Read the tags `names` of a file as a `pydicom.Dataset`."""
    pydicom = load_pydicom()
    return pydicom.dcmread(
        path, stop_before_pixels=stop_before_pixels, specific_tags=list(names), force=True
    )


def load_pydicom() -> Any:
    """Import pydicom and silence its log and its warnings.

    Raises:
        InputError: It is not installed.
    """
    try:
        import pydicom
    except ImportError:
        raise InputError(
            "reading DICOM needs pydicom: pip install 'wsseg[dicom]'.\n"
            "Or convert the folder to NIfTI, for example with dcm2niix."
        ) from None
    # Its log and warnings quote the file, possibly the patient's name.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="pydicom")
    return pydicom


@contextmanager
def as_input_errors(path: Path) -> Iterator[None]:
    """Turn every error of reading a file into an `InputError` without its text."""
    try:
        yield
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: the file does not fit into memory") from None
    except Exception as error:  # noqa: BLE001 - a parser may raise anything on invalid bytes
        # The text of the error is omitted: pydicom quotes the content of the file.
        kind = type(error).__name__
        raise InputError(
            f"{path}: the file is damaged, or cannot be read as DICOM ({kind}). Export it again."
        ) from None


def check_deflated(path: Path) -> None:
    """Refuse a deflated file, which pydicom would decompress without a size limit."""
    pydicom = load_pydicom()
    with as_input_errors(path):
        with path.open("rb") as file:
            if file.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] != MAGIC:
                return
        if pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID") == DEFLATED:
            raise InputError(
                f"{path}: deflated DICOM is not supported. Decompress it, for example with: "
                "gdcmconv --raw IN OUT"
            )
