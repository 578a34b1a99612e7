"""A package with a part of one's own, to start from: what `wsseg new` writes."""

import ast
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from wsseg.components.registry import Kind, Registry
from wsseg.core.interfaces import Backbone, EStep, Metric, Prior, Score
from wsseg.errors import InputError
from wsseg.runtime.files import atomic_folder

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_NAME_LENGTH = 30  # with it, the lines of the package's files stay below 88 characters
ARTICLES = {
    "prior": "A prior",
    "estep": "An E-step",
    "backbone": "A backbone",
    "metric": "A metric",
    "recipe": "Recipes",
}
KINDS: Mapping[str, tuple[Kind, ...]] = {
    "prior": (Prior,),
    "estep": (EStep,),
    "backbone": (Backbone,),
    "metric": (Metric, Score),
    "recipe": (Path,),
}


@dataclass(frozen=True)
class Package:
    """What a new package is called, and all that is called after it."""

    kind: str  # a key of KINDS
    name: str  # by which recipes name the part, such as two-normals

    @property
    def distribution(self) -> str:
        """What is installed, and the folder's name."""
        return f"wsseg-{self.name}"

    @property
    def module(self) -> str:
        """What is imported."""
        return self.distribution.replace("-", "_")

    @property
    def cls(self) -> str:
        """The part's class."""
        return "".join(word.capitalize() for word in self.name.split("-"))

    def files(self) -> dict[str, str]:
        """Return the text of each file, by its path in the package's folder."""
        templates = Environment(
            loader=PackageLoader("wsseg.components"),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701 - Python, TOML and Markdown, no HTML
        )
        major, minor = metadata.version("wsseg").split(".")[:2]
        words = {
            "kind": self.kind,
            "article": ARTICLES[self.kind],
            "name": self.name,
            "distribution": self.distribution,
            "module": self.module,
            "cls": self.cls,
            "version": f"{major}.{minor}",
            "next_version": f"{major}.{int(minor) + 1}",
        }
        paths = self._paths([each for each in templates.list_templates() if "use.md" not in each])
        return {path: templates.get_template(each).render(words) for each, path in paths.items()}

    def _paths(self, templates: list[str]) -> dict[str, str]:
        """Return where each template that this kind has goes."""
        module = f"{self.module}/__init__.py" if self.kind == "recipe" else f"{self.module}.py"
        own = {"module.py": module, "test.py": f"tests/test_{self.name.replace('-', '_')}.py"}
        paths: dict[str, str] = {}
        for template in templates:
            folder, _, file = template.removesuffix(".j2").rpartition("/")
            if not folder:
                paths[template] = file
            elif folder == self.kind:
                paths[template] = own.get(file, f"{self.module}/recipes/{file}")
        return paths


def write_package(package: Package, out: Path, found: Registry) -> Path:
    """Write the package into a new folder in `out`, whole or not at all, and return the folder.

    Raises:
        InputError: The name is none or is taken, or the folder is there already.
    """
    _check_name(package.name)
    _check_free(package, found)
    folder = out / package.distribution
    if folder.exists():
        raise InputError(f"{folder}: is there already; remove it, or take another name or --out")
    if any(each.exists() and not each.is_dir() for each in (out, *out.parents)):
        raise InputError(f"{out}: is no folder; name one, and the package's is made in it")
    files = package.files()
    _check_class(package, files)
    with atomic_folder(folder) as temporary:
        for path, text in files.items():
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).write_text(text, encoding="utf-8")
    return folder


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME_LENGTH:
        raise InputError(f"{name!r} is long; a name has up to {MAX_NAME_LENGTH} characters")
    if not NAME.fullmatch(name):
        near = "-".join(re.findall(r"[a-z0-9]+", name.lower())).lstrip("0123456789-")
        raise InputError(
            f"{name!r} cannot name a part: small letters and digits, joined by hyphens"
            + (f". Did you mean {near!r}?" if near else ", such as two-normals")
        )
    if yaml.safe_load(name) != name:
        raise InputError(
            f"{name!r} means {yaml.safe_load(name)} where a recipe names it; take another name"
        )


def _check_free(package: Package, found: Registry) -> None:
    """Refuse what some installed part, or some module, is called already."""
    for offer in found.offers.values():
        word = offer.name.partition("/")[0] if offer.kind is Path else offer.name
        if offer.kind in KINDS[package.kind] and word == package.name:
            raise InputError(
                f"{offer.name!r} is offered by {offer.distribution} already; take another name"
            )
    if find_spec(package.module) is not None:
        raise InputError(f"a module {package.module} is installed already; take another name")


def _check_class(package: Package, files: Mapping[str, str]) -> None:
    """Refuse a class that would be called like something that its module imports."""
    text = files.get(f"{package.module}.py", "")
    if keyword.iskeyword(package.cls) or package.cls in _imported(text):
        raise InputError(
            f"{package.name!r}: its class would be {package.cls}, which means something else "
            "there; take another name"
        )


def _imported(text: str) -> set[str]:
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    return {each.name for node in imports for each in node.names}
