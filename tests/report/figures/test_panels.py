from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from wsseg.report.figures.panels import (
    Panel,
    PanelRow,
    box_around,
    draw_panel,
    draw_row,
    in_colours,
    tinted,
    tints,
)


def square(low: int, high: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    mask = np.zeros((40, 60), bool)
    mask[low:high, low:high] = True
    return mask


def drawn(row: PanelRow) -> list[np.ndarray]:
    return [np.asarray(Image.open(BytesIO(each)).convert("RGB"), float) for each in draw_row(row)]


def test_the_target_is_orange_and_the_class_before_it_is_blue() -> None:
    colours = tints(["infection", "consolidation"])
    assert list(colours) == ["infection", "consolidation"]
    (r, g, b), (_, _, blue) = (
        [int(colours[name][i : i + 2], 16) for i in (1, 3, 5)]
        for name in ("consolidation", "infection")
    )
    assert r > g > b
    assert blue == 255
    assert tints(["crack"])["crack"] == colours["consolidation"]


def test_a_tint_lets_the_image_show_through_and_the_last_class_covers_the_others() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    masks = {"a": square(0, 20), "b": square(10, 20)}
    result = tinted(image, masks, {"a": "#0000ff", "b": "#ff0000"})
    assert result[0, 0].tolist() == [50, 50, 178]  # half of 100, and half of 255 in blue
    assert result[15, 15].tolist() == [178, 50, 50]
    assert result[30, 30].tolist() == [100, 100, 100]
    assert image.max() == 100


def test_the_box_is_a_square_around_the_mask_with_a_margin() -> None:
    rows, columns = box_around(square(10, 30))  # 20 pixels with 12 % at each side
    assert (rows, columns) == (slice(8, 33), slice(8, 33))


def test_a_small_mask_is_shown_with_its_surroundings_inside_the_image() -> None:
    rows, columns = box_around(square(0, 2))
    assert (rows, columns) == (slice(0, 16), slice(0, 16))  # 40 % of 40 rows


def test_without_a_mask_the_box_is_the_image() -> None:
    assert box_around(square(0, 0)) == (slice(0, 40), slice(0, 60))
    assert box_around(square(0, 40)) == (slice(0, 40), slice(0, 50))  # no more than 40 rows


def test_all_panels_of_a_row_show_the_same_part() -> None:
    image = np.zeros((40, 60))
    image[12, 12] = 1
    small, large = (Panel("p", image, {"a": square(10, high)}) for high in (15, 30))
    first, second = drawn(PanelRow("row", [small, large], window=(0, 1)))
    assert first.shape == second.shape == (320, 320, 3)
    grey = ~(np.abs(first - second).max(axis=-1) > 40)
    assert 0.3 < grey.mean() < 0.7  # they differ only where the larger mask is


def test_a_thin_finding_stays_visible_in_a_reduced_picture() -> None:
    crack = np.zeros((960, 960), bool)
    crack[:, 481] = True  # one of three columns that become one
    panel = Panel("p", np.zeros((960, 960)), {"a": crack})
    everything = (slice(0, 960), slice(0, 960))
    picture = draw_panel(panel, everything, (0, 1), {"a": "#ff0000"})
    assert picture.shape == (320, 320, 3)
    assert np.flatnonzero(picture[..., 0].all(axis=0)).tolist() == [160]
    assert not picture[:, :160].any()


def test_the_outside_of_the_region_is_darker() -> None:
    panel = Panel("p", np.full((40, 60), 1.0), {"a": square(0, 0)}, region=square(10, 30))
    (picture,) = drawn(PanelRow("row", [panel], window=(0, 1)))
    assert picture[160, 160].min() > 240
    assert 100 < picture[2, 2].max() < 130  # 45 % of 255


def test_a_colour_picture_keeps_its_colours() -> None:
    image = np.zeros((40, 60, 3))
    image[..., 1] = 255
    (picture,) = drawn(PanelRow("row", [Panel("p", image, {})], window=(0, 255)))
    assert picture.shape == (213, 320, 3)
    assert picture[100, 100] == pytest.approx([0, 255, 0], abs=8)


def test_values_outside_the_window_are_black_or_white() -> None:
    image = np.array([[-5.0, 0.0, 5.0, 10.0, 20.0]])
    assert in_colours(image, (0, 10))[0, :, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.filterwarnings("error")
def test_without_a_window_an_image_of_one_value_is_drawn() -> None:
    assert len(drawn(PanelRow("row", [Panel("p", np.ones((8, 8)), {})]))) == 1
