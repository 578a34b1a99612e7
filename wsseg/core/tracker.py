"""The record of a training run outside its folder, such as in TensorBoard."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsseg.core.component import Component


class TrackedRun(ABC):
    """A run that a tracker records, from `Tracker.open` to `close`.

    Example:
        >>> from wsseg import TrackedRun
        >>> class Printed(TrackedRun):
        ...     def recipe(self, text): ...
        ...     def metrics(self, values, epoch):
        ...         print(epoch, dict(values))
        ...     def warning(self, text, epoch): ...
        ...     def picture(self, name, pixels, epoch): ...
        ...     def close(self): ...
        >>> Printed().metrics({"lesion/loss": 0.5}, epoch=1)
        1 {'lesion/loss': 0.5}
    """

    @abstractmethod
    def recipe(self, text: str) -> None:
        """Record the recipe, as YAML."""

    @abstractmethod
    def metrics(self, values: Mapping[str, float], epoch: int) -> None:
        """Record the numbers of an epoch of a stage; their names start with that of the stage."""

    @abstractmethod
    def warning(self, text: str, epoch: int) -> None:
        """Record a warning."""

    @abstractmethod
    def picture(self, name: str, pixels: NDArray[np.uint8], epoch: int) -> None:
        """Record a picture, (H, W, 3)."""

    @abstractmethod
    def close(self) -> None:
        """Write everything; called once, even if training fails."""


class Tracker(Component):
    """A program that records metrics, warnings and pictures of runs while they are trained.

    A tracker does not change results: if it fails, a warning is printed and training continues.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from wsseg import Tracker, make
        >>> folder = Path(mkdtemp())
        >>> run = make(Tracker, "tensorboard").open(folder, "first")
        >>> run.metrics({"lesion/loss": 0.5}, epoch=1)
        >>> run.close()
        >>> [path.name for path in folder.iterdir()]
        ['tensorboard']
    """

    pictures: bool = False
    """Whether pictures of training slices with their targets are recorded. They show patients: set
    it only where the tracker may store such images."""

    @abstractmethod
    def open(self, folder: Path, name: str) -> TrackedRun:
        """Start to record a run; after an interruption, the run continues in a new record.

        Args:
            folder: The folder of the run, which exists.
            name: The name of the run.

        Raises:
            InputError: The program is not installed, or cannot be reached.
        """
