"""The recipe reference lists everything that a recipe can name."""

from pathlib import Path

import pytest

from docs.recipe_reference import blocks, pages
from tests.markdown import REPOSITORY
from wsseg import Prior, Recipe
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


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    navigation = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page for page in pages() if f"- {page}\n" not in navigation] == []


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


def test_a_field_that_holds_a_part_links_to_the_page_of_its_interface() -> None:
    rows = pages()["reference/priors.md"].splitlines()
    [row] = [
        row
        for row in rows
        if row.startswith("| `priors` |") and "one prior for each class" in row.lower()
    ]
    assert "[Prior](priors.md#prior)" in row
