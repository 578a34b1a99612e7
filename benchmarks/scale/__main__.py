"""Measure suites under faults, cohorts of many cases and estimates; write rows.csv and README.md.

A part's rows replace its older rows when the part is done. `--jobs 6 --workers 2 --cases 40` is a
short version that shows whether everything works.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.pages import read_rows, write_rows
from benchmarks.scale.cases import CohortBenchmark
from benchmarks.scale.estimate import EstimateBenchmark
from benchmarks.scale.faults import FAULTS
from benchmarks.scale.jobs import SuiteBenchmark
from benchmarks.scale.page import page
from benchmarks.scale.rows import PARTS, Measurement, Row
from wsseg.runtime.files import write_text

FOLDER = Path(__file__).resolve().parent
ROWS, PAGE = FOLDER / "rows.csv", FOLDER / "README.md"
JOBS, WORKERS, CASES = 60, 8, 10_000
SHARES = (0.1, 0.25, 0.5, 1.0)  # of the cases


def measure(part: str, work: Path, options: argparse.Namespace) -> Iterator[Measurement]:
    """Yield the measurements of a part, which works in the folder `work`."""
    if part == "jobs":
        faults = (fault() for fault in FAULTS)
        yield from SuiteBenchmark(work, options.jobs, options.workers).measure(faults)
    elif part == "cases":
        sizes = [round(share * options.cases) for share in SHARES]
        yield from CohortBenchmark(work, sizes).measure()
    else:
        yield from EstimateBenchmark(work).measure()


def main(words: Sequence[str] | None = None) -> None:
    """Measure the chosen parts, save their rows, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="(default: all)")
    parser.add_argument("--jobs", type=int, default=JOBS, help="of the suite")
    parser.add_argument("--workers", type=int, default=WORKERS, help="of the Dask cluster")
    parser.add_argument("--cases", type=int, default=CASES, help="of the largest cohort")
    parser.add_argument("--work", type=Path, help="folder for temporary files (default: in /tmp)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of rows.csv and README.md")
    parser.add_argument("--page", action="store_true", help="only write the page from the rows")
    options = parser.parse_args(words)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows = options.folder / ROWS.name
    for part in () if options.page else options.part or PARTS:
        with tempfile.TemporaryDirectory(dir=options.work) as work:
            new = []
            for each in measure(part, Path(work).resolve(), options):
                print(f"{each.part}, {each.name}: {each.quantity} {each.value:.4g}", flush=True)
                new.append(Row.of(each))
        kept = [row for row in read_rows(rows, Row) if row.part != part]
        write_rows(rows, Row, sorted([*kept, *new], key=lambda row: PARTS.index(row.part)))
    write_text(options.folder / PAGE.name, page(read_rows(rows, Row)))


if __name__ == "__main__":
    main()
