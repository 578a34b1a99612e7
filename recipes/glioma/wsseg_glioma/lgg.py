"""FLAIR images of lower-grade glioma (TCGA-LGG; masks of Buda et al. 2019, CC BY-NC-SA 4.0)."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wsseg import Case, Cohort, Grid, InputError, Volume
from wsseg.tools import ArrayCase, cached_cases, sha256

VERSION = 1  # of the writing code; a change invalidates cached files
ARRAYS = {"flair": 3, "mask": 3, "patient": 1, "slice": 1}  # number of axes by name
AFFINE = np.diag([-1.875, -1.875, 5.0, 1.0])  # assumes a field of view of 240 mm, 5 mm slices

Stack: TypeAlias = Mapping[str, NDArray[Any]]


@final
class LggFlair(Cohort):
    """Slices of many patients in one .npz file.

    The file has the arrays `flair` and `mask`, (N, H, W), and `patient` and `slice`, (N,). Each
    patient is a case, whose slices are sorted and written once as NIfTI into the cache folder. Rows
    run from front to back, columns from the patient's right to left. The file has no voxel size;
    1.875 x 1.875 x 5 mm is an estimate.

    **The tag `tumour` of a slice is derived from its mask**: it is set if the mask has any pixel,
    because there are no tags by radiologists. Otherwise, only supervised stages and scores use the
    mask. `site` is the code of the hospital in the patient's name.
    """

    path: Path = Field(examples=["lgg_flair_80.npz"])
    """The .npz file."""

    def cases(self) -> list[Case]:
        """Return the patients; on first use, their files are written.

        Raises:
            InputError: The file does not exist or has other arrays.
        """
        if not self.path.is_file():
            raise InputError(
                f"{self.path}: file not found; set cohort.path to your copy. The slices are from "
                "https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation"
            )
        key = [VERSION, sha256(self.path)]
        return cached_cases("lgg-flair", key, lambda: _patients(_read(self.path)))


def _read(path: Path) -> Stack:
    try:
        with np.load(path, allow_pickle=False) as file:
            stack = {name: file[name] for name in ARRAYS if name in file}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as .npz ({error})") from error
    if missing := [name for name in ARRAYS if name not in stack]:
        raise InputError(f"{path}: no array is called {missing[0]!r}; needed: {', '.join(ARRAYS)}")
    shapes = {name: array.shape for name, array in stack.items()}
    fits = all(len(shapes[name]) == axes for name, axes in ARRAYS.items())
    if not fits or shapes["flair"] != shapes["mask"] or len({s[0] for s in shapes.values()}) > 1:
        raise InputError(
            f"{path}: the shapes of its arrays do not match: {shapes}; needed: flair and mask "
            "(N, H, W), patient and slice (N,)"
        )
    return stack


def _patients(stack: Stack) -> Iterator[ArrayCase]:
    """Yield the scan of each patient, whose tags of slices are derived from its mask."""
    for patient in np.unique(stack["patient"]):
        own = np.flatnonzero(stack["patient"] == patient)
        own = own[np.argsort(stack["slice"][own], kind="stable")]
        image, mask = stack["flair"][own].astype(np.int16), stack["mask"][own] > 0
        depth, height, width = image.shape
        yield ArrayCase(
            name=str(patient),
            volume=Volume(image[None], Grid((width, height, depth), AFFINE)),
            site=_site(patient),
            masks={"tumour": mask},
            slice_tags={z: {"tumour": bool(plane.any())} for z, plane in enumerate(mask)},
        )


def _site(patient: str) -> str:
    """Return the code of the hospital: CS in TCGA_CS_4942_19970222."""
    words = patient.split("_")
    return words[1] if len(words) > 1 else ""
