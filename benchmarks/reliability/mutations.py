"""Random changes of files: damage, mistakes and attacks."""

import gzip
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import TypeAlias

MAX_CHANGES = 3  # of a file; with more, the first one hides the others
MAX_BYTES = 64  # in one change
LONG = 5_000  # characters
NUMBERS = (0, 1, -1, 2, 127, 255, 32_767, 65_535, 2**31 - 1, -(2**31), 2**40, 2**62)
FORMATS = ("<b", "<h", "<i", "<q", "<f", "<d", ">h", ">i")
WORDS = (  # for cells, keys and values
    "", " ", "0", "-1", "1e999", "-inf", "nan", "null", "true", "~", "1.5", "1e-320",
    "999999999999", "9" * LONG, "x" * LONG, "0x_", "2001-99-99", "1:99:99", "é💥", "\u202e", "\x00",
    "../escaped", "../../escaped", "/escaped", "./.", "..", ".", "-", "--help", "%s%n", "${HOME}",
    "escaped/../../escaped", "/dev/zero", "/proc/self/mem", "CON", "a/b", "a\\b",
    "<script>alert(1)</script>", "[red]bold[/red]", "[/]", "\x1b[31mred", "{{7*7}}", "=1+1",
    '"', "'", ",", ";", ":", "{", "[", "}", "]", "#", "&a [*a]", "*a", "!!python/name:os.system",
    "!!python/object/apply:os.system [touch escaped]", "!!binary x", "!!timestamp 2001-99-99",
    "{use: none}", "[[[[[[[[[[]]]]]]]]]]", "[" * 200, "{a: " * 50, "\n", "\r", "\t", "<<: 1",
)  # fmt: skip

Change: TypeAlias = Callable[[bytes, Random], bytes]


def damage_bytes(content: bytes, changes: Sequence[Change], random: Random) -> bytes:
    """Return `content` after one to three of `changes`; up to ten attempts make a difference."""
    for _ in range(10):
        new = content
        for _ in range(random.randint(1, MAX_CHANGES)):
            new = random.choice(changes)(new, random)
        if new != content:
            break
    return new


def flip_bit(content: bytes, random: Random) -> bytes:
    """Flip a bit."""
    data, at = bytearray(content or b"\0"), random.randrange(len(content) or 1)
    data[at] ^= 1 << random.randrange(8)
    return bytes(data)


def remove_end(content: bytes, random: Random) -> bytes:
    """Remove the end."""
    return content[: random.randrange(len(content) + 1)]


def remove_bytes(content: bytes, random: Random) -> bytes:
    """Remove some bytes."""
    at, length = _run(content, random)
    return content[:at] + content[at + length :]


def repeat_bytes(content: bytes, random: Random) -> bytes:
    """Repeat some bytes."""
    at, length = _run(content, random)
    return content[: at + length] + content[at:]


def overwrite_bytes(content: bytes, random: Random) -> bytes:
    """Replace some bytes by zeros, ones or noise."""
    at, length = _run(content, random)
    new = random.choice([bytes(length), b"\xff" * length, random.randbytes(length)])
    return content[:at] + new + content[at + length :]


def replace_number(content: bytes, random: Random) -> bytes:
    """Replace a number by another one, usually at the limit of a data type."""
    text = random.choice(FORMATS)
    size = struct.calcsize(text)
    numbers = [n for n in NUMBERS if text[1] in "fd" or -(256**size) <= 2 * n < 256**size]
    new = struct.pack(text, random.choice([*numbers, *([float("nan")] * (text[1] in "fd"))]))
    at = random.randrange(max(1, len(content) - size))
    at -= at % min(size, 4)
    return content[:at] + new + content[at + size :]


def replace_word(content: bytes, random: Random) -> bytes:
    """Replace a word of a text."""
    pieces = _pieces(content)
    places = [i for i, piece in enumerate(pieces) if piece.strip(SEPARATORS)] or [0]
    pieces[random.choice(places)] = random.choice(WORDS).encode()
    return b"".join(pieces)


def insert_word(content: bytes, random: Random) -> bytes:
    """Insert a word into a text."""
    pieces = _pieces(content)
    pieces.insert(random.randrange(len(pieces) + 1), random.choice(WORDS).encode())
    return b"".join(pieces)


def change_line(content: bytes, random: Random) -> bytes:
    """Remove, repeat, move or indent a line of a text."""
    lines = content.splitlines(keepends=True) or [b""]
    at = random.randrange(len(lines))
    new = random.choice([[], [lines[at]] * 2, [b"  " + lines[at]], [lines[at].lstrip()]])
    rest = lines[:at] + lines[at + 1 :]
    to = at if random.random() < 0.7 else random.randrange(len(rest) + 1)  # noqa: PLR2004
    return b"".join([*rest[:to], *new, *rest[to:]])


BYTES: tuple[Change, ...] = (
    flip_bit,
    remove_end,
    remove_bytes,
    repeat_bytes,
    overwrite_bytes,
    replace_number,
)
TEXT: tuple[Change, ...] = (
    replace_word,
    replace_word,
    replace_word,
    insert_word,
    change_line,
    change_line,
    flip_bit,
    remove_end,
)


def changes_in_header(length: int) -> tuple[Change, ...]:
    """Return changes of only the first `length` bytes, which keep the length of the file."""

    def in_header(change: Change) -> Change:
        def changed(content: bytes, random: Random) -> bytes:
            return (change(content[:length], random) + bytes(length))[:length] + content[length:]

        return changed

    return tuple(
        map(in_header, (flip_bit, replace_number, replace_number, replace_number, overwrite_bytes))
    )


def changes_in_gzip(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Return changes of the compressed content, with a matching check sum."""

    def inside(change: Change) -> Change:
        return lambda content, random: gzip.compress(change(gzip.decompress(content), random), 1)

    return tuple(map(inside, changes))


def damage_file(path: Path, changes: Sequence[Change], random: Random) -> None:
    """Apply random changes to a file."""
    path.write_bytes(damage_bytes(path.read_bytes(), changes, random))


SEPARATORS = b" \t\r\n,:;{}[]\"'"


def _pieces(content: bytes) -> list[bytes]:
    """Split a text before and after every separator."""
    pieces = [b""]
    for byte in content:
        letter = bytes([byte])
        if letter in SEPARATORS:
            pieces += [letter, b""]
        else:
            pieces[-1] += letter
    return pieces


def _run(content: bytes, random: Random) -> tuple[int, int]:
    return random.randrange(len(content) + 1), random.randint(1, MAX_BYTES)
