"""The measurement of parts within a given time, and the files with their rows."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from time import monotonic

from benchmarks.gpu.page import Row, note_row, page, replaced
from benchmarks.gpu.worker import PartError, TooLongError, Worker
from benchmarks.pages import read_rows, write_rows
from wsseg.runtime.files import write_text

ENOUGH_S: Mapping[str, float] = {  # the parts in order, and the time in which each gives rows
    "correct": 20,
    "card": 5,
    "train": 15,
    "agree": 30,
    "predict": 30,
    "em": 15,
    "batches": 10,
    "peers": 15,
    "graphs": 10,
    "compiled": 45,
}
PARTS = "benchmarks.gpu.parts"
ROWS = "rows.csv"
MOST_PART_S = 115  # each part ends within two minutes
END_S = 2  # to stop the worker and to write the last files


def measure(names: Sequence[str], seconds: float, out: Path, *, trial: bool) -> bool:
    """Measure parts within `seconds` and save their rows in `out`; return whether all are complete.

    Raises:
        NoGpuError: There is no GPU, and it is not a trial.
        TooLongError: The given time is over before the first part.
        PartError: The process that measures fails before the first part.
    """
    until = monotonic() + seconds - END_S
    rows_path = out / ROWS
    earlier, is_complete = read_rows(rows_path, Row), True
    with Worker(until, trial=trial) as worker:
        import_module(PARTS)  # which the page needs, while the worker imports it
        worker.prepare()
        for name in names:
            print(name, flush=True)
            new: list[Row] = []
            for row in _rows_of_part(name, worker, until):
                print(f"  {row.text}", flush=True)
                new.append(row)
                write_rows(rows_path, Row, replaced(earlier, new, list(ENOUGH_S)))
            write_page(out)
            earlier = replaced(earlier, new, list(ENOUGH_S))
            is_complete &= not any(row.is_note for row in new)
    return is_complete


def write_page(out: Path) -> None:
    """Write the page from the rows in `out`."""
    subjects = import_module(PARTS).PARTS  # imports torch
    write_text(out / "README.md", page(read_rows(out / ROWS, Row), subjects))


def _rows_of_part(name: str, worker: Worker, until: float) -> Iterator[Row]:
    """Yield the rows of a part; the last is a note if it is not complete."""
    now = monotonic()
    left = until - now
    if left < ENOUGH_S[name]:
        note = f"{max(0, left):.0f} s of the given time were left, fewer than it needs"
    else:
        try:
            yield from worker.measure(name, min(until, now + MOST_PART_S))
        except TooLongError:
            note = f"stopped after {monotonic() - now:.0f} s"
        except PartError as error:
            note = str(error)
        else:
            return
    yield note_row(name, note, worker.machine, worker.versions)
