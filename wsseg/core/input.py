"""The input of networks: the grid that scans are resampled to, and the normalisation of voxels."""

from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, PositiveFloat, PositiveInt, model_validator

from wsseg.core.component import Component
from wsseg.core.image_unit import AnyUnit, UnitByName


class Thick(Component):
    """Resampling of scans with thin slices to thicker ones along z.

    Each slice is first smoothed along z by a Gaussian with a standard deviation of `smoothing`
    times `to_mm`, then interpolated linearly.

    Source: Wu et al. 2020, section III-A.
    """

    thinner_than_mm: PositiveFloat
    """Scans with a smaller distance between slices are resampled, in mm."""
    to_mm: PositiveFloat
    """The distance between slices after resampling, in mm."""
    smoothing: Annotated[float, Field(ge=0)] = 0.25
    """The standard deviation of the Gaussian as a multiple of `to_mm` (0.25: the authors' code)."""


class Input(Component):
    """What a network sees: a stack of slices, resampled, masked, clipped and normalised.

    A voxel x becomes (x - offset) / scale. Images without a unit, such as most MRI, get one by
    `standardize`: the voxels of each case become z = (x - mean) / sd, with the mean and standard
    deviation of the voxels inside the region of that name. Priors, `fill`, `clip`, `offset` and
    `scale` then refer to z; regions are still computed from the original image.

    Example:
        >>> from wsseg import Input
        >>> Input(slices=3, clip=(0, 400), scale=200).size
        256
        >>> Input(slices=4)
        Traceback (most recent call last):
        pydantic_core._pydantic_core.ValidationError: 1 validation error for Input
          Value error, slices is 4; an odd number has a middle slice ...
    """

    slices: PositiveInt = 7
    """The number of neighbouring slices in the stack, an odd number."""
    edges: Literal["repeat", "drop"] = "repeat"
    """At the ends of a scan: `repeat` its last slice, or `drop` slices with too few neighbours."""
    size: PositiveInt = 256
    """Rows and columns of the network's grid, in pixels."""
    unit: UnitByName = Field(default=AnyUnit(), json_schema_extra={"default": AnyUnit.name})
    """The unit of image values, by its name. Images that cannot be in it are refused."""
    thick: Thick | None = None
    """Resampling along z; null: slices stay as they are."""
    mask: str | None = None
    """The region outside which voxels are set to `fill`; null: no mask."""
    standardize: str | None = None
    """The region whose voxels get mean 0 and standard deviation 1; null: values stay."""
    fill: FiniteFloat | None = None
    """The value outside the mask and beyond the image's border; null: that of the unit, or else the
    minimum of the image."""
    clip: tuple[FiniteFloat, FiniteFloat] | None = None
    """The lowest and the highest value that the network sees; null: no limits."""
    offset: FiniteFloat = 0
    """The value that the network sees as 0."""
    scale: PositiveFloat = 1
    """The difference between values that the network sees as 1."""

    @property
    def fixed_fill(self) -> float | None:
        """The value of `fill` for every image; None: each image's own minimum."""
        return self.unit.fill if self.fill is None else self.fill

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.slices % 2 == 0:
            raise ValueError(f"slices is {self.slices}; an odd number has a middle slice")
        if self.standardize is not None and not isinstance(self.unit, AnyUnit):
            raise ValueError(
                f"standardized images are not in {self.unit.name}; "
                "write unit: any, or standardize: null"
            )
        if self.clip is not None and self.clip[0] >= self.clip[1]:
            raise ValueError(f"clip is {list(self.clip)}; the first value must be the lower one")
        return self
