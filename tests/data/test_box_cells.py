"""Cells of boxes have four numbers for each box in a slice, and six for each box in a scan."""

import pytest

from wsseg.core.weak_labels import Box
from wsseg.data.box_cells import parse_boxes


def test_boxes_are_separated_by_slashes() -> None:
    assert parse_boxes("12 30 40 25 / 1.5 2 3 4") == (Box(12, 30, 40, 25), Box(1.5, 2, 3, 4))


def test_a_box_in_a_scan_has_its_first_and_last_slice() -> None:
    assert parse_boxes("12 30 5 40 25 3") == (Box(12, 30, 40, 25, slices=(5, 7)),)


def test_a_cell_about_a_slice_has_boxes_in_that_slice() -> None:
    assert parse_boxes("12 30 40 25", slice_index=9) == (Box(12, 30, 40, 25, slices=(9, 9)),)
    with pytest.raises(ValueError, match="possible: x y width height"):
        parse_boxes("12 30 5 40 25 3", slice_index=9)


def test_an_empty_cell_has_no_boxes() -> None:
    assert parse_boxes("") == ()


@pytest.mark.parametrize("cell", ["1 2 3", "1 2 3 4 5", "a b c d", "1 2 3 4 /", "nan 2 3 4"])
def test_cells_of_another_form_are_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="possible: x y width height"):
        parse_boxes(cell)


@pytest.mark.parametrize("cell", ["1 2 0 4", "1 2 3 -4", "-1 2 3 4", "1 2 3 4 5 0"])
def test_a_box_without_extent_or_with_a_negative_start_is_refused(cell: str) -> None:
    with pytest.raises(
        ValueError, match="a box must not start before 0, and its size must be positive"
    ):
        parse_boxes(cell)
