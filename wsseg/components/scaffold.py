"""The packages that `wsseg new` writes as a starting point for plugins."""

import ast
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from wsseg.components.registry import Kind, Registry
from wsseg.core.interfaces import (
    Backbone,
    Cohort,
    EStep,
    Metric,
    PixelLoss,
    Prior,
    Region,
    Score,
    TagLoss,
)
from wsseg.errors import InputError
from wsseg.runtime import yaml12
from wsseg.runtime.files import atomic_folder

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_NAME_LENGTH = 30  # characters; lines of the generated files then stay below 88
ARTICLES = {
    "prior": "A prior",
    "estep": "An E-step",
    "backbone": "A backbone",
    "loss": "A loss",
    "region": "A region",
    "cohort": "A cohort",
    "metric": "A metric",
    "recipe": "Recipes",
}
KINDS: Mapping[str, tuple[Kind, ...]] = {
    "prior": (Prior,),
    "estep": (EStep,),
    "backbone": (Backbone,),
    "loss": (PixelLoss, TagLoss),
    "region": (Region,),
    "cohort": (Cohort,),
    "metric": (Metric, Score),
    "recipe": (Path,),
}


@dataclass(frozen=True)
class Package:
    """A new plugin package, and the names derived from the name of its component."""

    kind: str  # a key of KINDS
    name: str  # of the component in recipes, such as two-normals

    @property
    def distribution(self) -> str:
        """The name of the distribution and of its folder, such as wsseg-two-normals."""
        return f"wsseg-{self.name}"

    @property
    def module(self) -> str:
        """The name of the Python package, such as wsseg_two_normals."""
        return self.distribution.replace("-", "_")

    @property
    def cls(self) -> str:
        """The name of the component's class, such as TwoNormals."""
        return "".join(word.capitalize() for word in self.name.split("-"))

    def files(self) -> dict[str, str]:
        """Return the text of each file by its path relative to the package's folder."""
        templates = Environment(
            loader=PackageLoader("wsseg.components"),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701 - the files are not HTML
        )
        major, minor = metadata.version("wsseg").split(".")[:2]
        variables = {
            "kind": self.kind,
            "article": ARTICLES[self.kind],
            "name": self.name,
            "distribution": self.distribution,
            "module": self.module,
            "cls": self.cls,
            "version": f"{major}.{minor}",
            "next_version": f"{major}.{int(minor) + 1}",
        }
        names = [name for name in templates.list_templates() if "use.md" not in name]
        paths = self._paths(names)
        texts = {path: templates.get_template(name).render(variables) for name, path in paths}
        return texts | {f"{self.module}/py.typed": ""}

    def _paths(self, templates: list[str]) -> list[tuple[str, str]]:
        """Return the templates of this kind of package, each with the path of its file."""
        special = {
            "module.py": f"{self.module}/__init__.py",
            "test.py": f"tests/test_{self.name.replace('-', '_')}.py",
        }
        paths: list[tuple[str, str]] = []
        for template in templates:
            folder, _, file = template.removesuffix(".j2").rpartition("/")
            if not folder:
                paths.append((template, file))
            elif folder == self.kind:
                paths.append((template, special.get(file, f"{self.module}/recipes/{file}")))
        return paths


def write_package(package: Package, out: Path, found: Registry) -> Path:
    """Write the package atomically into a new folder in `out`, and return the new folder.

    Raises:
        InputError: The name is invalid or already in use, or the folder exists.
    """
    _check_name(package.name)
    _check_unused(package, found)
    folder = out / package.distribution
    if folder.exists():
        raise InputError(
            f"{folder}: the folder already exists; remove it, or choose another name or --out"
        )
    if any(each.exists() and not each.is_dir() for each in (out, *out.parents)):
        raise InputError(f"{out}: not a folder; give the folder in which to create the package")
    files = package.files()
    if package.kind != "recipe":
        _check_class(package, files[f"{package.module}/__init__.py"])
    with atomic_folder(folder) as temporary:
        for path, text in files.items():
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).write_text(text, encoding="utf-8")
    return folder


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME_LENGTH:
        raise InputError(f"{name!r} is too long; use at most {MAX_NAME_LENGTH} characters")
    if not NAME.fullmatch(name):
        suggestion = "-".join(re.findall(r"[a-z0-9]+", name.lower())).lstrip("0123456789-")
        raise InputError(
            f"{name!r} is not a valid name; use lowercase letters and digits joined by hyphens"
            + (f". Did you mean {suggestion!r}?" if suggestion else ", such as two-normals")
        )
    if yaml12.load(name) != name:
        raise InputError(
            f"{name!r} would be read as {yaml12.load(name)} in a recipe; choose another name"
        )


def _check_unused(package: Package, found: Registry) -> None:
    """Raise `InputError` if an installed component or module already has the name."""
    for offer in found.offers.values():
        name = offer.name.partition("/")[0] if offer.kind is Path else offer.name
        if offer.kind in KINDS[package.kind] and name == package.name:
            raise InputError(
                f"{offer.name!r} is already offered by {offer.distribution}; choose another name"
            )
    if find_spec(package.module) is not None:
        raise InputError(f"a module {package.module} is already installed; choose another name")


def _check_class(package: Package, module: str) -> None:
    """Raise `InputError` if the class has the name of a keyword or of an import of its module."""
    if keyword.iskeyword(package.cls) or package.cls in _imported_names(module):
        raise InputError(
            f"{package.name!r}: its class would be called {package.cls}, but that name is already "
            "used in its module; choose another name"
        )


def _imported_names(text: str) -> set[str]:
    """Return the names that a module imports with `from ... import`."""
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    return {each.name for node in imports for each in node.names}
