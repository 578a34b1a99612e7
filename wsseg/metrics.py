"""What is measured of a prediction: compared with the truth, or on its own."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from wsseg.component import Component

Mask: TypeAlias = NDArray[np.bool_]  # (Z, H, W)
Spacing: TypeAlias = tuple[float, float, float]  # mm along (z, row, column)


class Metric(Component):
    """Compares one class of a prediction with the truth; its keys become a row's columns."""

    @abstractmethod
    def __call__(
        self, prediction: Mask, truth: Mask, spacing_mm: Spacing, region: Mask
    ) -> dict[str, float]:
        """Measure; `region` is where the stage predicted. NaN is "not defined for this case"."""


class Score(Component):
    """A number that a labelling has on its own, such as a severity."""

    @abstractmethod
    def __call__(self, masks: Mapping[str, Mask]) -> float:
        """Score the masks of a case, by the name of their class or region."""
