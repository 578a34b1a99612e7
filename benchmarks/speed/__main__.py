"""Measure time and memory, and write rows.csv and README.md."""

import argparse
from pathlib import Path

from benchmarks.pages import machine, read_rows, versions, write_rows
from benchmarks.speed.page import Row, page, replace_subjects
from benchmarks.speed.subjects import SUBJECTS
from wsseg.runtime.files import write_text

FOLDER = Path(__file__).resolve().parent
ROWS, PAGE = FOLDER / "rows.csv", FOLDER / "README.md"


def main() -> None:
    """Measure the given subjects, or all; the rows of each are saved when it is finished."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument(
        "subjects", nargs="*", help=f"one or more of {', '.join(SUBJECTS)}; the default is all"
    )
    names = parser.parse_args().subjects or list(SUBJECTS)
    if unknown := set(names) - set(SUBJECTS):
        parser.error(f"no subject is called {min(unknown)!r}; possible: {', '.join(SUBJECTS)}")
    for name in names:
        print(name)
        new = []
        for measurement in SUBJECTS[name].measure():
            row = Row.of(name, measurement, machine(), versions())
            print(f"  {row.name}: {row.value:g} {row.unit}  {row.required}".rstrip())
            new.append(row)
        rows = replace_subjects(read_rows(ROWS, Row), new, list(SUBJECTS))
        write_rows(ROWS, Row, rows)
        write_text(PAGE, page(rows, SUBJECTS))


if __name__ == "__main__":
    main()
