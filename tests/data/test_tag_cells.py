"""Cells of tags are read as people and spreadsheets write them."""

import pytest

from wsseg.data.tag_cells import parse_tag, tag_cell


@pytest.mark.parametrize("cell", ["1", "1.0", "1,0", "1.", "yes", "YES", "Ja", "x", "X", "TRUE"])
def test_cells_with_1_yes_or_a_synonym_mean_present(cell: str) -> None:
    assert parse_tag(cell) is True


@pytest.mark.parametrize("cell", ["0", "0.0", "0,00", "no", "No", "nein", "NEIN", "False"])
def test_cells_with_0_no_or_a_synonym_mean_absent(cell: str) -> None:
    assert parse_tag(cell) is False


def test_an_empty_cell_is_unknown() -> None:
    assert parse_tag("") is None


@pytest.mark.parametrize("cell", ["2", "-1", "1.01", "10", "maybe", "?", "none", "1 0", "."])
def test_other_cells_are_refused_and_the_possible_ones_are_listed(cell: str) -> None:
    with pytest.raises(ValueError, match=r"possible: 1 or yes \(present\), 0 or no \(absent\)"):
        parse_tag(cell)


@pytest.mark.parametrize(("cell", "expected"), [("0.5", 0.5), ("0,25", 0.25), (".9", 0.9)])
def test_a_number_between_0_and_1_is_a_probability(cell: str, expected: float) -> None:
    assert parse_tag(cell) == expected


@pytest.mark.parametrize("tag", [True, False, None, 0.5, 0.125])
def test_a_written_tag_is_read_back_unchanged(tag: bool | float | None) -> None:
    assert parse_tag(tag_cell(tag)) == tag
