"""Air on a CT that is not in a lung: around the body, in airways and in the bowel."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsseg_covid.planes import (
    Mask,
    Planes,
    at_border,
    box_around,
    numbered,
    numbered_in_plane,
    opened,
)

THIN_WALL_MM = 3  # radius: table, clothes and tubes are thinner than the body
OUTSIDE_SHARE = 0.4  # of pure air in what is outside; a cropped scan's lungs have less
SMOOTHING_MM = 1.5
SLIMMEST_MM = 2  # radius of a lump of air
AIR_HALF_HU = -500  # between air and tissue, where voxels have both
SHELL_MM = (3.5, 8.0)  # around a lump, beyond what its edge blurs
WALLED_SHARE = 0.6  # of tissue in an airway's or the bowel's shell; around bullae there is lung


def outside_air(planes: Planes, threshold_hu: float, pure_air_hu: float) -> Mask:
    """Find what each slice's border reaches without crossing the body, and is mostly pure air.

    A cropped scan's border reaches lungs, too, but those are not as thin as air.
    """
    body = opened(planes.hu > threshold_hu, THIN_WALL_MM, planes.spacing_mm)
    labels, count = numbered_in_plane(~body)
    pixels = np.bincount(labels.ravel(), minlength=count + 1)
    pure = np.bincount(labels[planes.hu < pure_air_hu], minlength=count + 1)
    reached = at_border(labels)
    is_outside = np.zeros(count + 1, np.bool_)
    is_outside[reached] = (pure > OUTSIDE_SHARE * pixels)[reached]
    return is_outside[labels]


def from_walled_air_mm(
    planes: Planes, outside: Mask, pure_air_hu: float, reach_mm: float
) -> NDArray[np.float32]:
    """Return the distance to the next lump of pure air inside the body that tissue surrounds.

    Those are trachea, main bronchi, stomach and bowel. Infinite beyond `reach_mm`.
    """
    sigma = (0, *(SMOOTHING_MM / spacing for spacing in planes.spacing_mm[1:]))
    pure = (ndimage.gaussian_filter(planes.hu, sigma) < pure_air_hu) & ~outside
    lumps, count = numbered(opened(pure, SLIMMEST_MM, planes.spacing_mm))
    result = np.full(lumps.shape, np.inf, np.float32)
    if count == 0:
        return result
    box = box_around(lumps > 0, reach_mm, planes.spacing_mm)
    walled = _walled(planes.hu[box], lumps[box], count, planes)
    distance = ndimage.distance_transform_edt(~walled[lumps[box]], sampling=planes.spacing_mm)
    if walled.any():
        result[box] = np.where(distance <= reach_mm, distance, np.inf)
    return result


def _walled(
    hu: NDArray[np.float32], lumps: NDArray[np.int32], count: int, planes: Planes
) -> NDArray[np.bool_]:
    """Say of each lump, by its number, whether its shell is tissue."""
    distance, nearest = ndimage.distance_transform_edt(
        lumps == 0, sampling=planes.spacing_mm, return_indices=True
    )
    in_shell = (distance > SHELL_MM[0]) & (distance <= SHELL_MM[1])
    owner = lumps[tuple(axis[in_shell] for axis in nearest)]
    voxels = np.bincount(owner, minlength=count + 1)
    tissue = np.bincount(owner[hu[in_shell] > AIR_HALF_HU], minlength=count + 1)
    return np.asarray(tissue > WALLED_SHARE * voxels)
