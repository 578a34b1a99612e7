"""The two ways in which a command ends without a result."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """What was given cannot be used (exit code 2).

    The text says in one to three lines what came, what is possible and what to do.
    """


class WorkError(Exception):
    """What was given was fine, but the work failed (exit code 1)."""


class InterruptedWorkError(WorkError):
    """Somebody asked to stop; what was done is saved."""


def known_words(word: str, known: Iterable[str]) -> str:
    """Return "possible: a, b. Did you mean 'a'?" for an error about `word`."""
    words = sorted(set(known))
    return f"possible: {', '.join(words) or 'none'}{nearest(word, words)}"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ". Did you mean 'a'?" where one of many is like `word`; else nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f". Did you mean {close[0]!r}?" if close else ""
