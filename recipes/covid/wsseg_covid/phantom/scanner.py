"""The effects of a scanner: reconstruction kernel, noise and field of view."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsseg_covid.phantom.space import Field, Space

AIR_HU, LOWEST_HU, HIGHEST_HU = -1000, -1024, 3071


@dataclass(frozen=True)
class Scanner:
    """The scanner of a site."""

    site: str
    blur_mm: float  # standard deviation of the kernel
    sharpening: float  # weight of the difference from a blurred image, which is added
    noise_hu: float  # standard deviation at the centre of a thick slice
    grain_mm: float  # standard deviation of the blur of the noise
    round_field: bool  # whether the corners are not reconstructed


SCANNERS = (
    Scanner("north", 0.75, 0.25, 24, 0.75, round_field=True),
    Scanner("south", 0.55, 0.75, 42, 0.45, round_field=False),
    Scanner("east", 1.0, 0.0, 17, 1.0, round_field=True),
)


def scan(rng: np.random.Generator, space: Space, hu: Field, scanner: Scanner) -> NDArray[np.int16]:
    """Return the image in HU."""
    pixel_mm, slice_mm = space.spacing_mm[1], space.spacing_mm[0]
    image = _blurred(hu, scanner.blur_mm / pixel_mm)
    if scanner.sharpening:
        image += scanner.sharpening * (image - _blurred(image, 1.4 / pixel_mm))
    noise = _blurred(
        rng.standard_normal(space.shape, dtype=np.float32), scanner.grain_mm / pixel_mm
    )
    noise *= scanner.noise_hu * np.sqrt(5 / slice_mm) ** 0.5 / noise.std()
    noise *= _absorption(space)
    image += noise
    if scanner.round_field:
        radius = space.x_mm[-1] + pixel_mm / 2
        image[:, (np.square(space.x) + np.square(space.y) > radius**2)[0]] = LOWEST_HU
    return np.clip(np.rint(image), LOWEST_HU, HIGHEST_HU).astype(np.int16)


def _absorption(space: Space) -> Field:
    """Return the noise level relative to the centre: higher where rays cross more tissue."""
    middle = 0.75 + 0.5 * np.exp(-(np.square(space.x / 130) + np.square(space.y / 100)))
    shoulders = 1 + 0.5 * np.clip((space.z - 140) / 60, 0, 1)
    share: Field = middle * shoulders
    return share


def _blurred(image: Field, sigma: float) -> Field:
    """Blur in the axial plane with a Gaussian of five taps."""
    reach = np.arange(-2, 3)
    taps = np.exp(-0.5 * np.square(reach / max(sigma, 1e-3)))
    taps = (taps / taps.sum()).astype(np.float32)
    across = ndimage.correlate1d(image, taps, axis=2, mode="nearest")
    blurred: Field = ndimage.correlate1d(across, taps, axis=1, mode="nearest")
    return blurred
