"""The reliability of probabilities: for each probability, how often pixels have the class.

The pixels of a class's region on the network's grid, in all test cases with a mask of the class,
are grouped by probability into bins of equal width. If bin b has n_b of the N pixels, with a mean
probability p_b and a share y_b that has the class, the expected calibration error is

    ECE = sum_b n_b / N |y_b - p_b|.

Source: Naeini, Cooper & Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian
binning"; here for the probability of one class instead of that of the predicted label.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from operator import add
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from wsseg.errors import InputError
from wsseg.inference.folders import RunFolder
from wsseg.runtime.files import read_json, write_json

BINS = 10  # from 0 to 1; the last one includes 1
ONE_EACH = Field(min_length=BINS, max_length=BINS)


@dataclass(frozen=True)
class Bins:
    """Pixels grouped into bins by their probability of a class; one number per bin."""

    pixels: Annotated[tuple[int, ...], ONE_EACH]
    probability: Annotated[tuple[float, ...], ONE_EACH]  # sum over the pixels
    present: Annotated[tuple[int, ...], ONE_EACH]  # pixels that have the class

    @classmethod
    def of(cls, probability: NDArray[np.float32], present: NDArray[np.bool_]) -> Self:
        """Group pixels, given by arrays of equal length, into bins."""
        p = probability.astype(np.float64)
        bins = np.minimum((p * BINS).astype(np.int64), BINS - 1)
        return cls(
            tuple(np.bincount(bins, minlength=BINS).tolist()),
            tuple(np.bincount(bins, p, BINS).tolist()),
            tuple(np.bincount(bins[present], minlength=BINS).tolist()),
        )

    def __add__(self, other: "Bins") -> "Bins":
        """Return the bins of the pixels of both together."""
        return Bins(
            tuple(map(add, self.pixels, other.pixels)),
            tuple(map(add, self.probability, other.probability)),
            tuple(map(add, self.present, other.present)),
        )

    @property
    def ece(self) -> float:
        """The expected calibration error; NaN without pixels."""
        bins, number = zip(self.present, self.probability, strict=True), sum(self.pixels)
        return sum(abs(having - p) for having, p in bins) / number if number else math.nan

    @property
    def points(self) -> list[tuple[float, float]]:
        """The mean probability and the share with the class of each bin that has pixels."""
        bins = zip(self.pixels, self.probability, self.present, strict=True)
        return [(p / number, having / number) for number, p, having in bins if number]


@dataclass(frozen=True)
class Reliability:
    """The reliability of the probability of a class, over the test cases with its mask."""

    cases: int
    uncalibrated: Bins
    calibrated: Bins | None = None  # None: its stage has no temperature
    temperature: float | None = None
    pixel_auc: float | None = None  # None: all pixels have the class, none has it, or not measured


def read_reliability(folder: RunFolder) -> dict[str, Reliability]:
    """Read the reliability of a run's classes; empty if it was not measured.

    Raises:
        InputError: The file is damaged.
    """
    path = folder.reliability
    if not path.exists():
        return {}
    try:
        return TypeAdapter(dict[str, Reliability]).validate_python(read_json(path))
    except (OSError, ValueError):
        raise InputError(
            f"{path}: the file is damaged; remove it, or run wsseg score {folder.path} "
            "--probabilities again"
        ) from None


def write_reliability(folder: RunFolder, reliability: Mapping[str, Reliability]) -> None:
    """Write the reliability of a run's classes, atomically."""
    write_json(folder.reliability, {name: asdict(each) for name, each in reliability.items()})
