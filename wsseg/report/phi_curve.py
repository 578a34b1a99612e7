"""The phi of a prior as a function of the value of a pixel, drawn with characters."""

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from wsseg.core.batch import Batch
from wsseg.core.contracts import check_probability
from wsseg.core.interfaces import Prior

PIXELS = 16  # height and width of an image with one value, for priors that smooth
LARGEST, SMALLEST_STEP, SEARCHED = 1e5, 1e-2, 1001  # of the values in which changes are looked for
CHANGE = 0.01  # of phi, compared with its value at the ends
MARGIN = 0.25  # of the width or the position of the interval, on both sides
COLUMNS, ROWS = 60, 8
BLOCKS = " ▁▂▃▄▅▆▇█"  # eighths of a row
LABELS = {ROWS - 1: "phi 1", ROWS // 2 - 1: "½"}  # of the lines at whose top phi is 1 and 1/2
Values: TypeAlias = NDArray[np.float64]


def drawn_phi(prior: Prior) -> str:
    """Return a plot of phi over the interval of values in which it changes, or its only value.

    Each value fills an image of its own, which has the tag, next to images without the tag.

    Raises:
        InputError: The prior needs more than the value of a pixel, such as a cohort to learn from.
    """
    end = np.arcsinh(LARGEST / SMALLEST_STEP)
    coarse = SMALLEST_STEP * np.sinh(np.linspace(-end, end, SEARCHED))
    interval = _interval(coarse, phi_of(prior, coarse))
    if interval is None:
        (phi,) = phi_of(prior, np.zeros(1))
        return f"phi = {phi:.3g} for every value\n"
    values = np.linspace(*interval, COLUMNS)
    return _plot(values, phi_of(prior, values))


def phi_of(prior: Prior, values: Values) -> Values:
    """Return phi for images that consist of one value each, which have the tag."""
    number = len(values)
    column = torch.from_numpy(values).float().repeat(2)[:, None, None, None]
    image = column.expand(-1, -1, PIXELS, PIXELS)
    tags = (torch.arange(2 * number) < number)[:, None]
    batch = Batch(image[:, None], torch.ones_like(image, dtype=torch.bool), tags)
    phi = check_probability(prior, prior(batch), batch)
    return phi[:number, 0, PIXELS // 2, PIXELS // 2].double().numpy()


def _interval(values: Values, phi: Values) -> tuple[float, float] | None:
    """Return the interval outside which phi hardly differs from its ends; None if constant."""
    from_left = np.flatnonzero(np.abs(phi - phi[0]) > CHANGE)
    from_right = np.flatnonzero(np.abs(phi - phi[-1]) > CHANGE)
    if len(from_left) == 0:
        return None
    low, high = values[from_left[0] - 1], values[from_right[-1] + 1]
    margin = MARGIN * max(high - low, abs(low), abs(high))
    return low - margin, high + margin


def _plot(values: Values, phi: Values) -> str:
    """Return a row of characters for each eighth of phi, an axis, and its numbers."""
    eighths = np.rint(phi * ROWS * (len(BLOCKS) - 1)).astype(int)
    lines = []
    for row in reversed(range(ROWS)):
        filled = (eighths - row * (len(BLOCKS) - 1)).clip(0, len(BLOCKS) - 1)
        label = LABELS.get(row, "")
        lines.append(f"{label:>5} │" + "".join(BLOCKS[each] for each in filled).rstrip())
    low, middle, high = (f"{value:.4g}" for value in (values[0], values.mean(), values[-1]))
    room = COLUMNS - len(low) - len(high)
    axis = [f"    0 └{'─' * COLUMNS}", f"{'':7}{low}{middle:^{room}}{high}"]
    return "\n".join([*lines, *axis]) + "\n"
