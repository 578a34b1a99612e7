"""Preparation of a scan by wsseg and as the authors of Wu 2020 did it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813 - its manual's name
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.scan_file import write_scan
from benchmarks.speed.timing import REPEATS, Measurement, peak_mib, ratios, time_in_turns
from wsseg.core.case import Case
from wsseg.core.input import Input, Thick
from wsseg.data.prepare import prepare
from wsseg_ct import HounsfieldUnits

SIZE, THICK = 256, Thick(thinner_than_mm=4, to_mm=5)
EDGE_HU, EDGE_PIXELS = 60.0, 4  # the step between neighbours at an edge, and the width of an edge


@dataclass(frozen=True)
class Preparation:
    """A compressed scan of 512 × 512 × 300 voxels is prepared: slices of 5 mm, 256 × 256 pixels.

    It is read, smoothed along z and resampled. The authors' code uses SimpleITK's recursive
    Gaussian and resampling, and scipy's linear zoom. wsseg also checks the file, computes its
    digest and writes the result to the cache. Memory is the peak increase in a new process.
    """

    size: int = 512
    slices: int = 300
    repeats: int = REPEATS

    def measure(self) -> Iterator[Measurement]:
        """Yield times, memory and the difference of the results."""
        with TemporaryDirectory() as folder:
            path = write_scan(Path(folder) / "scan.nii.gz", self.size, self.slices)
            alternatives = {"authors": lambda: by_authors(path), "ours": lambda: by_wsseg(path)}
            seconds = time_in_turns(alternatives, self.repeats)
            yield Measurement("the authors' code", seconds["authors"], "s")
            yield Measurement("wsseg", seconds["ours"], "s")
            faster = ratios(seconds["authors"], seconds["ours"])
            yield Measurement("speed-up over the authors' code", faster, "×", least=3)
            theirs, ours = peak_mib(by_authors, path), peak_mib(by_wsseg, path)
            yield Measurement("memory, the authors' code", (theirs,), "MiB")
            yield Measurement("memory, wsseg", (ours,), "MiB")
            yield Measurement(
                "memory of wsseg / of the authors' code", (ours / theirs,), "×", most=1
            )
            yield Measurement(
                "mean difference away from edges", (difference_hu(path),), "HU", most=5
            )


def by_wsseg(path: Path) -> NDArray[Any]:
    """Check and prepare a scan with an empty cache."""
    path.touch()  # so that its digest is computed again
    with empty_cache():
        prepared = prepare(
            Case("scan", "scan", path), Input(size=SIZE, unit=HounsfieldUnits(), thick=THICK)
        )
        return np.array(prepared.image[0])


def by_authors(path: Path) -> NDArray[np.float32]:
    """Read, smooth along z, resample to thick slices, and shrink each; oriented as in wsseg."""
    image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    image = sitk.RecursiveGaussian(image, sigma=THICK.to_mm / 4, direction=2)
    spacing, size = list(image.GetSpacing()), list(image.GetSize())
    extent_mm = spacing[2] * size[2]
    size[2] = max(1, round(extent_mm / THICK.to_mm))
    first_mm = (extent_mm - size[2] * THICK.to_mm) / 2 + (THICK.to_mm - spacing[2]) / 2
    origin = list(image.TransformContinuousIndexToPhysicalPoint((0, 0, first_mm / spacing[2])))
    spacing[2] = THICK.to_mm
    thick = sitk.Resample(
        image, size, sitk.Transform(), sitk.sitkLinear, origin, spacing, image.GetDirection(), 0.0
    )
    voxels = sitk.GetArrayFromImage(thick)
    zoom = (1, SIZE / voxels.shape[1], SIZE / voxels.shape[2])
    small = ndimage.zoom(voxels, zoom, order=1, mode="nearest", grid_mode=True)
    return np.asarray(small[:, ::-1, ::-1], np.float32)


def difference_hu(path: Path) -> float:
    """Return the mean difference of both results away from edges."""
    ours, theirs = by_wsseg(path).astype(np.float32), by_authors(path)
    steps = np.max([ndimage.sobel(theirs, axis) ** 2 for axis in range(3)], axis=0) ** 0.5 / 32
    edges = ndimage.binary_dilation(steps > EDGE_HU, iterations=EDGE_PIXELS)
    return float(np.abs(ours - theirs)[~edges].mean())
