"""The committed rows, and the page that is made from them."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from benchmarks.pages import markdown_table, measured_on
from benchmarks.speed.reasons import REASONS
from benchmarks.speed.timing import Measurement

HEAD = """\
# Time and memory

```
make speed
```

This command measures everything below on your machine, saves it in `rows.csv` and writes this page.
`python -m benchmarks.speed limits` measures one subject again and replaces only its rows. The
alternatives in a ratio are run alternately (A B A B ...), and the ratio is computed in each round.
Values are the median of the rounds, with minimum and maximum in parentheses. To add a subject,
write a class whose fields are its sizes and whose `measure` yields measurements, and add it to
`subjects.py`.
"""
NOT_MEASURED = "Not measured yet.\n"


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
    """Return `rows` in which the subjects of `new` are replaced, with the subjects in `order`."""
    subjects = {row.subject for row in new}
    kept = [row for row in rows if row.subject not in subjects and row.subject in order]
    return sorted([*kept, *new], key=lambda row: order.index(row.subject))


def page(rows: Sequence[Row], subjects: Mapping[str, object]) -> str:
    """Return the page: all requirements, then a section for each subject."""
    required = [row for row in rows if row.required]
    parts = [HEAD, "## Requirements\n", table(required), *_reasons(required)]
    for name, subject in subjects.items():
        own = [row for row in rows if row.subject == name]
        about = inspect.getdoc(type(subject)) or ""
        parts += [f"## {name}\n", about + "\n", table(own) if own else NOT_MEASURED]
    return "\n".join([*parts, "## Measured on\n", measured_on(rows)]) + "\n"


def table(rows: Sequence[Row]) -> str:
    """Return a table of rows with their bounds, and whether these are met."""
    cells = (
        (row.name, _value(row), row.required, _verdict(row) if row.required else "") for row in rows
    )
    return markdown_table("lrrl", ("quantity", "measured", "required", "met"), *cells) + "\n"


def _verdict(row: Row) -> str:
    return "yes" if row.is_met else "**no**"


def _reasons(rows: Sequence[Row]) -> list[str]:
    """Return why requirements are not met, where that is known."""
    failed = [(row.name, REASONS.get((row.subject, row.name))) for row in rows if not row.is_met]
    known = [f"- *{name}*: {reason}" for name, reason in failed if reason]
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
