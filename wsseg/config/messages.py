"""What is wrong with settings, in the words of the person who wrote them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from wsseg.components.registry import UnknownComponentError
from wsseg.config.settings import Key, Settings
from wsseg.core.component import KeyProblemError
from wsseg.errors import known_words

MOST_PROBLEMS = 5  # shown of one recipe; mending these may mend the rest


def explain(error: ValidationError, settings: Settings) -> str:
    """Say in the file's own terms what is wrong with `settings`, a line a problem."""
    problems: dict[str, list[str]] = {}
    found = error.errors(include_url=False)
    within = {problem["loc"][:-1] for problem in found}  # a list without its wrong items is short
    for problem in (p for p in found if p["type"] != "too_short" or p["loc"] not in within):
        key, text = _explain(problem, settings.values)
        place, name = settings.place(key), ".".join(map(str, key))
        where = ": ".join(part for part in (place, name) if part) or "recipe"
        problems.setdefault(where, []).append(text)
    lines = [f"{where}: {'; or '.join(texts)}" for where, texts in problems.items()]
    more = len(lines) - MOST_PROBLEMS
    return "\n".join(lines[:MOST_PROBLEMS] + ([f"and {more} more problems"] if more > 0 else []))


def _explain(problem: Mapping[str, Any], values: Any) -> tuple[Key, str]:
    """Return the key that a problem is with, and what is wrong and possible there."""
    context = problem.get("ctx", {})
    key, error = _written(problem["loc"], values), context.get("error")
    if error is not None:
        return key + _further(error), str(error)
    further: Sequence[str] = ()
    text = problem["msg"].lower()
    match problem["type"]:
        case "missing":
            further, text = problem["loc"][-1:], "is missing"
        case "union_tag_not_found":
            further, text = _quoted(context["discriminator"]), "is missing"
        case "union_tag_invalid":
            further = _quoted(context["discriminator"])
            text = _not_among(context["tag"], _quoted(context["expected_tags"]))
        case "literal_error":
            text = _not_among(problem["input"], _quoted(context["expected"]))
        case "dict_type" | "dataclass_type" | "model_type" | "model_attributes_type":
            text = f"{problem['input']!r} is no map {{key: value}}"
        case _ if ", not " not in text:
            text = f"{text}, not {problem['input']!r}"
    return (*key, *further), text


def _further(error: Exception) -> Key:
    """Return the way on from a component to the key that an error of its own is with."""
    if isinstance(error, UnknownComponentError):
        return ("use",)
    return error.keys if isinstance(error, KeyProblemError) else ()


def _quoted(text: str) -> list[str]:
    """Return the words that a message of pydantic's has in quotation marks."""
    return text.split("'")[1::2]


def _not_among(word: object, known: Sequence[str]) -> str:
    return f"{word!r} is unknown; {known_words(str(word), known)}"


def _written(loc: Key, values: Any) -> Key:
    """Drop the parts of pydantic's location that nobody wrote: union members and tags."""
    key: Key = ()
    for part in loc:
        known = values if isinstance(values, dict) else dict(enumerate(_items(values)))
        if part in known:
            values = known[part]
            key = (*key, part)
    return key


def _items(values: Any) -> list[Any]:
    return values if isinstance(values, list) else []
