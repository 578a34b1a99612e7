"""Formatting of numbers for tables, figures and sentences."""

import math

UNDEFINED = "–"
SIGNIFICANCE = 0.05  # p-values below it are significant


def number(value: float, digits: int = 3) -> str:
    """Format a number with a proper minus sign; a NaN is a dash."""
    if math.isnan(value):
        return UNDEFINED
    return f"{value:.{digits}f}".replace("-", "−")


def significant(value: float, digits: int = 3) -> str:
    """Format a number of unknown magnitude with a number of significant digits."""
    return UNDEFINED if math.isnan(value) else f"{value:.{digits}g}".replace("-", "−")


def interval(low: float, high: float, digits: int = 3) -> str:
    """Format an interval: "0.10–0.20", or "−0.10 to 0.20" with a negative bound; "" for NaN."""
    if math.isnan(low):
        return ""
    between = "–" if low >= 0 else " to "
    return f"{number(low, digits)}{between}{number(high, digits)}"


def p_value(p: float, digits: int = 3) -> str:
    """Format a p-value: "0.012", or "< 0.001"."""
    smallest = 10.0**-digits
    return f"< {smallest:.{digits}f}" if p < smallest else number(p, digits)


def p_equals(p: float) -> str:
    """Format a p-value with its name: "p = 0.012", or "p < 0.001"."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def p_if_possible(p: float, smallest: float, counted: str) -> str:
    """Format a p-value; where no p of the test can be significant: "cannot be shown with 4 pairs".

    Args:
        p: The p-value.
        smallest: The smallest p-value that the test can have for so few values.
        counted: How many values there are, such as "4 pairs".
    """
    if math.isnan(p):
        return UNDEFINED
    return f"cannot be shown with {counted}" if smallest >= SIGNIFICANCE else p_value(p)


def counted(count: int, noun: str) -> str:
    """Return "1 case", "2 cases" or "30,475 pixels"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """Format a share as a percentage; a NaN is a dash."""
    return UNDEFINED if math.isnan(share) else f"{number(100 * share, 0)} %"


def percent_interval(low: float, high: float) -> str:
    """Format an interval of shares as percentages; "" for NaN."""
    return f"{interval(100 * low, 100 * high, 0)} %" if not math.isnan(low) else ""


def shared_of_all(shared: str, everything: str) -> str:
    """Format the seeds that methods share: "0, 1", or "0, not 1" if there are others."""
    seeds = shared.split(", ")
    others = [each for each in everything.split(", ") if each not in seeds]
    if not shared:
        return "none"
    return f"{shared}, not {', '.join(others)}" if others else shared
