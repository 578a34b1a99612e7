"""What a recipe expects of a cohort."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsseg.core.input import Input
from wsseg.core.interfaces import Region


@dataclass(frozen=True)
class Expectations:
    """What the cases of a cohort are to be used for."""

    input: Input
    tags: tuple[str, ...] = ()
    """The classes that weak stages learn from tags."""
    ignoring_shares: tuple[str, ...] = ()
    """The classes of weak stages that do not use shares."""
    masks: tuple[tuple[str, ...], ...] = ()
    """The classes of each supervised stage, which needs all their masks of a case."""
    inside: Mapping[str, str] = field(default_factory=dict)
    """The name of the mask that contains a mask, by the name of the inner one."""
    regions: Mapping[str, Region] = field(default_factory=dict)
    """The regions to find and check, by name."""
