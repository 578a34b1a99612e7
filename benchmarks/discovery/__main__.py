"""Measure the cost of finding plugins, and write rows.csv and the table of README.md."""

from pathlib import Path

from benchmarks.discovery.measure import PLUGINS, ROUNDS, Row, measure, updated
from benchmarks.pages import write_rows
from wsseg.runtime.files import write_text

FOLDER = Path(__file__).resolve().parent
ROWS, PAGE = FOLDER / "rows.csv", FOLDER / "README.md"


def main() -> None:
    """Measure, and write the rows and the page."""
    rows = measure(PLUGINS, ROUNDS)
    write_rows(ROWS, Row, rows)
    write_text(PAGE, updated(PAGE.read_text(encoding="utf-8"), rows))


if __name__ == "__main__":
    main()
