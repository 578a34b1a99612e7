"""The two public data sets of MedSeg (H. B. Jenssen and T. Sakinis, CC0), as published.

https://medicalsegmentation.com/covid19
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from wsseg import Case, InputError, PublicDataset, Source, SourceFile
from wsseg.tools import read_grid, read_volume

LABELS = (0, 1, 2, 3)  # background, ground-glass, consolidation, pleural effusion
MASK_LABELS = dict.fromkeys(("infection", "ground-glass", "consolidation"), LABELS)
AXES = "LPS"  # directions of the stacked arrays: column, row, slice of an upright image
FOLDERS = ("rp_im", "rp_msk", "rp_lung_msk")  # of data set 2: scans, lesions, lungs
FILES = "https://ndownloader.figshare.com/files"
LICENCE = (
    "CC0 1.0. The authors of Inf-Net ask that their re-split of data set 1 be used for "
    "non-commercial purposes only."
)


def _published(data_set: int, article: str, files: tuple[SourceFile, ...]) -> Source:
    return Source(
        page=f"https://doi.org/10.6084/m9.figshare.{article}",
        licence=LICENCE,
        citation=f"MedSeg, H. B. Jenssen, T. Sakinis: MedSeg Covid Dataset {data_set}. figshare.",
        files=files,
    )


class _MedSeg(PublicDataset):
    """What both data sets have in common."""

    infection_labels: Annotated[tuple[Literal[1, 2, 3], ...], Field(min_length=1)] = (1, 2)
    """The labels that count as infection: 1 ground-glass, 2 consolidation, 3 pleural effusion. The
    published code of Wu et al. 2020 uses all of them."""

    @property
    def mask_values(self) -> dict[str, tuple[int, ...]]:
        """The labels of each class."""
        return {"infection": self.infection_labels, "ground-glass": (1,), "consolidation": (2,)}


@final
class MedSeg100(_MedSeg):
    """Data set 1: axial slices of many patients, stacked in `tr_im.nii.gz` and `tr_mask.nii.gz`.

    Each slice is a case. It has the tags of the classes that occur in its mask. The data set does
    not list the patients, but the slices of a patient are consecutive: `patient` is a block of
    `neighbours` slices, so that most slices of a patient are in the same fold.

    The orientation of the files' affine, the identity, is replaced: it would put the spine in
    front. Its pixel size of 1 mm is an estimate, because the images were cropped and scaled.
    """

    source: ClassVar = _published(
        1,
        "13521488",
        (
            SourceFile("tr_im.nii.gz", f"{FILES}/25953977", "md5:54f82e3a9ac01bf6cc2300ca53d820ae"),
            SourceFile(
                "tr_mask.nii.gz", f"{FILES}/25953980", "md5:d11996de45d06d332658115d8b3cf6fc"
            ),
        ),
    )

    neighbours: PositiveInt = 10
    """Number of consecutive slices that count as one patient."""

    def cases(self) -> list[Case]:
        """Return the slices in the order of the file; their masks are read for the tags."""
        image = self.source.find(self.root / "tr_im.nii.gz")
        mask = self.source.find(self.root / "tr_mask.nii.gz")
        labels = read_volume(mask, axes=AXES).channel()
        slices = read_grid(image, axes=AXES).canonical_shape[0]
        if len(labels) != slices:
            raise InputError(
                f"{mask}: the mask has {len(labels)} slices, but {image.name} has {slices}. "
                f"Download both in the same version: {self.source.page}"
            )
        return [self._case(index, image, mask, plane) for index, plane in enumerate(labels)]

    def _case(self, index: int, image: Path, mask: Path, labels: NDArray[Any]) -> Case:
        first = index - index % self.neighbours
        return Case(
            name=f"slice-{index:03d}",
            patient=f"slices-{first:03d}-{first + self.neighbours - 1:03d}",
            image=image,
            masks=dict.fromkeys(MASK_LABELS, mask),
            mask_values=self.mask_values,
            mask_labels=MASK_LABELS,
            tags={name: bool(np.isin(labels, of).any()) for name, of in self.mask_values.items()},
            frame=index,
            axes=AXES,
        )


@final
class MedSeg9(_MedSeg):
    """Data set 2: nine scans, `rp_im/1.nii.gz` to `9.nii.gz`, masks in `rp_msk`, `rp_lung_msk`.

    Each scan has the tags of the classes that occur in its mask.
    """

    source: ClassVar = _published(
        2,
        "13521509",
        (
            SourceFile("rp_im.zip", f"{FILES}/25954007"),
            SourceFile("rp_lung_msk.zip", f"{FILES}/25954010"),
            SourceFile("rp_msk.zip", f"{FILES}/25954013"),  # URL inferred from the others
        ),
    )

    def cases(self) -> list[Case]:
        """Return the nine scans; their masks are read for the tags."""
        files = [
            [self.source.find(self.root / folder / f"{number}.nii.gz") for folder in FOLDERS]
            for number in range(1, 10)
        ]
        return [self._case(*each) for each in files]

    def _case(self, image: Path, labels: Path, lung: Path) -> Case:
        name = f"medseg-{image.name.removesuffix('.nii.gz')}"
        present = _labels_present(labels, labels.stat().st_mtime_ns)
        return Case(
            name=name,
            patient=name,
            image=image,
            masks={**dict.fromkeys(MASK_LABELS, labels), "lung": lung},
            mask_values={**self.mask_values, "lung": (1, 2)},
            mask_labels={**MASK_LABELS, "lung": (0, 1, 2)},
            tags={name: not present.isdisjoint(of) for name, of in self.mask_values.items()},
        )


@lru_cache(maxsize=64)
def _labels_present(mask: Path, time_ns: int) -> frozenset[int]:  # noqa: ARG001 - part of the key
    """Return the labels that occur in a mask; it is read again only after a change."""
    return frozenset(np.rint(np.unique(read_volume(mask).channel())).astype(int).tolist())
