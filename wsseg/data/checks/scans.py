"""Checks of an image: its values, its spacing and its orientation."""

from collections.abc import Iterator
from dataclasses import replace

from wsseg.core.image_unit import ImageUnit
from wsseg.core.input import Range
from wsseg.data.checks.expected import Expectations
from wsseg.data.checks.findings import Finding, case_error
from wsseg.data.checks.geometry import geometry_findings
from wsseg.data.checks.measurements import CaseFacts
from wsseg.data.checks.value_range import ValueRange
from wsseg.data.validation import lowest_measured, unit_mismatch

CLIPPED_SHARE = 0.005  # a larger share of voxels at the highest value: they were clipped
NAME_THE_SERIES = "To use another series, name the folder that has only its files"


def check_values(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:
    """Find images in another unit or without contrast, clipped values and padding."""
    measured = {} if facts.scan is None else facts.scan.values
    used = expected.input.channels or tuple(measured)
    clips = (
        expected.input.clips if len(expected.input.clips) > 1 else expected.input.clips * len(used)
    )
    clip_of = dict(zip(used, clips, strict=False))
    files = facts.case.image_files
    for channel in used if measured else ():
        file = files.get(channel, facts.case.image).name
        if channel not in measured:
            what = f"its image has no channel {channel!r}, which input.channels names"
            remedy = f"Name some of its channels: {', '.join(measured)}"
            yield case_error("no-channel", facts.case, what, remedy)
            continue
        values, unit = measured[channel], expected.input.unit
        for each in _problems(values, unit, clip_of.get(channel)):
            yield replace(each, case=facts.case.name, what=f"{file}: {each.what}")


def _problems(values: ValueRange, unit: ImageUnit, clip: Range | None) -> Iterator[Finding]:
    """Yield the findings of one channel, without the names of the case and its file."""
    if reason := unit_mismatch(unit, values.measured_lowest, values.measured_highest):
        what, _, rest = reason.partition(". ")
        remedy = rest.removesuffix(".") or "For images in another unit: input.unit=any"
        yield Finding("wrong-unit", "error", "", what, remedy)
        return
    if values.lowest == values.highest:
        yield Finding(
            "constant-image",
            "error",
            "",
            f"every voxel is {values.lowest:g}",
            "Use the scan as it came from the scanner, or leave the case out",
        )
        return
    yield from _padding(values, unit, clip)
    yield from _clipping(values, unit, clip)


def _padding(values: ValueRange, unit: ImageUnit, clip: Range | None) -> Iterator[Finding]:
    limit = lowest_measured(unit)
    if values.unmeasured_share and not (clip and clip[0] >= limit):
        what = (
            f"{_percent(values.unmeasured_share)} of its voxels are below {limit:g} {unit.name}, "
            f"down to {values.lowest:g}, which is usual for padding outside the field of view"
        )
        remedy = f"Clip them: input.clip with a lower end of at least {limit:g}"
        yield Finding("padding", "warning", "", what, remedy)


def _clipping(values: ValueRange, unit: ImageUnit, clip: Range | None) -> Iterator[Finding]:
    if unit.highest_tissue is None:
        return
    needed = clip[1] if clip else unit.highest_tissue
    if values.highest < needed and values.highest_share > CLIPPED_SHARE:
        what = (
            f"{_percent(values.highest_share)} of its voxels have its highest value, "
            f"{values.highest:g} {unit.name}: brighter tissue was clipped"
        )
        remedy = "Convert the scan again without a window, or let input.clip end there"
        yield Finding("clipped", "warning", "", what, remedy)


def check_files(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:  # noqa: ARG001
    """Find the DICOM files below the folder of an image that do not belong to it."""
    for what in facts.scan.skipped if facts.scan else ():
        yield skipped_files(facts.case.name, f"{facts.case.image.name}: {what}")


def skipped_files(case: str, what: str) -> Finding:
    """Return a note about files that belong to no scan."""
    return Finding("skipped-files", "note", case, what, NAME_THE_SERIES)


def check_geometry(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:  # noqa: ARG001
    """Find spacings and orientations that no scanner produces."""
    if facts.scan is not None:
        yield from geometry_findings(facts.case, facts.scan.geometry)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
