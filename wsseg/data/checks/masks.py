"""Whether masks are those of their image, and say what the tags say."""

from collections.abc import Iterator

from wsseg.data.checks.expected import Expected
from wsseg.data.checks.findings import Finding, told
from wsseg.data.checks.measurements import CaseFacts, MaskFacts
from wsseg.data.prepare import stray_slice

MOST_CLASSES = 16  # of a label image; an image of a scanner has more values
OUTSIDE = 0.1  # of a mask lies in its region: the two have nothing to do with each other
LISTED = 3
CHANGE = "Give the cohort's table the right files"


def exchanged(facts: CaseFacts) -> Finding | None:
    """Find an image that looks like labels, with a mask that looks like an image."""
    if facts.scan is None:
        return None
    values = facts.scan.values
    few = len(values.labels) <= MOST_CLASSES and values.lowest >= 0
    masks = [name for name, mask in facts.masks.items() if mask.distinct > MOST_CLASSES]
    if not (few and masks):
        return None
    return Finding(
        "files-swapped",
        "error",
        facts.case.name,
        f"{facts.case.image.name} looks like a mask, and {facts.case.masks[masks[0]].name}, its "
        f"mask.{masks[0]}, like an image",
        "Exchange the two in the cohort's table",
    )


def check_masks(facts: CaseFacts, expected: Expected) -> Iterator[Finding]:  # noqa: ARG001
    """Find masks that lie elsewhere, have labels nobody knows, are empty or contradict a tag."""
    if facts.scan is not None and (text := stray_slice(facts.case, facts.scan.shape[0])):
        yield told("stray-slice", facts.case, text, "Correct slices.csv")
    for name, mask in facts.masks.items():
        file = facts.case.masks[name].name
        if mask.misplaced:
            what = "affine-shift" if mask.same_shape else "mask-shape"
            yield told(what, facts.case, f"{file}: {mask.misplaced}", CHANGE)
        if mask.strange:
            yield told("unknown-labels", facts.case, f"{file}: {mask.strange}", CHANGE)
        elif mask.same_shape:
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
        first = ", ".join(map(str, differ[:LISTED])) + ", …" * (len(differ) > LISTED)
        wrong = f"tag.{name} and the mask differ in {len(differ)} slices ({first})"
    if wrong:
        remedy = "Correct the tag or the mask"
        yield Finding("tag-contradicts-mask", "error", case.name, wrong, remedy)
    elif not mask.voxels and tag is None and not slices:
        what = f"mask.{name} is empty ({case.masks[name].name}), and no tag says so"
        remedy = "Leave the cell empty where nobody drew it; else give the tag 0"
        yield Finding("empty-mask", "warning", case.name, what, remedy)


def check_nesting(facts: CaseFacts, expected: Expected) -> Iterator[Finding]:
    """Find a mask that holds its region instead of lying in it, or lies elsewhere."""
    for (first, second), overlap in facts.overlaps.items():
        shares = {
            (first, second): overlap.first_in_second,
            (second, first): overlap.second_in_first,
        }
        for (inner, outer), within in shares.items():
            if expected.inside.get(inner) != outer:
                continue
            if within < 1 / 2 and shares[outer, inner] > 1 - OUTSIDE:
                yield swapped(facts.case.name, inner, outer)
            elif within < OUTSIDE:
                what = f"{100 * within:.0f} % of mask.{inner} lies in mask.{outer}, its region"
                yield Finding("outside-region", "warning", facts.case.name, what, CHANGE)


def swapped(case: str, inner: str, outer: str) -> Finding:
    """Return that the masks of two classes are exchanged."""
    what = f"mask.{outer} lies in mask.{inner}, and should be around it: they seem exchanged"
    return Finding("classes-swapped", "error", case, what, CHANGE)
