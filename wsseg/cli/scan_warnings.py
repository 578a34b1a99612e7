"""Warnings about scans on the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wsseg.report.formatting import counted

if TYPE_CHECKING:
    from wsseg.inference.batch_prediction import Row
    from wsseg.runtime.console import Display

MAX_WARNINGS = 5


def show_scan_warnings(rows: "Sequence[Row]", display: "Display") -> None:
    """Print the warnings of the first scans that have any."""
    warned = [row for row in rows if "warnings" in row]
    for row in warned[:MAX_WARNINGS]:
        display.warn(f"case {row['case']}: {row['warnings']}")
    if len(warned) > MAX_WARNINGS:
        more = len(warned) - MAX_WARNINGS
        display.warn(f"scores.csv lists the warnings of {counted(more, 'more scan')}")
