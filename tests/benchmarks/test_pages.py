"""Rows, tables and sections that all benchmarks share."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.pages import fill_sections, markdown_table, measured_on, read_rows, write_rows


@dataclass(frozen=True)
class Row:
    name: str
    count: int
    value: float
    limit: float | None = None
    machine: str = "M"
    versions: str = "V"


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"))
NUMBERS = st.floats(allow_nan=False)
ROWS = st.builds(Row, NAMES, st.integers(), NUMBERS, st.none() | NUMBERS)


@given(st.lists(ROWS, max_size=4))
def test_rows_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    write_rows(path, Row, rows)
    assert read_rows(path, Row) == rows


def test_a_file_of_rows_has_a_header_and_empty_cells_for_none(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", Row, [Row("a,b", 2, 0.5)])
    text = (tmp_path / "rows.csv").read_text()
    assert text == 'name,count,value,limit,machine,versions\n"a,b",2,0.5,,M,V\n'


def test_a_missing_file_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "rows.csv", Row) == []


def test_a_table_has_a_header_and_an_alignment_for_each_column() -> None:
    table = markdown_table("lr", ("name", "count"), ("a", 1), ("b", 2))
    assert table.splitlines() == ["| name | count |", "| --- | ---: |", "| a | 1 |", "| b | 2 |"]


def test_sections_are_replaced_and_the_text_around_them_is_kept() -> None:
    text = (
        "before\n<!-- rows a b -->\nold\n<!-- end -->\nafter\n<!-- other -->\nold\n<!-- end -->\n"
    )
    new = fill_sections(text, {"rows": lambda arguments: f"table of {arguments}"})
    assert new == text.replace("<!-- rows a b -->\nold\n", "<!-- rows a b -->\n\ntable of a b\n\n")
    assert fill_sections(new, {"rows": lambda arguments: f"table of {arguments}"}) == new


def test_each_machine_is_listed_once() -> None:
    rows = [Row("a", 1, 1), Row("b", 1, 1), Row("c", 1, 1, machine="N")]
    assert measured_on(rows) == "- M; V\n- N; V"
