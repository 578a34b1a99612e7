"""The augmentation of slices: random changes during training."""

from abc import abstractmethod
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wsseg.core.component import Component

Stack: TypeAlias = NDArray[np.float32]  # (H, W, C S), C channels of S slices
Planes: TypeAlias = NDArray[np.uint8]  # (H, W, P)


class Augment(Component):
    """Random changes of slices, drawn anew for each slice and epoch.

    Priors see the augmented image, as the network does.

    Example:
        >>> from typing import Any
        >>> import numpy as np
        >>> from numpy.typing import NDArray
        >>> from wsseg import Augment
        >>> class Brightness(Augment):
        ...     most: float = 10
        ...     def __call__(
        ...         self, image: NDArray[Any], masks: NDArray[Any], fill: float, seed: int
        ...     ) -> tuple[NDArray[Any], NDArray[Any]]:
        ...         added = np.random.default_rng(seed).uniform(-self.most, self.most)
        ...         return np.where(image == fill, image, image + np.float32(added)), masks
        >>> image, masks = np.zeros((2, 2, 7), np.float32), np.ones((2, 2, 1), np.uint8)
        >>> Brightness()(image, masks, fill=-1, seed=0)[0].shape
        (2, 2, 7)
    """

    default_use: ClassVar[str | None] = "standard"

    @abstractmethod
    def __call__(self, image: Stack, masks: Planes, fill: float, seed: int) -> tuple[Stack, Planes]:
        """Return an image (H, W, C S) and its masks (H, W, P) after the same random changes.

        The result must be a function of the arguments, which must not be changed. Several threads
        may call it at the same time.

        Args:
            image: The slices of all channels, in the scanner's unit; slice s of channel c is
                plane c S + s.
            masks: The mask of the region and, in supervised stages, of each class; 0 elsewhere.
            fill: The value of pixels outside the image.
            seed: The seed of all random numbers.
        """
