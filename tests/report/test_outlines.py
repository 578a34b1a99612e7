"""Pictures with the outlines of masks keep their size and change only at the outlines."""

import numpy as np

from wsseg.report.outlines import outlined

SQUARE = np.zeros((9, 12), np.bool_)
SQUARE[2:7, 3:8] = True
RING = SQUARE.copy()
RING[3:6, 4:7] = False


def test_only_the_border_of_a_mask_is_drawn_in_colour() -> None:
    image = np.full((9, 12), 50.0)
    drawn = outlined(image, {"crack": SQUARE}, window=(0, 100))
    assert drawn.shape == (9, 12, 3)
    assert np.array_equal((drawn != 128).any(axis=-1), RING)  # 50 of 100 is half of 255


def test_a_colour_picture_keeps_its_colours_outside_the_outlines() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 12, 3))
    drawn = outlined(image, {"crack": SQUARE}, window=(0, 255))
    assert np.array_equal(drawn[~RING], image[~RING])
    assert len({tuple(pixel) for pixel in drawn[RING].tolist()}) == 1


def test_each_class_has_its_colour_and_an_empty_mask_has_none() -> None:
    image = np.zeros((9, 12))
    masks = {"crack": SQUARE, "hole": ~SQUARE, "stain": np.zeros_like(SQUARE)}
    drawn = outlined(image, masks, window=(0, 1))
    colours = {tuple(pixel) for pixel in drawn.reshape(-1, 3).tolist()}
    assert len(colours) == 3  # two outlines, and black
