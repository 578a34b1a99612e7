from typing import final

import pytest
from pydantic import ValidationError
from typing_extensions import override

from wsseg.components.registry import Offer, Registry, registry
from wsseg.core.image_unit import AnyUnit, ImageUnit
from wsseg.core.input import Input, Thick


@final
class Grey(ImageUnit):
    """A unit for tests."""

    name = "grey"
    fill = 3.0
    window = (0.0, 9.0)

    @override
    def mismatch(self, lowest: float, highest: float) -> str:
        return ""


INSTALLED = Registry(offers={(ImageUnit, "grey"): Offer("grey", ImageUnit, Grey, "test", "test 1")})


def test_the_defaults_assume_nothing_about_the_image() -> None:
    plain = Input()
    assert isinstance(plain.unit, AnyUnit)
    assert (plain.thick, plain.clip, plain.fill, plain.fixed_fills(1)) == (None, None, None, None)
    assert (plain.offset, plain.scale) == (0, 1)


def test_thick_slices_have_no_default_spacing() -> None:
    assert {name for name, field in Thick.model_fields.items() if field.is_required()} == {
        "thinner_than_mm",
        "to_mm",
    }


def test_a_unit_is_written_as_its_name_and_read_with_the_registry() -> None:
    read = Input.model_validate({"unit": "grey"}, context=INSTALLED)
    assert read == Input(unit=Grey())
    assert registry().describe(read)["unit"] == "grey"
    assert read.model_dump(mode="json")["unit"] == "grey"
    assert Input.model_validate({"unit": "any"}) == Input()


@pytest.mark.parametrize("unit", ["gray", 7, None, {"use": "grey"}])
def test_an_unknown_unit_is_refused_and_the_known_ones_are_listed(unit: object) -> None:
    with pytest.raises(ValidationError, match=r"no ImageUnit is called .*; possible: grey"):
        Input.model_validate({"unit": unit}, context=INSTALLED)


def test_the_fill_of_the_recipe_takes_precedence_over_that_of_the_unit() -> None:
    assert Input(unit=Grey()).fixed_fills(1) == (3,)
    assert Input(unit=Grey(), fill=-1).fixed_fills(1) == (-1,)
    assert Input(fill=0).fixed_fills(1) == (0,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"slices": 4}, "slices is 4; it must be odd"),
        ({"clip": (5, 5)}, r"clip is \[5.0, 5.0\]; the first value must be lower than the second"),
        (
            {"unit": Grey(), "standardize": "organ"},
            "standardized images are no longer in the unit grey",
        ),
    ],
)
def test_inconsistent_values_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Input.model_validate(values)
