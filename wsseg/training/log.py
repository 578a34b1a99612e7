"""A run's log: the epochs of its stages, and the warnings they gave."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from wsseg.errors import InputError

Records: TypeAlias = Sequence[Mapping[str, Any]]

EVENTS = ("epoch", "warning")
SHARES = {  # keys of an epoch's record, the preferred first: what the share of the region is
    "probe_share": "targets",
    "target_share": "targets",
    "found_share": "found",
}


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


def epoch_line(record: Mapping[str, Any]) -> str:
    """Return an epoch's record as a line of text."""
    width = len(str(record["epochs"]))
    share = next(each for each in SHARES if each in record)
    text = (
        f"  epoch {record['epoch']:{width}}/{record['epochs']}  loss {record['loss']:.4f}  "
        f"{SHARES[share]} {100 * record[share]:5.1f} %"
    )
    if "flip_rate" in record:
        text += f"  flipped {100 * record['flip_rate']:5.1f} %"
    return text + f"  {record['slices_per_s']:.0f} slices/s"


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
