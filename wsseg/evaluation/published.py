"""Published results of the experiment that a suite repeats."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, FiniteFloat

from wsseg.core.component import Component

FigureName: TypeAlias = Literal["agreement", "groups", "settings", "rates", "dilation", "overlays"]


class PublishedResults(Component):
    """Published results, which the report shows with those of the suite."""

    source: str
    """The publication."""
    methods: dict[str, dict[str, FiniteFloat]] = Field(default_factory=dict)
    """Published numbers: a mapping of methods to columns of the summary, such as `dice_pooled`."""
    notes: dict[FigureName, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """What a published figure shows, by the name of the report's corresponding figure."""
