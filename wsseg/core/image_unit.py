"""The unit of image values, and the properties of images in it."""

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, TypeAlias, final

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo
from typing_extensions import override

from wsseg.core.component import Component
from wsseg.errors import InputError


class ImageUnit(Component):
    """A unit of image values, such as that of a scanner, with the properties of images in it.

    A recipe names it as `input: {unit: NAME}`. Images that cannot be in the unit are then refused,
    and the unit replaces the neutral defaults of `fill` and of the display window.

    Example:
        >>> from wsseg import ImageUnit
        >>> class Percent(ImageUnit):
        ...     name = "percent"
        ...     window = (0, 100)
        ...     def mismatch(self, lowest: float, highest: float) -> str:
        ...         too_high = highest > 100
        ...         return "an image in another unit. Divide it by its maximum" if too_high else ""
        >>> Percent().mismatch(lowest=0, highest=255)
        'an image in another unit. Divide it by its maximum'
    """

    name: ClassVar[str]
    """The name in recipes, one word; messages print it after values."""
    modality: ClassVar[str] = ""
    """The modality of images in it, as DICOM abbreviates it; "": any."""
    whole_numbers: ClassVar[bool] = False
    """Whether fractions are noise: prepared images are then rounded and stored as int16."""
    lowest_measured: ClassVar[float | None] = None
    """The lowest value that a scanner measures; files have lower ones outside its field of view."""
    highest_tissue: ClassVar[float | None] = None
    """The highest value of tissue that matters: an image that ends below it was clipped."""
    certain_below: ClassVar[float | None] = None
    """`wsseg init` recognises the unit by values below this one, which no other image has."""
    fill: ClassVar[float | None] = None
    """The value outside a mask and beyond the image's border; None: the image's minimum."""
    window: ClassVar[tuple[float, float] | None] = None
    """Black and white in figures; None: percentiles of the image."""

    @abstractmethod
    def mismatch(self, lowest: float, highest: float) -> str:
        """Return what an image with this range of values seems to be instead, or ''.

        Args:
            lowest: The lowest value, of those from `lowest_measured` on.
            highest: The highest value.

        Returns:
            A noun phrase, a full stop and the remedy, such as "an 8-bit picture. Use the scan
            itself"; '' if the image can be in this unit.
        """


@final
class AnyUnit(ImageUnit):
    """No known unit: every image is accepted as it is."""

    name = "any"

    @override
    def mismatch(self, lowest: float, highest: float) -> str:
        return ""


def _find(value: Any, info: ValidationInfo) -> Any:
    """Look up a unit by its name, with the validating registry."""
    if isinstance(value, ImageUnit):
        return value
    if value == AnyUnit.name:
        return AnyUnit()
    if info.context is None:
        raise ValueError(f"{value!r} is not an image unit; pass an object such as AnyUnit()")
    try:
        return info.context.make(ImageUnit, str(value))
    except InputError as error:
        raise ValueError(str(error)) from None


UnitByName: TypeAlias = Annotated[
    ImageUnit, BeforeValidator(_find), PlainSerializer(lambda unit: unit.name)
]  # recipes write a unit as its name alone: `unit: NAME`
