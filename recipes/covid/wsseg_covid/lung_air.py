"""Air on a CT outside the lungs: around the body, in the airways and in the bowel."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsseg_covid.planes import (
    CoarseScan,
    Mask,
    bounding_box,
    components_per_slice,
    connected_components,
    labels_at_border,
    opening,
)

THIN_WALL_MM = 3  # opening radius that removes table, clothes and tubes, but not the body
OUTSIDE_SHARE = 0.4  # least share of pure air outside the body; lungs of a cropped scan have less
SMOOTHING_MM = 1.5
MIN_RADIUS_MM = 2  # of a component of pure air
AIR_HALF_HU = -500  # midpoint of air and tissue, for voxels with partial volume
SHELL_MM = (3.5, 8.0)  # inner and outer distance from the air, beyond the blur of its edge
EMPHYSEMA_LITRES = 0.3  # least volume of a lung with emphysema; airways are smaller
GAS_HU = -977  # highest median of that much gas in stomach and bowel
MM3_PER_LITRE = 1e6
WALLED_SHARE = 0.6  # least share of tissue around airways and bowel; bullae are surrounded by lung


def outside_air(scan: CoarseScan, threshold_hu: float, pure_air_hu: float) -> Mask:
    """Return the air around the body, (Z, H, W).

    It is the part of each slice that is connected to the border of the image without crossing the
    body, if much of it is pure air. In a cropped scan, the lungs can touch the border too, but
    their density is higher.
    """
    body = opening(scan.hu > threshold_hu, THIN_WALL_MM, scan.spacing_mm)
    labels, count = components_per_slice(~body)
    pixels = np.bincount(labels.ravel(), minlength=count + 1)
    pure = np.bincount(labels[scan.hu < pure_air_hu], minlength=count + 1)
    reached = labels_at_border(labels)
    is_outside = np.zeros(count + 1, np.bool_)
    is_outside[reached] = (pure > OUTSIDE_SHARE * pixels)[reached]
    return is_outside[labels]


def distance_to_walled_air_mm(
    scan: CoarseScan, outside: Mask, pure_air_hu: float, reach_mm: float
) -> NDArray[np.float32]:
    """Return the distance to the nearest pure air inside the body that is surrounded by tissue.

    This is the air in trachea, main bronchi, stomach and bowel. Lungs with severe emphysema, which
    are larger than airways and denser than gas, are excluded. Distances above `reach_mm` are inf.
    """
    sigma = (0, *(SMOOTHING_MM / spacing for spacing in scan.spacing_mm[1:]))
    pure = (ndimage.gaussian_filter(scan.hu, sigma) < pure_air_hu) & ~outside
    lumps, count = connected_components(opening(pure, MIN_RADIUS_MM, scan.spacing_mm))
    result = np.full(lumps.shape, np.inf, np.float32)
    if count == 0:
        return result
    box = bounding_box(lumps > 0, reach_mm, scan.spacing_mm)
    walled = _walled(scan.hu[box], lumps[box], count, scan)
    walled &= ~_is_emphysema(scan.hu[box], lumps[box], count, scan)
    distance = ndimage.distance_transform_edt(~walled[lumps[box]], sampling=scan.spacing_mm)
    if walled.any():
        result[box] = np.where(distance <= reach_mm, distance, np.inf)
    return result


def _walled(
    hu: NDArray[np.float32], lumps: NDArray[np.int32], count: int, scan: CoarseScan
) -> NDArray[np.bool_]:
    """Return for each label whether the shell around its component is mostly tissue."""
    distance, nearest = ndimage.distance_transform_edt(
        lumps == 0, sampling=scan.spacing_mm, return_indices=True
    )
    in_shell = (distance > SHELL_MM[0]) & (distance <= SHELL_MM[1])
    owner = lumps[tuple(axis[in_shell] for axis in nearest)]
    voxels = np.bincount(owner, minlength=count + 1)
    tissue = np.bincount(owner[hu[in_shell] > AIR_HALF_HU], minlength=count + 1)
    return np.asarray(tissue > WALLED_SHARE * voxels)


def _is_emphysema(
    hu: NDArray[np.float32], lumps: NDArray[np.int32], count: int, scan: CoarseScan
) -> NDArray[np.bool_]:
    """Return whether each label's component is too large for airways and too dense for gas."""
    litres = np.bincount(lumps.ravel(), minlength=count + 1) * np.prod(scan.spacing_mm)
    result = litres >= EMPHYSEMA_LITRES * MM3_PER_LITRE
    for label in np.flatnonzero(result):
        result[label] = label > 0 and np.median(hu[lumps == label]) > GAS_HU
    return result
