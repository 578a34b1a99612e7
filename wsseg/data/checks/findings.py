"""What a check of a cohort can find, and which of it may be accepted."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from wsseg.core.case import Case
from wsseg.errors import InputError, known_words

Severity: TypeAlias = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
ACCEPTABLE = (
    "affine-shift",
    "classes-swapped",
    "clipped",
    "constant-image",
    "duplicate-scan",
    "empty-mask",
    "few-positives",
    "mixed-spacing",
    "no-geometry",
    "not-axial",
    "oblique",
    "odd-spacing",
    "outside-region",
    "padding",
    "tag-contradicts-mask",
    "two-affines",
)
"""What can be worked with. The rest is refused by whatever reads it, and so must be mended."""


@dataclass(frozen=True)
class Finding:
    """Something about a cohort that is wrong, or should be known."""

    name: str
    severity: Severity
    case: str  # or several, by comma; "" of the cohort as a whole
    what: str
    remedy: str

    @property
    def acceptable(self) -> bool:
        """Whether training can go on with it."""
        return self.name in ACCEPTABLE

    @property
    def sentence(self) -> str:
        """All of it, for a message."""
        case = f"case {self.case}: " if self.case else ""
        return f"{case}{self.what.removesuffix('.')}. {self.remedy.removesuffix('.')}."


def told(name: str, case: Case, text: str, remedy: str) -> Finding:
    """Return an error of a case whose text, where it goes on after a full stop, has the remedy."""
    what, _, rest = text.partition(". ")
    return Finding(name, "error", case.name, what, rest.removesuffix(".") or remedy)


def check_acceptable(names: Iterable[str]) -> None:
    """Raise `InputError` for a name that cannot be accepted."""
    for name in names:
        if name not in ACCEPTABLE:
            raise InputError(f"--accept {name}: {known_words(name, ACCEPTABLE)}")


def accepted(findings: Iterable[Finding], names: Collection[str]) -> list[Finding]:
    """Return findings, the worst first; those of `names` are notes."""
    known = [replace(f, severity="note") if f.name in names else f for f in findings]
    return sorted(known, key=lambda finding: SEVERITIES.index(finding.severity))


def accepting(case: Case, names: Collection[str]) -> Case:
    """Return a case as it is read where the findings `names` are accepted."""
    return replace(case, masks_on_grid=True) if "affine-shift" in names else case
