"""Train the recipes with every seed, precision and number of threads; write rows.csv and README.md.

A row is saved after each run. Run the same command again to continue; runs whose row was made by
older settings or code are repeated.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pages import read_rows, write_rows
from benchmarks.stability.measure import Row, is_measured, measure
from benchmarks.stability.page import page, summary
from benchmarks.stability.study import Study
from wsseg.errors import InputError
from wsseg.runtime.executors import open_workers
from wsseg.runtime.files import write_text

FOLDER = Path(__file__).resolve().parent
ROWS, PAGE = FOLDER / "rows.csv", FOLDER / "README.md"
RUNS = Path("runs", "stability")


@dataclass(frozen=True)
class Results:
    """The rows of a study and its page, as files of a folder."""

    study: Study
    folder: Path = FOLDER

    def rows(self) -> list[Row]:
        """Return the saved rows of the study, in the order of its runs."""
        saved = {row.key: row for row in read_rows(self.folder / ROWS.name, Row)}
        return [saved[key] for key in self.study.run_keys() if key in saved]

    def add(self, row: Row) -> None:
        """Save a row in the place of an older one of the same run, and write the page."""
        saved = {each.key: each for each in self.rows()} | {row.key: row}
        rows = [saved[key] for key in self.study.run_keys() if key in saved]
        write_rows(self.folder / ROWS.name, Row, rows)
        self.write_page()

    def write_page(self) -> None:
        """Write the page from the saved rows."""
        write_text(self.folder / PAGE.name, page(self.rows(), self.study))


def update(results: Results, out: Path, jobs: int) -> int:
    """Measure the runs that have no row of the present code; return how many failed."""
    planned, rows = results.study.planned(), results.rows()
    missing = [run for run in planned if not is_measured(run, rows)]
    print(f"{len(planned) - len(missing)} of {len(planned)} runs are already measured")
    finished = 0
    if missing:
        with open_workers(jobs=jobs) as workers:
            for row in measure(missing, out, workers):
                finished += 1
                results.add(row)
                print(_line(finished, len(missing), row), flush=True)
    return len(missing) - finished


def main(words: Sequence[str] | None = None) -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stability", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (default: 1)")
    parser.add_argument("--out", type=Path, default=RUNS, help=f"folder of the runs ({RUNS})")
    parser.add_argument("--page", action="store_true", help="only write the page from the rows")
    options = parser.parse_args(words)
    results = Results(Study())
    if options.page:
        results.write_page()
        return
    # Threads that wait actively would slow down the other runs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when a worker imports torch
    try:
        failed = update(results, options.out, options.jobs)
    except InputError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; to continue, run the same command again") from None
    print(summary(results.rows(), results.study))
    if failed:
        raise SystemExit(f"{failed} runs failed; to retry them, run the same command again")


def _line(number: int, missing: int, row: Row) -> str:
    run = f"{row.method}, seed {row.seed}, {row.precision}, threads {row.threads}"
    health = f", {row.health}" if row.health else ""
    return f"[{number}/{missing}] {run}: {row.dice_pooled:.3f}{health}  ({row.seconds:.0f} s)"


if __name__ == "__main__":
    main()
