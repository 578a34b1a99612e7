"""How numbers are written for people: three digits, never "nan"."""

import math

UNDEFINED = "–"


def number(value: float, digits: int = 3) -> str:
    """Write a number with a true minus, and a dash where it is not defined."""
    if math.isnan(value):
        return UNDEFINED
    return f"{value:.{digits}f}".replace("-", "−")


def interval(low: float, high: float, digits: int = 3) -> str:
    """Write an interval, or nothing where there is none."""
    if math.isnan(low):
        return ""
    between = "–" if low >= 0 else " to "
    return f"{number(low, digits)}{between}{number(high, digits)}"


def p_value(p: float, digits: int = 3) -> str:
    """Write a p-value; very small ones as a bound."""
    smallest = 10.0**-digits
    return f"< {smallest:.{digits}f}" if p < smallest else number(p, digits)


def p_equals(p: float) -> str:
    """Write "p = 0.012" or "p < 0.001"."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def percent(share: float) -> str:
    """Write a share as per cent."""
    return UNDEFINED if math.isnan(share) else f"{number(100 * share, 0)} %"


def percent_interval(low: float, high: float) -> str:
    """Write an interval of shares as per cent, or nothing where there is none."""
    return f"{interval(100 * low, 100 * high, 0)} %" if not math.isnan(low) else ""


def seeds(shared: str, of: str) -> str:
    """Write the seeds that methods share, and, where they lack some, all seeds: "0 of 0, 1"."""
    return shared if shared == of else f"{shared or 'none'} of {of}"
