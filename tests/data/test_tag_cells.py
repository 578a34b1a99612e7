"""Cells of tags are read as people and spreadsheets write them."""

import pytest

from wsseg.data.tag_cells import parse_tag


@pytest.mark.parametrize("cell", ["1", "1.0", "1,0", "1.", "yes", "YES", "Ja", "x", "X", "TRUE"])
def test_these_cells_mean_present(cell: str) -> None:
    assert parse_tag(cell) is True


@pytest.mark.parametrize("cell", ["0", "0.0", "0,00", "no", "No", "nein", "NEIN", "False"])
def test_these_cells_mean_absent(cell: str) -> None:
    assert parse_tag(cell) is False


def test_an_empty_cell_is_unknown() -> None:
    assert parse_tag("") is None


@pytest.mark.parametrize("cell", ["2", "-1", "0.5", "1.01", "10", "maybe", "?", "none", "1 0"])
def test_other_cells_are_refused_with_what_is_possible(cell: str) -> None:
    with pytest.raises(ValueError, match=r"possible: 1 or yes \(present\), 0 or no \(absent\)"):
        parse_tag(cell)
