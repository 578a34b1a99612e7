"""Rows in CSV files and the Markdown pages that are made from them, shared by all benchmarks."""

import csv
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_args, get_type_hints

from wsseg.report.formatting import counted
from wsseg.runtime.files import atomic_write
from wsseg.runtime.processor import processor

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")

PACKAGES = ("wsseg", "torch", "monai", "segmentation-models-pytorch", "SimpleITK", "scipy")
RULES = {"l": "---", "r": "---:"}


class Measured(Protocol):
    """A row with the machine and the versions that it was measured on."""

    @property
    def machine(self) -> str:
        """The processor, threads and memory: `machine`."""

    @property
    def versions(self) -> str:
        """The versions of Python and packages: `versions`."""


def read_rows(path: Path, row_type: type[R]) -> list[R]:
    """Read a CSV file with a column for each field of the dataclass; [] if there is no file.

    The fields are str, int or float, or optional; an empty cell of an optional field is None.
    """
    if not path.exists():
        return []
    hints = get_type_hints(row_type)
    with path.open(newline="", encoding="utf-8") as file:
        return [
            row_type(**{name: _parse(cell, hints[name]) for name, cell in row.items()})
            for row in csv.DictReader(file)
        ]


def write_rows(path: Path, row_type: type[R], rows: Iterable[R]) -> None:
    """Write rows as a CSV file with a column for each field of their dataclass."""
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        names = [field.name for field in fields(row_type)]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(vars(row) for row in rows)


def markdown_table(alignment: str, *rows: Sequence[object]) -> str:
    """Return a table whose first row is its header; `alignment` has "l" or "r" for each column."""
    header, *body = rows
    lines = (header, [RULES[letter] for letter in alignment], *body)
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def fill_sections(text: str, render: Mapping[str, Callable[[str], str]]) -> str:
    """Return a page whose sections <!-- KIND ARGUMENTS --> ... <!-- end --> are replaced.

    `render` has a function of the arguments for each kind of section.
    """

    def section(match: re.Match[str]) -> str:
        begin, kind, arguments, end = match.groups()
        return f"{begin}\n{render[kind](arguments.strip())}\n\n{end}"

    return _section_pattern(render).sub(section, text)


def sections(text: str, kinds: Iterable[str]) -> list[tuple[str, str]]:
    """Return the kind and the arguments of each section of a page."""
    return [(kind, words.strip()) for _, kind, words, _ in _section_pattern(kinds).findall(text)]


def measured_on(rows: Iterable[Measured]) -> str:
    """Return a list of the machines and versions that rows were measured on."""
    return "\n".join(dict.fromkeys(f"- {row.machine}; {row.versions}" for row in rows))


def machine() -> str:
    """Return the processor, the number of threads of torch, and the memory of this machine."""
    import torch

    gib = _memory_kib() / 2**20
    return f"{processor()}, {counted(torch.get_num_threads(), 'thread')}, {gib:.0f} GiB"


def versions() -> str:
    """Return the versions of Python and of the measured packages that are installed."""
    installed = [package for package in PACKAGES if any(metadata.distributions(name=package))]
    named = [f"{package} {metadata.version(package)}" for package in installed]
    return ", ".join([f"Python {platform.python_version()}", *named])


def _section_pattern(kinds: Iterable[str]) -> re.Pattern[str]:
    names = "|".join(kinds)
    return re.compile(rf"(<!-- ({names})((?: [^>]+)?) -->\n).*?(<!-- end -->)", re.DOTALL)


def _parse(cell: str, hint: Any) -> object:
    types = get_args(hint) or (hint,)
    return None if not cell and NoneType in types else types[0](cell)


def _memory_kib() -> int:
    text = Path("/proc/meminfo").read_text(encoding="utf-8")
    return int(text.split("MemTotal:")[1].split()[0])
