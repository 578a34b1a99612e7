"""The base class of everything that a recipe can choose."""

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
    """A problem with one key of a component; `keys` is the path to it from the component."""

    def __init__(self, keys: tuple[str, ...], problem: str) -> None:
        super().__init__(problem)
        self.keys = keys


class Component(BaseModel, ABC):
    """A validated, immutable part of a recipe, saved with every checkpoint.

    Fields are pydantic's. A docstring below a field describes it in the recipe reference. A field
    can be another component: recipes then write `{use: NAME, ...}`.

    Raises:
        pydantic.ValidationError: A value is invalid, or a field does not exist.

    Example:
        >>> from pydantic import PositiveFloat
        >>> from wsseg import Component
        >>> class Smoothing(Component):
        ...     sigma_mm: PositiveFloat = 1
        >>> Smoothing(sigma_mm=2)
        Smoothing(sigma_mm=2.0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def recipe_keys(cls) -> dict[str, str]:
        """Return the field of each recipe key; they differ where a method has the key's name."""
        return {field.alias or name: name for name, field in cls.model_fields.items()}

    @model_validator(mode="wrap")
    @classmethod
    def _by_name(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        """Build the component that `{use: NAME, ...}` names, with the registry in the context."""
        if inspect.isabstract(cls) and not isinstance(value, cls):
            if not (isinstance(value, Mapping) and "use" in value and info.context is not None):
                names = info.context.names(cls) if info.context is not None else []
                raise ValueError(
                    f"{value!r} is not a valid {cls.__name__}; write {{use: NAME}}; "
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
                    raise KeyProblemError((key,), f"expected a number, not {value[key]}")
        return made
