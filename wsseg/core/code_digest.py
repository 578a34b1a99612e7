"""Digests of the code of components, by which results of older code are recognised."""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from wsseg.core.component import Component, parts_of
from wsseg.runtime.files import fingerprint, sha256

OWN_PACKAGE = __name__.partition(".")[0]
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
    return frozenset(_digest_of_files(path) for path in map(_location, modules) if path is not None)


def _location(module: str) -> Path | None:
    """Return the folder of the package, or the file, that contains a module's code."""
    top = module.partition(".")[0]
    package = getattr(sys.modules.get(top), "__file__", None)
    if top != OWN_PACKAGE and package is not None and Path(package).stem == "__init__":
        return Path(package).parent
    own = getattr(sys.modules.get(module), "__file__", None)
    return None if own is None else Path(own)


def _digest_of_files(path: Path) -> str:
    if not path.is_dir():
        return sha256(path) if path.exists() else ""
    return fingerprint({file.relative_to(path).as_posix(): sha256(file) for file in _files(path)})


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.suffix not in IGNORED_SUFFIXES:
            yield path
