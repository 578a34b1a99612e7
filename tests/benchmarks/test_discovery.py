"""The cost of finding plugins: the committed page, and a small measurement."""

from statistics import median

import pytest

from benchmarks.discovery.__main__ import PAGE, ROWS
from benchmarks.discovery.measure import PLUGINS, Row, measure, updated
from benchmarks.pages import read_rows


def test_the_table_of_the_page_is_made_from_the_committed_rows() -> None:
    rows, text = read_rows(ROWS, Row), PAGE.read_text(encoding="utf-8")
    assert updated(text, rows) == text, "run: python -m benchmarks.discovery"


def test_fifty_plugins_add_less_than_50_ms_in_the_committed_rows() -> None:
    rows = read_rows(ROWS, Row)
    assert {row.plugins for row in rows} == {PLUGINS} == {50}
    assert median(row.added_ms for row in rows) < 50


@pytest.mark.slow
def test_fifty_plugins_add_less_than_500_ms_on_this_machine() -> None:
    """Ten times the goal, so that the test passes on a busy machine."""
    assert min(row.added_ms for row in measure(PLUGINS, rounds=3)) < 500
