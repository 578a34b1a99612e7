"""Random moves of a slice and all that lies on it: a thin, seeded adapter to albumentations."""

import os
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from wsseg.component import Component


class Augment(Component):
    """Random moves of image, region and targets together, drawn anew for each slice and epoch.

    What comes in from outside the image is the input's `fill`.
    """

    rotate_deg: Annotated[float, Field(ge=0, le=180)] = 0  # up to, both ways
    translate: Annotated[float, Field(ge=0, lt=1)] = 0  # of the side, both ways
    zoom: tuple[PositiveFloat, PositiveFloat] = (1, 1)
    flip: tuple[Literal["left-right", "front-back"], ...] = ()  # each in half of the draws


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
    compose.set_random_seed(seed)
    moved = compose(image=image, mask=planes)
    return moved["image"], moved["mask"].reshape(planes.shape)


@cache
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
