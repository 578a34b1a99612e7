"""A run's log: the epochs of its stages, and the warnings they gave."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from wsseg.errors import InputError

Records: TypeAlias = Sequence[Mapping[str, Any]]

EVENTS = ("epoch", "warning")


def read_log(path: Path) -> Records:
    """Return a log's epochs and warnings, in their order; a last line cut by a crash is left out.

    Raises:
        InputError: the file cannot be read, or a line before the last is damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path} cannot be read as a run's log: {error}") from error
    return [record for record in _records(path, lines) if record.get("event") in EVENTS]


def warnings(curves: Mapping[str, Records]) -> list[str]:
    """Return what was warned of while training, a line each."""
    return [
        f"{name}: {record.get('text')}"
        for name, records in curves.items()
        for record in records
        if record.get("event") == "warning"
    ]


def _records(path: Path, lines: list[str]) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                return
            raise InputError(f"{path}, line {number} is not JSON: {error}") from error
        if isinstance(record, dict):
            yield record
