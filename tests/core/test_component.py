"""A component accepts only finite numbers, written as numbers."""

from typing import Annotated

import pytest
from pydantic import AllowInfNan, BeforeValidator, Field, ValidationError

from wsseg.core.component import Component


class Numbers(Component):
    """A component with numbers in every kind of container."""

    one: float = 0
    count: int = 0
    pair: tuple[float, float] = (0, 0)
    rows: tuple[tuple[float, ...], ...] = ()
    some: frozenset[int] = frozenset()
    named: dict[str, list[int]] = Field(default_factory=dict)
    limit: Annotated[float, AllowInfNan(True)] = 0
    length_mm: Annotated[float, BeforeValidator(lambda text: float(str(text).split()[0]))] = 0
    on: bool = False
    word: str = ""


@pytest.mark.parametrize("wrong", [True, False, "10", "1_0", "1e3"])
@pytest.mark.parametrize(
    "put",
    [
        lambda x: {"one": x},
        lambda x: {"count": x},
        lambda x: {"pair": [x, 1]},
        lambda x: {"rows": [[1], [2, x]]},
        lambda x: {"some": [x]},
        lambda x: {"named": {"a": [1, x]}},
    ],
)
def test_a_bool_or_text_is_not_a_number_anywhere(put: object, wrong: object) -> None:
    assert callable(put)
    with pytest.raises(ValidationError, match=r"must be a number|valid (integer|number)"):
        Numbers.model_validate(put(wrong))


@pytest.mark.parametrize("key", ["one", "pair", "rows"])
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_is_finite(key: str, value: float) -> None:
    wrong = {"one": value, "pair": [0, value], "rows": [[value]]}[key]
    with pytest.raises(ValidationError, match="finite number"):
        Numbers.model_validate({key: wrong})


def test_a_field_can_allow_infinity_and_convert_text() -> None:
    made = Numbers.model_validate({"limit": float("inf"), "length_mm": "5 mm", "word": "10"})
    assert (made.limit, made.length_mm, made.word) == (float("inf"), 5.0, "10")


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("off", False)])
def test_a_bool_can_be_written_as_a_word(text: str, value: object) -> None:
    assert Numbers.model_validate({"on": text}).on is value


def test_a_default_has_the_type_of_its_field() -> None:
    """A recipe that is saved and read is then equal also in its text: 0.0, and not 0."""
    assert type(Numbers().length_mm) is float
