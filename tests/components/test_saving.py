"""Whether what is written can be read again is checked before any training."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import BeforeValidator, PrivateAttr

import wsseg
from wsseg.components.registry import UnsavableError, registry
from wsseg.components.saving import check_no_hidden_state, check_offered, check_restored
from wsseg.testing.assertions import assert_can_be_saved


class Side(StrEnum):
    """The side of a body."""

    LEFT = "left"
    RIGHT = "right"


class Halved(wsseg.Component):
    """A value that is halved whenever it is read."""

    share: Annotated[float, BeforeValidator(lambda value: value / 2)] = 1


class Values(wsseg.Component):
    """Values of types that neither YAML nor JSON has."""

    side: Side = Side.LEFT
    names: frozenset[str] = frozenset()
    path: Path = Path("a")
    pair: tuple[float, float] = (0, 1)
    number: Any = None


class Remembers(wsseg.Prior):
    """Keeps what it learns outside its fields."""

    _mean: Any = PrivateAttr(default=None)

    def __call__(self, batch: wsseg.Batch) -> wsseg.Probability:
        return batch.support * 0.5


class Half(wsseg.EStep):
    """Is offered by no plugin."""

    def __call__(self, evidence: wsseg.Evidence) -> wsseg.Probability:
        return evidence.batch.support * 0.5


class Outer(wsseg.Component):
    """A component with others inside."""

    parts: dict[str, list[wsseg.EStep]]


def test_values_of_other_types_are_described_by_plain_ones() -> None:
    values = Values(side=Side.RIGHT, names=frozenset("cab"), number=np.float32(0.5))
    described = registry().describe(values)
    assert described == {
        "side": "right",
        "names": ["a", "b", "c"],
        "path": "a",
        "pair": [0.0, 1.0],
        "number": 0.5,
    }
    assert [type(described[key]) for key in ("side", "number")] == [str, float]


def test_a_component_with_an_enum_a_frozenset_and_a_numpy_number_can_be_saved() -> None:
    assert_can_be_saved(Values(side=Side.RIGHT, names=frozenset("cab"), number=np.float32(0.5)))


@pytest.mark.parametrize("value", [object(), np.ones(2), lambda: 0])
def test_a_value_that_cannot_be_saved_is_named_with_its_field(value: object) -> None:
    with pytest.raises(UnsavableError, match="Values: the value of 'number' cannot be saved"):
        registry().describe(Values(number=value))
    with pytest.raises(AssertionError, match="the value of 'number' cannot be saved"):
        assert_can_be_saved(Values(number=value))


def test_a_part_that_no_plugin_offers_is_named_with_its_keys() -> None:
    known = wsseg.make(wsseg.EStep, "hard")
    check_offered(Outer(parts={"lesion": [known]}))
    with pytest.raises(
        wsseg.InputError, match=r"^parts\.lesion\.1: Half .* not offered by any plugin"
    ):
        check_offered(Outer(parts={"lesion": [known, Half()]}))


def test_a_nested_part_is_named_if_reading_changes_it() -> None:
    class Nested(wsseg.Component):
        halved: Halved = Halved()

    read = Nested.model_validate({"halved": {"share": 1.0}})
    with pytest.raises(wsseg.InputError, match=r"^halved: Halved .*'share': 1.*'share': 0.5"):
        check_restored(Nested(halved=Halved.model_construct(share=1.0)), read)
    check_restored(read, read)


def test_nan_counts_as_equal_after_reading() -> None:
    nan = Values(number=float("nan"))
    check_restored(nan, Values(number=float("nan")))


@pytest.mark.parametrize("learnt", [3.5, np.arange(3.0)])
def test_a_private_attribute_that_is_lost_is_named(learnt: object) -> None:
    fitted = Remembers()
    check_no_hidden_state(fitted, Remembers())
    fitted._mean = learnt
    with pytest.raises(wsseg.InputError, match=r"Remembers .*_mean, which is not saved"):
        check_no_hidden_state(fitted, Remembers())
