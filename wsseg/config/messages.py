"""Messages for validation errors, with the keys, files and lines of the settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wsseg.components.registry import UnknownComponentError
from wsseg.config.settings import Key, Settings
from wsseg.core.component import KeyProblemError
from wsseg.errors import known_words

MAX_PROBLEMS = 5  # in a message; later problems often follow from earlier ones


def explain(error: ValidationError, settings: Settings) -> str:
    """Return a message with a line for each key that has a problem.

    A line states the file and the line of the key, the invalid value and the possible values.
    """
    problems: dict[str, list[str]] = {}
    errors = _of_intended_kind(error.errors(include_url=False))
    parents = {problem["loc"][:-1] for problem in errors}  # without invalid items a list is short
    for problem in (p for p in errors if p["type"] != "too_short" or p["loc"] not in parents):
        key, text = _problem(problem, settings.values)
        place, name = settings.place(key), ".".join(map(str, key))
        where = ": ".join(part for part in (place, name) if part) or "recipe"
        problems.setdefault(where, []).append(text)
    lines = [f"{where}: {'; or '.join(texts)}" for where, texts in problems.items()]
    more = len(lines) - MAX_PROBLEMS
    return "\n".join(lines[:MAX_PROBLEMS] + ([f"and {more} more problems"] if more > 0 else []))


def _of_intended_kind(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out that a map is not a text where the map has a problem of its own.

    A key that allows text or a map has an error for each.
    """

    def is_irrelevant(problem: ErrorDetails) -> bool:
        if problem["type"] != "string_type" or not isinstance(problem["input"], Mapping):
            return False
        key = problem["loc"][:-1]
        return any(each["loc"][: len(key)] == key for each in errors if each is not problem)

    return [problem for problem in errors if not is_irrelevant(problem)]


def _problem(problem: Mapping[str, Any], values: Any) -> tuple[Key, str]:
    """Return the key of one of pydantic's errors, and a message with the possible values."""
    context = problem.get("ctx", {})
    key, error = _existing_key(problem["loc"], values), context.get("error")
    if error is not None:
        return key + _inner_key(error), str(error)
    inner: Sequence[str] = ()
    text = problem["msg"].lower().partition(", unable to parse")[0]
    match problem["type"]:
        case "missing":
            inner, text = problem["loc"][-1:], "is missing"
        case "union_tag_not_found":
            inner, text = _quoted(context["discriminator"]), "is missing"
        case "union_tag_invalid":
            inner = _quoted(context["discriminator"])
            text = _unknown(context["tag"], _quoted(context["expected_tags"]))
        case "literal_error":
            text = _unknown(problem["input"], _quoted(context["expected"]))
        case "dict_type" | "dataclass_type" | "model_type" | "model_attributes_type":
            text = f"{problem['input']!r} is not a map {{key: value}}"
        case _ if ", not " not in text:
            text = f"{text}, not {problem['input']!r}"
    return (*key, *inner), text


def _inner_key(error: Exception) -> Key:
    """Return the key, relative to a component, that an error of the component refers to."""
    if isinstance(error, UnknownComponentError):
        return ("use",)
    return error.keys if isinstance(error, KeyProblemError) else ()


def _quoted(text: str) -> list[str]:
    """Return the words in quotation marks in one of pydantic's messages."""
    return text.split("'")[1::2]


def _unknown(word: object, known: Sequence[str]) -> str:
    return f"{word!r} is unknown; {known_words(str(word), known)}"


def _existing_key(loc: Key, values: Any) -> Key:
    """Return pydantic's location without the parts that are not in the settings, such as tags."""
    key: Key = ()
    for part in loc:
        known = values if isinstance(values, dict) else dict(enumerate(_items(values)))
        if part in known:
            values = known[part]
            key = (*key, part)
    return key


def _items(values: Any) -> list[Any]:
    return values if isinstance(values, list) else []
