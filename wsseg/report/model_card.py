"""The model card of a packed run: Markdown, with the fields that model hubs read."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from wsseg.components.registry import registry
from wsseg.config.recipe import Recipe
from wsseg.config.stages import Stage
from wsseg.core.component import Component
from wsseg.report.result_tables import results_table
from wsseg.runtime import yaml12

UNSTATED = "not stated; ask the authors before you use or share the weights"
INTRODUCTION = (
    "A network that was trained from weak labels with the Python package wsseg. It is not a "
    "medical device: check it on scans of your own before you rely on it."
)
CONTENT = "The file contains no scans, masks, paths or names of cases."
LEARNT_FROM = {
    "masks": "masks",
    "em": "tags, by expectation-maximisation",
    "tags": "tags",
    "method": "tags, by a method of a plugin",
    "nothing": "nothing; its prior alone decides",
}


@dataclass(frozen=True)
class TrainingData:
    """What is shared of the data that a run was trained and tested on: numbers."""

    cases: Mapping[str, int]  # by split
    tags: Mapping[str, Mapping[str, Counter[str]]]  # of cases, by stage and class


def model_card(
    recipe: Recipe, data: TrainingData, scores: pd.DataFrame | None, record: Mapping[str, Any]
) -> str:
    """Return a model card in Markdown.

    Args:
        recipe: The recipe, without its cohort.
        data: Numbers of cases and tags.
        scores: The summary of the test cases, of one row; None if the run was not scored.
        record: Licence, versions and distributions.
    """
    sections = [
        _front_matter(recipe, record),
        f"# Segmentation of {' and '.join(recipe.classes)}",
        INTRODUCTION,
        "## Use",
        "```bash\nwsseg predict MODEL.wsseg scan.nii.gz --out masks\n```",
        f"In the masks, 0 is background, {_values(recipe)}.",
        "## Input",
        "\n".join(_input(recipe)),
        "## Training",
        "\n".join(_stages(recipe, data)),
        f"Cases: {', '.join(f'{number} {split}' for split, number in data.cases.items())}.",
        CONTENT,
        "## Results on test cases",
        _results(scores),
        "## Licence and versions",
        f"Licence of the weights: {record['licence'] or UNSTATED}.",
        f"Packed with {', '.join(_versions(record))}.",
    ]
    return "\n\n".join(sections) + "\n"


def _versions(record: Mapping[str, Any]) -> list[str]:
    versions = [f"{name} {version}" for name, version in record["versions"].items()]
    return list(dict.fromkeys([*versions, *record["distributions"]]))


def _front_matter(recipe: Recipe, record: Mapping[str, Any]) -> str:
    fields: dict[str, Any] = {
        "library_name": "wsseg",
        "pipeline_tag": "image-segmentation",
        "tags": ["medical", "weakly-supervised", *recipe.classes],
    }
    if record["licence"]:
        fields = {"license": record["licence"], **fields}
    return f"---\n{yaml12.dump(fields, sort_keys=False, allow_unicode=True)}---"


def _values(recipe: Recipe) -> str:
    return ", ".join(f"{value} is {name}" for value, name in enumerate(recipe.classes, 1))


def _input(recipe: Recipe) -> Iterator[str]:
    shown, (rows, columns) = recipe.input, recipe.input.plane
    yield f"- unit of the values: {shown.unit.name}"
    yield f"- slices seen at a time: {shown.slices}, of {rows} × {columns} pixels"
    for name, region in recipe.regions.items():
        yield f"- region {name}: `{registry().name_of(region)}`"


def _stages(recipe: Recipe, data: TrainingData) -> Iterator[str]:
    for name, stage in recipe.stages.items():
        parts = ", ".join(f"{word} `{use}`" for word, use in _parts(stage).items())
        learns = f"learns {', '.join(stage.classes)} from {LEARNT_FROM[stage.learn]}"
        yield f"- **{name}** {learns}: {parts}"
        for of_class, counts in data.tags.get(name, {}).items():
            numbers = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
            yield f"  - tags of {of_class}, cases: {numbers}"


def _parts(stage: Stage) -> dict[str, str]:
    """Return the names of the parts of a stage, by their keys."""
    parts = {key: getattr(stage, name) for key, name in type(stage).recipe_keys().items()}
    named = {k: registry().name_of(p) for k, p in parts.items() if isinstance(p, Component)}
    return {key: name for key, name in named.items() if name is not None}


def _results(scores: pd.DataFrame | None) -> str:
    if scores is None:
        return "The run was not scored."
    table = results_table(scores.assign(method="this model"))
    [cells] = table.rows
    return "\n".join(
        f"- {column.heading}: {cell.text}" + (f" [{cell.note}]" if cell.note else "")
        for column, cell in list(zip(table.columns, cells, strict=True))[1:]
    )
