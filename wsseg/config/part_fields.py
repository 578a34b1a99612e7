"""The keys of a part or a block of a recipe in words, for the documentation and the terminal."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from wsseg.components.registry import registry
from wsseg.core.component import Component
from wsseg.runtime import yaml12

UNLIMITED_WIDTH = 10**9  # characters, so that YAML does not break a default into several lines
SIMPLE_TYPES = {
    "boolean": "`true` or `false`",
    "null": "`null`",
    "path": "path",
    "string": "string",
}
Naming = Callable[[str], str]
"""How the name of a class is written, such as as a link."""


@dataclass(frozen=True)
class PartField:
    """A key of a part. Words that a recipe would contain are in backticks."""

    key: str
    type: str  # such as "number > 0"
    default: str  # "required" if there is none
    meaning: str


def part_fields(part: type[Component], naming: Naming = str) -> Iterator[PartField]:
    """Yield the keys of a part, in the order of its fields."""
    properties = part.model_json_schema()["properties"]
    for key, name in part.recipe_keys().items():
        field, schema = part.model_fields[name], properties[key]
        meaning = " ".join((field.description or "").split())
        yield PartField(key, type_text(schema, naming), _default(field, schema, naming), meaning)


def type_text(schema: Mapping[str, Any], naming: Naming = str) -> str:
    """Return a JSON Schema in words, such as "number > 0 or `null`"."""
    match schema:
        case {"$ref": str(reference)}:
            text = naming(reference.rpartition("/")[2])
        case {"anyOf": options} | {"oneOf": options}:
            text = " or ".join(type_text(each, naming) for each in options)
        case {"const": value}:
            text = f"`{value}`"
        case {"enum": values}:
            text = " or ".join(f"`{each}`" for each in values)
        case {"type": "array"}:
            text = _array_text(schema, naming)
        case {"type": "object"}:
            inner = type_text(schema.get("additionalProperties", {}), naming)
            text = f"map of names to {inner}"
        case {"type": "number" | "integer" as kind}:
            text = kind + _bounds(schema)
        case _:
            text = SIMPLE_TYPES.get(schema.get("format", schema.get("type")), "any value")
    return text


def _array_text(schema: Mapping[str, Any], naming: Naming) -> str:
    if items := schema.get("prefixItems"):
        return f"[{', '.join(type_text(each, naming) for each in items)}]"
    inner = type_text(schema.get("items") or {}, naming)
    plural = re.sub(r"^(number|integer|string|path|list)\b", r"\1s", inner)
    return f"{'non-empty ' if schema.get('minItems') else ''}list of {plural}"


def _bounds(schema: Mapping[str, Any]) -> str:
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    bounds = [f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema]
    return f" {', '.join(bounds)}" if bounds else ""


def _default(field: FieldInfo, schema: Mapping[str, Any], naming: Naming) -> str:
    if field.is_required():
        return "required"
    if isinstance(schema.get("default"), str):  # also of a part that recipes write as its name
        return f"`{schema['default']}`"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, Component) and not default.model_fields_set:
        if use := registry().name_of(default):
            return f"`{{use: {use}}}`"
        return f"{naming(type(default).__name__)} with its defaults"
    text = yaml12.dump(
        _plain(default), default_flow_style=True, sort_keys=False, width=UNLIMITED_WIDTH
    )
    return f"`{text.partition(chr(10))[0]}`"


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return registry().describe(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return TypeAdapter(Any).dump_python(value, mode="json")
