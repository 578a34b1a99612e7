"""State that a component keeps outside its fields, or changes in them: it would not be saved."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from torch import Tensor

from wsseg.core.component import Component, Keys, parts_of

Attributes: TypeAlias = dict[tuple[Keys, str], object]


def attributes_of(component: Component) -> Attributes:
    """Return a copy of all attributes of a component and its inner components, to compare later.

    The keys are the path of keys to a component, and the name of the attribute.
    """
    return {
        (keys, name): _copied(value)
        for keys, part in parts_of(component)
        for name, value in _own_attributes(part).items()
    }


def changed_attribute(component: Component, before: Attributes) -> tuple[Keys, str] | None:
    """Return the path and name of an attribute that differs from `before`, or None."""
    after = attributes_of(component)
    changed = (key for key in after | before if after.get(key) != before.get(key))
    return next(changed, None)


def _own_attributes(part: Component) -> dict[str, object]:
    """Return the attributes of a component: fields, private attributes and all others."""
    return {**vars(part), **(part.__pydantic_private__ or {})}


def _copied(value: object) -> object:
    """Return a value that differs from that of a later call if anything in `value` has changed."""
    if isinstance(value, Component):
        return type(value)  # the attributes of inner components are listed on their own
    if isinstance(value, Mapping):
        return {repr(key): _copied(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(each) for each in value]
    if isinstance(value, Tensor):
        value = value.detach().cpu().float().numpy()
    if isinstance(value, np.ndarray):
        return (value.shape, str(value.dtype), value.tobytes())
    return repr(value)
