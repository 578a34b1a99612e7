"""The recipe reference lists everything that a recipe can name."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, PositiveFloat, PositiveInt, TypeAdapter

from docs.recipe_reference import blocks, pages, type_text
from wsseg import Component, Prior, Recipe
from wsseg.components.registry import Offer, registry
from wsseg.config.stages import Average, EmStage

OFFERS = list(registry().offers.values())


@pytest.fixture(scope="module")
def reference() -> str:
    return "\n".join(pages().values())


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.name)
def test_a_registered_part_has_a_section_with_a_row_for_each_of_its_keys(
    offer: Offer, reference: str
) -> None:
    if offer.kind is Path:
        assert f"\n## `{offer.name}`\n" in reference
        return
    _, found, after = reference.partition(f"\n### `{offer.name}` {{: #{anchor(offer)} }}\n")
    assert found
    section = after.partition("\n## ")[0].partition("\n### ")[0]
    assert f"::: {offer.part.__module__}.{offer.part.__name__}\n" in section
    assert [key for key in offer.part.recipe_keys() if f"\n| `{key}` | " not in section] == []


def anchor(offer: Offer) -> str:
    return f"{offer.kind.__name__.lower()}-{offer.name}"


def test_every_block_of_a_recipe_has_a_section() -> None:
    found = blocks(Recipe)
    assert {Recipe, EmStage, Average} <= set(found)
    assert Prior not in found
    for block in found:
        assert f"\n## {block.__name__}\n" in pages()["reference/recipe.md"]


def test_a_row_has_type_default_and_meaning() -> None:
    rows = pages()["reference/esteps.md"].splitlines()
    [row] = [row for row in rows if row.startswith("| `at` |")]
    key, kind, default, meaning = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert (key, default) == ("`at`", "required")
    assert kind == "number ≥ 0, ≤ 1"
    assert meaning


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (PositiveFloat, "number > 0"),
        (Annotated[int, Field(ge=2, lt=9)], "integer ≥ 2, < 9"),
        (list[PositiveFloat], "list of numbers > 0"),
        (Annotated[list[str], Field(min_length=1)], "non-empty list of strings"),
        (tuple[float, float] | None, "[number, number] or `null`"),
        (dict[str, PositiveInt], "map of names to integer > 0"),
        (Path, "path"),
        (bool, "`true` or `false`"),
        (Any, "any value"),
    ],
)
def test_types_are_written_in_words(annotation: Any, text: str) -> None:
    assert type_text(TypeAdapter(annotation).json_schema()) == text


def test_a_field_that_holds_a_part_links_to_the_page_of_its_interface() -> None:
    class Holder(Component):
        inner: Prior

    schema = Holder.model_json_schema()["properties"]["inner"]
    assert type_text(schema) == "[Prior](priors.md#prior)"
