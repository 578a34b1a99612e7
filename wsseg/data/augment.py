"""Random augmentation of slices: geometric transformations and changes of intensity."""

import os
from functools import lru_cache
from random import Random
from threading import get_ident
from typing import Annotated, Any, Literal, final

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat

from wsseg.core.augment import Augment, Planes, Stack
from wsseg.core.contracts import check_augmented

NOISE_PROBABILITY = 0.5


@final
class StandardAugment(Augment):
    """Rotation, translation, zoom and flips, then changes of intensity.

    Image, region and targets get the same geometric transformation; pixels from outside the image
    get the `fill` of the input. Then the intensities change, except those equal to `fill`:

        x' = mean + (1 + g) (x - mean) + s + n,    g, s uniform, n normal,

    with the mean over the changed pixels and n = 0 in half of the draws. This imitates the
    calibration, reconstruction kernel and noise of scanners.

    Shapes: H x W pixels of C channels of S slices, which all change in the same way, except for
    the noise.

    Example:
        >>> StandardAugment(rotate_deg=10, flip=("left-right",)).zoom
        (1.0, 1.0)
    """

    rotate_deg: Annotated[float, Field(ge=0, le=180)] = 0
    """The largest rotation in either direction, in degrees."""
    translate: Annotated[float, Field(ge=0, lt=1)] = 0
    """The largest translation in either direction, as a fraction of the side length."""
    zoom: tuple[PositiveFloat, PositiveFloat] = (1, 1)
    """The smallest and the largest scale factor, drawn for each axis."""
    flip: tuple[Literal["left-right", "front-back"], ...] = ()
    """The directions in which slices are flipped, independently and each with probability 0.5."""
    gain: Annotated[float, Field(ge=0, lt=1)] = 0
    """The largest |g|."""
    shift: NonNegativeFloat = 0
    """The largest |s|, in the unit of the image."""
    noise: NonNegativeFloat = 0
    """The largest standard deviation of n, in the unit of the image."""

    def __call__(self, image: Stack, masks: Planes, fill: float, seed: int) -> tuple[Stack, Planes]:
        """Return the augmented image (interpolated linearly) and masks (nearest neighbour)."""
        if self == StandardAugment():
            return image, masks
        compose = _compose(self, fill, get_ident())
        # `set_random_seed` would give all transformations the same random numbers.
        generators = np.random.default_rng(seed), Random(seed)  # noqa: S311 - not for cryptography
        compose.set_random_state(*generators)
        changed = compose(image=image, mask=masks)
        augmented = _change_intensities(self, fill, seed, changed["image"])
        return augmented, changed["mask"].reshape(masks.shape)


def augment_slice(
    augment: Augment, fill: float, seed: int, image: Stack, planes: Planes
) -> tuple[Stack, Planes]:
    """Return `image` (H, W, C S) and the masks `planes` (H, W, P) after the same random changes.

    Raises:
        ContractError: The results have other types or shapes.
    """
    return check_augmented(augment, augment(image, planes, fill, seed), image, planes)


def _change_intensities(augment: StandardAugment, fill: float, seed: int, image: Stack) -> Stack:
    """Return the image with gain, shift and noise; all slices have the same gain and shift."""
    inside = image != np.float32(fill)
    if not (augment.gain or augment.shift or augment.noise) or not inside.any():
        return image
    random = np.random.default_rng(seed)
    gain, shift = random.uniform(-1, 1, 2) * (augment.gain, augment.shift)
    changed = image + np.float32(gain) * (image - image.mean(where=inside)) + np.float32(shift)
    if random.uniform() < NOISE_PROBABILITY:
        sd = np.float32(random.uniform(0, augment.noise))
        changed += sd * random.standard_normal(image.shape, np.float32)
    return np.where(inside, changed, image)


@lru_cache(maxsize=256)  # fills may differ from image to image
def _compose(augment: StandardAugment, fill: float, thread: int) -> Any:  # noqa: ARG001
    """Return the transformations; each thread has its own, since they keep a random state."""
    # Otherwise the import looks for updates online.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations
    import cv2

    cv2.setNumThreads(0)  # the cores belong to the training step
    affine = albumentations.Affine(
        rotate=(-augment.rotate_deg, augment.rotate_deg),
        translate_percent=(-augment.translate, augment.translate),
        scale=augment.zoom,
        interpolation=cv2.INTER_LINEAR,
        mask_interpolation=cv2.INTER_NEAREST,
        border_mode=cv2.BORDER_CONSTANT,
        fill=fill,
        fill_mask=0,
        p=1,
    )
    flips = [
        flip(p=0.5 if name in augment.flip else 0)
        for name, flip in (
            ("left-right", albumentations.HorizontalFlip),
            ("front-back", albumentations.VerticalFlip),
        )
    ]
    return albumentations.Compose([affine, *flips])
