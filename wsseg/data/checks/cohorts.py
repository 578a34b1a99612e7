"""Checks of a cohort: patients, duplicates, spacing, nesting of masks and numbers of labels."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from wsseg.core.case import Case, splits_by_patient
from wsseg.data.checks.expected import Expectations
from wsseg.data.checks.findings import Finding
from wsseg.data.checks.masks import swapped_classes
from wsseg.data.checks.measurements import CaseFacts
from wsseg.data.resample import thick_for
from wsseg.data.spacing import exceeds, rounded_mm

MIN_POSITIVES = 5  # cases with a class; with fewer, each is more than a fifth of them
MAX_SPACING_RATIO = 2.0  # of the coarsest to the finest spacing
NESTED, NOT_EQUAL = 0.95, 0.9  # min. share of inner in outer, max. reverse
MAX_FILES = 3  # listed in a finding
MAJORITY_CASES, MAJORITY = 3, 0.75  # least number of cases, and the share that must agree


def check_duplicates(cohort: Sequence[CaseFacts], expected: Expectations) -> Iterator[Finding]:  # noqa: ARG001
    """Find scans listed under several names: the same voxels, whatever the file format."""
    same: dict[str, list[Case]] = defaultdict(list)
    for facts in cohort:
        ranges = () if facts.scan is None else facts.scan.values.values()
        if facts.scan is not None and any(each.lowest < each.highest for each in ranges):
            same[facts.scan.voxels_sha256].append(facts.case)
    for cases in same.values():
        if len(cases) == 1:
            continue
        differ = len({case.patient for case in cases}) > 1 or len({c.split for c in cases}) > 1
        files = [case.image.name for case in cases]
        named = ", ".join(files[:MAX_FILES]) + ", …" * (len(files) > MAX_FILES)
        yield Finding(
            "duplicate-scan",
            "error" if differ else "warning",
            ", ".join(case.name for case in cases),
            f"the same scan has {len(cases)} names"
            + " and several patients or splits" * differ
            + f" ({named})",
            "Leave all but one out" + ", or give them one patient and one split" * differ,
        )


def check_patients(cohort: Sequence[CaseFacts], expected: Expectations) -> Iterator[Finding]:  # noqa: ARG001
    """Find patients with scans in both the training and the test split."""
    cases_of: dict[str, list[str]] = defaultdict(list)
    for facts in cohort:
        cases_of[facts.case.patient].append(facts.case.name)
    for patient, splits in splits_by_patient(facts.case for facts in cohort).items():
        if len(splits) > 1:
            both = " and ".join(sorted(split or "none" for split in splits))
            yield Finding(
                "patient-overlap",
                "error",
                ", ".join(cases_of[patient]),
                f"patient {patient} is in the splits {both}",
                "Put all scans of a patient into one split",
            )


def check_spacing(cohort: Sequence[CaseFacts], expected: Expectations) -> Iterator[Finding]:
    """Find spacings that differ by a factor of more than 2 even after `thick` and `size`."""
    slices, pixels = list[tuple[float, str]](), list[tuple[float, str]]()
    for facts in cohort:
        if facts.scan is None or facts.case.axes or not facts.scan.geometry.has_affine:
            continue
        if facts.scan.geometry.unit == "px":
            continue
        z, height, width = facts.scan.geometry.shape
        z_mm, row_mm, column_mm = map(rounded_mm, facts.scan.geometry.spacing_mm)
        thick = thick_for(expected.input.thick, z, z_mm)
        slices += [(thick.to_mm if thick else z_mm, facts.case.name)] * (z > 1)
        rows, columns = expected.input.plane
        larger = max(height * row_mm / rows, width * column_mm / columns)
        pixels.append((larger, facts.case.name))
    for what, sizes in (("slices", slices), ("pixels of the network's grid", pixels)):
        if sizes and exceeds(max(sizes)[0], MAX_SPACING_RATIO * min(sizes)[0]):
            (low, finest), (high, coarsest) = min(sizes), max(sizes)
            yield Finding(
                "mixed-spacing",
                "warning",
                "",
                f"{what} are {low:.3g} mm apart in {finest}, {high:.3g} mm in {coarsest}",
                "Set input.thick" if what == "slices" else "Crop the scans to the same part",
            )


def check_nesting_of_most(cohort: Sequence[CaseFacts], expected: Expectations) -> Iterator[Finding]:
    """Find cases in which two masks are nested the other way round than in most cases."""
    inner_first: dict[tuple[str, str], dict[str, bool]] = defaultdict(dict)
    for facts in cohort:
        for pair, overlap in facts.overlaps.items():
            shares = (overlap.first_in_second, overlap.second_in_first)
            if max(shares) >= NESTED and min(shares) <= NOT_EQUAL:
                inner_first[pair][facts.case.name] = shares[0] > shares[1]
    for (first, second), cases in inner_first.items():
        known = expected.inside.get(first) == second or expected.inside.get(second) == first
        if known or len(cases) < MAJORITY_CASES:  # check_nesting finds those that are known
            continue
        share = sum(cases.values()) / len(cases)
        if max(share, 1 - share) >= MAJORITY:
            usual = share > 1 / 2
            inner, outer = (first, second) if usual else (second, first)
            for case, order in cases.items():
                if order != usual:
                    yield swapped_classes(case, inner, outer)


def check_label_counts(cohort: Sequence[CaseFacts], expected: Expectations) -> Iterator[Finding]:
    """Find classes without, or with too few, labels in the training cases."""
    cases = [facts.case for facts in cohort if facts.case.is_for_training]
    for names in expected.masks:
        if not any(set(names) <= set(case.masks) for case in cases):
            columns = " and ".join(f"mask.{name}" for name in names)
            what = f"none of {len(cases)} training cases has {columns}"
            yield Finding("no-labels", "error", "", what, f"Fill {columns} in the cohort's table")
    for name in expected.tags:
        having = sum(_has(case, name) for case in cases)
        if having == 0:
            what = f"none of {len(cases)} training cases is tagged with {name}"
            remedy = f"Fill tag.{name}, or scribble.{name} or box.{name}, in the cohort's table"
            yield Finding("no-labels", "error", "", what, remedy)
        elif having < MIN_POSITIVES:
            what = f"{having} of {len(cases)} training cases have {name}: few for EM"
            yield Finding("few-positives", "warning", "", what, "Add cases that have it")


def _has(case: Case, name: str) -> bool:
    own = case.tags.get(name), *(tags.get(name) for tags in case.slice_tags.values())
    return any(own) or name in case.scribbles or bool(case.boxes.get(name))
