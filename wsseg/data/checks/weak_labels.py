"""Checks of scribbles, boxes and shares: against their image, the tags and the true masks."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from wsseg.core.case import Case
from wsseg.data.checks.expected import Expectations
from wsseg.data.checks.findings import Finding, case_error
from wsseg.data.checks.measurements import CaseFacts
from wsseg.data.file_digests import file_digest
from wsseg.data.reading import read_case_grid, read_case_scribble
from wsseg.errors import InputError

REMEDY = "Correct the tag or the {}"
CORRECT_TABLE = "Enter the right file in the cohort's table"


def check_scribbles(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:  # noqa: ARG001
    """Find scribbles that are unreadable, empty, contradict a tag or equal the true mask."""
    case = facts.case
    for name in case.scribbles if facts.scan is not None else ():
        path, mask = case.scribbles[name], case.masks.get(name)
        file = path.name
        if mask is not None and file_digest(path) == file_digest(mask):
            what = f"scribble.{name} and mask.{name} are the same ({file})"
            yield Finding("scribble-is-mask", "error", case.name, what, CORRECT_TABLE)
            continue
        grid = read_case_grid(case)
        try:
            known = read_case_scribble(case, name, grid)
        except InputError as error:
            text = str(error).removeprefix(f"case {case.name}: {path}: ")
            yield case_error("wrong-scribble", case, f"{file}: {text}", CORRECT_TABLE)
            continue
        if not known.any():
            what = f"scribble.{name} labels no pixel ({file})"
            yield Finding("empty-scribble", "warning", case.name, what, "Leave the cell empty")
        shown = np.flatnonzero((known > 0).any(axis=(1, 2))).tolist()
        slices = [grid.slice_in_file(z) for z in shown]
        slices = [case.frame] * bool(slices) if case.frame is not None else slices
        if wrong := [z for z in slices if _excluded(case, name, z)]:
            what = f"tag.{name} is 0, but {file} shows the class in slice {wrong[0]}"
            remedy = REMEDY.format("scribbles")
            yield Finding("tag-contradicts-scribble", "error", case.name, what, remedy)


def check_boxes(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:  # noqa: ARG001
    """Find boxes that are not inside the image, and boxes of a class that a tag excludes."""
    case = facts.case
    if facts.scan is None:
        return
    grid = read_case_grid(case)
    for name, boxes in case.boxes.items():
        for box in boxes:
            (x, right), (y, bottom) = box.x_range, box.y_range
            place = f"box.{name} from x {x:g} to {right:g} and y {y:g} to {bottom:g}"
            remedy = f"The image has {grid.shape[0]} x {grid.shape[1]} pixels"
            _, *ranges = zip(grid.canonical_ranges(box), grid.canonical_shape, strict=True)
            if any(high <= 0 or low >= count for (low, high), count in ranges):
                yield Finding("outside-image", "error", case.name, f"{place} lies outside", remedy)
            elif any(low < -1 or high > count + 1 for (low, high), count in ranges):
                what = f"{place} reaches beyond the image, where it has no effect"
                yield Finding("beyond-image", "warning", case.name, what, remedy)
            if _excluded(case, name, box.slices[0] if box.slices else None):
                what = f"tag.{name} is 0, but there is a box of it"
                remedy = REMEDY.format("box")
                yield Finding("tag-contradicts-box", "error", case.name, what, remedy)


def check_shares(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:  # noqa: ARG001
    """Find shares that contradict a tag: above 0 for an absent class, or 0 for a present one."""
    case = facts.case
    yield from _wrong_shares(case, case.shares, case.tags, "")
    for z, shares in case.slice_shares.items():
        tags = {name: case.tag(name, z) for name in shares}
        yield from _wrong_shares(case, shares, tags, f" in slice {z}")


def check_unused_shares(cohort: Sequence[CaseFacts], expected: Expectations) -> Iterator[Finding]:
    """Find shares that no stage of the recipe uses."""
    for name in expected.ignoring_shares:
        cases = [
            facts.case
            for facts in cohort
            if any(name in each for each in (facts.case.shares, *facts.case.slice_shares.values()))
        ]
        if cases:
            what = f"share.{name} of {len(cases)} cases is not used"
            remedy = "To use it: learn: em, with the E-step adapt or proportion"
            yield Finding("unused-share", "note", "", what, remedy)


def _wrong_shares(
    case: Case, shares: Mapping[str, tuple[float, float]], tags: Mapping[str, object], where: str
) -> Iterator[Finding]:
    for name, (low, high) in shares.items():
        tag = tags.get(name)
        if (tag == 0 and tag is not None and low > 0) or (tag == 1 and high == 0):
            what = f"tag.{name} is {int(tag == 1)}, but share.{name} is {low:g} to {high:g}{where}"
            remedy = REMEDY.format("share")
            yield Finding("tag-contradicts-share", "error", case.name, what, remedy)


def _excluded(case: Case, name: str, z: int | None) -> bool:
    """Return whether the tag of a slice, or of the case, says that a class is absent."""
    tag = case.tags.get(name) if z is None else case.tag(name, z)
    return tag is not None and tag == 0
