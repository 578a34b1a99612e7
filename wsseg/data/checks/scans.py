"""Checks of an image: its values, its spacing and its orientation."""

from collections.abc import Iterator

from wsseg.data.checks.expected import Expectations
from wsseg.data.checks.findings import Finding, case_error
from wsseg.data.checks.measurements import CaseFacts, ScanFacts
from wsseg.data.spacing import exceeds
from wsseg.data.validation import lowest_measured, unit_mismatch

CLIPPED_SHARE = 0.005  # of the voxels have the highest value; without clipping, only a few have
FIELD_OF_VIEW_MM = (20.0, 1000.0)  # the smallest and the largest side of a slice
MAX_SLICE_DISTANCE_MM = 15.0
UNEQUAL, VERY_UNEQUAL = 1.02, 1.5  # ratios of row and column spacing; scanners make square pixels
MAX_OBLIQUE_DEG = 15.0
CONVERT = "Convert it again from DICOM"


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


def check_geometry(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:  # noqa: ARG001
    """Find spacings and orientations that no scanner produces."""
    if facts.scan is None or facts.case.axes:  # with `axes`, the file's geometry is not used
        return
    for name, what, remedy in _geometry(facts.scan):
        text = f"{facts.case.image.name}: {what}"
        yield Finding(name, "warning", facts.case.name, text, remedy)


def _geometry(scan: ScanFacts) -> Iterator[tuple[str, str, str]]:
    if not scan.has_geometry:
        yield "no-geometry", "its header has no orientation and no voxel size", CONVERT
        return
    if exceeds(scan.affine_distance_mm, min(scan.spacing_mm)):
        distance = f"{scan.affine_distance_mm:.3g} mm apart"
        what = f"its header has two affines (sform, qform) that lie {distance}; the sform is used"
        yield "two-affines", what, CONVERT
    yield from _spacing(scan)
    if scan.oblique_deg > MAX_OBLIQUE_DEG:
        what = f"is tilted by {scan.oblique_deg:.0f}° against the patient's axes"
        yield "oblique", what, "Resample it to the patient's axes"


def _spacing(scan: ScanFacts) -> Iterator[tuple[str, str, str]]:
    z_mm, row_mm, column_mm = scan.spacing_mm
    view = [n * mm for n, mm in zip(scan.shape[1:], (row_mm, column_mm), strict=True)]
    wide, narrow = max(row_mm, column_mm), min(row_mm, column_mm)
    if exceeds(wide, VERY_UNEQUAL * narrow) and exceeds(wide, z_mm):
        what = f"voxels of {row_mm:.3g} × {column_mm:.3g} mm in slices {z_mm:.3g} mm apart"
        yield "not-axial", f"{what}: its slices are not axial", "Leave it out, or resample it"
    elif exceeds(wide, UNEQUAL * narrow):
        what = f"its pixels are not square: {row_mm:.3g} × {column_mm:.3g} mm"
        yield "odd-spacing", what, CONVERT
    if exceeds(FIELD_OF_VIEW_MM[0], min(view)) or exceeds(max(view), FIELD_OF_VIEW_MM[1]):
        yield "odd-spacing", f"its slices measure {view[0]:.4g} × {view[1]:.4g} mm", CONVERT
    if exceeds(z_mm, MAX_SLICE_DISTANCE_MM):
        yield "odd-spacing", f"its slices are {z_mm:.3g} mm apart", CONVERT


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
