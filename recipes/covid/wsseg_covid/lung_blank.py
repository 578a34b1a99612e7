"""CT scans in which another program has replaced everything but the lungs by one value."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.tools import map_in_threads
from wsseg_covid.planes import (
    CoarseScan,
    Mask,
    components_in_slice,
    components_per_slice,
    labels_at_border,
    opening,
)

BORDER_SHARE = 0.5  # smallest share of the fill value among the pixels at the image border
AIR_SHARE = 0.4  # of measured air at the border in air and lung; more air surrounds a body
TISSUE_RATIO = 2.0  # of tissue to the lung at the border; with more, the scan may have a body
THIN_MM = 3  # opening radius that removes borders of partial volume
SMALLEST_MM2 = 25.0  # smaller areas of the fill value may have been measured


def replaced_voxels(
    voxels: NDArray[Any], scan: CoarseScan, threshold_hu: float, pure_air_hu: float
) -> Mask | None:
    """Return the voxels that have the fill value, (Z, H, W), or None if the scan has a body.

    The fill value is the most frequent one at the border of the image. A scan has no body if it has
    little measured air at this border, and either less tissue than lung, or lung that is connected
    to the border and not much tissue. `scan` is the downsampled scan.
    """
    fill, share = _most_frequent(_border(voxels))
    if share < BORDER_SHARE or fill > pure_air_hu:
        return None
    tissue, pure = scan.hu > threshold_hu, scan.hu < pure_air_hu
    labels, _ = components_per_slice(~opening(tissue, THIN_MM, scan.spacing_mm))
    connected = np.isin(labels, labels_at_border(labels))
    lung = opening(~pure & ~tissue, THIN_MM, scan.spacing_mm)
    air = int((connected & pure & (scan.hu != fill)).sum())
    largest = max(int(lung.sum()), int(TISSUE_RATIO * (lung & connected).sum()))
    if air > AIR_SHARE * (air + lung.sum()) or tissue.sum() >= largest:
        return None
    smallest = SMALLEST_MM2 * scan.step[1] * scan.step[2] / np.prod(scan.spacing_mm[1:])
    return np.stack(list(map_in_threads(lambda p: _large_parts(p == fill, smallest), voxels)))


def _border(voxels: NDArray[Any]) -> NDArray[Any]:
    edges = (voxels[:, 0], voxels[:, -1], voxels[:, :, 0], voxels[:, :, -1])
    return np.concatenate([edge.ravel() for edge in edges])


def _most_frequent(values: NDArray[Any]) -> tuple[float, float]:
    """Return the most frequent value and its share."""
    distinct, counts = np.unique(values, return_counts=True)
    return float(distinct[counts.argmax()]), float(counts.max() / len(values))


def _large_parts(mask: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    """Return the connected components of a slice with at least this number of pixels."""
    labels, count = components_in_slice(mask)
    keep = np.bincount(labels.ravel(), minlength=count + 1) >= pixels
    keep[0] = False
    return np.asarray(keep[labels])
