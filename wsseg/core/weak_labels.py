"""Weak labels of a case other than its tags: scribbles, boxes and shares."""

from dataclasses import dataclass
from typing import Self, TypeAlias

from pydantic import model_validator

from wsseg.core.component import Component

Tag: TypeAlias = bool | float | None
"""Whether an image has a class: True, False, None (unknown) or a probability between 0 and 1.

Example:
    >>> from wsseg import Tag
    >>> cannot_be_excluded: Tag = 0.5
"""

Bounds: TypeAlias = tuple[float, float]
"""The lowest and the highest share of a region that a class has, from 0 to 1.

Example:
    >>> from wsseg import Bounds
    >>> a_quarter_to_a_half: Bounds = (0.25, 0.5)
"""


def certain(tag: Tag) -> bool | None:
    """Return a tag that is certain; None for one that is unknown or uncertain."""
    return bool(tag) if tag is not None and tag in (0, 1) else None


class ScribbleValues(Component):
    """The values in a file of scribbles that mark a class and its absence.

    Example:
        >>> from wsseg import ScribbleValues
        >>> ScribbleValues(present=(1,), absent=(0, 2, 3), unknown=(4,)).absent
        (0, 2, 3)
    """

    present: tuple[int, ...] = (1,)
    """The values of pixels that have the class."""
    absent: tuple[int, ...] = (2,)
    """The values of pixels that do not have it."""
    unknown: tuple[int, ...] = (0,)
    """The values of pixels of which nothing is known. The file has no other values."""

    @property
    def all(self) -> tuple[int, ...]:
        """All values that the file may have."""
        return *self.present, *self.absent, *self.unknown

    @model_validator(mode="after")
    def _are_different(self) -> Self:
        if repeated := [value for value in self.all if self.all.count(value) > 1]:
            raise ValueError(
                f"the value {repeated[0]} has more than one meaning; list each value once"
            )
        return self


@dataclass(frozen=True)
class Box:
    """A box that contains a part of a class, in voxels of the image's file.

    x counts along the first axis of a slice in the file, and y along the second: in a picture,
    columns from the left and rows from the top. The voxel i covers [i, i + 1).

    Example:
        >>> from wsseg import Box
        >>> Box(x=10, y=20, width=5, height=8).x_range
        (10, 15)
    """

    x: float
    """The start along x."""
    y: float
    """The start along y."""
    width: float
    """The length along x."""
    height: float
    """The length along y."""
    slices: tuple[int, int] | None = None
    """The first and the last slice, numbered as in the file, from 0; None: all slices."""

    @property
    def x_range(self) -> tuple[float, float]:
        """The start and the end along x."""
        return self.x, self.x + self.width

    @property
    def y_range(self) -> tuple[float, float]:
        """The start and the end along y."""
        return self.y, self.y + self.height
