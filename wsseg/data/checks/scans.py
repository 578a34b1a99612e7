"""Whether an image can be what it is said to be: its values, its spacing, its orientation."""

from collections.abc import Iterator

from wsseg.data.checks.expected import Expected
from wsseg.data.checks.findings import Finding, told
from wsseg.data.checks.measurements import CaseFacts
from wsseg.data.spacing import exceeds
from wsseg.data.validation import BEYOND_THE_SCANNER_HU, not_hu

CLIPPED_SHARE = 0.005  # of voxels with the highest value: a scanner's own highest is that of a few
SOFT_TISSUE_HU = 300  # contrast in vessels, and so above all soft tissue: what is clipped is bone
VIEW_MM = (20.0, 1000.0)  # of a slice: no patient is smaller, no scanner wider
MOST_APART_MM = 15.0  # slices that one could still call neighbours
UNEQUAL, UNEQUAL_MUCH = 1.02, 1.5  # row to column: scanners make square pixels
MOST_OBLIQUE_DEG = 15.0


def check_values(facts: CaseFacts, expected: Expected) -> Iterator[Finding]:
    """Find what is no CT where one is expected, and values that were lost or put in."""
    if facts.scan is None:
        return
    values, name = facts.scan.values, facts.case.image.name
    if expected.input.unit == "HU":
        if text := not_hu(values.seen_lowest, values.seen_highest):
            remedy = "For images that are no CT: input.unit=any"
            yield told("not-hu", facts.case, f"{name}: {text}", remedy)
            return
        yield from _check_padding(facts, expected)
        yield from _check_clipped(facts, expected)
    elif values.lowest == values.highest:
        yield Finding(
            "constant-image",
            "error",
            facts.case.name,
            f"{name}: every voxel is {values.lowest:g}",
            "Give the scan as it came from the scanner, or leave the case out",
        )


def _check_padding(facts: CaseFacts, expected: Expected) -> Iterator[Finding]:
    assert facts.scan is not None, "asked before"  # noqa: S101
    values, clip = facts.scan.values, expected.input.clip
    if values.beyond_share and not (clip and clip[0] >= BEYOND_THE_SCANNER_HU):
        yield Finding(
            "padding",
            "warning",
            facts.case.name,
            f"{facts.case.image.name}: {_percent(values.beyond_share)} of its voxels are below "
            f"air, down to {values.lowest:g} HU, as scanners fill what they do not see",
            "Clip them: input.clip with a lower end of about -1024",
        )


def _check_clipped(facts: CaseFacts, expected: Expected) -> Iterator[Finding]:
    assert facts.scan is not None, "asked before"  # noqa: S101
    values, clip = facts.scan.values, expected.input.clip
    needed = clip[1] if clip else SOFT_TISSUE_HU
    if values.highest < needed and values.highest_share > CLIPPED_SHARE:
        yield Finding(
            "clipped",
            "warning",
            facts.case.name,
            f"{facts.case.image.name}: {_percent(values.highest_share)} of its voxels have its "
            f"highest value, {values.highest:g} HU: soft tissue was clipped",
            "Convert the scan again without a window, or end input.clip there",
        )


def check_geometry(facts: CaseFacts, expected: Expected) -> Iterator[Finding]:  # noqa: ARG001
    """Find spacings and orientations that no scanner gives."""
    if facts.scan is None or facts.case.axes:  # its reader knows better than the file
        return
    for name, what, remedy in _odd_geometry(facts):
        text = f"{facts.case.image.name}: {what}"
        yield Finding(name, "warning", facts.case.name, text, remedy)


def _odd_geometry(facts: CaseFacts) -> Iterator[tuple[str, str, str]]:
    assert facts.scan is not None, "asked before"  # noqa: S101
    again = "Convert it again from DICOM"
    z_mm, row_mm, column_mm = facts.scan.spacing_mm
    if not facts.scan.has_geometry:
        yield "no-geometry", "does not say how it lies and how large its voxels are", again
        return
    apart_mm = facts.scan.affines_apart_mm
    if exceeds(apart_mm, min(facts.scan.spacing_mm)):
        what = f"its header has two affines (sform, qform) that lie {apart_mm:.3g} mm apart"
        yield "two-affines", f"{what}; the sform is taken", again
    view = [n * mm for n, mm in zip(facts.scan.shape[1:], (row_mm, column_mm), strict=True)]
    wide, narrow = max(row_mm, column_mm), min(row_mm, column_mm)
    if exceeds(wide, UNEQUAL_MUCH * narrow) and exceeds(wide, z_mm):
        what = f"voxels of {row_mm:.3g} × {column_mm:.3g} mm in slices {z_mm:.3g} mm apart"
        yield "not-axial", f"{what}: its own slices are not axial", "Leave it out, or resample it"
    elif exceeds(wide, UNEQUAL * narrow):
        yield "odd-spacing", f"its pixels are not square: {row_mm:.3g} × {column_mm:.3g} mm", again
    if exceeds(VIEW_MM[0], min(view)) or exceeds(max(view), VIEW_MM[1]):
        yield "odd-spacing", f"its slices are {view[0]:.4g} × {view[1]:.4g} mm large", again
    if exceeds(z_mm, MOST_APART_MM):
        yield "odd-spacing", f"its slices are {z_mm:.3g} mm apart", again
    if facts.scan.oblique_deg > MOST_OBLIQUE_DEG:
        what = f"is tilted by {facts.scan.oblique_deg:.0f}° against the patient's axes"
        yield "oblique", what, "Resample it to the patient's axes"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
