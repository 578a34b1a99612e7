"""Shares of a region, such as grades of severity, in cells of tables."""

import re

from wsseg.core.weak_labels import Bounds

POSSIBLE = "0.25-0.5 or 25-50 % (from, to), <25 %, >75 %, 0.3 (exactly), an empty cell (unknown)"
NUMBER = r"([0-9]*[.,]?[0-9]+)"
RANGE = re.compile(rf"{NUMBER}\s*(%?)\s*[-–]\s*{NUMBER}\s*(%?)")
LIMIT = re.compile(rf"([<>≤≥]?)=?\s*{NUMBER}\s*(%?)")
PERCENT = 100


def parse_share(cell: str) -> Bounds | None:
    """Return the lowest and the highest share in a cell, from 0 to 1; None if it is empty.

    Raises:
        ValueError: The cell cannot be parsed, or its numbers are not ascending shares.

    Example:
        >>> from wsseg.tools import parse_share
        >>> [parse_share(cell) for cell in ("25-50 %", ">0.75", "0.3", "")]
        [(0.25, 0.5), (0.75, 1.0), (0.3, 0.3), None]
    """
    if not cell:
        return None
    if between := RANGE.fullmatch(cell):
        low, first_percent, high, percent = between.groups()
        bounds = _share(low, first_percent or percent), _share(high, percent)
    elif limit := LIMIT.fullmatch(cell):
        sign, number, percent = limit.groups()
        share = _share(number, percent)
        bounds = (0.0 if sign in ("<", "≤") else share, 1.0 if sign in (">", "≥") else share)
    else:
        raise ValueError(f"is {cell!r}; possible: {POSSIBLE}")
    if not 0 <= bounds[0] <= bounds[1] <= 1:
        raise ValueError(
            f"is {cell!r}; shares must be from 0 to 1, the lower one first; possible: {POSSIBLE}"
        )
    return bounds


def share_cell(bounds: Bounds) -> str:
    """Return the cell that `parse_share` reads as these bounds."""
    low, high = bounds
    return f"{low!r}-{high!r}"


def _share(number: str, percent: str) -> float:
    value = float(number.replace(",", "."))
    return value / PERCENT if percent else value
