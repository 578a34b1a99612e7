"""Cases: scans with their files and weak labels."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from wsseg.core.channels import ONE_CHANNEL
from wsseg.core.weak_labels import Bounds, Box, ScribbleValues, Tag

SPLITS = ("train", "val", "test", "")
FORBIDDEN_IN_NAMES = frozenset('/\\:*?"<>|')  # some file systems forbid them in file names
MAX_NAME_LENGTH = 100  # characters; with a suffix, below a file system's limit of 255 bytes


@dataclass(frozen=True)
class Case:
    """One scan of a cohort, with its files and tags. Files are read only when they are needed.

    A tag is True (present), False (absent), None (unknown) or the probability of being present.

    Example:
        >>> from pathlib import Path
        >>> from wsseg import Case
        >>> case = Case(
        ...     name="scan-7",
        ...     patient="patient-3",
        ...     image=Path("scan-7.nii.gz"),
        ...     tags={"tumour": True},
        ...     slice_tags={0: {"tumour": False}},
        ... )
        >>> case.tag("tumour", slice_index=0), case.tag("tumour", slice_index=1)
        (False, True)
    """

    name: str
    """Unique in the cohort; names of output files contain it."""
    patient: str
    """The patient. All scans of a patient are in the same split."""
    image: Path
    """A NIfTI file, a picture (PNG, JPEG, BMP, GIF, TIFF, .npy), a DICOM file, or a folder below
    which there is one scan as DICOM files."""
    files: tuple[Path, ...] = ()
    """The DICOM files of the scan, if they are not the only scan below `image`."""
    site: str = ""
    """The hospital or scanner."""
    split: str = ""
    """`train`, `val`, `test`, or empty if the cohort does not define a split."""
    masks: Mapping[str, Path] = field(default_factory=dict)
    """The files of masks, by the name of the class or region."""
    mask_values: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The values that mark each mask in its file; by default 1 or 255."""
    mask_labels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """All values that the file of each mask may contain; by default any if it has `mask_values`."""
    tags: Mapping[str, Tag] = field(default_factory=dict)
    """The tags of the scan, by class."""
    slice_tags: Mapping[int, Mapping[str, Tag]] = field(default_factory=dict)
    """The tags of single slices, by the number of the slice in the file, from 0."""
    scribbles: Mapping[str, Path] = field(default_factory=dict)
    """The files of scribbles, by class: they label some pixels and leave the others unknown."""
    scribble_values: Mapping[str, ScribbleValues] = field(default_factory=dict)
    """The meaning of the values in each file of scribbles, if not 1 (present) and 2 (absent)."""
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    """Boxes by class. Outside its boxes, the class is absent."""
    shares: Mapping[str, Bounds] = field(default_factory=dict)
    """The lowest and the highest share of the stage's region that a class has in the scan."""
    slice_shares: Mapping[int, Mapping[str, Bounds]] = field(default_factory=dict)
    """The shares of single slices, by the number of the slice in the file, from 0."""
    frame: int | None = None
    """The slice that is this case, in a file that stacks unrelated slices."""
    window: tuple[float, float] | None = None
    """The values that 0 and 255 represent, if the image is an 8-bit picture."""
    masks_on_grid: bool = False
    """Whether masks match the image voxel by voxel although their affines differ."""
    axes: str = ""
    """The directions of the file's axes, such as "LPS", if its affine is wrong."""
    images: Mapping[str, Path] = field(default_factory=dict)
    """The files of several sequences by their names, such as t1 and t2, of which `image` is the
    first; empty: the image is one file."""

    @property
    def is_for_training(self) -> bool:
        """Whether the cohort's split allows training on the case; without a split, it does."""
        return self.split in ("train", "")

    @property
    def image_files(self) -> dict[str, Path]:
        """The files of the image by name, which for a single file is "image"."""
        return dict(self.images) or {ONE_CHANNEL[0]: self.image}

    def without_masks(self, names: Collection[str]) -> "Case":
        """Return the case without the masks of these names."""
        return replace(self, masks={k: path for k, path in self.masks.items() if k not in names})

    def tag(self, name: str, slice_index: int) -> Tag:
        """Return the tag of class `name` for a slice, numbered as in the file, from 0.

        A slice's own tag takes precedence over the tag of the case.
        """
        tags = self.slice_tags.get(slice_index, {})
        return tags[name] if name in tags else self.tags.get(name)


def splits_by_patient(cases: Iterable[Case]) -> dict[str, set[str]]:
    """Return the splits of each patient's scans; a valid cohort has one per patient."""
    splits: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        splits[case.patient].add(case.split)
    return dict(splits)


def fits_file_names(name: str) -> bool:
    """Return whether the name of a case can be part of the names of its output files."""
    valid = all(c.isprintable() and c not in FORBIDDEN_IN_NAMES for c in name)
    return valid and 0 < len(name) <= MAX_NAME_LENGTH and not name.startswith(".")


def repeated_names(cases: Iterable[Case]) -> list[str]:
    """Return the names that several cases have in common."""
    return [name for name, times in Counter(case.name for case in cases).items() if times > 1]
