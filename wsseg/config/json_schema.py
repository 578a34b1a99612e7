"""The JSON Schema of recipes as they are written: editors complete and check them with it.

A recipe's file may extend others and be extended, so that any value can be left to another file:
nothing is required, and a map without `use` or `learn` changes a part that another file chose. That
a recipe is whole, and that its names meet, is what `wsseg recipe check` tells.
"""

from pathlib import Path
from typing import Any, TypeAlias

from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from wsseg.components.registry import HOOKS, Offer, Registry
from wsseg.config.recipe import Recipe
from wsseg.core.component import Component
from wsseg.core.image_unit import ImageUnit

Schema: TypeAlias = dict[str, Any]

DEFINITION = "#/$defs/"


def recipe_schema(found: Registry) -> Schema:
    """Return a schema, draft 2020-12, of recipes made of all that is installed."""
    kinds = [kind for of in HOOKS.values() for kind in of if issubclass(kind, Component)]
    offers = [offer for offer in found.offers.values() if offer.kind in kinds]
    classes: list[type[Component]] = [Recipe, *kinds, *(offer.part for offer in offers)]
    references, generated = models_json_schema(
        [(each, "validation") for each in dict.fromkeys(classes)], schema_generator=_AsWritten
    )
    definitions = generated["$defs"]
    names = {of: each["$ref"].removeprefix(DEFINITION) for (of, _), each in references.items()}
    for kind in kinds:
        parts = [_part_schema(o, definitions[names[o.part]]) for o in offers if o.kind is kind]
        about = definitions[names[kind]].get("description", "")
        definitions[names[kind]] = {"description": about, "anyOf": parts or [{"not": {}}]}
    recipe = definitions.pop(names[Recipe])
    own = {"extends": _extends(found.names(Path))}
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **recipe,
        "properties": own | recipe["properties"],
        "$defs": _reached(recipe, definitions),
    }


class _AsWritten(GenerateJsonSchema):
    """Pydantic's schema without what only a whole recipe has."""

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,  # noqa: ARG002
        total: bool,  # noqa: ARG002, FBT001 - as pydantic calls it
    ) -> bool:
        return False

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - as pydantic calls it
        return False

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> Schema:
        return {"anyOf": [self.generate_inner(each) for each in schema["choices"].values()]}


def _part_schema(offer: Offer, part: Schema) -> Schema:
    """Return the schema of a part as recipes write it: a unit as its name, others as a map."""
    use = {"const": offer.name, "description": f"{offer.summary} ({offer.distribution})"}
    if offer.kind is ImageUnit:
        return use
    return part | {"title": offer.name, "properties": {"use": use} | part["properties"]}


def _extends(recipes: list[str]) -> Schema:
    one = {"anyOf": [{"enum": recipes}, {"type": "string", "pattern": r"\.ya?ml$"}]}
    return {
        "description": "A recipe or a file that this one changes, or a list; the last on top.",
        "anyOf": [*one["anyOf"], {"type": "array", "items": one}],
    }


def _reached(root: Schema, definitions: dict[str, Schema]) -> dict[str, Schema]:
    """Return the definitions that `root` refers to, by way of others too."""
    reached: dict[str, Schema] = {}
    waiting = _references(root)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = definitions[name]
            waiting |= _references(definitions[name])
    return dict(sorted(reached.items()))


def _references(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for each in value for name in _references(each)}
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"].removeprefix(DEFINITION)} if isinstance(value.get("$ref"), str) else set()
    return own.union(*(_references(each) for each in value.values()))
