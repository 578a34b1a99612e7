"""Digests of the code of components, by which results of older code are recognised.

Comments, documentation, blank lines and the messages of errors in Python files do not count.
"""

import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib import metadata, util
from io import StringIO
from pathlib import Path

from wsseg.core.component import Component, parts_of
from wsseg.runtime.files import fingerprint

OWN_PACKAGE = __name__.partition(".")[0]
NOT_IN_STATEMENTS = (tokenize.NL, tokenize.INDENT, tokenize.DEDENT)
FIRST_LINE = re.compile(r"(?!(?:else|elif|except|finally)\b)[^\s)\]}]")  # of a statement
IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+(\w.*)", re.MULTILINE)
IMPORTED = re.compile(r"(?:^|,)\s*(\w+)")  # a top-level name after `import` or `from`
LEADING_UNDERSCORES = re.compile(r"\b_+(?=[A-Za-z])")
IGNORED_SUFFIXES = (".pyc", ".yaml", ".yml")  # YAML files of plugins are recipes


def code_digest(component: Component) -> str:
    """Return a digest of the code of a component and of all components inside it.

    The code of a class is every file, except YAML files, of the packages that define it and its
    base classes; a module outside a package is covered alone. Other packages and modules that a
    plugin's distribution lists are included; an editable install lists none, so those that the
    plugin imports are. For wsseg itself, only the module is covered: the rest of wsseg is
    identified by its version.
    """
    classes = {type(part) for _, part in parts_of(component)}
    return fingerprint(sorted({digest for each in classes for digest in _digests(each)}))


def code_locations(component: Component) -> frozenset[Path]:
    """Return the files and folders that contain the code which `code_digest` covers."""
    return frozenset().union(*(_locations(type(part)) for _, part in parts_of(component)))


@cache
def _digests(kind: type[Component]) -> frozenset[str]:
    """Return the digests of what defines a class; computed once, soon after it is loaded."""
    return frozenset(map(source_digest, _locations(kind)))


def _locations(kind: type[Component]) -> frozenset[Path]:
    modules = {base.__module__ for base in kind.__mro__ if issubclass(base, Component)}
    others = {other for module in modules for other in _others_of_distribution(module)}
    found = map(_location, modules | others)
    return frozenset(path for path in found if path is not None)


def _others_of_distribution(module: str) -> frozenset[str]:
    """Return the other packages and modules of the plugin that contains a module."""
    top = module.partition(".")[0]
    owners = [each for each in _plugins(tuple(sys.path)) if top in each]
    return frozenset().union(*owners) - {top}


@cache
def _plugins(path: tuple[str, ...]) -> list[frozenset[str]]:
    """Return the packages and modules of each plugin's distribution found on a search path."""
    distributions = metadata.distributions(path=list(path))
    return [
        _top_level(each)
        for each in distributions
        if each.metadata["Name"] != OWN_PACKAGE and each.entry_points.select(group="wsseg")
    ]


def _top_level(distribution: metadata.Distribution) -> frozenset[str]:
    """Return the packages and modules of a distribution, as its lists of files name them."""
    files = [file for file in distribution.files or () if file.suffix == ".py"]
    listed = (distribution.read_text("top_level.txt") or "").split()
    names = [*listed, *(file.parts[0].removesuffix(".py") for file in files)]
    return frozenset(filter(str.isidentifier, names)) | _editable(distribution)


def _editable(distribution: metadata.Distribution) -> frozenset[str]:
    """Return the packages and modules of a plugin in the folders of an editable install.

    They are those of its entry points, and all in these folders that they import.
    """
    lists = [Path(str(each.locate())) for each in distribution.files or () if each.suffix == ".pth"]
    texts = (each.read_text(errors="replace") for each in lists if each.is_file())
    folders = [Path(line) for text in texts for line in text.splitlines() if Path(line).is_dir()]
    remaining = {each.module for each in distribution.entry_points.select(group="wsseg")}
    found: dict[str, Path] = {}
    while remaining:
        name = remaining.pop().partition(".")[0]
        paths = [folder / each for folder in folders for each in (name, f"{name}.py")]
        path = next(filter(Path.exists, paths), None)
        if path is not None and name not in found:
            found[name] = path
            remaining |= _imports(path)
    return frozenset(found)


def _imports(path: Path) -> set[str]:
    """Return the names in the imports of a Python file, or of all files of a folder."""
    files = _files(path) if path.is_dir() else [path]
    texts = (each.read_text(errors="replace") for each in files if each.suffix == ".py")
    lines = (line for text in texts for line in IMPORT.findall(text))
    return {name for line in lines for name in IMPORTED.findall(line)}


def _location(module: str) -> Path | None:
    """Return the folder of the package, or the file, that contains a module's code."""
    top = module.partition(".")[0]
    package = _file(top)
    if top != OWN_PACKAGE and package is not None and Path(package).stem == "__init__":
        return Path(package).parent
    own = _file(module)
    return None if own is None else Path(own)


def _file(module: str) -> str | None:
    """Return the file of a module, even if it is not imported yet; None if it has none."""
    if module in sys.modules:
        return getattr(sys.modules[module], "__file__", None)
    spec = util.find_spec(module)
    return None if spec is None else spec.origin


def source_digest(path: Path) -> str:
    """Return a digest of a file, or of all files of a folder except YAML files."""
    if not path.is_dir():
        return _digest_of_file(path) if path.exists() else ""
    files = {file.relative_to(path).as_posix(): _digest_of_file(file) for file in _files(path)}
    return fingerprint(files)


def statement_digests(path: Path) -> frozenset[str]:
    """Return a digest of each statement of a file, or of all files of a folder except YAML files.

    Only statements at module level, such as classes, have a digest. Imports, the position of a
    statement and an underscore at the start of a name do not count. Therefore a function can move
    to another module and become public. A file that is not Python counts as one statement.
    """
    files = _files(path) if path.is_dir() else [path]
    return frozenset(digest for file in files for digest in _digests_of_statements(file))


def _digests_of_statements(path: Path) -> Iterator[str]:
    if path.suffix != ".py":
        yield _digest_of_file(path)
        return
    code = _code_of(path.read_text(encoding="utf-8", errors="replace"))
    for statement in _statements(code):
        if not statement.startswith(("import ", "from ")):
            yield sha256(LEADING_UNDERSCORES.sub("", statement).encode()).hexdigest()


def _statements(code: str) -> Iterator[str]:
    """Yield the statements of a module from its code without comments and blank lines."""
    lines: list[str] = []
    for line in code.splitlines():
        if lines and FIRST_LINE.match(line) and not lines[-1].startswith("@"):
            yield "\n".join(lines)
            lines = []
        lines.append(line)
    yield "\n".join(lines)


def _digest_of_file(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".py":
        content = _code_of(content.decode("utf-8", errors="replace")).encode()
    return sha256(content).hexdigest()


def _code_of(text: str) -> str:
    """Return Python code without what cannot affect a result.

    That is comments, docstrings (all string statements), blank lines, and what a `raise` statement
    passes to its error: code that raises it has no result. Only tokens are read: in Python 3.11,
    `ast.parse` can fail while another thread parses.
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
            if statement:
                first, last = statement[0].start[0] - 1, statement[-1].end[0]
                lines[first:last] = _without_texts(lines[first:last], statement)
            statement = []
        elif token.type not in NOT_IN_STATEMENTS:
            statement.append(token)
    return "\n".join(filter(None, map(str.rstrip, lines)))


def _without_texts(lines: list[str], statement: list[tokenize.TokenInfo]) -> list[str]:
    """Return the lines of a statement without a docstring or an error's message."""
    blank = [""] * (len(lines) - 1)
    if all(each.type == tokenize.STRING for each in statement):
        return ["", *blank]
    raises = statement[0].string == "raise" and len(statement) > 1
    if raises and all(each.string != ";" for each in statement):
        return [lines[0][: statement[1].end[1]], *blank]
    return lines


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.suffix not in IGNORED_SUFFIXES:
            yield path
