"""The choices a recipe makes: what pixels say, what to believe, what to train, what to minimise."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsseg.core.batch import Batch, Evidence, Logits, Mask, Probability
from wsseg.core.case import Case
from wsseg.core.component import Component
from wsseg.core.source import Source
from wsseg.core.volume import Spacing, Volume, VoxelMask
from wsseg.errors import InputError


class Prior(Component):
    """phi: what a pixel's own value says about its class. 1/2 means "no opinion"."""

    @abstractmethod
    def __call__(self, batch: Batch) -> Probability:
        """Judge the middle slice without asking the network."""

    def fit(self, batches: Iterable[Batch]) -> Self:  # noqa: ARG002 - for those that learn
        """Return this prior with its constants learnt from images and tags; by default, itself.

        Called once before a stage, with the cohort's slices as they are: not augmented, not
        balanced.
        """
        return self


class EStep(Component):
    """Turns evidence into the targets y that the next M-step trains on."""

    @abstractmethod
    def __call__(self, evidence: Evidence) -> Probability:
        """Return y, hard or soft, and 0 outside `evidence.batch.support`."""


class Backbone(Component):
    """The blueprint of a network. The module it builds is all that ever learns."""

    local: ClassVar[bool] = False
    """Whether a logit depends only on pixels near it, through convolutions that pad by numbers:
    on no mean, norm or attention over the image. Then prediction leaves out where it is empty."""

    @abstractmethod
    def build(self, slices: int, classes: int) -> nn.Module:
        """Return a new module from (B, slices, H, W), normalised, to (B, classes, H, W) logits."""

    def untrained(self) -> Self:
        """Return the same network without weights from elsewhere, for a checkpoint's to go into."""
        return self


class PixelLoss(Component):
    """What the M-step minimises: how far the network's probabilities are from the targets."""

    @abstractmethod
    def __call__(self, f: Probability, y: Probability, region: Tensor) -> Tensor:
        """Return a scalar; only pixels of `region`, (B, 1, H, W) bool, count."""


class TagLoss(Component):
    """What a stage without any pixel's label minimises: how far bags of pixels are from their tags.

    A bag is the region of a slice; its tags are the slice's own, or its case's.
    """

    @abstractmethod
    def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
        """Return a scalar; only pixels of `region`, (B, 1, H, W) bool, count.

        Given are each class's own logits, log f / (1 - f): the probabilities of tens of thousands
        of pixels can be multiplied in logarithms alone. `tags` are (B, K) bool.
        """

    def possible(self, logits: Logits, region: Tensor) -> Mask:  # noqa: ARG002 - for those that ask
        """Return where what was learnt leaves a class possible; by default, everywhere."""
        return torch.ones_like(logits, dtype=torch.bool)


@dataclass(frozen=True)
class RegionLimits:
    """What holds for an organ whoever the patient is."""

    litres: tuple[float, float]
    whole_mm: float  # a scan of this length has all of the organ, a shorter one perhaps a part
    largest_cm2: float  # in any axial slice
    median: tuple[float, float]  # of the voxels inside, in the scanner's unit


class Region(Component):
    """Finds the part of a scan that a stage works in."""

    version: ClassVar[int] = 1  # of what it computes: a new number makes cached masks unknown
    plausible: ClassVar[RegionLimits | None] = None  # what it cannot be: a warning names the case

    @abstractmethod
    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:
        """Return a mask of `volume.voxels`' shape; empty where nothing was found."""

    def files(self, case: Case) -> tuple[Path, ...]:  # noqa: ARG002 - for those that read
        """Name the files it reads besides the image; by default none."""
        return ()


class Cohort(Component):
    """A set of scans with what is known of each."""

    @abstractmethod
    def cases(self) -> list[Case]:
        """List the cases, in an order that does not change; images are not read."""

    def read(self) -> tuple[list[Case], list[tuple[str, InputError]]]:
        """Return the cases that can be used, and each problem with the name of its case.

        By default all of `cases()` and no problem. A cohort that is read from a file overrides it,
        so that `wsseg data check` can report every bad row at once.

        Raises:
            InputError: The cohort itself cannot be read.
        """
        return self.cases(), []

    def as_seen_with(self, masks: Collection[str]) -> "Cohort":  # noqa: ARG002 - for others
        """Return a cohort that is the same to one who looks at these masks alone: or itself."""
        return self


class Synthetic(Cohort):
    """A cohort that is computed, not read. A recipe gives it `cases`, their number, and `seed`."""

    @abstractmethod
    def write(self, folder: Path, progress: Callable[[str], object]) -> None:
        """Write all scans and their `cohort.csv` into a new folder, whole or not at all.

        `progress` gets each case's name when it is done. Raises `InputError` if the folder is in
        use.
        """


class PublicDataset(Cohort):
    """A public data set in its publisher's own layout; `wsseg data fetch` downloads it."""

    source: ClassVar[Source]

    root: Path


class Metric(Component):
    """Compares one class of a prediction with the truth; its keys become a row's columns.

    `region` is where the stage predicted; with `in_annotated_region`, the annotation of that place.
    """

    in_annotated_region: ClassVar[bool] = False

    @abstractmethod
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, spacing_mm: Spacing, region: VoxelMask
    ) -> dict[str, float]:
        """Measure inside or beside `region`. NaN is "not defined for this case"."""


class Score(Component):
    """A number that a labelling has on its own, such as a severity."""

    @property
    @abstractmethod
    def needs(self) -> frozenset[str]:
        """The names of the classes and regions whose masks it is computed from."""

    @abstractmethod
    def __call__(self, masks: Mapping[str, VoxelMask]) -> float:
        """Score the masks of a case, by the name of their class or region. NaN is "undefined"."""
