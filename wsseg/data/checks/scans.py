"""Checks of an image: its values, its spacing and its orientation."""

from collections.abc import Iterator

from wsseg.data.checks.expected import Expectations
from wsseg.data.checks.findings import Finding, case_error
from wsseg.data.checks.geometry import geometry_findings
from wsseg.data.checks.measurements import CaseFacts, ScanFacts
from wsseg.data.validation import lowest_measured, unit_mismatch

CLIPPED_SHARE = 0.005  # of the voxels have the highest value; without clipping, only a few have
NAME_THE_SERIES = "To use another series, name the folder that has only its files"


def check_values(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:
    """Find images in another unit or without contrast, and values that were lost or added."""
    if facts.scan is None:
        return
    values, file, unit = facts.scan.values, facts.case.image.name, expected.input.unit
    if reason := unit_mismatch(unit, values.measured_lowest, values.measured_highest):
        remedy = "For images in another unit: input.unit=any"
        yield case_error("wrong-unit", facts.case, f"{file}: {reason}", remedy)
        return
    if values.lowest == values.highest:
        yield Finding(
            "constant-image",
            "error",
            facts.case.name,
            f"{file}: every voxel is {values.lowest:g}",
            "Use the scan as it came from the scanner, or leave the case out",
        )
        return
    problems = (*_padding(facts.scan, expected), *_clipping(facts.scan, expected))
    for name, what, remedy in problems:
        yield Finding(name, "warning", facts.case.name, f"{file}: {what}", remedy)


def _padding(scan: ScanFacts, expected: Expectations) -> Iterator[tuple[str, str, str]]:
    values, clip, unit = scan.values, expected.input.clip, expected.input.unit
    limit = lowest_measured(unit)
    if values.unmeasured_share and not (clip and clip[0] >= limit):
        what = (
            f"{_percent(values.unmeasured_share)} of its voxels are below {limit:g} {unit.name}, "
            f"down to {values.lowest:g}, as files have them outside the field of view"
        )
        yield "padding", what, f"Clip them: input.clip with a lower end of at least {limit:g}"


def _clipping(scan: ScanFacts, expected: Expectations) -> Iterator[tuple[str, str, str]]:
    values, clip, unit = scan.values, expected.input.clip, expected.input.unit
    if unit.highest_tissue is None:
        return
    needed = clip[1] if clip else unit.highest_tissue
    if values.highest < needed and values.highest_share > CLIPPED_SHARE:
        what = (
            f"{_percent(values.highest_share)} of its voxels have its highest value, "
            f"{values.highest:g} {unit.name}: brighter tissue was clipped"
        )
        yield (
            "clipped",
            what,
            "Convert the scan again without a window, or let input.clip end there",
        )


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
