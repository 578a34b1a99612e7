"""Search for images, masks and splits by the names of files and folders."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from wsseg.core.case import MAX_NAME_LENGTH
from wsseg.data import dicom_file, nifti, picture_formats
from wsseg.data.nifti import is_nifti_name
from wsseg.data.picture_formats import is_picture_name
from wsseg.errors import InputError
from wsseg.runtime.files import files_below, fingerprint

SUFFIXES = (*nifti.SUFFIXES, *picture_formats.SUFFIXES, *dicom_file.SUFFIXES)
DIGITS = 8  # of the digest in a shortened name
JPEG = (".jpg", ".jpeg")
IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img"})
MASK_FOLDERS = frozenset(
    {"masks", "mask", "ground_truth", "groundtruth", "gt", "annotations", "annotation", "labels"}
    | {"segmentations", "segmentation"}
)
SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
MASK_ENDING = re.compile(r"[ _.-](mask|label|gt|seg|segmentation)(_?\d+)?$", re.IGNORECASE)


@dataclass(frozen=True)
class FoundMask:
    """A mask of an image."""

    path: Path
    folders: tuple[str, ...]
    """The folders of the mask that are not in its image's path, such as that of a class."""


@dataclass(frozen=True)
class FoundImage:
    """An image below a folder."""

    path: Path
    place: str
    """Its path below the folder, with `/` between names, and with its suffix."""
    folders: tuple[str, ...]
    """The names of the folders that describe it, such as that of a class."""
    split: str
    """The split, from the name of a folder: train, val, test or ''."""
    masks: tuple[FoundMask, ...]

    @property
    def stem(self) -> str:
        """The name of the file without its suffix."""
        return stem_of(self.path)


@dataclass(frozen=True)
class _Named:
    """A file with what its folders say about it."""

    path: Path
    place: str
    is_mask: bool
    split: str
    folders: tuple[str, ...]


def stem_of(path: Path) -> str:
    """Return the name of an image file without its suffix, in one Unicode spelling (NFC)."""
    ending = next((each for each in SUFFIXES if path.name.lower().endswith(each)), "")
    return normalize("NFC", path.name[: len(path.name) - len(ending)])


def shortened(name: str) -> str:
    """Return a name short enough for a file name: a long start is replaced by a digest."""
    if len(name) <= MAX_NAME_LENGTH:
        return name
    return f"{fingerprint(name)[:DIGITS]}_{name[DIGITS + 1 - MAX_NAME_LENGTH :]}"


def image_names(images: Sequence[FoundImage]) -> list[str]:
    """Return the stem of each image, or its path joined by `_` if stems repeat."""
    stems = [image.stem for image in images]
    if len(set(stems)) == len(stems):
        return [shortened(stem) for stem in stems]
    folders = [image.place.split("/")[:-1] for image in images]
    return [shortened("_".join((*parts, stem))) for parts, stem in zip(folders, stems, strict=True)]


def find_images(root: Path) -> list[FoundImage]:
    """Return the images below a folder, in the order of their paths, with their masks.

    A mask is a file below a folder `masks`, `ground_truth`, `labels` or similar with the name of
    its image, or with that name and an ending such as `_mask`; or a file next to its image with
    such an ending; or a file next to a JPEG of the same name. Folders `images`, and `train`, `val`
    and `test`, are not part of `FoundImage.folders`.

    Raises:
        InputError: A folder cannot be listed, or two images in a folder have the same name.
    """
    named = [_named(root, path) for path in files_below(root) if _is_image(root, path)]
    adjacent = _adjacent_masks([each for each in named if not each.is_mask])
    below: dict[str, list[_Named]] = defaultdict(list)
    for each in named:
        if each.is_mask:
            below[_image_stem(each.path)].append(each)
            if stem_of(each.path) != _image_stem(each.path):
                below[stem_of(each.path)].append(each)
    masks = {each.path for found in adjacent.values() for each in found}
    times = Counter(stem_of(each.path) for each in named if not each.is_mask)
    return [
        FoundImage(
            path=each.path,
            place=each.place,
            folders=each.folders,
            split=each.split,
            masks=(
                *(FoundMask(mask.path, ()) for mask in adjacent.get(each.path, ())),
                *_masks_below(each, below[stem_of(each.path)], times[stem_of(each.path)] == 1),
            ),
        )
        for each in named
        if not each.is_mask and each.path not in masks
    ]


def _is_image(root: Path, path: Path) -> bool:
    folders = path.relative_to(root).parent.parts
    hidden = any(name.startswith((".", "__")) for name in folders)
    return not hidden and (is_picture_name(path) or is_nifti_name(path))


def _named(root: Path, path: Path) -> _Named:
    parts = [normalize("NFC", name) for name in path.relative_to(root).parent.parts]
    splits = [SPLIT_FOLDERS[name.lower()] for name in parts if name.lower() in SPLIT_FOLDERS]
    special = {*SPLIT_FOLDERS, *IMAGE_FOLDERS, *MASK_FOLDERS}
    return _Named(
        path=path,
        place="/".join((*parts, normalize("NFC", path.name))),
        is_mask=any(name.lower() in MASK_FOLDERS for name in parts),
        split=splits[0] if splits else "",
        folders=tuple(name for name in parts if name.lower() not in special),
    )


def _image_stem(mask: Path) -> str:
    """Return the stem of the image of a mask: without an ending such as `_mask`."""
    return MASK_ENDING.sub("", stem_of(mask))


def _adjacent_masks(files: Iterable[_Named]) -> dict[Path, list[_Named]]:
    """Return the masks in the folders of their images, by the path of the image."""
    by_stem: dict[tuple[Path, str], list[_Named]] = defaultdict(list)
    for each in files:
        by_stem[each.path.parent, stem_of(each.path)].append(each)
    masks: dict[Path, list[_Named]] = defaultdict(list)
    for (folder, stem), same in by_stem.items():
        image, *others = sorted(same, key=lambda each: each.path.suffix.lower() not in JPEG)
        if others and (len(others) > 1 or image.path.suffix.lower() not in JPEG):
            raise InputError(
                f"{folder}: several images are called {stem}: "
                f"{', '.join(each.path.name for each in same)}. Rename or remove all but one, or "
                "put masks into a folder called masks"
            )
        masks[image.path] += others
        of = by_stem.get((folder, _image_stem(image.path)), [])
        if of and of is not same:
            first = min(of, key=lambda each: each.path.suffix.lower() not in JPEG)
            masks[first.path].append(image)
    return {path: found for path, found in masks.items() if found}


def _masks_below(image: _Named, masks: Sequence[_Named], is_only: bool) -> list[FoundMask]:  # noqa: FBT001
    """Return the masks with the name of an image that are in its folders, or further down.

    If no other image has this name, a mask may lack these folders.
    """
    depth = len(image.folders)
    return [
        FoundMask(mask.path, mask.folders[depth:])
        for mask in masks
        if (mask.folders[:depth] == image.folders or (is_only and not mask.folders))
        and mask.split in ("", image.split)
    ]
