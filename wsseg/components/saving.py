"""Checks before training that components can be written to a file and read again."""

from typing import Any

from wsseg.components.registry import registry
from wsseg.core.component import Component, Keys, parts_of
from wsseg.core.contracts import component_name
from wsseg.errors import InputError


def check_offered(component: Component) -> None:
    """Check that every part of a component is registered by a plugin, so that files can name it.

    Raises:
        InputError: No plugin registers a part; the message has the keys that lead to it.
    """
    for keys, part in parts_of(component):
        if registry().kind_of(part) is not None and registry().name_of(part) is None:
            raise InputError(
                f"{_place(keys)}{component_name(part)} is not offered by any plugin, so a run with "
                "it could not be loaded again.\n"
                "Offer it in a plugin: see `wsseg.hookimpl`, or start with `wsseg new`."
            )


def check_restored(component: Component, restored: Component) -> None:
    """Check that a component has the same values after it was written and read.

    Raises:
        InputError: A value differs; the message names the part.
    """
    pairs = list(zip(parts_of(component), parts_of(restored), strict=False))
    for (keys, part), (_, again) in reversed(pairs):  # parts inside others first
        written, read = registry().describe(part), registry().describe(again)
        if not _equal_values(written, read):
            raise InputError(
                f"{_place(keys)}{component_name(part)} changes when it is saved and loaded: it is "
                f"saved as {written}, but loaded as {read}.\n"
                "Check the plugin: wsseg plugins check"
            )


def check_no_hidden_state(component: Component, restored: Component) -> None:
    """Check that a component loses nothing that it has learnt when it is written and read.

    Raises:
        InputError: A private attribute differs; the message names it.
    """
    pairs = zip(parts_of(component), parts_of(restored), strict=False)
    for (keys, part), (_, again) in pairs:
        for name, value in (part.__pydantic_private__ or {}).items():
            if not _equal(value, (again.__pydantic_private__ or {}).get(name)):
                raise InputError(
                    f"{_place(keys)}{component_name(part)} stores what it learned in the private "
                    f"attribute {name}, which is not saved.\n"
                    "Store it in a field."
                )


def _place(keys: Keys) -> str:
    return f"{'.'.join(keys)}: " if keys else ""


def _equal_values(one: Any, other: Any) -> bool:
    """Return whether two plain values are equal; NaN equals NaN, and 1 equals 1.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal_values(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal_values, one, other))
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except (TypeError, ValueError, RuntimeError):  # arrays have no truth value
        return False
