"""Scalars are read by the core schema of YAML 1.2, and written so that any reader agrees."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wsseg.runtime import yaml12


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("No", "No"), ("on", "on"), ("y", "y"), ("true", True), ("FALSE", False),
        ("010", 10), ("-7", -7), ("0o17", 15), ("0xff", 255), ("0b11", "0b11"), ("1_0", "1_0"),
        ("1:30", "1:30"), ("1e3", 1000.0), ("1e-2", 0.01), (".5", 0.5), ("5.", 5.0), ("1.5", 1.5),
        (".inf", math.inf), ("-.INF", -math.inf), ("inf", "inf"), ("1_0.5", "1_0.5"),
        ("~", None), ("null", None), ("", None), ("2001-99-99", "2001-99-99"), ("=", "="),
        ("'010'", "010"), ("!!str 010", "010"), ("!!float 1", 1.0),
    ],
)  # fmt: skip
def test_a_scalar_has_the_value_of_yaml_1_2(text: str, value: object) -> None:
    read = yaml12.load(text)
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize("text", ["!!bool yes", "!!int 1_0", "!!int 1:30", "!!float few"])
def test_a_tag_does_not_bring_back_the_scalars_of_yaml_1_1(text: str) -> None:
    with pytest.raises(ValueError, match="not a YAML value of type"):
        yaml12.load(text)


AMBIGUOUS = st.sampled_from(
    ["yes", "off", "010", "1:30", "1e3", "0o17", "1_0", "2001-01-31", "<<", "=", "~", "", ".inf"]
)


@given(st.lists(AMBIGUOUS | st.text("0123456789eox_.:+-") | st.integers() | st.booleans()))
def test_written_values_are_read_equally_by_yaml_1_1_and_1_2(values: list[object]) -> None:
    text = yaml12.dump(values)
    assert yaml12.load(text) == yaml.safe_load(text) == values


@given(st.floats(allow_nan=False))
def test_a_written_float_is_read_with_the_same_bits(value: float) -> None:
    assert yaml12.load(yaml12.dump(value)) == value
