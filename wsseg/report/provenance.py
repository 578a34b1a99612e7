"""What runs were made from, as a page tells it: versions, labels read, and what failed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wsseg.config.recipe import load_recipe
from wsseg.evaluation.method_labels import ChosenFrom, recipe_name
from wsseg.training.manifest import read_manifest

FAILED = "failed.txt"  # in a job's folder: why it came to nothing
TEST = "{} cases, no patient in common"
NOTHING = "nothing"


def versions(folder: Path) -> dict[str, str]:
    """Return the versions of what a run was made with, and on how many cases."""
    manifest = read_manifest(folder)
    return {name: str(version) for name, version in manifest["versions"].items()} | {
        "trained on": f"{len(manifest['train'])} cases",
        "tested on": TEST.format(len(manifest["test"])),
    }


def labels_seen(
    method: str, folder: Path, settings_from: Mapping[str, ChosenFrom]
) -> Iterator[dict[str, str]]:
    """Tell for each stage of a run which labels of training cases it read, by head."""
    manifest, recipe = read_manifest(folder), load_recipe(folder / "recipe.yaml")
    for name, stage in recipe.stages.items():
        masked = {
            f["case"] for f in manifest["files"] if f["stage"] == name and f["use"] == "label"
        }
        tags = manifest["tags"].get(name, {})
        chosen = settings_from.get(recipe_name(method), "not stated")
        yield {
            "Method": method,
            "Stage": name,
            "Learns from": stage.learn,
            "True masks": f"of {_listed(stage.classes)}, {len(masked)} cases"
            if masked
            else NOTHING,
            "Tags": _tags(tags, stage.classes) or NOTHING,
            "Settings chosen by": chosen,
        }


def failures(out: Path) -> dict[str, str]:
    """Return why jobs of a suite failed, by their folder below the suite's."""
    return {
        str(path.parent.relative_to(out)): path.read_text(encoding="utf-8").strip()
        for path in sorted(out.glob(f"**/{FAILED}"))
    }


def _tags(by_case: Mapping[str, Any], classes: list[str]) -> str:
    """Tell how many cases, or slices, have a known tag of a class, and how many have the class."""
    told = []
    for name in classes:
        sliced = [tags["slices"].values() for tags in by_case.values() if "slices" in tags]
        unit = "slices" if sliced else "cases"
        values = (
            [tags.get(name) for each in sliced for tags in each]
            if sliced
            else [tags.get(name) for tags in by_case.values()]
        )
        known = [value for value in values if value is not None]
        if known:
            told.append(f"of {name}, {len(known)} {unit}, {sum(map(bool, known))} with it")
    return "; ".join(told)


def _listed(names: list[str]) -> str:
    return " and ".join(names)
