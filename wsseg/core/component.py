"""The base class of everything that a recipe can choose."""

import inspect
from abc import ABC
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar, Self, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationInfo,
    model_validator,
)

from wsseg.errors import known_words

Keys: TypeAlias = tuple[str, ...]
C = TypeVar("C", bound="Component")


class KeyProblemError(ValueError):
    """A problem with one key of a component; `keys` is the path to it from the component."""

    def __init__(self, keys: tuple[str | int, ...], problem: str) -> None:
        super().__init__(problem)
        self.keys = keys


class Component(BaseModel, ABC):
    """A validated, immutable part of a recipe, saved with every checkpoint.

    Fields are pydantic's. A docstring below a field describes it in the recipe reference. A field
    can be another component: recipes then write `{use: NAME, ...}`. Numbers must be finite, unless
    a field's type is `Annotated[float, AllowInfNan(True)]`; text and bools are not accepted as
    numbers.

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

    default_use: ClassVar[str | None] = None
    """The name of the component that a map without `use` describes; None: `use` is required."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )

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
            if isinstance(value, Mapping) and cls.default_use is not None:
                value = {"use": cls.default_use, **value}
            if not (isinstance(value, Mapping) and "use" in value and info.context is not None):
                names = info.context.names(cls) if info.context is not None else []
                raise ValueError(_how_to_write(cls, value, names))
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
                if key in value:
                    _check_numbers(value[key], getattr(made, name), (key,))
        return made


def _how_to_write(kind: type[Component], value: object, names: Collection[str]) -> str:
    """Return the message for a value that is not of the form `{use: NAME, ...}`."""
    if value in names:
        return f"{value!r} is the name of a component; write {{use: {value}}}"
    words = known_words(str(value), names)
    return f"{value!r} is not a valid {kind.__name__}; write {{use: NAME}}; {words}"


def parts_of(value: object, keys: Keys = ()) -> Iterator[tuple[Keys, Component]]:
    """Yield all components in `value`, each with the path of keys to it, outer ones first."""
    if isinstance(value, Component):
        yield keys, value
        for key, name in type(value).recipe_keys().items():
            yield from parts_of(getattr(value, name), (*keys, key))
    elif isinstance(value, Mapping):
        for word, each in value.items():
            yield from parts_of(each, (*keys, str(word)))
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from parts_of(each, (*keys, str(index)))


def inner_parts(component: Component, kind: type[C]) -> Iterator[C]:
    """Yield the parts of a kind in the fields of a component, but not those inside another one."""
    yield from _outermost([getattr(component, name) for name in type(component).model_fields], kind)


def _outermost(values: Iterable[object], kind: type[C]) -> Iterator[C]:
    for value in values:
        if isinstance(value, kind):
            yield value
        elif isinstance(value, Component):
            yield from inner_parts(value, kind)
        elif isinstance(value, Mapping):
            yield from _outermost(value.values(), kind)
        elif isinstance(value, list | tuple):
            yield from _outermost(value, kind)


def _check_numbers(value: object, made: object, keys: tuple[str | int, ...]) -> None:
    """Check that pydantic converted no text or bool in `value` to a number in `made`."""
    if type(made) in (int, float) and _is_no_number(value):
        raise KeyProblemError(keys, f"must be a number, not {value!r}")
    if isinstance(value, Mapping) and isinstance(made, Mapping):
        for key, each, made_each in zip(value, value.values(), made.values(), strict=False):
            _check_numbers(each, made_each, (*keys, key))
    elif isinstance(value, list | tuple) and isinstance(made, AbstractSet):
        for index, each in enumerate(value):
            _check_numbers(each, next(iter(made), None), (*keys, index))
    elif isinstance(value, list | tuple) and isinstance(made, list | tuple):
        for index, (each, made_each) in enumerate(zip(value, made, strict=False)):
            _check_numbers(each, made_each, (*keys, index))


def _is_no_number(value: object) -> bool:
    """Return whether a value is a bool, or text that pydantic converts to a number."""
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False  # a validator of the field converts it
        return True
    return isinstance(value, bool)
