"""The unit of CT images for wsseg: Hounsfield units."""

from typing import final

from typing_extensions import override

from wsseg import ImageUnit, hookimpl

HIGHEST_MINIMUM_HU = -50  # air is -1000 HU and fat -100: every CT scan has lower values
MIN_RANGE_HU = 100
MAX_PICTURE = 300  # the highest value of an 8-bit picture, 255, with what resampling adds


@final
class HounsfieldUnits(ImageUnit):
    """Hounsfield units (HU), of CT: water is 0, air is -1000.

    Images that cannot be in HU are refused: normalised images, 8-bit pictures, and CT scans without
    their rescale intercept. Values below -1100, less than air, mark voxels outside the field of
    view; an image with a maximum below 300, which contrast medium in vessels reaches, was clipped.
    Prepared images are rounded to integers. Voxels outside a mask become air (`fill`), and figures
    use the lung window.

    Source: Hounsfield 1973, Br. J. Radiol. 46(552); the limits are those of this plugin.
    """

    name = "HU"
    modality = "CT"
    whole_numbers = True
    lowest_measured = -1100.0
    highest_tissue = 300.0
    certain_below = -500.0
    fill = -1024.0
    window = (-1350.0, 150.0)

    @override
    def mismatch(self, lowest: float, highest: float) -> str:
        if lowest < HIGHEST_MINIMUM_HU and highest - lowest > MIN_RANGE_HU:
            return ""
        if highest - lowest <= MIN_RANGE_HU:
            return "a normalised or nearly constant image. Use the scan as it came from the scanner"
        if highest <= MAX_PICTURE:
            return "an 8-bit picture. Use the scan itself, or HU computed from the picture's window"
        return "CT without its rescale intercept. Add it, usually -1024, to every voxel"


@hookimpl
def wsseg_units() -> dict[str, type[ImageUnit]]:
    """Register Hounsfield units."""
    return {HounsfieldUnits.name: HounsfieldUnits}
