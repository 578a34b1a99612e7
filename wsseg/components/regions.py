"""Where lesions can be."""

from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat
from scipy import ndimage

from wsseg.core.case import Case
from wsseg.core.interfaces import Region
from wsseg.core.volume import Volume
from wsseg.data.reading import read_case_mask


@final
class FileRegion(Region):
    """The case's own mask file of that name, such as lungs that somebody segmented."""

    mask: str

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:
        """Read the mask; raise `InputError`, naming the case, where it has none."""
        return read_case_mask(case, self.mask, volume.grid)

    def files(self, case: Case) -> tuple[Path, ...]:
        """Name the mask's file."""
        return (case.masks[self.mask],) if self.mask in case.masks else ()


@final
class Everything(Region):
    """Every voxel."""

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
        """Return a mask that is true everywhere."""
        return np.ones(volume.voxels.shape, np.bool_)


@final
class Nonzero(Region):
    """Voxels other than 0, with what they enclose in a slice: the brain in skull-stripped MRI."""

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
        """Return the mask, its holes filled slice by slice."""
        return np.stack([ndimage.binary_fill_holes(image != 0) for image in volume.voxels])


@final
class Foreground(Region):
    """What is brighter than the scan's mean, with what it encloses in a slice: the head in MRI.

    The mean as the threshold between air and tissue is that of Nyúl, Udupa & Zhang 2000. Only
    voxels further than `inward_mm` from the border in their slice stay: with the thickness of
    scalp and skull, roughly the brain. The image's own edge is no border.
    """

    inward_mm: NonNegativeFloat = 0

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
        """Return the mask."""
        bright = volume.voxels > volume.voxels.mean(dtype=np.float64)
        return np.stack([self._deep(image, volume.spacing_mm[1:]) for image in bright])

    def _deep(self, bright: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> NDArray[np.bool_]:
        filled = ndimage.binary_fill_holes(bright)
        if self.inward_mm == 0 or filled.all():  # without a border, no distance to it
            return np.asarray(filled)
        distance_mm = ndimage.distance_transform_edt(filled, sampling=spacing_mm)
        return np.asarray(distance_mm > self.inward_mm)
