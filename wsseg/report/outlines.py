"""Pictures of scans with the outlines of predicted masks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from wsseg.core.case import Case
from wsseg.data.mask_files import mask_suffix
from wsseg.data.reading import read_case, read_mask
from wsseg.inference.folders import PredictionFolder
from wsseg.inference.run import Run
from wsseg.report.figures.key_cases import key_slice
from wsseg.report.figures.panels import (
    WHITE,
    Plane,
    displayed,
    in_colours,
    percentile_window,
    tints,
)
from wsseg.runtime.files import atomic_write

PIXELS_PER_LINE = 256  # a line gets a pixel wider with each of them in the shorter side


def write_outlines(run: Run, case: Case, folder: PredictionFolder) -> Path:
    """Draw the outlines of a predicted mask on its picture, and return the path of the PNG.

    Of a scan with several slices, the slice with the most of the mask is drawn. The picture keeps
    its size.
    """
    volume = read_case(case)
    path = folder.mask(case.name, mask_suffix(volume.grid))
    masks = {
        name: read_mask(path, volume.grid, (value,))
        for value, name in enumerate(run.recipe.classes, 1)
    }
    z = key_slice(np.any(list(masks.values()), axis=0))
    image = displayed(volume)[z]
    window = run.recipe.display_window or percentile_window(image)
    drawn = outlined(image, {name: mask[z] for name, mask in masks.items()}, window)
    with atomic_write(folder.overlay(case.name)) as temporary:
        Image.fromarray(drawn).save(temporary, format="PNG")
    return folder.overlay(case.name)


def outlined(
    image: NDArray[Any], masks: Mapping[str, Plane], window: tuple[float, float]
) -> NDArray[np.uint8]:
    """Return an image, (H, W) or (H, W, 3), in colours with the inner border of each mask."""
    drawn = in_colours(image, window)
    colours = tints([*masks])
    width = 1 + min(drawn.shape[:2]) // PIXELS_PER_LINE
    for name, mask in masks.items():
        border = mask & ~ndimage.binary_erosion(mask, iterations=width)
        drawn[border] = [round(part * WHITE) for part in to_rgb(colours[name])]
    return drawn
