"""The two ways in which a command ends without a result."""

import difflib
from collections.abc import Iterable

HALF = 500  # letters of a line that is too long for a message, at its start and at its end


class InputError(Exception):
    """What was given cannot be used (exit code 2).

    The text says in one to three lines what came, what is possible and what to do.
    """


class WorkError(Exception):
    """What was given was fine, but the work failed (exit code 1)."""


class UnwritableError(WorkError, OSError):
    """A file could not be written: the disk is full, the folder is for reading only."""


class InterruptedWorkError(WorkError):
    """Somebody asked to stop; what was done is saved."""


def escape_unprintable(text: str) -> str:
    """Return `text` with escapes for what would steer a terminal; lines and tabs stay.

    File names, cells of tables and keys are strangers' words, and end up in messages.
    """
    letters = (c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
    return "".join(letters)


def shorten_lines(text: str) -> str:
    """Return `text` with the middle of each line cut out where that is longer than a message's."""
    return "\n".join(
        line if len(line) <= 2 * HALF else f"{line[:HALF]} … {line[-HALF:]}"
        for line in text.split("\n")
    )


def one_line(error: BaseException) -> str:
    """Return what somebody else's code raised, as a line; its class alone if it cannot be told."""
    name = type(error).__name__
    try:
        return " ".join(f"{name}: {error}".split())
    except Exception:  # noqa: BLE001 - a stranger's __str__
        return name


def known_words(word: str, known: Iterable[str]) -> str:
    """Return "possible: a, b. Did you mean 'a'?" for an error about `word`."""
    words = sorted(set(known))
    return f"possible: {', '.join(words) or 'none'}{did_you_mean(word, words)}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ". Did you mean 'a'?" where one of many is like `word`; else nothing."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    close = close or difflib.get_close_matches(word.lower(), words, n=1)
    return f". Did you mean {close[0]!r}?" if close else ""
