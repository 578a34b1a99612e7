"""Regions: the part of a scan in which lesions are possible."""

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
    """A mask file of the case, such as a previously segmented organ."""

    mask: str
    """Name of the mask in the cohort, such as organ for the column mask.organ of a table."""

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:
        """Return the mask on the grid of `volume`, (Z, H, W).

        Raises:
            InputError: The case has no such mask, or its file cannot be read.
        """
        return read_case_mask(case, self.mask, volume.grid)

    def files(self, case: Case) -> tuple[Path, ...]:
        """Return the mask file of the case."""
        return (case.masks[self.mask],) if self.mask in case.masks else ()


@final
class Everything(Region):
    """All voxels of the scan."""

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
        """Return a mask that is True everywhere, (Z, H, W)."""
        return np.ones(volume.shape, np.bool_)


@final
class Nonzero(Region):
    """Voxels other than 0 in any channel, such as an organ in a masked image.

    Holes are filled slice by slice.
    """

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
        """Return the mask, (Z, H, W)."""
        some = (volume.voxels != 0).any(axis=0)
        return np.stack([ndimage.binary_fill_holes(image) for image in some])


@final
class Foreground(Region):
    """Voxels brighter than the mean of the scan, with holes filled slice by slice.

    In MRI this is the head. An erosion by `inward_mm` removes the outer layers, such as scalp and
    skull. The edge of the image does not count as a border, so that nothing is removed there. Rows
    and columns are assumed to be perpendicular, as on all scanners.

    Source: the mean as a threshold between air and tissue, Nyúl, Udupa & Zhang 2000, "New variants
    of a method of MRI scale standardization".
    """

    inward_mm: NonNegativeFloat = 0
    """Voxels within this in-plane distance of the border are removed, in mm."""
    channel: str | None = None
    """The channel of the image, such as t1; null: the only one."""

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
        """Return the mask, (Z, H, W); empty if all voxels have the same value.

        Raises:
            InputError: The image has no such channel, or several and none is named.
        """
        voxels = volume.channel(self.channel)
        bright = voxels > voxels.mean(dtype=np.float64)
        return np.stack([self._eroded(image, volume.spacing_mm[1:]) for image in bright])

    def _eroded(
        self, bright: NDArray[np.bool_], spacing_mm: tuple[float, ...]
    ) -> NDArray[np.bool_]:
        filled = ndimage.binary_fill_holes(bright)
        if self.inward_mm == 0 or filled.all():  # there is no border
            return np.asarray(filled)
        distance_mm = ndimage.distance_transform_edt(filled, sampling=spacing_mm)
        return np.asarray(distance_mm > self.inward_mm)
