"""The origin of a job's rows: code, versions, machine, date and duration."""

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

import torch

import wsseg
from wsseg.components.registry import registry
from wsseg.config.columns import FINGERPRINT
from wsseg.config.recipe import Recipe
from wsseg.runtime.device import device_name, used_precision

SOURCE_TREE = Path(wsseg.__file__).parents[1]
SOURCE_FOLDERS = ("wsseg", "plugins", "recipes")  # compared with the commit
GIT_TIMEOUT_S = 30


def job_provenance(recipe: Recipe, fingerprint: str, seconds: float) -> dict[str, str]:
    """Return the columns `run.*` of the rows of a job that this process has run.

    Args:
        recipe: The recipe of the job.
        fingerprint: The fingerprint of the job: see `job_fingerprint`.
        seconds: How long its stages and its scoring took.
    """
    plugins = registry().distributions(registry().describe(recipe))
    versions = {f"{name} {metadata.version(name)}" for name in ("wsseg", "torch")} | plugins
    return {
        "run.commit": source_commit(SOURCE_TREE),
        "run.versions": ", ".join([f"Python {platform.python_version()}", *sorted(versions)]),
        "run.device": device_name(),
        "run.precision": used_precision(recipe.precision),
        "run.threads": str(torch.get_num_threads()),
        "run.date": datetime.now(UTC).date().isoformat(),
        "run.seconds": f"{seconds:.1f}",
        FINGERPRINT: fingerprint,
    }


@cache
def source_commit(tree: Path) -> str:
    """Return the commit of a source tree, with "+ changes" if its code differs.

    Without a git checkout, or without git, return the version of wsseg.
    """
    version = f"wsseg {metadata.version('wsseg')}"
    if not (tree / ".git").exists():
        return version
    try:
        commit = _git(tree, "rev-parse", "--short=12", "HEAD")
        changes = _git(tree, "status", "--porcelain", "--", *SOURCE_FOLDERS)
    except (OSError, subprocess.SubprocessError):
        return version
    return f"{commit} + changes" if changes else commit


def _git(tree: Path, *words: str) -> str:
    command = ["git", "-C", str(tree), *words]
    ended = subprocess.run(  # noqa: S603 - the words are constants of this module
        command, check=True, capture_output=True, text=True, timeout=GIT_TIMEOUT_S
    )
    return ended.stdout.strip()
