"""Where lesions can be."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from wsseg.component import Component
from wsseg.data.case import Case
from wsseg.data.volume import Volume


class Region(Component):
    """Finds the part of a scan that a stage works in."""

    @abstractmethod
    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:
        """Return a mask of `volume.voxels`' shape; empty where nothing was found."""
