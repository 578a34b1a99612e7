"""wsseg, its plugins and its recipes as importable packages, even if they are not installed.

This module needs only the standard library and `packaging`, so that missing packages can be named
before they are imported.
"""

import os
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
OPTIONAL = ("monai",)  # without them, parts are left out


def unmet_requirements() -> list[str]:
    """Return the requirements that are not met, such as "filelock>=4.2.1,<5 (3.20 is installed)".

    Without `packaging`, which compares versions, only that is missing.
    """
    if not _is_installed("packaging"):
        return ["packaging"]
    from packaging.requirements import Requirement

    unmet = []
    for text in _project(REPOSITORY)["dependencies"]:
        required = Requirement(text)
        version = _installed_version(required.name)
        if version is None:
            unmet.append(text)
        elif not required.specifier.contains(version, prereleases=True):
            unmet.append(f"{text} ({version} is installed)")
    return unmet


def make_importable(folder: Path) -> None:
    """Make wsseg, its plugins and its recipes importable in this process and those it starts.

    Where a distribution is not installed, its metadata is written to `folder`, since plugins are
    found by their entry points.
    """
    places = [folder, REPOSITORY]
    for source in _sources():
        project = _project(source)
        if not _is_installed(project["name"]):
            _write_metadata(folder, project)
            places.append(source)
    paths = [str(place) for place in dict.fromkeys(places)]
    sys.path += [path for path in paths if path not in sys.path]
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, before] if before else paths)


def _sources() -> Iterator[Path]:
    """Yield the folder of each distribution in this repository."""
    yield REPOSITORY
    for pattern in ("plugins/*/pyproject.toml", "recipes/*/pyproject.toml"):
        yield from (path.parent for path in sorted(REPOSITORY.glob(pattern)))


def _project(source: Path) -> dict[str, Any]:
    """Return the table `project` of a folder's pyproject.toml."""
    text = (source / "pyproject.toml").read_text(encoding="utf-8")
    project: dict[str, Any] = tomllib.loads(text)["project"]
    return project


def _write_metadata(folder: Path, project: dict[str, Any]) -> None:
    """Write the metadata of an installed distribution: its name, version and entry points.

    All distributions have the version of wsseg.
    """
    version = _project(REPOSITORY)["version"]
    stem = f"{project['name'].replace('-', '_')}-{version}"
    info = folder / f"{stem}.dist-info"
    info.mkdir(parents=True)
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    (info / "METADATA").write_text(head, encoding="utf-8")
    groups = project.get("entry-points", {})
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")


def _is_installed(name: str) -> bool:
    return _installed_version(name) is not None


def _installed_version(name: str) -> str | None:
    """Return the version that is imported, of which there may be several; None without one."""
    found = next(iter(metadata.distributions(name=name)), None)
    return None if found is None else found.version
