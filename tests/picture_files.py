"""Folders of tiny pictures with and without a bright square, as a user might have them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE, SQUARE = 32, 8  # pixels


def picture(
    seed: int, spot: float, colours: int = 1
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return noise with a square that differs by `spot`, and where the square is."""
    random = np.random.default_rng(seed)
    image = random.normal(100, 6, (SIDE, SIDE, colours))
    mask = np.zeros((SIDE, SIDE), np.bool_)
    row, column = random.integers(0, SIDE - SQUARE, 2)
    mask[row : row + SQUARE, column : column + SQUARE] = spot != 0
    image[mask, 0] += spot
    pixels = np.rint(image).clip(0, 255).astype(np.uint8)
    return pixels if colours > 1 else pixels[..., 0], mask


def write_pictures(
    folder: Path, number: int = 12, spot: float = 80, colours: int = 1, suffix: str = ".png"
) -> Path:
    """Write pictures into `good` and `crack`, and masks of the cracks, of which all are named."""
    for seed in range(2 * number):
        name = "crack" if seed % 2 else "good"
        pixels, mask = picture(seed, spot if seed % 2 else 0, colours)
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name / f"{seed:03}{suffix}")
        if seed % 2:
            Image.fromarray(mask).save(folder / name / f"{seed:03}_mask.png")
    return folder
