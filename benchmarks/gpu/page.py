"""The rows of all cards, and the page that is made from them."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan

from benchmarks.pages import measured_on
from benchmarks.speed.page import Row as MeasuredRow
from benchmarks.speed.page import table

HEAD = """\
# An NVIDIA GPU

```console
$ python -m benchmarks.gpu --minutes 8
$ python -m benchmarks.gpu correct train --minutes 2 --out runs/gpu
$ python -m benchmarks.gpu --trial
```

This command compares results on the first GPU with those on the CPU, and measures time and memory.
The parts below are measured in order until the given minutes are over (8 by default), each for at
most two minutes. The rows of a part are saved as they are measured; a part that does not fit gets a
row that says so. Rows are saved in `rows.csv`, which replaces earlier rows of the
same part and card, and this page is written from them; `--out` names another folder. `--trial` runs
all parts at tiny sizes, also without a GPU, and saves nothing unless `--out` is given; `--page`
writes the page again.

It runs on torch 2.11 and newer, needs no network, and does not need wsseg to be installed: in a
clone of the repository, only the packages that `pyproject.toml` lists are required. MONAI is
optional. Times are taken after synchronising with the GPU; the first round of each measurement is
not counted. Values are the median of the rounds, with minimum and maximum in parentheses.
"""
NOT_MEASURED = """\
## Nothing was measured yet

There are no rows: this benchmark has not been run on a GPU. The parts below have been tried out at
tiny sizes on a CPU.
"""
SKIPPED = "not measured"


@dataclass(frozen=True)
class Row(MeasuredRow):
    """A measurement on a card, or a note about a part that was not measured completely."""

    note: str = ""

    @property
    def text(self) -> str:
        """The row as a line for a terminal."""
        if self.is_note:
            return f"{self.name}: {self.note}"
        return f"{self.name}: {self.value:g} {self.unit}  {self.required}".rstrip()

    @property
    def is_note(self) -> bool:
        """Return whether the row has a note and no value."""
        return bool(self.note)


def note_row(part: str, note: str, machine: str, versions: str) -> Row:
    """Return the row of a part that was not measured, or not completely."""
    return Row(part, SKIPPED, nan, nan, nan, 0, "", None, None, machine, versions, note)


def replaced(rows: Sequence[Row], new: Sequence[Row], order: Sequence[str]) -> list[Row]:
    """Return `rows` in which those of the same parts and card as `new` are replaced.

    A part of which nothing was measured keeps its earlier rows. Rows are sorted by card and part.
    """
    measured = {(row.subject, row.machine) for row in new if not row.is_note}
    earlier = {(row.subject, row.machine) for row in rows if not row.is_note} - measured
    added = [row for row in new if (row.subject, row.machine) not in earlier]
    again = {(row.subject, row.machine) for row in added}
    kept = [row for row in rows if (row.subject, row.machine) not in again]
    cards = list(dict.fromkeys(row.machine for row in [*kept, *added]))
    return sorted(
        [*kept, *added], key=lambda row: (cards.index(row.machine), order.index(row.subject))
    )


def page(rows: Sequence[Row], subjects: Mapping[str, object]) -> str:
    """Return the page: for each card all requirements and a table of each part."""
    parts = [HEAD]
    if not rows:
        parts.append(NOT_MEASURED)
    for name, subject in subjects.items():
        parts += [f"## {name}\n", (inspect.getdoc(type(subject)) or "") + "\n"]
        parts += _tables([row for row in rows if row.subject == name])
    if rows:
        parts += ["## Measured on\n", measured_on(rows) + "\n"]
    return "\n".join(parts)


def _tables(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table for each card, and the notes."""
    for machine in dict.fromkeys(row.machine for row in rows):
        own = [row for row in rows if row.machine == machine]
        card = machine.partition(";")[0]
        yield f"### {card}\n"
        measured = [row for row in own if not row.is_note]
        if measured:
            yield table(measured, {machine: "measured"})
        yield from (f"*{row.name}: {row.note}.*\n" for row in own if row.is_note)
