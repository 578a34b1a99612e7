"""Cases whose scans are arrays rather than files; they are written once into the cache."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.components.cohorts import Table
from wsseg.core.case import SPLITS, Case, fits_file_names, repeated_names, splits_by_patient
from wsseg.core.volume import Volume, VoxelMask
from wsseg.core.weak_labels import Bounds, Tag
from wsseg.data.nifti import write_nifti
from wsseg.data.share_cells import share_cell
from wsseg.data.tag_cells import tag_cell
from wsseg.errors import InputError, known_words
from wsseg.runtime.cache_leases import lease
from wsseg.runtime.files import atomic_folder, cache_folder, fingerprint, write_text

INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class ArrayCase:
    """A scan in memory, with its masks and tags.

    A tag is True (present), False (absent), None (unknown) or the probability of being present.

    Example:
        >>> import numpy as np
        >>> from wsseg import Grid, Volume
        >>> from wsseg.tools import ArrayCase
        >>> voxels = np.zeros((1, 40, 256, 224), np.int16)  # (C, Z, H, W)
        >>> grid = Grid((224, 256, 40), np.diag([-1, -1, 5, 1]))  # (W, H, Z), 5 x 1 x 1 mm
        >>> case = ArrayCase("scan-7", Volume(voxels, grid), tags={"tumour": True})
        >>> case.volume.spacing_mm
        (5.0, 1.0, 1.0)
    """

    name: str
    """Unique in the cohort; it becomes part of file names."""
    volume: Volume
    """The voxels, (C, Z, H, W), and their grid; several channels are written as sequences."""
    patient: str = ""
    """The patient; the default is the name of the case."""
    site: str = ""
    """The hospital or scanner."""
    split: str = ""
    """`train`, `val`, `test`, or empty if the cohort does not define a split."""
    masks: Mapping[str, VoxelMask] = field(default_factory=dict)
    """Masks of the scan, (Z, H, W), by the name of the class or region."""
    tags: Mapping[str, Tag] = field(default_factory=dict)
    """The tags of the scan, by class."""
    slice_tags: Mapping[int, Mapping[str, Tag]] = field(default_factory=dict)
    """The tags of single slices, by their index in `volume`."""
    shares: Mapping[str, Bounds] = field(default_factory=dict)
    """Bounds of the share of the stage's region that each class covers in the scan."""


def cached_cases(kind: str, key: Any, arrays: Callable[[], Iterable[ArrayCase]]) -> list[Case]:
    """Return the cases of a cohort whose scans are not NIfTI or DICOM files.

    On first use, each scan and its masks are written as NIfTI into a folder of the cache, together
    with the table of the cases. Later, only the table is read.

    Args:
        kind: The folder of the cache for cohorts of this kind.
        key: A JSON-like value that changes whenever the arrays change, such as the digest of their
            file and the version of the code that reads them.
        arrays: Returns or generates the scans; only called on first use.

    Raises:
        InputError: A case is invalid, or there is none.

    Example:
        >>> import numpy as np
        >>> from wsseg import Grid, Volume
        >>> from wsseg.tools import ArrayCase, cached_cases
        >>> def scans():
        ...     grid = Grid((3, 3, 2), np.diag([-1, -1, 5, 1]))
        ...     yield ArrayCase("dark", Volume(np.zeros((1, 2, 3, 3), np.int16), grid))
        >>> [case] = cached_cases("my-plugin", {"version": 1}, scans)
        >>> case.image.name
        'dark.nii.gz'
    """
    folder = cache_folder() / kind / fingerprint(key)
    lease(folder)
    if not folder.is_dir():
        _write(arrays(), folder)
    return Table(path=folder / "cohort.csv").cases()


def _write(arrays: Iterable[ArrayCase], folder: Path) -> None:
    """Write NIfTI files, `cohort.csv` and `slices.csv` atomically, one scan at a time."""
    import pandas as pd  # imported here because only writing needs it

    written, rows, slices = list[Case](), list[dict[str, Any]](), list[dict[str, Any]]()
    with atomic_folder(folder) as temporary:
        for case in arrays:
            _check(case)
            files = _write_files(case, temporary)
            row = {"case": case.name, "patient": case.patient or case.name, "site": case.site}
            shares = {f"share.{name}": share_cell(each) for name, each in case.shares.items()}
            rows.append(row | {"split": case.split} | files | _tag_cells(case.tags) | shares)
            slices += [
                {"case": case.name, "slice": case.volume.grid.slice_in_file(z)} | _tag_cells(tags)
                for z, tags in case.slice_tags.items()
            ]
            image = Path(next(iter(files.values())))
            written.append(Case(case.name, row["patient"], image, split=case.split))
        _check_together(written)
        if slices:
            write_text(temporary / "slices.csv", pd.DataFrame(slices).to_csv(index=False))
        write_text(temporary / "cohort.csv", pd.DataFrame(rows).to_csv(index=False))


def _write_files(case: ArrayCase, folder: Path) -> dict[str, str]:
    """Write the image and the masks of a case, and return their paths by column of the table."""
    grid = case.volume.grid
    masks = {f"mask.{name}": mask.astype(np.uint8) for name, mask in case.masks.items()}
    volume, files = case.volume, {}
    alone = len(volume.channels) == 1
    images = {
        "image" if alone else f"image.{name}": _storable(volume.channel(name))
        for name in volume.channels
    }
    for column, voxels in (images | masks).items():
        files[column] = f"{column}/{case.name}.nii.gz"
        write_nifti(folder / files[column], grid.to_file(voxels), grid.affine, grid.image_class)
    return files


def _storable(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return the voxels as int16, or as float32 if int16 may change them."""
    if voxels.dtype.kind in "biu" and INT16.min <= voxels.min() <= voxels.max() <= INT16.max:
        return voxels.astype(np.int16)
    return voxels.astype(np.float32)


def _tag_cells(tags: Mapping[str, Tag]) -> dict[str, str]:
    """Return the cells of tags, by column; the cell of an unknown tag is empty."""
    return {f"tag.{name}": tag_cell(tag) for name, tag in tags.items()}


def _check(case: ArrayCase) -> None:
    """Raise `InputError` if files of the case cannot be written or read again."""
    names = (case.name, *case.volume.channels, *case.masks)
    if wrong := [name for name in names if not fits_file_names(name)]:
        raise InputError(f"{wrong[0]!r} cannot be used in a file name; rename it")
    if case.split not in SPLITS:
        raise InputError(
            f"case {case.name}: unknown split {case.split!r}; "
            f"{known_words(case.split, SPLITS[:-1])}, or an empty text"
        )
    shape = case.volume.grid.canonical_shape
    voxels, channels = case.volume.voxels, len(case.volume.channels)
    if voxels.shape != (channels, *shape) or voxels.size == 0:
        raise InputError(
            f"case {case.name}: the image has shape {voxels.shape}, but its channels and grid need "
            f"the shape (C, Z, H, W) = {(channels, *shape)}"
        )
    for name, array in {f"mask {k}": m for k, m in case.masks.items()}.items():
        if array.shape != shape:
            raise InputError(
                f"case {case.name}: {name} has shape {array.shape}, but the grid has shape "
                f"(Z, H, W) = {shape}"
            )
    if no_masks := [name for name, mask in case.masks.items() if mask.dtype != np.bool_]:
        name = no_masks[0]
        raise InputError(
            f"case {case.name}: mask {name} has type {case.masks[name].dtype}; use bool, such as "
            "`array > 0`"
        )
    if outside := [z for z in case.slice_tags if not 0 <= z < shape[0]]:
        raise InputError(
            f"case {case.name}: slice_tags has slice {outside[0]}; possible: 0 to {shape[0] - 1}"
        )
    if case.volume.grid.axes:
        raise InputError(
            f"case {case.name}: grid.axes cannot be saved in a file; give the grid an affine with "
            f"the axes {case.volume.grid.axes}"
        )


def _check_together(cases: list[Case]) -> None:
    """Raise `InputError` if there are no cases, or a name or a patient's split is not unique."""
    if not cases:
        raise InputError("the cohort has no cases; give one ArrayCase for each image")
    if repeated := repeated_names(cases):
        raise InputError(f"case {repeated[0]} appears twice; give each case its own name")
    for patient, splits in splits_by_patient(cases).items():
        if len(splits) > 1:
            raise InputError(
                f"patient {patient} is in the splits "
                f"{' and '.join(sorted(split or 'none' for split in splits))}; put all cases of a "
                "patient in the same split"
            )
