"""Checks the shape of a region that is a pair of organs, right and left."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wsseg.core.interfaces import PairLimits, RegionLimits
from wsseg.data.spacing import exceeds, in_voxels

MM2_PER_CM2 = 100.0
THIN_MM = 10.0  # parts thinner than this from right to left are left out of an outline
FRONT, BACK = (0.15, 0.4), (0.6, 0.85)  # parts of an outline, from its front (0) to its back (1)
FRONT_HALF = (0.0, 0.5)
NEAR_END_MM = 20.0  # the distance from an end at which the area is measured
END_SHARE = 0.03  # of the largest area; slices with less do not count as an end
SHORTEST_MM = 60.0  # the ends of shorter masks are not checked

Outline: TypeAlias = NDArray[np.bool_]  # (Z, H), seen from the side


def implausible_pair(
    mask: NDArray[Any],
    image: NDArray[Any],
    spacing_mm: tuple[float, float, float],
    plausible: RegionLimits,
) -> str:
    """Return the reason why `mask`, (Z, H, W), cannot be both organs of a pair, or ''.

    The axes point to the head, to the back and to the patient's left. The middle of the body is the
    mean column of the mask and of all brighter tissue in the slices with mask.
    """
    limits = plausible.pair
    if limits is None:
        return ""
    right, left = _outlines(mask, _middle(mask, image, plausible.median[1]), spacing_mm[2])
    return (
        _one_sided(right, left, spacing_mm, limits)
        or _one_sided_in_front(right, left, spacing_mm, limits)
        or _higher_at_the_back(right | left, spacing_mm[0], limits.back_rise_mm)
        or _abrupt_end(np.count_nonzero(mask, axis=(1, 2)), spacing_mm[0], limits)
    )


def _middle(mask: NDArray[Any], image: NDArray[Any], tissue_from: float) -> int:
    """Return the first column to the patient's left of the middle of the body."""
    columns = np.zeros(mask.shape[2])
    for inside, plane in zip(mask, image, strict=True):
        if inside.any():
            columns += np.count_nonzero((inside > 0) | (plane > tissue_from), axis=0)
    return round(float(columns @ np.arange(len(columns)) / columns.sum()) + 1 / 2)


def _outlines(mask: NDArray[Any], middle: int, column_mm: float) -> tuple[Outline, Outline]:
    """Return the outlines of the organs on the patient's right and left."""
    sides = (mask[:, :, :middle], mask[:, :, middle:])
    thin = in_voxels(THIN_MM, column_mm)
    right, left = (np.count_nonzero(side, axis=2) > thin for side in sides)
    return right, left


def _one_sided(
    right: Outline, left: Outline, spacing_mm: tuple[float, float, float], limits: PairLimits
) -> str:
    """Find a part of an outline that the organ on the other side lacks."""
    pixel_cm2 = spacing_mm[0] * spacing_mm[1] / MM2_PER_CM2
    lacking = {"left": right & ~left, "right": left & ~right}
    side = max(lacking, key=lambda name: int(lacking[name].sum()))
    cm2, of_cm2 = (float(each.sum()) * pixel_cm2 for each in (lacking[side], right | left))
    share, largest_cm2 = limits.one_sided
    if exceeds(cm2, share * of_cm2) and exceeds(cm2, largest_cm2):
        return f"lacks {cm2:.0f} of {of_cm2:.0f} cm², seen from the side, on the patient's {side}"
    return ""


def _one_sided_in_front(
    right: Outline, left: Outline, spacing_mm: tuple[float, float, float], limits: PairLimits
) -> str:
    """Find a part of the front half of an outline that only one organ lacks, and only in front."""
    both = right | left
    if not both.any():
        return ""
    pixel_cm2 = spacing_mm[0] * spacing_mm[1] / MM2_PER_CM2
    front, back = _rows(both, FRONT_HALF), _rows(both, BACK)
    lacking = {}
    for side, missing in (("left", right & ~left), ("right", left & ~right)):
        slices = np.count_nonzero(missing, axis=0)
        more = (slices[front] - np.median(slices[back])).clip(min=0)
        lacking[side] = float(more.sum()) * pixel_cm2
    side = max(lacking, key=lambda name: lacking[name])
    share, largest_cm2 = limits.front
    if exceeds(lacking[side], share * both.sum() * pixel_cm2) and exceeds(
        lacking[side], largest_cm2
    ):
        return (
            f"lacks {lacking[side]:.0f} cm² in front but not at the back, seen from the side, on "
            f"the patient's {side}"
        )
    return ""


def _rows(outline: Outline, part: tuple[float, float]) -> slice:
    """Return a part of the rows of an outline; 0 is its front and 1 its back."""
    rows = np.flatnonzero(outline.any(axis=0))
    first, last = (int(rows[0] + each * (rows[-1] - rows[0])) for each in part)
    return slice(first, last + 1)


def _higher_at_the_back(outline: Outline, slice_mm: float, limit_mm: float) -> str:
    """Find lower or upper ends that are higher at the back than in front."""
    if not outline.any():
        return ""
    lower, upper = outline, outline[::-1]
    rises_mm = {
        "lower": (_end(lower, BACK) - _end(lower, FRONT)) * slice_mm,
        "upper": (_end(upper, FRONT) - _end(upper, BACK)) * slice_mm,
    }
    for name, rise_mm in rises_mm.items():
        if exceeds(rise_mm, limit_mm):
            return (
                f"has its {name} end {rise_mm:.0f} mm higher at the back than in front, over "
                f"{limit_mm:g}"
            )
    return ""


def _end(outline: Outline, part: tuple[float, float]) -> float:
    """Return the median index of the first slice of an outline, over a part of its rows."""
    rows = outline[:, _rows(outline, part)]
    found = rows.any(axis=0)
    return float(np.median(rows.argmax(axis=0)[found])) if found.any() else float("nan")


def _abrupt_end(pixels: NDArray[np.intp], slice_mm: float, limits: PairLimits) -> str:
    """Find an end inside the scan near which the area is still almost the largest."""
    slices = np.flatnonzero(pixels > END_SHARE * pixels.max())
    near = max(1, round(in_voxels(NEAR_END_MM, slice_mm)))
    length = int(slices[-1] - slices[0]) + 1
    if near >= length or exceeds(SHORTEST_MM, length * slice_mm):
        return ""
    inside = {"lower": (slices[0], slices[0] + near), "upper": (slices[-1], slices[-1] - near)}
    for name, (end, inner) in inside.items():
        outer = 2 * end - inner  # as far outside as `inner` is inside
        share = pixels[inner] / pixels.max()
        if 0 <= outer < len(pixels) and exceeds(float(share), limits.end_area):
            return (
                f"ends abruptly: {NEAR_END_MM:g} mm from its {name} end it has "
                f"{100 * share:.0f} % of its largest area"
            )
    return ""
