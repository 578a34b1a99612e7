"""A notation for lists of phrases, and its translation to regular expressions.

`a | b` are alternatives, `(a | b)` alternatives inside a phrase, `[a | b]` optional words and
`[a | b]*` optional words that may be repeated. `a$` is `a` at the end of a part of a sentence.
A name in capitals stands for a list of phrases that is defined elsewhere. Anything else is a
regular expression for a word.

Example:
    >>> from wsseg_reports.phrases import pattern
    >>> pattern("no [large | small] (nodule | mass)")
    '(?:no(?: (?:large|small))? (?:nodule|mass))'
"""

import re
from collections.abc import Iterator, Mapping

NO_NAMES: Mapping[str, str] = {}
NAME = re.compile(r"\b[A-Z]{2,}\b")
END = r"(?= ?(?:[.,;)!]|$))"


def pattern(phrases: str, named: Mapping[str, str] = NO_NAMES) -> str:
    """Return a regular expression that matches each of the phrases."""
    while name := NAME.search(phrases):
        phrases = f"{phrases[: name.start()]}({named[name[0]].strip()}){phrases[name.end() :]}"
    return _alternatives(phrases)


def _alternatives(phrases: str) -> str:
    parts = (" ".join(part.split()) for part in _split(phrases, "|"))
    return f"(?:{'|'.join(_sequence(part) for part in parts if part)})"


def _sequence(phrase: str) -> str:
    result, follows_a_word = "", False
    for word in _split(phrase, " "):
        if word.startswith("["):
            words, _, repeated = word[1:].rpartition("]")
            inner, times = _alternatives(words), repeated or "?"
            result += f"(?: {inner}){times}" if follows_a_word else f"(?:{inner} ){times}"
        else:
            result += " " * follows_a_word + _word(word)
            follows_a_word = True
    return result


def _word(word: str) -> str:
    if word.endswith("$"):
        return _word(word[:-1]) + END
    is_group = word.startswith("(") and not word.startswith("(?")
    return _alternatives(word[1:-1]) if is_group else word


def _split(text: str, separator: str) -> Iterator[str]:
    """Split at separators that are not in brackets or parentheses."""
    depth = start = 0
    for match in re.finditer(r"\\.|[()\[\]| ]", text):
        depth += (match[0] in ("(", "[")) - (match[0] in (")", "]"))
        if match[0] == separator and depth == 0:
            yield text[start : match.start()]
            start = match.end()
    yield text[start:]
