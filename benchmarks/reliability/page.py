"""The committed rows, and the page that is made from them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.pages import markdown_table, measured_on
from benchmarks.reliability.fuzz import OUTCOMES, Trial
from benchmarks.reliability.kills import KilledRun

INPUTS, KILLS = "inputs", "kills"
EQUAL, LOST = "bits equal", "lost"

PAGE = """\
# Damaged inputs and killed runs

```
make reliability
```

This command damages files of every kind that wsseg reads and runs the commands that read them. It
also kills training runs. It saves the counts in `rows.csv` and writes this page from them.
`python -m benchmarks.reliability --inputs 20 --kills 3` is a shorter version, and `--kinds DICOM`
replaces the rows of one kind. `make test` tries {quick_kills} kill, `make test-all` {slow}
inputs and {slow_kills} kills.

## Damaged inputs

A valid file is damaged by one to three random changes, drawn with a seed: bits are flipped, bytes
are removed, repeated or overwritten, the end is cut off, numbers in a header are replaced, or words
of a text are replaced (by paths outside the folder, YAML tags that would run code, numbers out of
range, HTML, or terminal escapes). The command that reads the file runs in a process of its own with
{memory_gib} GiB of memory. It may succeed, if the damaged file is still valid, or end with exit
code 2 and one short error message (`manifest verify` with 1 if files differ from the manifest).
Failures are tracebacks, other exit codes, hangs, and files that are half-written, changed or
outside the output folder.

{inputs}

## Kills

`wsseg train` with two tiny stages (masks, then EM; a checkpoint every 2 steps) is killed by
`kill -9` after a random time and run again with `--resume`. The weights of both stages must then
equal those of an uninterrupted run bit by bit, the log must have the same epochs, and no temporary
file may be left.

{kills}

A full disk, a folder without write permission and an interrupted write are tested in
`tests/benchmarks/test_reliability.py`, `tests/training/test_training_state.py` and
`tests/runtime/test_files.py`. [benchmarks/speed](../speed/README.md) measures peak memory over the
number of cases.

## Measured on

{measured}
"""


@dataclass(frozen=True)
class Row:
    """A row of rows.csv: the number of inputs or kills of a kind with an outcome."""

    subject: str
    kind: str
    outcome: str
    count: int
    machine: str
    versions: str


def input_rows(trials: Iterable[Trial], machine: str, versions: str) -> list[Row]:
    """Count trials by kind and outcome."""
    counts = Counter((each.kind, each.outcome) for each in trials)
    return [Row(INPUTS, *key, number, machine, versions) for key, number in counts.items()]


def kill_rows(runs: Iterable[KilledRun], machine: str, versions: str) -> list[Row]:
    """Count killed runs by their progress when they were killed, and by their outcome."""
    counts = Counter((each.progress, LOST if each.problem else EQUAL) for each in runs)
    return [Row(KILLS, *key, number, machine, versions) for key, number in sorted(counts.items())]


def replace_kinds(rows: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Return `rows` with `new` in place of all rows of their kinds, in the same order of kinds."""
    replaced = {row.kind for row in new}
    kinds = list(dict.fromkeys(row.kind for row in (*rows, *new)))
    together = [*(row for row in rows if row.kind not in replaced), *new]
    return sorted(together, key=lambda row: kinds.index(row.kind))


def page(rows: Sequence[Row], sizes: Mapping[str, object]) -> str:
    """Return the page; `sizes` are the numbers in its text."""
    inputs, kills = ([row for row in rows if row.subject == name] for name in (INPUTS, KILLS))
    return PAGE.format(
        inputs=_table(inputs, "file", OUTCOMES),
        kills=_table(kills, "time of the kill", (EQUAL, LOST)),
        measured=measured_on(rows),
        **sizes,
    )


def _table(rows: Sequence[Row], heading: str, outcomes: Sequence[str]) -> str:
    """Return the counts with a row for each kind, a column for each outcome, and their sums."""
    counts = Counter[tuple[str, str]]()
    for row in rows:
        counts[row.kind, row.outcome] += row.count
    kinds = dict.fromkeys(row.kind for row in rows)
    by_kind = {kind: [counts[kind, outcome] for outcome in outcomes] for kind in kinds}
    totals = [sum(column) for column in zip(*by_kind.values(), strict=True)]
    return markdown_table(
        "l" + "r" * (len(outcomes) + 1),
        (heading, "number", *outcomes),
        *((kind, sum(numbers), *numbers) for kind, numbers in by_kind.items()),
        [f"**{each}**" for each in ("all", sum(totals), *totals)],
    )
