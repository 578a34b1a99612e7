"""Correction of single typing errors in the words that decide a statement."""

import re
from collections.abc import Collection
from functools import lru_cache

MIN_LETTERS = 7  # shorter words have too many neighbours: nodule, module
WORDS = """
    without evidence excluded exclude resolved resolution possible possibly probable probably
    suspected suspicion negative absence previous previously history unlikely equivocal
    questionable unchanged visualized visualised identified persistent attenuation opacity opacities
"""
WORD = re.compile(r"[a-z]{6,}")


def correct_spelling(sentence: str, keywords: Collection[str]) -> str:
    """Return a lower-case sentence in which words with one typing error are corrected.

    An error is a letter that is missing, added or wrong, or two letters in the wrong order.
    """
    names = {word for word in keywords if len(word) >= MIN_LETTERS and word.isalpha()}
    known = frozenset(WORDS.split()) | names
    return WORD.sub(lambda match: _closest(match[0], known), sentence)


@lru_cache(maxsize=10_000)
def _closest(word: str, known: frozenset[str]) -> str:
    close = (each for each in sorted(known) if is_one_error(word, each))
    return word if word in known else next(close, word)


def is_one_error(word: str, right: str) -> bool:
    """Return whether one typing error turns `right` into `word`."""
    if word[0] != right[0] or word[-1] != right[-1]:  # other words: resolve, either
        return False
    start = next(
        (i for i, (a, b) in enumerate(zip(word, right, strict=False)) if a != b),
        min(len(word), len(right)),
    )
    rest, expected = word[start:], right[start:]
    swapped = rest[:2] == expected[:2][::-1] and rest[2:] == expected[2:]
    return swapped or rest[1:] == expected[1:] or rest[1:] == expected or rest == expected[1:]
