"""The keys of parts in words."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, PositiveFloat, PositiveInt, TypeAdapter

from wsseg import Component, Prior
from wsseg.config.part_fields import PartField, part_fields, type_text


class Holder(Component):
    sigma_mm: PositiveFloat = 2
    """Width of the filter,
    in mm."""
    inner: Prior


def test_a_key_has_type_default_and_meaning() -> None:
    assert list(part_fields(Holder)) == [
        PartField("sigma_mm", "number > 0", "`2`", "Width of the filter, in mm."),
        PartField("inner", "Prior", "required", ""),
    ]


def test_the_names_of_parts_can_be_links() -> None:
    assert [field.type for field in part_fields(Holder, "<{}>".format)][1] == "<Prior>"


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
