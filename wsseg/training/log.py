"""The log of a run, `log.jsonl`: a line for each epoch and each warning of its stages."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from wsseg.errors import InputError
from wsseg.runtime.files import write_text

Records: TypeAlias = Sequence[Mapping[str, Any]]

EVENTS = ("epoch", "warning")
SHARES = {  # keys of an epoch's record, in order of preference, and the share that they name
    "probe_share": "targets",
    "target_share": "targets",
    "found_share": "found",
}


def read_log(path: Path) -> Records:
    """Return the epochs and warnings of a log in order; a truncated last line is ignored.

    Raises:
        InputError: The file cannot be read, or a line before the last is damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read as the log of a run ({error})") from error
    return [record for record in _records(path, lines) if record.get("event") in EVENTS]


def warnings(curves: Mapping[str, Records]) -> list[str]:
    """Return the warnings during training, one per line, after the name of their method."""
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
    if "validation_loss" in record:
        text += f"  validation loss {record['validation_loss']:.4f}"
    if "flip_rate" in record:
        text += f"  flipped {100 * record['flip_rate']:5.1f} %"
    return text + f"  {record['slices_per_s']:.0f} slices/s"


def forget_epochs_after(log: Path, stage: str, epochs: int) -> None:
    """Remove damaged lines, and a stage's records of the epochs after the first `epochs`."""
    if not log.exists():
        return
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    kept = []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            if record["stage"] != stage or record["epoch"] <= epochs:
                kept.append(line + "\n")
    write_text(log, "".join(kept))


def _records(path: Path, lines: list[str]) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                return
            raise InputError(f"{path}, line {number}: not valid JSON ({error})") from error
        if isinstance(record, dict):
            yield record
