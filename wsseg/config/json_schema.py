"""The JSON Schema of recipe files, with which editors complete and check them.

A recipe file may extend other files and be extended, so any key can be set in another file. Nothing
is therefore required, and a map without `use` or `learn` changes a component that another file
chose. `wsseg recipe check` checks that a recipe is complete and that its names exist.
"""

from pathlib import Path
from typing import Any, TypeAlias

from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from wsseg.components.registry import HOOKS, Offer, Registry
from wsseg.config.recipe import Recipe
from wsseg.config.settings import ANCHORS, RECIPE_MAPS
from wsseg.core.component import Component
from wsseg.core.image_unit import ImageUnit

Schema: TypeAlias = dict[str, Any]

DEFINITION = "#/$defs/"


def recipe_schema(found: Registry) -> Schema:
    """Return the schema, draft 2020-12, of recipes with all installed components."""
    kinds = [kind for of in HOOKS.values() for kind in of if issubclass(kind, Component)]
    offers = [offer for offer in found.offers.values() if offer.kind in kinds]
    classes: list[type[Component]] = [Recipe, *kinds, *(offer.part for offer in offers)]
    references, generated = models_json_schema(
        [(each, "validation") for each in dict.fromkeys(classes)],
        schema_generator=_RecipeFileSchema,
    )
    definitions = generated["$defs"]
    names = {of: each["$ref"].removeprefix(DEFINITION) for (of, _), each in references.items()}
    for kind in kinds:
        parts = [_part_schema(o, definitions[names[o.part]]) for o in offers if o.kind is kind]
        about = definitions[names[kind]].get("description", "")
        definitions[names[kind]] = {"description": about, "anyOf": parts or [{"not": {}}]}
    recipe = definitions.pop(names[Recipe])
    properties = {"extends": _extends(found.names(Path))} | recipe["properties"]
    for name in RECIPE_MAPS:
        properties[name] = _removable(properties[name])
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **recipe,
        "properties": properties,
        "patternProperties": {f"^{ANCHORS}": {"description": "Values for YAML aliases."}},
        "$defs": _reachable(recipe, definitions),
    }


class _RecipeFileSchema(GenerateJsonSchema):
    """Pydantic's JSON Schema without required keys and without titles of fields."""

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
    """Return the schema of a component in recipes: a name for a unit, a map for the others."""
    use = {"const": offer.name, "description": f"{offer.summary} ({offer.distribution})"}
    if offer.kind is ImageUnit:
        return use
    return part | {"title": offer.name, "properties": {"use": use} | part["properties"]}


def _removable(named: Schema) -> Schema:
    """Return the schema of a map with names as keys, in which null removes an inherited value."""
    values = {"anyOf": [named["additionalProperties"], {"type": "null"}]}
    return named | {"additionalProperties": values}


def _extends(recipes: list[str]) -> Schema:
    one = {"anyOf": [{"enum": recipes}, {"type": "string", "pattern": r"\.ya?ml$"}]}
    return {
        "description": "The recipe or file to extend, or a list of them; the last has precedence.",
        "anyOf": [*one["anyOf"], {"type": "array", "items": one}],
    }


def _reachable(root: Schema, definitions: dict[str, Schema]) -> dict[str, Schema]:
    """Return the definitions that `root` refers to, directly or indirectly."""
    reachable: dict[str, Schema] = {}
    waiting = _references(root)
    while waiting:
        name = waiting.pop()
        if name not in reachable:
            reachable[name] = definitions[name]
            waiting |= _references(definitions[name])
    return dict(sorted(reachable.items()))


def _references(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for each in value for name in _references(each)}
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"].removeprefix(DEFINITION)} if isinstance(value.get("$ref"), str) else set()
    return own.union(*(_references(each) for each in value.values()))
