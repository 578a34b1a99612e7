"""Messages for validation errors, with the keys, files and lines of the settings."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wsseg.components.registry import UnknownComponentError
from wsseg.config.settings import RECIPE_MAPS, SELECTORS, SUITE_MAPS, Key, Settings
from wsseg.core.component import KeyProblemError
from wsseg.errors import did_you_mean, known_words
from wsseg.runtime import yaml12

MAX_PROBLEMS = 5  # in a message; later problems often follow from earlier ones
YAML_WORDS = {  # instead of the names of Python's types in pydantic's messages
    "a valid integer": "an integer",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid boolean": "true or false",
    "a valid list": "a list",
    "a valid tuple": "a list",
    "a valid dictionary": "a map",
}


def explain(error: ValidationError, settings: Settings) -> str:
    """Return a message with a line for each key that has a problem.

    A line states the file and the line of the key, the invalid value and the possible values.
    """
    problems: dict[str, list[str]] = {}
    errors = _of_intended_kind(error.errors(include_url=False))
    parents = {problem["loc"][:-1] for problem in errors}  # without invalid items a list is short
    for problem in (p for p in errors if p["type"] != "too_short" or p["loc"] not in parents):
        key, text = _problem(problem, settings.values)
        key, text = _with_removal(key, text, settings)
        place, name = settings.place(key), ".".join(map(str, key))
        where = ": ".join(part for part in (place, name) if part) or "recipe"
        problems.setdefault(where, []).append(text)
    lines = [f"{where}: {'; or '.join(texts)}" for where, texts in problems.items()]
    more = len(lines) - MAX_PROBLEMS
    rest = [f"and {more} more problem{'s' if more > 1 else ''}"] if more > 0 else []
    return "\n".join(lines[:MAX_PROBLEMS] + rest)


def _of_intended_kind(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return errors without wrong types of maps and lists that have errors inside them.

    A key that allows values of several types has an error for each of them.
    """

    def is_irrelevant(problem: ErrorDetails) -> bool:
        return _has_other_type(problem) and any(
            each["loc"][: len(problem["loc"]) - 1] == problem["loc"][:-1]
            for each in errors
            if not _has_other_type(each)
        )

    return [problem for problem in errors if not is_irrelevant(problem)]


def _has_other_type(problem: ErrorDetails) -> bool:
    return problem["type"].endswith("_type") and isinstance(problem["input"], Mapping | list)


def _problem(problem: Mapping[str, Any], values: Any) -> tuple[Key, str]:
    """Return the key of one of pydantic's errors, and a message with the possible values."""
    context, invalid = problem.get("ctx", {}), problem["input"]
    key, error = _existing_key(problem["loc"], values), context.get("error")
    if error is not None:
        key += _inner_key(error)
        return key, _in_yaml(str(error), _value_at(key, values)) + _similar_name(key, values)
    inner: Sequence[str] = ()
    match problem["type"]:
        case "missing":
            inner, text = problem["loc"][-1:], "is missing"
        case "union_tag_not_found":
            inner = _quoted(context["discriminator"])
            text = "is missing" + _similar_name(key, values)
        case "union_tag_invalid":
            inner = _quoted(context["discriminator"])
            text = _unknown(invalid[inner[0]], _quoted(context["expected_tags"]))
        case "literal_error":
            text = _unknown(invalid, _quoted(context["expected"]))
        case "dict_type" | "dataclass_type" | "model_type" | "model_attributes_type":
            text = f"{_shown(invalid)} is not a map {{key: value}}"
            if invalid is None and len(key) == 1 and key[0] in (*RECIPE_MAPS, *SUITE_MAPS):
                text += "; to remove an inherited key, write {key: null}"
        case "too_short" if context["actual_length"] == 0:
            text = "is empty, but must not be"
        case _:
            text = _requirement(problem["msg"])
            text = text if ", not " in text else f"{text}, not {_shown(invalid)}"
    return (*key, *inner), text


def _requirement(message: str) -> str:
    """Return what a value must be, from one of pydantic's messages, in the words of YAML."""
    text = re.split(", (?:unable|got) ", message)[0].replace(" after validation", "")
    text = re.sub("^Input is not a valid path.*", "must be a path", text)
    text = re.sub("^[A-Z][a-z]+ should", "must", text)
    for word, own in YAML_WORDS.items():
        text = text.replace(word, own)
    return text


def _shown(value: object) -> str:
    """Return a value as it is written in a recipe, in one line."""
    if isinstance(value, str):
        return repr(value)
    return yaml12.dump(value, default_flow_style=True, sort_keys=False, width=math.inf).partition(
        "\n"
    )[0]


def _in_yaml(text: str, value: object) -> str:
    """Return a component's message about a value with the value as it is written in a recipe."""
    if value is None:  # no name is similar to null
        text = text.partition(". Did you mean")[0]
    return text if isinstance(value, str) else text.replace(repr(value), _shown(value))


def _similar_name(key: Key, values: Mapping[str, Any]) -> str:
    """Return the name that was probably meant, for a map of settings without `use` or `learn`.

    Such a map changes settings of a part with the same name, but there is none.
    """
    match key:
        case (map_name, str(name), *_) if map_name in RECIPE_MAPS:
            named = _value_at(key[:1], values) or {}  # parts by default are not in the settings
            parts = {n: part for n, part in named.items() if isinstance(part, Mapping)}
            known = [n for n, part in parts.items() if any(word in part for word in SELECTORS)]
            return did_you_mean(name, known) if name in parts and name not in known else ""
    return ""


def _with_removal(key: Key, text: str, settings: Settings) -> tuple[Key, str]:
    """Return the key and the message of a problem that the removal of another key caused."""
    removed = settings.removed(str(key[0])) if len(key) == 1 else {}
    if removed and not settings.values[str(key[0])]:  # nothing is left
        last = list(removed)[-1]
        return (*key, last), f"null removes the last of the {key[0]}; one is needed"
    value = _value_at(key, settings.values)
    for name in RECIPE_MAPS:
        if isinstance(value, str) and (place := settings.removed(name).get(value)):
            return key, f"{text} ({place}: null removes {name}.{value})"
    return key, text


def _inner_key(error: Exception) -> Key:
    """Return the key, relative to a component, that an error of the component refers to."""
    if isinstance(error, UnknownComponentError):
        return ("use",)
    return error.keys if isinstance(error, KeyProblemError) else ()


def _quoted(text: str) -> list[str]:
    """Return the words in quotation marks in one of pydantic's messages."""
    return text.split("'")[1::2]


def _unknown(word: object, known: Sequence[str]) -> str:
    words = known_words("" if word is None else str(word), known)
    return f"{_shown(word)} is unknown; {words}"


def _existing_key(loc: Key, values: Any) -> Key:
    """Return pydantic's location without the parts that are not in the settings, such as tags."""
    key: Key = ()
    for part in loc:
        known = values if isinstance(values, dict) else dict(enumerate(_items(values)))
        if part in known:
            values = known[part]
            key = (*key, part)
    return key


def _value_at(key: Key, values: Any) -> Any:
    """Return the value at a key; an empty text if there is none."""
    for part in key:
        inside = values if isinstance(values, dict) else dict(enumerate(_items(values)))
        values = inside.get(part, "")
    return values


def _items(values: Any) -> list[Any]:
    return values if isinstance(values, list) else []
