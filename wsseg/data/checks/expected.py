"""What a recipe expects of a cohort."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsseg.core.input import Input


@dataclass(frozen=True)
class Expectations:
    """What the cases of a cohort are to be used for."""

    input: Input
    tags: tuple[str, ...] = ()
    """The classes that weak stages learn from tags."""
    masks: tuple[tuple[str, ...], ...] = ()
    """The classes of each supervised stage, which needs all their masks of a case."""
    inside: Mapping[str, str] = field(default_factory=dict)
    """For masks that lie inside another one: the name of that one, by their own."""
