"""The committed rows, and the page that is made from them."""

import csv
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.reasons import REASONS
from benchmarks.speed.timing import Row
from wsseg.runtime.files import atomic_write, write_text

HEAD = """\
# How fast it is

```
make speed
```

measures all of this on your machine, keeps it in `rows.csv` and makes this page of it;
`python -m benchmarks.speed limits` measures one subject anew and replaces its rows alone. Every
ratio is of things that were run by turns (A B A B ...), divided round by round. Given are the
median of the rounds and, in brackets, their lowest and highest. A new subject is a file with a
class whose fields are its sizes and whose `measure` yields rows, named in `subjects.py`.
"""


NOT_YET = "Not measured yet.\n"


@dataclass(frozen=True)
class Line:
    """A row of the file: a measured value, its range over the rounds, and where it was taken."""

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

    @property
    def asked(self) -> str:
        """What is asked of the value; nothing where it is only told."""
        bounds = [("≥", self.least), ("≤", self.most)]
        return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    @property
    def holds(self) -> bool:
        """Whether it does."""
        low = self.least is None or self.value >= self.least
        return low and (self.most is None or self.value <= self.most)


def line(subject: str, row: Row, machine: str, versions: str) -> Line:
    """Return what the file keeps of a row."""
    return Line(
        subject, row.name, _four(row.value), _four(min(row.values)), _four(max(row.values)),
        len(row.values), row.unit, row.least, row.most, machine, versions,
    )  # fmt: skip


def read_lines(path: Path) -> list[Line]:
    """Read the file; none where there is none yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [_parsed(row) for row in csv.DictReader(file)]


def write_lines(path: Path, lines: Sequence[Line]) -> None:
    """Write the file."""
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(Line.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(vars(each) for each in lines)


def replaced(lines: Sequence[Line], new: Sequence[Line], order: Sequence[str]) -> list[Line]:
    """Return `lines` with those of a subject of `new` replaced, subjects in `order`."""
    subjects = {each.subject for each in new}
    kept = [each for each in lines if each.subject not in subjects and each.subject in order]
    return sorted([*kept, *new], key=lambda each: order.index(each.subject))


def write_page(path: Path, lines: Sequence[Line], subjects: Mapping[str, object]) -> None:
    """Write the page of `page`."""
    write_text(path, page(lines, subjects))


def page(lines: Sequence[Line], subjects: Mapping[str, object]) -> str:
    """Return the page: what is asked and whether it holds, then a part a subject."""
    asked = [each for each in lines if each.asked]
    parts = [HEAD, "## What is asked, and whether it holds\n", _table(asked), *_reasons(asked)]
    for name, subject in subjects.items():
        own = [each for each in lines if each.subject == name]
        about = inspect.getdoc(type(subject)) or ""
        parts += [f"## {name}\n", about + "\n", _table(own) if own else NOT_YET]
    measured = dict.fromkeys(f"{each.machine}; {each.versions}" for each in lines)
    parts += ["## Measured on\n", *(f"- {each}" for each in measured)]
    return "\n".join(parts) + "\n"


def _table(lines: Sequence[Line]) -> str:
    cells = [("what", "measured", "asked", "holds"), ("---", "---:", "---:", "---")]
    for each in lines:
        holds = "" if not each.asked else "yes" if each.holds else "**no**"
        cells.append((each.name, _measured(each), each.asked, holds))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells) + "\n"


def _reasons(lines: Sequence[Line]) -> list[str]:
    """Say why rows do not hold, where that is known."""
    failed = [
        (each.name, REASONS.get((each.subject, each.name))) for each in lines if not each.holds
    ]
    known = [f"- *{name}*: {why}" for name, why in failed if why]
    return ["What does not hold, and why:\n", "\n".join(known) + "\n"] if known else []


def _measured(each: Line) -> str:
    text = f"{_three(each.value)} {each.unit}".strip()
    if each.repeats == 1:
        return text
    return f"{text} ({_three(each.low)}–{_three(each.high)})"


def _parsed(row: Mapping[str, str]) -> Line:
    least, most = (float(row[name]) if row[name] else None for name in ("least", "most"))
    return Line(
        row["subject"], row["name"], float(row["value"]), float(row["low"]), float(row["high"]),
        int(row["repeats"]), row["unit"], least, most, row["machine"], row["versions"],
    )  # fmt: skip


def _four(value: float) -> float:
    """Round to four digits that count: more would be noise in the file's history."""
    return float(f"{value:.4g}")


def _three(value: float) -> str:
    """Write three digits that count, without an exponent."""
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e" in text else text
