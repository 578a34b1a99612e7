"""What a network sees: the grid that scans are brought to, and how voxels are normalised."""

from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, PositiveFloat, PositiveInt, model_validator

from wsseg.core.component import Component


class Thick(Component):
    """Along z, scans with thin slices are brought to thicker ones (Wu 2020, section III-A).

    Smoothed before with a Gaussian of `smoothing` times the new spacing (the authors' code: 0.25,
    and thinner_than_mm: 2).
    """

    thinner_than_mm: PositiveFloat = 4
    to_mm: PositiveFloat = 5
    smoothing: Annotated[float, Field(ge=0)] = 0.25


class Input(Component):
    """The window of slices, its grid and its normalisation: (x - offset) / scale.

    An image without a unit, such as most MRI, gets one by `standardize`: each case's voxels become
    z = (x - mean) / sd, with mean and sd those inside the region of that name. Priors, `fill`,
    `clip`, `offset` and `scale` are then in z; regions are still found in what was read.
    """

    slices: PositiveInt = 7
    edges: Literal["repeat", "drop"] = "repeat"  # of a scan, where the window runs out of slices
    size: PositiveInt = 256  # pixels, both ways
    unit: Literal["HU", "any"] = "any"  # HU: refuse images that cannot be CT
    thick: Thick | None = Thick()  # null: z as it is
    mask: str | None = None  # the region outside which `fill` is put
    standardize: str | None = None  # the region whose voxels get mean 0 and sd 1; null: no change
    fill: FiniteFloat = -1024
    clip: tuple[FiniteFloat, FiniteFloat] | None = None
    offset: FiniteFloat = 0
    scale: PositiveFloat = 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.slices % 2 == 0:
            raise ValueError(f"slices is {self.slices}; an odd number has a middle slice")
        if self.standardize is not None and self.unit == "HU":
            raise ValueError(
                "standardize would take HU away; write unit: any, or standardize: null"
            )
        if self.clip is not None and self.clip[0] >= self.clip[1]:
            raise ValueError(f"clip is {list(self.clip)}; it goes from low to high")
        return self
