"""Who was scanned, which files there are, and what is known without a pixel label."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One scan of a cohort. Nothing is read before it is asked for.

    A tag is True (present), False (absent) or None (unknown).
    """

    name: str
    patient: str
    image: Path
    site: str = ""
    split: str = ""  # "train", "test", or "" where the cohort does not say
    masks: Mapping[str, Path] = field(default_factory=dict)  # by name; none where unlabelled
    mask_values: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # default: 1 (or 255)
    mask_labels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # all a file may hold
    tags: Mapping[str, bool | None] = field(default_factory=dict)  # by class
    slice_tags: Mapping[int, Mapping[str, bool | None]] = field(default_factory=dict)
    frame: int | None = None  # of a file that stacks unrelated slices, the one that is this case
    window: tuple[float, float] | None = None  # of an 8-bit picture: what 0 and 255 stand for
    masks_on_grid: bool = False  # voxel by voxel on the image, whatever the masks' affine says
    axes: str = ""  # what the files' axes run towards ("LPS"), where their affine cannot be trusted

    def without_masks(self, names: Collection[str]) -> "Case":
        """Return the case as one sees it who must not see these masks."""
        return replace(self, masks={k: path for k, path in self.masks.items() if k not in names})

    def tag(self, name: str, slice_index: int) -> bool | None:
        """Return what is known of class `name` in a slice, counted as in the file (from 0).

        The slice's own tag, where it has one; else the case's.
        """
        tags = self.slice_tags.get(slice_index, {})
        return tags[name] if name in tags else self.tags.get(name)


def splits_by_patient(cases: Iterable[Case]) -> dict[str, set[str]]:
    """Return the splits that each patient's scans are in: one, if all is well."""
    splits: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        splits[case.patient].add(case.split)
    return dict(splits)


def repeated_names(cases: Iterable[Case]) -> list[str]:
    """Return the names that more than one case has."""
    return [name for name, times in Counter(case.name for case in cases).items() if times > 1]
