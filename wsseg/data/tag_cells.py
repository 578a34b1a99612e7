"""Tags in cells of tables."""

import re

from wsseg.core.weak_labels import Tag

POSSIBLE = (
    "1 or yes (present), 0 or no (absent), a probability such as 0.5, an empty cell (unknown)"
)
NUMBER = re.compile(r"([01])(?:[.,]0*)?")  # spreadsheets write 1.0 or 1,0 for 1
PROBABILITY = re.compile(r"0?[.,](0*[1-9][0-9]*)")
PRESENT = frozenset({"1", "yes", "y", "ja", "j", "x", "true", "wahr"})
ABSENT = frozenset({"0", "no", "n", "nein", "false", "falsch"})


def parse_tag(cell: str) -> Tag:
    """Return the tag in a cell: True (present), False (absent), None (unknown) or a probability.

    A number between 0 and 1 is the probability that the class is present.

    Raises:
        ValueError: The cell is none of these.

    Example:
        >>> from wsseg.tools import parse_tag
        >>> [parse_tag(cell) for cell in ("1", "no", "", "0.5")]
        [True, False, None, 0.5]
    """
    number = NUMBER.fullmatch(cell)
    word = number[1] if number else cell.lower()
    if word in PRESENT:
        return True
    if word in ABSENT:
        return False
    if not word:
        return None
    if probability := PROBABILITY.fullmatch(cell):
        return float(f"0.{probability[1]}")
    raise ValueError(f"is {cell!r}; possible: {POSSIBLE}")


def tag_cell(tag: Tag) -> str:
    """Format a tag as a cell that `parse_tag` can read.

    Example:
        >>> from wsseg.tools import tag_cell
        >>> [tag_cell(tag) for tag in (True, False, None, 0.5)]
        ['1', '0', '', '0.5']
    """
    if tag is None:
        return ""
    return str(int(tag)) if tag in (0, 1) else f"{tag:g}"
