"""The committed rows, and the page that is made from them."""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from benchmarks.pages import markdown_table
from benchmarks.speed.reasons import REASONS
from benchmarks.speed.timing import Measurement
from wsseg.runtime.processor import BFLOAT16_EXTENSIONS

HEAD = """\
# Time and memory

```
make speed
```

This command measures everything below on your machine, saves it in `rows.csv` and writes this page.
`python -m benchmarks.speed limits` measures one subject again and replaces only its rows of the
same machine; rows of other machines are kept. Each machine has a column of values, and — stands for
what was not measured there. The alternatives in a ratio are run alternately (A B A B ...), and the
ratio is computed in each round. Values are the median of the rounds, with minimum and maximum in
parentheses. To add a subject, write a class whose fields are its sizes and whose `measure` yields
measurements, and add it to `subjects.py`.
"""
NOT_MEASURED = "Not measured yet.\n"
MISSING = "—"


@dataclass(frozen=True)
class Row:
    """A row of rows.csv: the median of a measurement, its range, its bounds and its machine."""

    subject: str
    name: str
    value: float
    low: float
    high: float
    repeats: int
    unit: str
    least: float | None
    most: float | None
    machine: str
    versions: str

    @classmethod
    def of(cls, subject: str, measurement: Measurement, machine: str, versions: str) -> Self:
        """Return the row of a measurement."""
        values = measurement.values
        return cls(
            subject,
            measurement.name,
            _four_digits(measurement.value),
            _four_digits(min(values)),
            _four_digits(max(values)),
            len(values),
            measurement.unit,
            measurement.least,
            measurement.most,
            machine,
            versions,
        )

    @property
    def required(self) -> str:
        """The bounds of the value, or "" if it has none."""
        bounds = [("≥", self.least), ("≤", self.most)]
        return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    @property
    def is_met(self) -> bool:
        """Return whether the value is within its bounds."""
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)


def replace_subjects(rows: Sequence[Row], new: Sequence[Row], order: Sequence[str]) -> list[Row]:
    """Return `rows` in which the subjects of `new` are replaced on the machines of `new`.

    Rows are sorted by subject, in `order`, and machine; those of other subjects are left out.
    """
    again = {(row.subject, row.machine) for row in new}
    kept = [row for row in rows if (row.subject, row.machine) not in again and row.subject in order]
    return sorted([*kept, *new], key=lambda row: (order.index(row.subject), row.machine))


def page(rows: Sequence[Row], subjects: Mapping[str, object]) -> str:
    """Return the page: all requirements, then a section for each subject."""
    machines = short_names(row.machine for row in rows)
    required = {(row.subject, row.name) for row in rows if row.required}
    of_requirements = [row for row in rows if (row.subject, row.name) in required]
    reasons = _reasons(of_requirements, machines)
    parts = [HEAD, "## Requirements\n", table(of_requirements, machines), *reasons]
    for name, subject in subjects.items():
        own = [row for row in rows if row.subject == name]
        about = inspect.getdoc(type(subject)) or ""
        parts += [f"## {name}\n", about + "\n", table(own, machines) if own else NOT_MEASURED]
    return "\n".join([*parts, "## Measured on\n", _measured_on(rows, machines)]) + "\n"


def table(rows: Sequence[Row], machines: Mapping[str, str]) -> str:
    """Return a table of rows with a column for each of `machines`, which has their headers.

    It shows the bounds of rows, and on which machines they are met.
    """
    cells = {(row.subject, row.name): dict.fromkeys(machines, (MISSING, "")) for row in rows}
    bounds: dict[tuple[str, str], dict[str, None]] = {each: {} for each in cells}
    for row in rows:
        cells[row.subject, row.name][row.machine] = _value(row), _verdict(row)
        bounds[row.subject, row.name] |= {row.required: None}
    header = (
        "quantity",
        "required",
        *(cell for name in machines.values() for cell in (name, "met")),
    )
    lines = (
        (each[1], "; ".join(bounds[each]), *(cell for pair in own.values() for cell in pair))
        for each, own in cells.items()
    )
    return markdown_table("lr" + "rl" * len(machines), header, *lines) + "\n"


def short_names(machines: Iterable[str]) -> dict[str, str]:
    """Return short names of machines, such as Xeon; equal ones are numbered."""
    names = dict[str, str]()
    for machine in dict.fromkeys(machines):
        short = name = _short_name(machine)
        number = 1
        while name in names.values():
            number += 1
            name = f"{short} ({number})"
        names[machine] = name
    return names


def _short_name(machine: str) -> str:
    """Return the model of a CPU without its maker, extensions, threads and memory."""
    model = re.split(r" with |, \d+ threads| @ ", machine)[0]
    return re.sub(r"\((R|TM)\)|\b(Intel|AMD|CPU|Processor|\d+-Core)\b", "", model).strip()


def _measured_on(rows: Sequence[Row], machines: Mapping[str, str]) -> str:
    """Return a list of the machines, with the precision of networks and the versions."""
    lines = (
        f"- {machines[row.machine]}: {row.machine}; networks compute in "
        f"{_precision(row.machine)}; {row.versions}"
        for row in sorted(rows, key=lambda row: list(machines).index(row.machine))
    )
    return "\n".join(dict.fromkeys(lines))


def _precision(machine: str) -> str:
    """Return the precision that wsseg chooses on a machine."""
    return "bfloat16" if any(each in machine for each in BFLOAT16_EXTENSIONS) else "float32"


def _verdict(row: Row) -> str:
    if not row.required:
        return ""
    return "yes" if row.is_met else "**no**"


def _reasons(rows: Sequence[Row], machines: Mapping[str, str]) -> list[str]:
    """Return why requirements are not met, where that is known, and on which machines."""
    failed: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if not row.is_met:
            failed.setdefault((row.subject, row.name), []).append(machines[row.machine])
    known = [
        f"- *{row[1]}* ({', '.join(where)}): {REASONS[row]}"
        for row, where in failed.items()
        if row in REASONS
    ]
    heading = "Requirements that are not met, and why:\n"
    return [heading, "\n".join(known) + "\n"] if known else []


def _value(row: Row) -> str:
    text = f"{_three_digits(row.value)} {row.unit}".strip()
    if row.repeats == 1:
        return text
    return f"{text} ({_three_digits(row.low)}–{_three_digits(row.high)})"


def _four_digits(value: float) -> float:
    """Round to four significant digits; more would be noise in the history of the file."""
    return float(f"{value:.4g}")


def _three_digits(value: float) -> str:
    """Format three significant digits, large values without an exponent."""
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e+" in text else text
