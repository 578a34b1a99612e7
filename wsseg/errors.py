"""The errors that end a command without a result, and helpers for their messages."""

import difflib
from collections.abc import Iterable

MAX_HALF_LINE = 500  # characters kept at the start and at the end of a long line in a message


class InputError(Exception):
    """The input cannot be used (exit code 2).

    The message states in one to three lines what the input is, what is possible and what to do.

    Example:
        >>> from wsseg import InputError
        >>> raise InputError("threshold is -1; give a number of 0 or more")
        Traceback (most recent call last):
        wsseg.errors.InputError: threshold is -1; give a number of 0 or more
    """


class WorkError(Exception):
    """The input was valid, but the work failed (exit code 1).

    Example:
        >>> from wsseg import WorkError
        >>> raise WorkError("the loss is not finite at step 12")
        Traceback (most recent call last):
        wsseg.errors.WorkError: the loss is not finite at step 12
    """


class UnwritableError(WorkError, OSError):
    """A file could not be written: the disk is full, or the folder is read-only."""


class InterruptedWorkError(WorkError):
    """The user or the cluster asked to stop; the finished part is saved."""


def escape_unprintable(text: str) -> str:
    """Return `text` with unprintable characters escaped, except line breaks and tabs.

    File names, table cells and keys come from outside and could contain terminal commands.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def shorten_lines(text: str) -> str:
    """Return `text` with the middle of each line of more than 1000 characters removed."""
    return "\n".join(
        line
        if len(line) <= 2 * MAX_HALF_LINE
        else f"{line[:MAX_HALF_LINE]} … {line[-MAX_HALF_LINE:]}"
        for line in text.split("\n")
    )


def one_line(error: BaseException) -> str:
    """Return the class and message of an error in one line; the class alone if str() fails."""
    name = type(error).__name__
    try:
        return " ".join(f"{name}: {error}".split())
    except Exception:  # noqa: BLE001 - the __str__ of another package may raise anything
        return name


def known_words(word: str, known: Iterable[str]) -> str:
    """Return "possible: a, b. Did you mean 'a'?" for an error about `word`."""
    words = sorted(set(known))
    return f"possible: {', '.join(words) or 'none'}{did_you_mean(word, words)}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ". Did you mean 'a'?" if a known word is similar to `word`, else an empty string."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    close = close or difflib.get_close_matches(word.lower(), words, n=1)
    return f". Did you mean {close[0]!r}?" if close else ""
