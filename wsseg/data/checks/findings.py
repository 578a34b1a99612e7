"""Findings of a check, and which of them can be accepted."""

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
    "empty-scribble",
    "few-positives",
    "implausible-region",
    "mixed-spacing",
    "no-geometry",
    "not-axial",
    "oblique",
    "odd-spacing",
    "outside-region",
    "padding",
    "resampled",
    "rounded-labels",
    "tag-contradicts-mask",
    "two-affines",
)
"""Findings that can be accepted with `--accept`: training can continue with them."""


@dataclass(frozen=True)
class Finding:
    """A problem of a cohort or of its cases."""

    name: str
    severity: Severity
    case: str
    """The names of the cases, separated by commas; '' if it concerns the cohort."""
    what: str
    remedy: str

    @property
    def acceptable(self) -> bool:
        """Whether training can continue with it."""
        return self.name in ACCEPTABLE

    @property
    def sentence(self) -> str:
        """The case, the problem and the remedy, for a message."""
        return f"case {self.case}: {self.text}" if self.case else self.text

    @property
    def text(self) -> str:
        """The problem and the remedy."""
        return f"{self.what.removesuffix('.')}. {self.remedy.removesuffix('.')}."


def case_error(name: str, case: Case, text: str, remedy: str) -> Finding:
    """Return an error of a case. A second sentence of `text` replaces `remedy`."""
    what, _, rest = text.partition(". ")
    return Finding(name, "error", case.name, what, rest.removesuffix(".") or remedy)


def check_acceptable(names: Iterable[str]) -> None:
    """Raise `InputError` if one of `names` is not a finding that can be accepted."""
    for name in names:
        if name not in ACCEPTABLE:
            raise InputError(f"--accept {name}: {known_words(name, ACCEPTABLE)}")


def with_accepted(findings: Iterable[Finding], names: Collection[str]) -> list[Finding]:
    """Turn the accepted findings, `names`, into notes, and sort all findings by severity."""
    known = [replace(f, severity="note") if f.name in names else f for f in findings]
    return sorted(known, key=lambda finding: SEVERITIES.index(finding.severity))


def case_with_accepted(case: Case, names: Collection[str]) -> Case:
    """Return the case, set to be read despite the accepted findings `names`."""
    return replace(case, masks_on_grid=True) if "affine-shift" in names else case
