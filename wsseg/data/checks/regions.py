"""Checks of the regions that a recipe finds in an image."""

import logging
from collections.abc import Iterator, Mapping

from wsseg.core.interfaces import Region, RegionLimits
from wsseg.data.checks.expected import Expectations
from wsseg.data.checks.findings import Finding, case_error
from wsseg.data.checks.measurements import CaseFacts
from wsseg.data.prepare import Prepared, prepare, prepare_region
from wsseg.data.region_check import implausibility
from wsseg.errors import InputError
from wsseg.runtime.cache_leases import release

log = logging.getLogger("wsseg")
_logged: set[Finding] = set()  # by this process


def region_findings(prepared: Prepared, regions: Mapping[str, Region]) -> Iterator[Finding]:
    """Find regions that are empty or implausible for their organ.

    Raises:
        InputError: The case lacks a file that a region needs.
    """
    has_no_size = prepared.case.axes or prepared.grid.unit == "px"
    spacing_mm = None if has_no_size else prepared.spacing_mm
    for name, region in regions.items():
        mask, limits = prepare_region(prepared, region), region.plausible
        if reason := implausibility(mask, prepared.image[0], spacing_mm, limits):
            what = f"its region {name} {reason}"
            remedy = (limits or RegionLimits).remedy
            yield Finding("implausible-region", "warning", prepared.case.name, what, remedy)


def log_region_findings(prepared: Prepared, regions: Mapping[str, Region]) -> None:
    """Log the findings of `region_findings` as warnings, each once per process."""
    for finding in region_findings(prepared, regions):
        if finding not in _logged:
            _logged.add(finding)
            log.warning("%s [%s]", finding.sentence, finding.name)


def check_regions(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:
    """Find implausible regions, and regions that lack a file."""
    if facts.scan is None or not expected.regions:
        return
    try:
        prepared = prepare(facts.case, expected.input, expected.regions)
    except InputError:
        return  # the other checks report what is wrong with the image
    try:
        for name, region in expected.regions.items():
            yield from _findings_in(prepared, name, region)
    finally:
        release(prepared.folder)


def _findings_in(prepared: Prepared, name: str, region: Region) -> Iterator[Finding]:
    try:
        yield from region_findings(prepared, {name: region})
    except InputError as error:
        what = str(error).removeprefix(f"case {prepared.case.name}: ")
        remedy = "Add the file, or leave the case out"
        yield case_error("no-region", prepared.case, f"its region {name}: {what}", remedy)
