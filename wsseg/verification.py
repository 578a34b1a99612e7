"""Whether the files that a run read are still what they were."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wsseg.files import sha256


@dataclass(frozen=True)
class Changed:
    """A file of a manifest that is no longer what the run read."""

    path: Path
    what: str  # "missing", "changed"
    case: str
    uses: tuple[str, ...]  # such as "infection: label"


def changed_files(files: Iterable[Mapping[str, str]]) -> list[Changed]:
    """Recompute the digest of each file of a manifest; return those that differ."""
    uses: dict[tuple[str, str, str], list[str]] = {}
    for each in files:
        key = (each["path"], each["sha256"], each["case"])
        uses.setdefault(key, []).append(f"{each['stage']}: {each['use']}")
    changed = []
    for (name, digest, case), stages in uses.items():
        path = Path(name)
        if not path.exists():
            changed.append(Changed(path, "missing", case, tuple(stages)))
        elif sha256(path) != digest:
            changed.append(Changed(path, "changed", case, tuple(stages)))
    return changed
