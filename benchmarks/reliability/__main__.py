"""Damages, kills, counts, and writes the page: python -m benchmarks.reliability."""

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from benchmarks.reliability import sizes
from benchmarks.reliability.fuzz import MEMORY_BYTES, WELL, Tried, fuzz
from benchmarks.reliability.kills import Killed, kills
from benchmarks.reliability.sound import write_sound
from benchmarks.reliability.table import (
    lines_of_inputs,
    lines_of_kills,
    page,
    read_lines,
    write_lines,
)
from benchmarks.speed.machine import machine, versions
from wsseg.runtime.files import write_text

FOLDER = Path(__file__).resolve().parent
ROWS, PAGE = FOLDER / "rows.csv", FOLDER / "README.md"
FACTS = {
    "quick": sizes.QUICK_INPUTS,
    "quick_kills": sizes.QUICK_KILLS,
    "slow": sizes.SLOW_INPUTS,
    "slow_kills": sizes.SLOW_KILLS,
    "memory_gib": MEMORY_BYTES // 2**30,
}
EVERY = 50  # inputs, a line of progress

T = TypeVar("T", Tried, Killed)


def main() -> None:
    """Try, keep the rows and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("--inputs", type=int, default=sizes.INPUTS, help="of each kind")
    parser.add_argument("--kills", type=int, default=sizes.KILLS)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_sound(work / "sound")
        tried = list(_told(fuzz(wanted.inputs, work / "sound", work / "inputs")))
        killed = list(_told(kills(wanted.kills, work / "kills")))
    about = machine(), versions()
    write_lines(ROWS, [*lines_of_inputs(tried, *about), *lines_of_kills(killed, *about)])
    write_text(PAGE, page(read_lines(ROWS), FACTS))


def _told(results: Iterable[T]) -> Iterator[T]:
    """Print what went wrong, and now and then how far it is."""
    for number, each in enumerate(results, 1):
        well = not each.problem if isinstance(each, Killed) else each.outcome in WELL
        if not well or number % EVERY == 0:
            print(f"{number}: {each}")
        yield each


if __name__ == "__main__":
    main()
