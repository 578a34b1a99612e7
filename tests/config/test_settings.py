"""Settings are parsed from YAML with the place of each value, and merged."""

import pytest

from wsseg.config.settings import Settings, parse_assignment, parse_settings
from wsseg.errors import InputError


def parse(text: str) -> Settings:
    return parse_settings(text, "a.yaml")


def test_the_place_of_a_key_is_its_line() -> None:
    settings = parse("a: 1\nb:\n  c: [5, 6]\n")
    assert settings.values == {"a": 1, "b": {"c": [5, 6]}}
    assert settings.place(("b", "c")) == "a.yaml:3"
    assert settings.place(("b", "nothing", "there")) == "a.yaml:2"


def test_the_place_of_a_map_without_a_line_is_that_of_a_key_inside_it() -> None:
    merged = parse("a: 1").merged(parse_assignment("b.c=2"))
    assert merged.place(("b",)) == "--set b.c=2"
    assert merged.place(("b", "c", "d")) == "--set b.c=2"


def test_maps_are_merged_and_lists_and_scalars_are_replaced() -> None:
    merged = parse("m: {x: 1, y: [1, 2]}\nn: 3").merged(parse("m: {y: [9]}\nn: 4"))
    assert merged.values == {"m": {"x": 1, "y": [9]}, "n": 4}


def test_a_map_with_another_use_replaces_the_map() -> None:
    parent = parse("prior: {use: hu-sigmoid, midpoint_hu: -34}")
    same = parent.merged(parse("prior: {use: hu-sigmoid, width_hu: 1}"))
    other = parent.merged(parse("prior: {use: constant}"))
    assert same.values["prior"] == {"use": "hu-sigmoid", "midpoint_hu": -34, "width_hu": 1}
    assert other.values["prior"] == {"use": "constant"}
    assert ("prior", "midpoint_hu") not in other.places


def test_a_map_without_learn_changes_single_keys() -> None:
    merged = parse("stage: {learn: em, epochs: 50}").merged(parse("stage: {epochs: 8}"))
    assert merged.values == {"stage": {"learn": "em", "epochs": 8}}


def test_a_merged_value_has_the_place_of_its_last_definition() -> None:
    merged = parse("a: 1\nb: 2").merged(parse_settings("b: 3", "child.yaml"))
    assert merged.place(("a",)) == "a.yaml:1"
    assert merged.place(("b",)) == "child.yaml:1"


def test_the_value_of_an_assignment_is_yaml() -> None:
    assert parse_assignment("a.b=[1, x]").values == {"a": {"b": [1, "x"]}}
    assert parse_assignment("a=").values == {"a": None}


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1", "a=[1"])
def test_an_invalid_assignment_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--set"):
        parse_assignment(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "a.yaml:1: not valid YAML|a.yaml:2: not valid YAML"),
        ("- 1\n- 2", "a.yaml: contains a value of type list instead of a map"),
        ("a: 1\na: 2", "a.yaml:2: 'a' appears twice"),
        (
            "a: !!python/object/apply:os.system [true]",
            "a.yaml:1: tag .* is not allowed; use plain values",
        ),
        ("a: !mine 3", "a.yaml:1: tag .* is not allowed; use plain values"),
        ("? [1, 2]\n: 3", "a key must be a word"),
        ("a: !!bool yes", "a.yaml:1: 'yes': not a YAML value of type bool"),
        ("a: !!timestamp 2001-01-31", "a.yaml:1: tag .* is not allowed; use plain values"),
        ("a: " + "9" * 5000, "a.yaml:1: '9999"),
        ("x: &x [*x]", "alias contains itself"),
        ("a: " + "[" * 3000, "a.yaml"),
    ],
)
def test_malicious_or_invalid_yaml_is_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text)


def test_nested_aliases_with_too_many_values_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(InputError, match="over 100000 values, perhaps by nested aliases"):
        parse("\n".join(lines))
