"""The JSON Schema accepts all recipes of this repository and refuses invalid ones."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml
from jsonschema import Draft202012Validator
from pydantic import PositiveFloat

from wsseg import Batch, InputError, Prior, Probability, hookimpl
from wsseg.components.registry import Registry, registry
from wsseg.config.json_schema import recipe_schema
from wsseg.config.recipe_files import load_recipe, recipe_text

if TYPE_CHECKING:
    from tests.conftest import Wsseg

FREE_KEYS = ("stages", "regions", "metrics", "scores")  # maps whose keys are arbitrary


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    found = recipe_schema(registry())
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


def written(text: str) -> Any:
    return yaml.safe_load(text)


def resolved(name: str) -> Any:
    return written(recipe_text(load_recipe(name)))


def test_the_files_of_all_recipes_are_valid(schema: Draft202012Validator) -> None:
    for name in registry().names(Path):
        schema.validate(written(registry().find(Path, name).read_text(encoding="utf-8")))


def test_all_complete_recipes_are_valid_with_all_their_defaults(
    schema: Draft202012Validator,
) -> None:
    incomplete = set()
    for name in registry().names(Path):
        try:
            recipe = resolved(name)
        except InputError:
            incomplete.add(name)
        else:
            schema.validate(recipe)
    assert incomplete == {"covid/base", "covid/demo"}


def test_null_in_a_map_of_named_parts_and_keys_for_anchors_are_valid(
    schema: Draft202012Validator,
) -> None:
    schema.validate({"x-own": [1], **{key: {"inherited": None} for key in FREE_KEYS}})
    assert not schema.is_valid({"y-own": [1]})


def keys(values: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to each key of nested maps and lists."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in pairs:
        if isinstance(values, dict):
            yield (*above, key)
        if isinstance(value, dict | list):
            yield from keys(value, (*above, key))


def misspelt(recipe: Any, path: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(recipe)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[f"{path[-1]}x"] = parent.pop(path[-1])
    return changed


@pytest.mark.parametrize("name", ["covid/demo-phi2-bounded", "covid/threshold"])
def test_every_misspelt_key_is_refused(schema: Draft202012Validator, name: str) -> None:
    recipe = resolved(name)
    paths = [path for path in keys(recipe) if path[-2:-1] not in {(key,) for key in FREE_KEYS}]
    assert len(paths) > 40
    accepted = [path for path in paths if schema.is_valid(misspelt(recipe, path))]
    assert accepted == []


@pytest.mark.parametrize(
    "text",
    [
        "stages: {a: {prior: {use: hu-sigmoit}}}",
        "stages: {a: {prior: {use: hu-sigmoid, tissue_hu: 3}}}",  # two-gaussian's
        "stages: {a: {prior: {use: two-gaussian, tissue_sd: -3}}}",
        "stages: {a: {estep: {use: scheduled, first: {use: herd}}}}",
        "stages: {a: {estep: {use: constant}}}",
        "stages: {a: {learn: magic}}",
        "stages: {a: {learn: nothing, epochs: 3}}",
        "stages: {a: {optimizer: {use: adan}}}",
        "cohort: {cases: many}",
        "input: {edges: repaet}",
        "seed: one",
        "extends: covid/phi3",
        "extends: [covid/phi2, demo]",
        "- seed",
    ],
)
def test_invalid_recipes_are_refused(schema: Draft202012Validator, text: str) -> None:
    assert not schema.is_valid(written(text))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "extends: [covid/phi2, small.yaml]",
        "stages: {a: {prior: {width_hu: 3}}}",  # of a prior in another file
        "stages: {a: {epochs: 3}}",
        "stages: {a: {optimizer: {lr: [[5, 1.0e-2]]}, backbone: null}}",
        "stages: {a: {estep: {use: scheduled, first: {use: soft}, then: {use: adapt}}}}",
    ],
)
def test_keys_that_another_file_can_set_are_not_required(
    schema: Draft202012Validator, text: str
) -> None:
    schema.validate(written(text))


class Steep(Prior):
    """A sigmoid of the pixel value."""

    per_hu: PositiveFloat

    def __call__(self, batch: Batch) -> Probability:
        return torch.sigmoid(batch.middle * self.per_hu).expand(batch.support.shape)


def test_a_component_of_a_plugin_is_in_the_schema_with_its_docstring() -> None:
    module = ModuleType("a_plugin")
    module.wsseg_priors = hookimpl(lambda: {"lab/steep": Steep})  # type: ignore[attr-defined]
    found = Registry()
    found.add("mine", "wsseg-mine 1.0", module)
    schema = recipe_schema(found)
    (prior,) = schema["$defs"]["Prior"]["anyOf"]
    assert prior["title"] == "lab/steep"
    assert prior["description"] == "A sigmoid of the pixel value."
    assert prior["properties"]["use"]["const"] == "lab/steep"
    assert "wsseg-mine 1.0" in prior["properties"]["use"]["description"]
    valid = Draft202012Validator(schema).is_valid
    assert valid({"stages": {"a": {"prior": {"use": "lab/steep", "per_hu": 2}}}})
    assert not valid({"stages": {"a": {"prior": {"use": "lab/steep", "per_hu": 0}}}})


def test_a_kind_without_installed_components_accepts_no_value() -> None:
    schema = recipe_schema(Registry())
    Draft202012Validator.check_schema(schema)
    assert not Draft202012Validator(schema).is_valid({"cohort": {"use": "table"}})
    assert Draft202012Validator(schema).is_valid({"seed": 3})


def test_every_stage_and_component_has_a_description(schema: Draft202012Validator) -> None:
    definitions = schema.schema["$defs"]
    assert all(each["description"] for each in definitions.values())
    offers = [offer for offer in registry().offers.values() if offer.kind is not Path]
    parts = [part for each in definitions.values() for part in each.get("anyOf", [])]
    parts = [part for part in parts if part != {"not": {}}]  # of a kind that only plugins offer
    names = [part.get("title", part.get("const")) for part in parts]  # a unit is a name alone
    assert sorted(names) == sorted(offer.name for offer in offers)


def undescribed(definition: Any) -> set[str]:
    keys = definition.get("properties", {}).items()
    own = {key for key, value in keys if not value.get("description")}
    return own.union(*(undescribed(each) for each in definition.get("anyOf", [])))


def test_every_key_of_a_recipe_has_a_description(schema: Draft202012Validator) -> None:
    root = schema.schema
    missing = {name: undescribed(each) for name, each in root["$defs"].items()}
    assert {name: keys for name, keys in missing.items() if keys} == {}
    assert undescribed(root) == set()


def test_wsseg_recipe_schema_prints_the_schema(wsseg: "Wsseg") -> None:
    ended = wsseg("recipe", "schema")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == recipe_schema(registry())
