"""What every choice in a recipe is."""

from abc import ABC
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationInfo, model_validator


class Component(BaseModel, ABC):
    """One choice of a recipe: validated, immutable, and saved in every checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _by_name(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        """Build `{use: name, ...}`, also inside another component, with the validating registry."""
        if isinstance(value, Mapping) and "use" in value and info.context is not None:
            made: Self = info.context.make(cls, **value)
            return made
        return handler(value)
