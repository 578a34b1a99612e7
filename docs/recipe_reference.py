"""Markdown pages about everything a recipe can name, generated from the installed parts.

Each part and each block of a recipe gets a section: its docstring, then a table of its keys with
type, default and meaning. Types and bounds come from the JSON Schema that pydantic derives.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from wsseg import Component, Recipe
from wsseg.components.registry import HOOKS, Kind, Offer, registry
from wsseg.config.part_fields import part_fields

PAGES = {
    "wsseg_priors": "Priors",
    "wsseg_esteps": "E-steps",
    "wsseg_backbones": "Backbones",
    "wsseg_encoder_weights": "Weights of encoders",
    "wsseg_losses": "Losses",
    "wsseg_methods": "Methods",
    "wsseg_optimizers": "Optimizers",
    "wsseg_augments": "Augmentation",
    "wsseg_regions": "Regions",
    "wsseg_cohorts": "Cohorts",
    "wsseg_metrics": "Metrics and scores",
    "wsseg_units": "Image units",
    "wsseg_trackers": "Trackers",
    "wsseg_recipes": "Named recipes",
}
RECIPE_INTRODUCTION = """\
# The recipe

A recipe is a YAML file with the keys of [Recipe](#recipe). The key `learn` of a stage chooses one
of five kinds of stage. A part, such as a prior, is written as `{use: NAME, key: value}`.
`wsseg recipe schema` prints all of this as JSON Schema, with which editors complete and check
recipes as you type.

- **Values** follow YAML 1.2: `yes` and `no` are text, `010` is 10. A number must be finite.
- **`extends`** names the recipes that the file changes. Maps are merged; lists and single values
  are replaced. In `stages`, `regions`, `metrics` and `scores`, `NAME: null` removes what is
  inherited; in `metrics`, also a default metric if the recipe has no metrics of its own.
- **Paths** are relative to the file that names them; in `--set`, to the current folder.
  `wsseg recipe check` prints where they lead. The `recipe.yaml` of a run has absolute paths.
- **`--set a.b.c=VALUE`** changes one key. An existing name may contain dots, such as that of a
  stage `unet.v1`: `--set stages.unet.v1.epochs=5`. A new or ambiguous one needs quotation marks:
  `--set 'stages."unet.v2".learn=masks'`. The same holds for the keys of `set`, `matrix` and `tune`
  in a suite.
- **Aliases**: a top key that starts with `x-` only holds values for aliases, and `<<` inserts them:

  ```yaml
  x-adam: &adam {use: adam, lr: 1.0e-3}
  stages:
    tumour: {optimizer: {<<: *adam, weight_decay: 0.01}}
  ```
"""
NAMED_RECIPES_INTRODUCTION = """\
# Named recipes

A recipe can extend these by name, and every command accepts a name in place of a file.
`wsseg recipe show NAME` prints a recipe with everything that it extends.
"""
DOCSTRING_ONLY = """\
::: {path}
    options:
      show_root_heading: false
      show_root_toc_entry: false
      show_bases: false
      members: false
"""


def pages() -> dict[str, str]:
    """Return the Markdown text of each page by its path in the site."""
    parts = {
        _path(hook): _hook_page(hook, kinds) for hook, kinds in HOOKS.items() if Path not in kinds
    }
    return {
        "reference/recipe.md": _recipe_page(),
        **parts,
        _path("wsseg_recipes"): _named_recipes_page(),
    }


def blocks(root: type[Component]) -> list[type[Component]]:
    """List a component's class and the concrete classes its fields refer to, depth first."""
    found = [root]
    for field in root.model_fields.values():
        for kind in _components(field.annotation):
            found += [each for each in blocks(kind) if each not in found]
    return found


def _link(name: str) -> str:
    for hook, kinds in HOOKS.items():
        if name in (kind.__name__ for kind in kinds):
            return f"[{name}]({Path(_path(hook)).name}#{name.lower()})"
    return f"[{name}](recipe.md#{name.lower()})"


def _path(hook: str) -> str:
    return f"reference/{hook.removeprefix('wsseg_')}.md"


def _recipe_page() -> str:
    lines = [RECIPE_INTRODUCTION]
    for block in blocks(Recipe):
        lines += [f"## {block.__name__}", *_section(block)]
    return _joined(lines)


def _hook_page(hook: str, kinds: Sequence[Kind]) -> str:
    lines = [f"# {PAGES[hook]}"]
    for kind in kinds:
        offers = _offers(kind)
        links = [f"[`{offer.name}`](#{_anchor(offer)})" for offer in offers]
        cells = [
            (link, _package(offer), offer.summary)
            for link, offer in zip(links, offers, strict=True)
        ]
        lines += [
            f"## {kind.__name__}",
            DOCSTRING_ONLY.format(path=f"wsseg.{kind.__name__}"),
            _table(("name", "package", "summary"), cells),
        ]
        for offer in offers:
            lines += [
                f"### `{offer.name}` {{: #{_anchor(offer)} }}",
                f"From the package `{_package(offer)}`.",
                *_section(offer.part),
            ]
    return _joined(lines)


def _named_recipes_page() -> str:
    lines = [NAMED_RECIPES_INTRODUCTION]
    for offer in _offers(Path):
        lines += [
            f"## `{offer.name}`",
            f"{offer.summary}. From the package `{_package(offer)}`.",
            f"```yaml\n{offer.part.read_text(encoding='utf-8').strip()}\n```",
        ]
    return _joined(lines)


def _section(part: type[Component]) -> list[str]:
    path = f"{part.__module__}.{part.__qualname__}"
    rows = [
        (f"`{each.key}`", each.type, each.default, each.meaning)
        for each in part_fields(part, _link)
    ]
    keys = _table(("key", "type", "default", "meaning"), rows) if rows else "It has no keys."
    return [DOCSTRING_ONLY.format(path=path), keys]


def _components(annotation: Any) -> Iterator[type[Component]]:
    """Yield the component classes in an annotation that are not interfaces of plugins."""
    kinds = {kind for of in HOOKS.values() for kind in of}
    if isinstance(annotation, type) and issubclass(annotation, Component):
        if annotation not in kinds:
            yield annotation
        return
    for inner in get_args(annotation):
        yield from _components(inner)


def _offers(kind: Kind) -> list[Offer]:
    found = registry()
    return [found.offers[kind, name] for name in found.names(kind)]


def _anchor(offer: Offer) -> str:
    return f"{offer.kind.__name__.lower()}-{offer.name}"


def _package(offer: Offer) -> str:
    return offer.distribution.partition(" ")[0]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _joined(lines: Sequence[str]) -> str:
    return "\n\n".join(lines) + "\n"
