"""The input of networks: the grid that scans are resampled to, and the normalisation of voxels."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, FiniteFloat, PositiveFloat, PositiveInt, model_validator

from wsseg.core.component import Component
from wsseg.core.image_unit import AnyUnit, UnitByName
from wsseg.errors import InputError

Range: TypeAlias = tuple[FiniteFloat, FiniteFloat]  # the lower and the higher value
FOR_EACH_CHANNEL = Field(min_length=1)


class Thick(Component):
    """Resampling of thin slices to thicker ones along z.

    Each slice is first smoothed along z by a Gaussian with a standard deviation of `smoothing`
    times `to_mm`, then interpolated linearly.

    Source: Wu et al. 2020, section III-A.
    """

    thinner_than_mm: PositiveFloat
    """Images are resampled if the distance between their slices is smaller than this, in mm."""
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

    If an image has several channels, such as a colour picture or the sequences t1 and t2,
    `channels` selects those that networks and priors see. `fill`, `clip`, `offset` and `scale` are
    the same for all channels, or lists with an entry for each; each channel is standardized
    separately.

    Example:
        >>> from wsseg import Input
        >>> Input(slices=3, clip=(0, 400), scale=200).size
        256
        >>> Input(channels=("t1", "t2"), offset=(300, 150), scale=100).offset
        (300.0, 150.0)
        >>> Input(slices=4)
        Traceback (most recent call last):
        pydantic_core._pydantic_core.ValidationError: 1 validation error for Input
          Value error, slices is 4; it must be odd, so that there is a middle slice ...
    """

    slices: PositiveInt = 7
    """The number of neighbouring slices in the stack, an odd number."""
    channels: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The channels of the image that are used, in this order, such as [t1, t2] or [red, green,
    blue]; null: all."""
    edges: Literal["repeat", "drop"] = "repeat"
    """At the ends of a scan: `repeat` its last slice, or `drop` slices with too few neighbours."""
    size: PositiveInt | tuple[PositiveInt, PositiveInt] = 256
    """The pixels of the network's grid: one number for rows and columns, or [rows, columns]."""
    fit: Literal["stretch", "pad"] = "stretch"
    """How slices of another shape are fitted to the grid: `stretch` their rows and columns, or keep
    their aspect ratio and `pad` the rest with `fill`. The padding is in no region."""
    unit: UnitByName = Field(default=AnyUnit(), json_schema_extra={"default": AnyUnit.name})
    """The unit of image values, by its name. Images that cannot be in it are refused."""
    thick: Thick | None = None
    """Resampling along z; null: slices stay as they are."""
    mask: str | None = None
    """The region outside which voxels are set to `fill`; null: no mask."""
    standardize: str | None = None
    """The region whose voxels get mean 0 and standard deviation 1; null: values stay."""
    fill: FiniteFloat | Annotated[tuple[FiniteFloat, ...], FOR_EACH_CHANNEL] | None = None
    """The value outside the mask and beyond the image's border; null: that of the unit, or else the
    minimum of the image. A list has a value for each channel."""
    clip: Range | Annotated[tuple[Range, ...], FOR_EACH_CHANNEL] | None = None
    """The lowest and the highest value that the network sees, [low, high], or a list of such pairs,
    one for each channel; null: no limits."""
    offset: FiniteFloat | Annotated[tuple[FiniteFloat, ...], FOR_EACH_CHANNEL] = 0
    """The value that the network sees as 0, or a list with a value for each channel."""
    scale: PositiveFloat | Annotated[tuple[PositiveFloat, ...], FOR_EACH_CHANNEL] = 1
    """The difference between values that the network sees as 1, or a list with a value for each
    channel."""

    @property
    def plane(self) -> tuple[int, int]:
        """The rows and columns of the network's grid."""
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    def fixed_fills(self, channels: int) -> tuple[float, ...] | None:
        """Return the value of `fill` for each channel; None: the minimum of the image."""
        fill = self.unit.fill if self.fill is None else self.fill
        return fill if fill is None or isinstance(fill, tuple) else (fill,) * channels

    @property
    def clips(self) -> tuple[Range, ...]:
        """The ranges of `clip`: none, one for all channels, or one for each."""
        return () if self.clip is None else _ranges(self.clip)

    def check_channels(self, names: tuple[str, ...]) -> None:
        """Raise `InputError` if a list has another number of entries than the image channels."""
        for key, number in self._lengths().items():
            if number != len(names):
                raise InputError(
                    f"input.{key} has {number} entries, but the image has {len(names)} channels: "
                    f"{', '.join(names)}; give one entry for each channel"
                )

    def _lengths(self) -> dict[str, int]:
        """Return the numbers of entries of the keys that are lists with one for each channel."""
        lists = {"fill": self.fill, "offset": self.offset, "scale": self.scale}
        found = {key: len(each) for key, each in lists.items() if isinstance(each, tuple)}
        if self.clip is not None and self.clips is self.clip:
            found["clip"] = len(self.clips)
        return found

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.slices % 2 == 0:
            raise ValueError(
                f"slices is {self.slices}; it must be odd, so that there is a middle slice"
            )
        if self.standardize is not None and not isinstance(self.unit, AnyUnit):
            raise ValueError(
                f"values of standardized images are no longer in the unit {self.unit.name}; write "
                "unit: any, or standardize: null"
            )
        for low, high in self.clips:
            if low >= high:
                raise ValueError(
                    f"clip is {[low, high]}; the first value must be lower than the second"
                )
        if self.channels is not None and len(set(self.channels)) < len(self.channels):
            raise ValueError(f"channels is {list(self.channels)}; list each channel once")
        for key, number in self._lengths().items():
            if self.channels is not None and number != len(self.channels):
                raise ValueError(
                    f"{key} has {number} entries for {len(self.channels)} channels; give one entry "
                    "for each channel"
                )
        return self


def _ranges(clip: Range | tuple[Range, ...]) -> tuple[Range, ...]:
    """Return the ranges of `clip`, which may be a single one."""
    first = clip[0]
    return clip if isinstance(first, tuple) else (clip,)  # type: ignore[return-value]
