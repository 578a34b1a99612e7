"""Damage: what transfers, disks, careless hands and ill will do to a file, drawn by a seed."""

import gzip
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import TypeAlias

MOST_CHANGES = 3  # at a time: with more, the first hides the rest
LONGEST = 64  # bytes that one change touches
LONG = 5_000  # letters or digits
NUMBERS = (0, 1, -1, 2, 127, 255, 32_767, 65_535, 2**31 - 1, -(2**31), 2**40, 2**62)
FORMATS = ("<b", "<h", "<i", "<q", "<f", "<d", ">h", ">i")
WORDS = (  # for a cell, a key or a value
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


def damaged(content: bytes, changes: Sequence[Change], random: Random) -> bytes:
    """Return `content` after one to three of `changes`; never as it was, if that can be."""
    for _ in range(10):
        new = content
        for _ in range(random.randint(1, MOST_CHANGES)):
            new = random.choice(changes)(new, random)
        if new != content:
            break
    return new


def flipped(content: bytes, random: Random) -> bytes:
    """Flip a bit."""
    data, at = bytearray(content or b"\0"), random.randrange(len(content) or 1)
    data[at] ^= 1 << random.randrange(8)
    return bytes(data)


def cut(content: bytes, random: Random) -> bytes:
    """Lose the end."""
    return content[: random.randrange(len(content) + 1)]


def lost(content: bytes, random: Random) -> bytes:
    """Lose some bytes in between."""
    at, length = _run(content, random)
    return content[:at] + content[at + length :]


def doubled(content: bytes, random: Random) -> bytes:
    """Have some bytes twice."""
    at, length = _run(content, random)
    return content[: at + length] + content[at:]


def overwritten(content: bytes, random: Random) -> bytes:
    """Have zeros, ones or noise in place of some bytes."""
    at, length = _run(content, random)
    new = random.choice([bytes(length), b"\xff" * length, random.randbytes(length)])
    return content[:at] + new + content[at + length :]


def renumbered(content: bytes, random: Random) -> bytes:
    """Have another number somewhere, most often one at a limit."""
    text = random.choice(FORMATS)
    size = struct.calcsize(text)
    numbers = [n for n in NUMBERS if text[1] in "fd" or -(256**size) <= 2 * n < 256**size]
    new = struct.pack(text, random.choice([*numbers, *([float("nan")] * (text[1] in "fd"))]))
    at = random.randrange(max(1, len(content) - size))
    at -= at % min(size, 4)
    return content[:at] + new + content[at + size :]


def reworded(content: bytes, random: Random) -> bytes:
    """Have another word in place of one of a text."""
    pieces = _pieces(content)
    places = [i for i, piece in enumerate(pieces) if piece.strip(SEPARATORS)] or [0]
    pieces[random.choice(places)] = random.choice(WORDS).encode()
    return b"".join(pieces)


def inserted(content: bytes, random: Random) -> bytes:
    """Have a word too many in a text."""
    pieces = _pieces(content)
    pieces.insert(random.randrange(len(pieces) + 1), random.choice(WORDS).encode())
    return b"".join(pieces)


def relined(content: bytes, random: Random) -> bytes:
    """Lose a line of a text, have it twice, elsewhere, or further right."""
    lines = content.splitlines(keepends=True) or [b""]
    at = random.randrange(len(lines))
    new = random.choice([[], [lines[at]] * 2, [b"  " + lines[at]], [lines[at].lstrip()]])
    rest = lines[:at] + lines[at + 1 :]
    to = at if random.random() < 0.7 else random.randrange(len(rest) + 1)  # noqa: PLR2004
    return b"".join([*rest[:to], *new, *rest[to:]])


BYTES: tuple[Change, ...] = (flipped, cut, lost, doubled, overwritten, renumbered)
TEXT: tuple[Change, ...] = (reworded, reworded, reworded, inserted, relined, relined, flipped, cut)


def of_header(length: int) -> tuple[Change, ...]:
    """Return changes that hit a file's first bytes alone, and leave it as long as it is."""

    def in_header(change: Change) -> Change:
        def changed(content: bytes, random: Random) -> bytes:
            return (change(content[:length], random) + bytes(length))[:length] + content[length:]

        return changed

    return tuple(map(in_header, (flipped, renumbered, renumbered, renumbered, overwritten)))


def inside_gzip(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Return changes of what is compressed: else the check sum would find every one of them."""

    def inside(change: Change) -> Change:
        return lambda content, random: gzip.compress(change(gzip.decompress(content), random), 1)

    return tuple(map(inside, changes))


def damage(path: Path, changes: Sequence[Change], random: Random) -> None:
    """Change a file."""
    path.write_bytes(damaged(path.read_bytes(), changes, random))


SEPARATORS = b" \t\r\n,:;{}[]\"'"


def _pieces(content: bytes) -> list[bytes]:
    """Cut a text before and after every separator."""
    pieces = [b""]
    for byte in content:
        letter = bytes([byte])
        if letter in SEPARATORS:
            pieces += [letter, b""]
        else:
            pieces[-1] += letter
    return pieces


def _run(content: bytes, random: Random) -> tuple[int, int]:
    return random.randrange(len(content) + 1), random.randint(1, LONGEST)
