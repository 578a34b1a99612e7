"""Checks of masks: against their image, against the tags and against each other."""

from collections.abc import Iterator

from wsseg.data.checks.expected import Expectations
from wsseg.data.checks.findings import Finding, case_error
from wsseg.data.checks.measurements import CaseFacts, MaskFacts
from wsseg.data.prepare import stray_slice

MAX_CLASSES = 16  # of a label image; a scan has more values
OUTSIDE = 0.1  # a mask with a smaller share inside its region is misplaced
MAX_SLICES = 3  # listed in a finding
CORRECT_TABLE = "Enter the right files in the cohort's table"


def swapped_files(facts: CaseFacts) -> Finding | None:
    """Find an image that looks like labels and has a mask that looks like an image."""
    if facts.scan is None:
        return None
    is_labels = all(
        len(values.labels) <= MAX_CLASSES and values.lowest >= 0
        for values in facts.scan.values.values()
    )
    masks = [name for name, mask in facts.masks.items() if mask.label_count > MAX_CLASSES]
    if not (is_labels and masks):
        return None
    return Finding(
        "files-swapped",
        "error",
        facts.case.name,
        f"{facts.case.image.name} looks like a mask, and {facts.case.masks[masks[0]].name}, its "
        f"mask.{masks[0]}, like an image",
        "Swap the two in the cohort's table",
    )


def check_masks(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:  # noqa: ARG001
    """Find masks on another grid, with unknown or rounded labels, empty, or contradicting a tag."""
    if facts.scan is not None and (text := stray_slice(facts.case, facts.scan.geometry.shape[0])):
        yield case_error("stray-slice", facts.case, text, "Correct slices.csv")
    for name, mask in facts.masks.items():
        file = facts.case.masks[name].name
        if mask.grid_mismatch:
            what = "affine-shift" if mask.same_shape else "mask-shape"
            yield case_error(what, facts.case, f"{file}: {mask.grid_mismatch}", CORRECT_TABLE)
        if mask.unexpected_labels:
            text = f"{file}: {mask.unexpected_labels}"
            yield case_error("unknown-labels", facts.case, text, CORRECT_TABLE)
        elif mask.label_error:
            what = f"{file}: its labels differ from integers by up to {mask.label_error:.1g}"
            remedy = "They are rounded; nothing needs to be done"
            yield Finding("rounded-labels", "note", facts.case.name, what, remedy)
        if not mask.unexpected_labels and mask.same_shape:
            yield from _check_tags(facts, name, mask)


def _check_tags(facts: CaseFacts, name: str, mask: MaskFacts) -> Iterator[Finding]:
    case, tag = facts.case, facts.case.tags.get(name)
    wrong = ""
    if tag is not None and tag != bool(mask.voxels):
        wrong = f"tag.{name} is {int(tag)}, but the mask " + (
            "is empty" if tag else f"has {mask.voxels} voxels"
        )
    slices = {z: tags[name] for z, tags in case.slice_tags.items() if name in tags}
    differ = [z for z, tag in slices.items() if tag is not None and tag != (z in mask.slices)]
    if differ and not wrong:
        first = ", ".join(map(str, differ[:MAX_SLICES])) + ", …" * (len(differ) > MAX_SLICES)
        wrong = f"tag.{name} and the mask differ in {len(differ)} slices ({first})"
    if wrong:
        remedy = "Correct the tag or the mask"
        yield Finding("tag-contradicts-mask", "error", case.name, wrong, remedy)
    elif not mask.voxels and tag is None and not slices:
        what = f"mask.{name} is empty ({case.masks[name].name}), and there is no tag for it"
        remedy = "Leave the mask out if nobody drew it; otherwise set the tag to 0"
        yield Finding("empty-mask", "warning", case.name, what, remedy)


def check_nesting(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:
    """Find masks that contain their region instead of lying in it, or lie outside it."""
    for (first, second), overlap in facts.overlaps.items():
        shares = {
            (first, second): overlap.first_in_second,
            (second, first): overlap.second_in_first,
        }
        for (inner, outer), within in shares.items():
            if expected.inside.get(inner) != outer:
                continue
            if within < 1 / 2 and shares[outer, inner] > 1 - OUTSIDE:
                yield swapped_classes(facts.case.name, inner, outer)
            elif within < OUTSIDE:
                what = f"{100 * within:.0f} % of mask.{inner} lies in mask.{outer}, its region"
                yield Finding("outside-region", "warning", facts.case.name, what, CORRECT_TABLE)


def swapped_classes(case: str, inner: str, outer: str) -> Finding:
    """Return the finding that the masks of two classes are swapped."""
    what = f"mask.{outer} lies in mask.{inner} and should contain it: they seem to be swapped"
    return Finding("classes-swapped", "error", case, what, CORRECT_TABLE)
