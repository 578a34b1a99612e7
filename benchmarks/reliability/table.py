"""The committed rows, and the page that is made from them."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.fuzz import OUTCOMES, Tried
from benchmarks.reliability.kills import Killed
from wsseg.runtime.files import atomic_write

INPUTS, KILLS = "inputs", "kills"
EQUAL, OTHER = "bits equal", "lost"

PAGE = """\
# What it survives

```
make reliability
```

damages files of every kind that wsseg reads, runs the command that reads them, kills training runs,
keeps the counts in `rows.csv` and makes this page of them. `python -m benchmarks.reliability
--inputs 20 --kills 3` does less of it; the test suite tries {quick} inputs and {quick_kills} kills,
`make test-all` {slow} and {slow_kills}.

## Damaged inputs

A sound file is damaged in one to three ways drawn by a seed: bits flipped, bytes lost, doubled or
overwritten, the end missing, other numbers in a header, other words in a text (paths that lead
elsewhere, tags of YAML that would run code, numbers beyond any limit, HTML, escapes of a terminal).
Its command runs in a process of its own with {memory_gib} GiB of memory. It may succeed, where the
damage leaves sense, or end with exit code 2 and one short error (`manifest verify` with 1, where
files are not those of the manifest). A traceback, any other end, a
hang, and a file that is half-written, changed or outside the output folder are failures.

{inputs}

## Kills

`wsseg train` with two tiny stages (masks, then EM; a checkpoint every 2 steps) is killed with
`kill -9` after a random time, and run again with `--resume`. It survives if the weights of both
stages are, bit for bit, those of a run that nothing disturbed, the log tells the same epochs, and
no temporary file is left.

{kills}

A full disk, a folder that cannot be written to and an interrupted write are in
`tests/test_reliability.py`, `tests/test_resume.py` and `tests/test_files.py`. Peak memory by cohort
size is among what [benchmarks/speed](../speed/README.md) measures.

## Measured on

{measured}
"""


@dataclass(frozen=True)
class Line:
    """A row of the file: how many inputs, or kills, of a kind ended so."""

    subject: str
    kind: str
    outcome: str
    count: int
    machine: str
    versions: str


def lines_of_inputs(tried: Iterable[Tried], machine: str, versions: str) -> list[Line]:
    """Count inputs by kind and outcome."""
    counts = Counter((each.kind, each.outcome) for each in tried)
    return [Line(INPUTS, *key, number, machine, versions) for key, number in counts.items()]


def lines_of_kills(killed: Iterable[Killed], machine: str, versions: str) -> list[Line]:
    """Count kills by where they fell and what became of the run."""
    counts = Counter((each.had, OTHER if each.problem else EQUAL) for each in killed)
    return [Line(KILLS, *key, number, machine, versions) for key, number in sorted(counts.items())]


def read_lines(path: Path) -> list[Line]:
    """Read the file; none where there is none yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [_line(row) for row in csv.DictReader(file)]


def _line(row: Mapping[str, str]) -> Line:
    subject, kind, outcome, count, machine, versions = row.values()
    return Line(subject, kind, outcome, int(count), machine, versions)


def write_lines(path: Path, lines: Sequence[Line]) -> None:
    """Write the file."""
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(Line.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(vars(each) for each in lines)


def page(lines: Sequence[Line], facts: Mapping[str, object]) -> str:
    """Return the page; `facts` are the sizes that its text tells."""
    measured = dict.fromkeys(f"- {each.machine}; {each.versions}" for each in lines)
    return PAGE.format(
        inputs=_table([each for each in lines if each.subject == INPUTS], "file", OUTCOMES),
        kills=_table(
            [each for each in lines if each.subject == KILLS], "the kill fell", (EQUAL, OTHER)
        ),
        measured="\n".join(measured),
        **facts,
    )


def _table(lines: Sequence[Line], head: str, outcomes: Sequence[str]) -> str:
    """Return a row a kind, a column an outcome, and their sums."""
    kinds = list(dict.fromkeys(each.kind for each in lines))
    counts = Counter[tuple[str, str]]()
    for each in lines:
        counts[each.kind, each.outcome] += each.count
    rows = {kind: [counts[kind, outcome] for outcome in outcomes] for kind in kinds}
    sums = [sum(column) for column in zip(*rows.values(), strict=True)]
    table: list[list[object]] = [[head, "tried", *outcomes]]
    table += [["---", *["---:"] * (len(outcomes) + 1)]]
    table += [[name, sum(numbers), *numbers] for name, numbers in rows.items()]
    table += [[f"**{each}**" for each in ("all", sum(sums), *sums)]]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in table)
