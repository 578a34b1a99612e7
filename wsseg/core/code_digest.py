"""Digests of the code of components, by which results of older code are recognised.

Comments, documentation and blank lines of Python files do not count.
"""

import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from io import StringIO
from pathlib import Path

from wsseg.core.component import Component, parts_of
from wsseg.runtime.files import fingerprint

OWN_PACKAGE = __name__.partition(".")[0]
NOT_IN_STATEMENTS = (tokenize.NL, tokenize.INDENT, tokenize.DEDENT)
IGNORED_SUFFIXES = (".pyc", ".yaml", ".yml")  # YAML files of plugins are recipes


def code_digest(component: Component) -> str:
    """Return a digest of the code of a component and of all components inside it.

    The code of a class is all files of the package that defines it and its base classes, except
    YAML files, or the module, if it is in no package. Of wsseg itself, it is the module only: the
    rest of wsseg is identified by its version.
    """
    classes = {type(part) for _, part in parts_of(component)}
    return fingerprint(sorted({digest for each in classes for digest in _digests(each)}))


@cache
def _digests(kind: type[Component]) -> frozenset[str]:
    """Return the digests of what defines a class; computed once, soon after it is loaded."""
    modules = {base.__module__ for base in kind.__mro__ if issubclass(base, Component)}
    return frozenset(source_digest(path) for path in map(_location, modules) if path is not None)


def _location(module: str) -> Path | None:
    """Return the folder of the package, or the file, that contains a module's code."""
    top = module.partition(".")[0]
    package = getattr(sys.modules.get(top), "__file__", None)
    if top != OWN_PACKAGE and package is not None and Path(package).stem == "__init__":
        return Path(package).parent
    own = getattr(sys.modules.get(module), "__file__", None)
    return None if own is None else Path(own)


def source_digest(path: Path) -> str:
    """Return a digest of a file, or of all files of a folder except YAML files."""
    if not path.is_dir():
        return _digest_of_file(path) if path.exists() else ""
    files = {file.relative_to(path).as_posix(): _digest_of_file(file) for file in _files(path)}
    return fingerprint(files)


def _digest_of_file(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".py":
        content = _code_of(content.decode("utf-8", errors="replace")).encode()
    return sha256(content).hexdigest()


def _code_of(text: str) -> str:
    """Return Python code without comments, texts that are statements, and blank lines.

    Only tokens are read: in Python 3.11, `ast.parse` can fail while another thread parses.
    """
    lines = text.splitlines()
    try:
        tokens = list(tokenize.generate_tokens(StringIO(text).readline))
    except (SyntaxError, tokenize.TokenError):
        return text
    statement: list[tokenize.TokenInfo] = []
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
        elif token.type == tokenize.NEWLINE:
            if statement and all(each.type == tokenize.STRING for each in statement):
                first, last = statement[0].start[0] - 1, statement[-1].end[0]
                lines[first:last] = [""] * (last - first)
            statement = []
        elif token.type not in NOT_IN_STATEMENTS:
            statement.append(token)
    return "\n".join(filter(None, map(str.rstrip, lines)))


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.suffix not in IGNORED_SUFFIXES:
            yield path
