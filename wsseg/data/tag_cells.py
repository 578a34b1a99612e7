"""Tags in cells of tables."""

import re

POSSIBLE = "1 or yes (present), 0 or no (absent), an empty cell (unknown)"
NUMBER = re.compile(r"([01])(?:[.,]0*)?")  # spreadsheets write 1.0 or 1,0 for 1
PRESENT = frozenset({"1", "yes", "y", "ja", "j", "x", "true", "wahr"})
ABSENT = frozenset({"0", "no", "n", "nein", "false", "falsch"})
CELLS = {True: "1", False: "0", None: ""}  # as they are written


def parse_tag(cell: str) -> bool | None:
    """Return the tag in a cell: True if present, False if absent, None if unknown.

    Raises:
        ValueError: The cell is none of these.

    Example:
        >>> from wsseg.tools import parse_tag
        >>> [parse_tag(cell) for cell in ("1", "no", "")]
        [True, False, None]
    """
    number = NUMBER.fullmatch(cell)
    word = number[1] if number else cell.lower()
    if word in PRESENT:
        return True
    if word in ABSENT:
        return False
    if not word:
        return None
    raise ValueError(f"is {cell!r}; possible: {POSSIBLE}")
