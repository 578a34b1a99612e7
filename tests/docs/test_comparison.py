"""docs/comparison.md: every cell states yes, no or partly, and links to its source."""

import re

from tests.markdown import DOCS

PAGE = (DOCS / "comparison.md").read_text("utf-8")
TOOLS = 5
CELL = re.compile(r"\[(yes|no|partly)\](\([\w./#-]+\)|\[[\w-]+\])(: .+|)")


def rows() -> list[list[str]]:
    """Return the cells of the rows with a feature."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
    return [row for row in cells if any(row[1:])]


def test_every_cell_states_yes_no_or_partly_with_a_source() -> None:
    assert len(rows()) > 10
    for feature, *cells in rows():
        assert len(cells) == TOOLS, feature
        for cell in cells:
            assert CELL.fullmatch(cell), f"{feature}: {cell}"


def test_every_source_is_defined_once_and_used() -> None:
    defined = re.findall(r"^\[([\w-]+)\]: https://\S+$", PAGE, re.MULTILINE)
    used = set(re.findall(r"\]\[([\w-]+)\]", PAGE))
    assert sorted(defined) == sorted(used)
