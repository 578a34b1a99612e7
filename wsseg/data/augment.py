"""Random changes of a slice: moves of all that lies on it, by albumentations, and of its values."""

import os
from functools import lru_cache
from threading import Lock
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat

from wsseg.core.component import Component

NOISY = 0.5  # share of the draws that get noise
_moving = Lock()  # one composition is seeded by all threads


class Augment(Component):
    """Random changes of a slice, drawn anew for each slice and epoch.

    Image, region and targets move together; what comes in from outside the image is the input's
    `fill`. Then the image's values change, but for those that are `fill`:

        x' = mean + (1 + g) (x - mean) + s + n,    g, s uniform, n normal

    A scanner's calibration, kernel and noise are so imitated. Priors see what the network sees.
    """

    rotate_deg: Annotated[float, Field(ge=0, le=180)] = 0  # up to, both ways
    translate: Annotated[float, Field(ge=0, lt=1)] = 0  # of the side, both ways
    zoom: tuple[PositiveFloat, PositiveFloat] = (1, 1)
    flip: tuple[Literal["left-right", "front-back"], ...] = ()  # each in half of the draws
    gain: Annotated[float, Field(ge=0, lt=1)] = 0  # g: up to, both ways
    shift: NonNegativeFloat = 0  # s: up to, both ways, in the image's unit
    noise: NonNegativeFloat = 0  # n: standard deviation up to, in half of the draws


def move(
    augment: Augment,
    fill: float,
    seed: int,
    image: NDArray[np.float32],
    planes: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Move `image` (H, W, S) linearly and `planes` (H, W, P; masks) to the nearest, as one.

    The same `seed` gives the same move. From outside come `fill` and 0.
    """
    if augment == Augment():
        return image, planes
    compose = _compose(augment, fill)
    with _moving:
        compose.set_random_seed(seed)
        moved = compose(image=image, mask=planes)
    return _varied(augment, fill, seed, moved["image"]), moved["mask"].reshape(planes.shape)


def _varied(
    augment: Augment, fill: float, seed: int, image: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the image with its values changed, all slices of the window by the same numbers."""
    seen = image != np.float32(fill)
    if not (augment.gain or augment.shift or augment.noise) or not seen.any():
        return image
    random = np.random.default_rng(seed)
    gain, shift = random.uniform(-1, 1, 2) * (augment.gain, augment.shift)
    changed = image + np.float32(gain) * (image - image.mean(where=seen)) + np.float32(shift)
    if random.uniform() < NOISY:
        sd = np.float32(random.uniform(0, augment.noise))
        changed += sd * random.standard_normal(image.shape, np.float32)
    return np.where(seen, changed, image)


@lru_cache(maxsize=256)  # fills may differ from image to image
def _compose(augment: Augment, fill: float) -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network when imported
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
