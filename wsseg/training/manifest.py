"""The manifest of a run: the files that each stage read, and their uses.

It shows that no weakly supervised stage has read a mask of its classes, and which scribbles, boxes
and shares it has learnt from.
"""

import platform
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from wsseg.config.recipe import Recipe
from wsseg.config.stages import MasksStage, stops_early
from wsseg.core.case import Case
from wsseg.core.contracts import region_files
from wsseg.core.weak_labels import Tag
from wsseg.data.split import Split
from wsseg.errors import InputError
from wsseg.inference.folders import RunFolder
from wsseg.runtime.device import device_name
from wsseg.runtime.files import read_json, sha256
from wsseg.training.stage_identity import weights_files
from wsseg.training.weak_labels import weak_labels_of

PACKAGES = ("wsseg", "torch", "lightning-fabric", "albumentations", "numpy", "scipy", "nibabel")
OF_NO_CASE = ""  # the case of a file that belongs to a stage, such as pre-trained weights
FILE_KEYS = ("stage", "case", "use", "path", "sha256")  # in the entry of a file


def manifest(
    recipe: Recipe,
    split: Split,
    training_cases: Mapping[str, Sequence[str]],
    accept: Collection[str],
) -> dict[str, Any]:
    """Return the manifest of a run.

    `training_cases` names the cases of each stage; `accept` names the findings that were ignored.
    """
    digests: dict[Path, str] = {}
    files = []
    used = {}
    for stage, names in training_cases.items():
        learnt_from = set(names)
        used[stage] = [case for case in split.training_cases(stage) if case.name in learnt_from]
    for stage, cases in used.items():
        read = [(OF_NO_CASE, "weights", path) for path in weights_files(recipe, stage)]
        read += [(case.name, *each) for case in cases for each in _files(recipe, stage, case)]
        read += [
            (case.name, f"validation {use}", path)
            for case in (split.validation if stops_early(recipe.stages[stage]) else ())
            for use, path in _files(recipe, stage, case)
        ]
        for name, use, path in read:
            digests[path] = digests.get(path) or sha256(path)
            files.append(
                {
                    "stage": stage,
                    "case": name,
                    "use": use,
                    "path": str(path),
                    "sha256": digests[path],
                }
            )
    return {
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
        "device": device_name(),
        "seed": recipe.seed,
        "train": [case.name for case in split.train],
        "train_by_stage": {
            stage: [case.name for case in cases] for stage, cases in split.by_stage.items()
        },
        "validation": [case.name for case in split.validation],
        "test": [case.name for case in split.test],
        "tags": {
            name: {case.name: _tags(case, stage.classes) for case in split.training_cases(name)}
            for name, stage in recipe.stages.items()
            if training_cases[name] and not isinstance(stage, MasksStage)
        },
        "weak_labels": {
            stage: {
                case.name: labels
                for case in cases
                if (labels := weak_labels_of(recipe.stages[stage], case))
            }
            for stage, cases in used.items()
        },
        "files": files,
        "accepted": sorted(accept),
    }


def read_manifest(folder: RunFolder) -> dict[str, Any]:
    """Read the manifest of a run.

    Raises:
        InputError: The file is missing or damaged.
    """
    path = folder.manifest
    if folder.packed.exists():
        raise InputError(
            "a packed run does not list its cases and files, so it can only be used to predict; "
            "use the folder that it was packed from"
        )
    try:
        found: dict[str, Any] = read_json(path)
        listed = all(isinstance(found[key], list) for key in ("train", "test", "files"))
        texts = [each[key] for each in found["files"] for key in FILE_KEYS]
        if listed and all(isinstance(text, str) for text in texts):
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError(
        f"{path}: the file is missing or damaged; copy the run again, with all of its files"
    )


def _files(recipe: Recipe, stage_name: str, case: Case) -> Iterator[tuple[str, Path]]:
    stage = recipe.stages[stage_name]
    if not case.images:
        yield "image", case.image
    yield from ((f"image.{name}", path) for name, path in case.images.items())
    visible = {recipe.input.mask, recipe.input.standardize}
    for name in visible | {stage.region_in_training or stage.region}:
        if name in recipe.regions:
            files = region_files(recipe.regions[name], case)
            yield from (("region", path) for path in files)
    if isinstance(stage, MasksStage):
        yield from (("label", case.masks[name]) for name in stage.classes)
    for name in weak_labels_of(stage, case).get("scribbles", ()):
        yield "scribble", case.scribbles[name]


def _tags(case: Case, classes: Sequence[str]) -> dict[str, Any]:
    own = _plain({name: case.tags.get(name) for name in classes})
    slices = {int(z): _plain(tags) for z, tags in case.slice_tags.items()}
    return own | ({"slices": slices} if slices else {})


def _plain(tags: Mapping[str, Tag]) -> dict[str, Any]:
    """Return tags as JSON values; a cohort may return NumPy bools."""
    return {name: _plain_tag(tag) for name, tag in tags.items()}


def _plain_tag(tag: Tag) -> Tag:
    if tag is None:
        return None
    return bool(tag) if tag in (0, 1) else float(tag)


@dataclass(frozen=True)
class ChangedFile:
    """A file that has changed since the run read it."""

    path: Path
    change: str  # "missing" or "changed"
    case: str  # or `OF_NO_CASE`
    uses: tuple[str, ...]  # such as "lesion: label"


def changed_files(files: Iterable[Mapping[str, str]]) -> list[ChangedFile]:
    """Return the files of a manifest that have changed, each with all of its uses."""
    uses: dict[tuple[str, str, str], list[str]] = {}
    for each in files:
        key = (each["path"], each["sha256"], each["case"])
        uses.setdefault(key, []).append(f"{each['stage']}: {each['use']}")
    changed = []
    for (name, digest, case), stages in uses.items():
        path = Path(name)
        if not path.exists():
            changed.append(ChangedFile(path, "missing", case, tuple(stages)))
        elif sha256(path) != digest:
            changed.append(ChangedFile(path, "changed", case, tuple(stages)))
    return changed
