"""Cells of shares are read as grades are usually written."""

import pytest

from wsseg.data.share_cells import parse_share, share_cell


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("0.25-0.5", (0.25, 0.5)),
        ("25-50 %", (0.25, 0.5)),
        ("25 % – 50 %", (0.25, 0.5)),
        ("0,25-0,5", (0.25, 0.5)),
        ("<25 %", (0, 0.25)),
        ("≤ 0.25", (0, 0.25)),
        (">75%", (0.75, 1)),
        (">=0.75", (0.75, 1)),
        ("0.3", (0.3, 0.3)),
        ("0", (0, 0)),
        ("100 %", (1, 1)),
    ],
)
def test_cells_with_numbers_percentages_and_bounds_are_shares(
    cell: str, expected: tuple[float, float]
) -> None:
    assert parse_share(cell) == expected


def test_an_empty_cell_is_unknown() -> None:
    assert parse_share("") is None


@pytest.mark.parametrize("cell", ["25-50", "0.5-0.25", "CT-2", "1.2", "-0.1", "120 %", "0.1-", "<"])
def test_other_cells_are_refused_and_the_possible_ones_are_listed(cell: str) -> None:
    with pytest.raises(ValueError, match=r"possible: 0\.25-0\.5 or 25-50 %"):
        parse_share(cell)


def test_a_written_share_is_read_back_unchanged() -> None:
    assert parse_share(share_cell((0.1, 1 / 3))) == (0.1, 1 / 3)
