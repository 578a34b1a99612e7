"""Damage inputs and kill training runs, and write rows.csv and README.md."""

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from benchmarks.pages import machine, read_rows, versions, write_rows
from benchmarks.reliability import sizes
from benchmarks.reliability.fuzz import ACCEPTED, MEMORY_BYTES, Trial, fuzz
from benchmarks.reliability.kills import KilledRun, kill_runs
from benchmarks.reliability.kinds import KINDS
from benchmarks.reliability.page import Row, input_rows, kill_rows, page, replace_kinds
from benchmarks.reliability.valid_inputs import write_valid_inputs
from wsseg.runtime.files import write_text

FOLDER = Path(__file__).resolve().parent
ROWS, PAGE = FOLDER / "rows.csv", FOLDER / "README.md"
SIZES = {
    "quick_kills": sizes.QUICK_KILLS,
    "slow": sizes.SLOW_INPUTS,
    "slow_kills": sizes.SLOW_KILLS,
    "memory_gib": MEMORY_BYTES // 2**30,
}
PROGRESS_INTERVAL = 50  # inputs or kills per line of progress

T = TypeVar("T", Trial, KilledRun)


def main() -> None:
    """Run all trials, save their counts and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("--inputs", type=int, default=sizes.INPUTS, help="inputs of each kind")
    parser.add_argument("--kills", type=int, default=sizes.KILLS, help="killed runs")
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, help="only inputs of these kinds; keep all other rows"
    )
    parser.add_argument("--jobs", type=int, default=1, help="inputs at a time (default: 1)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_valid_inputs(work / "valid")
        kinds = tuple(options.kinds or KINDS)
        folders = work / "valid", work / "inputs"
        trials = list(_with_progress(fuzz(options.inputs, *folders, kinds, options.jobs)))
        kills = 0 if options.kinds else options.kills
        runs = list(_with_progress(kill_runs(kills, work / "kills"))) if kills else []
    measured_on = machine(), versions()
    rows = [*input_rows(trials, *measured_on), *kill_rows(runs, *measured_on)]
    if options.kinds:
        rows = replace_kinds(read_rows(ROWS, Row), rows)
    write_rows(ROWS, Row, rows)
    write_text(PAGE, page(rows, SIZES))


def _with_progress(results: Iterable[T]) -> Iterator[T]:
    """Yield the results; print failures, and progress from time to time."""
    for number, each in enumerate(results, 1):
        failed = each.problem if isinstance(each, KilledRun) else each.outcome not in ACCEPTED
        if failed or number % PROGRESS_INTERVAL == 0:
            print(f"{number}: {each}")
        yield each


if __name__ == "__main__":
    main()
