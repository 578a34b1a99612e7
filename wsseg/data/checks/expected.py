"""What a recipe wants of a cohort."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsseg.core.input import Input


@dataclass(frozen=True)
class Expected:
    """What the cases are to be used for."""

    input: Input
    tags: tuple[str, ...] = ()  # that EM, or another weak stage, learns from
    masks: tuple[tuple[str, ...], ...] = ()  # that a stage learns from, all of them of a case
    inside: Mapping[str, str] = field(default_factory=dict)  # a mask, and the one it lies in
