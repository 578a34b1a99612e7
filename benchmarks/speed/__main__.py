"""Measures, keeps the rows and writes the page: python -m benchmarks.speed [SUBJECT ...]."""

import argparse
from pathlib import Path

from benchmarks.speed.machine import machine, versions
from benchmarks.speed.subjects import SUBJECTS
from benchmarks.speed.table import line, read_lines, replaced, write_lines, write_page

FOLDER = Path(__file__).resolve().parent
ROWS, PAGE = FOLDER / "rows.csv", FOLDER / "README.md"


def main() -> None:
    """Measure the named subjects, or all; each one's rows are kept as soon as it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("subjects", nargs="*", help=f"of {', '.join(SUBJECTS)}; without, all")
    wanted = parser.parse_args().subjects or list(SUBJECTS)
    if unknown := set(wanted) - set(SUBJECTS):
        parser.error(f"no subject is called {min(unknown)!r}; possible: {', '.join(SUBJECTS)}")
    for name in wanted:
        print(name)
        new = []
        for row in SUBJECTS[name].measure():
            new.append(line(name, row, machine(), versions()))
            print(f"  {row.name}: {new[-1].value:g} {row.unit}  {new[-1].asked}".rstrip())
        lines = replaced(read_lines(ROWS), new, list(SUBJECTS))
        write_lines(ROWS, lines)
        write_page(PAGE, lines, SUBJECTS)


if __name__ == "__main__":
    main()
