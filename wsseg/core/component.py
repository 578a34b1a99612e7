"""What every choice in a recipe is."""

import inspect
from abc import ABC
from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationInfo,
    model_validator,
)

from wsseg.errors import known_words


class KeyProblemError(ValueError):
    """Something is wrong with one key of a component; `keys` is the way to it from there."""

    def __init__(self, keys: tuple[str, ...], problem: str) -> None:
        super().__init__(problem)
        self.keys = keys


class Component(BaseModel, ABC):
    """One choice of a recipe: validated, immutable, and saved in every checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def recipe_keys(cls) -> dict[str, str]:
        """Return the field of each key of a recipe: another name where a method has the key's."""
        return {field.alias or name: name for name, field in cls.model_fields.items()}

    @model_validator(mode="wrap")
    @classmethod
    def _by_name(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        """Build `{use: name, ...}`, also inside another component, with the validating registry."""
        if inspect.isabstract(cls) and not isinstance(value, cls):
            if not (isinstance(value, Mapping) and "use" in value and info.context is not None):
                names = info.context.names(cls) if info.context is not None else []
                raise ValueError(
                    f"{value!r} names no {cls.__name__}; write {{use: NAME}}; "
                    + known_words(str(value), names)
                )
            made: Self = info.context.make(cls, **value)
            return made
        if isinstance(value, Mapping):
            for key in value:
                if key not in cls.recipe_keys():
                    words = known_words(str(key), cls.recipe_keys())
                    raise KeyProblemError((str(key),), f"unknown key; {words}")
        made = handler(value)
        if isinstance(value, Mapping):
            for key, name in cls.recipe_keys().items():
                if isinstance(value.get(key), bool) and type(getattr(made, name)) in (int, float):
                    raise KeyProblemError((key,), f"a number is wanted, not {value[key]}")
        return made
