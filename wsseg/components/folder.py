"""The cohort that reads its cases from the names of folders and files."""

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, final

from pydantic import AfterValidator, Field, PositiveInt

from wsseg.components.tag_file import TagRow, read_tag_file
from wsseg.core.case import SPLITS, Case, fits_file_names, repeated_names, splits_by_patient
from wsseg.core.interfaces import Cohort
from wsseg.core.weak_labels import Tag
from wsseg.data.image_files import FoundImage, find_images, image_names
from wsseg.data.picture_formats import SUFFIXES
from wsseg.data.split import draw_patients
from wsseg.errors import InputError, known_words

log = logging.getLogger("wsseg")
BACKGROUND = frozenset(
    {"good", "normal", "free", "ok", "none", "no", "negative", "healthy", "background", "clean"}
    | {"no finding", "no_finding", "nofinding", "defect-free", "defect_free", "undamaged", "0"}
)

Tags: TypeAlias = Mapping[str, Tag]
Part: TypeAlias = Annotated[float, Field(gt=0, lt=1)] | str
Problem: TypeAlias = tuple[str, InputError]


def _is_regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a valid regular expression: {error}") from None
    return text


Pattern: TypeAlias = Annotated[str, AfterValidator(_is_regular_expression)]


@dataclass(frozen=True)
class _Labelled:
    """An image with the classes that are known of it, before classes are merged."""

    image: FoundImage
    tags: Tags
    patient: str
    split: str


@final
class Folder(Cohort):
    """A cohort of the images below a folder: pictures (PNG, JPEG, BMP, GIF, TIFF, .npy) or NIfTI.

    Tags come from one of two places:

    - the folders of classes, such as `good/` and `crack/`: an image below `crack` has the class
      crack and no other one, an image below `good` has none;
    - a table, `tags`, with a row for each case. Its columns are `image`, `class` (one, or several
      with `|` between them) or `tag.CLASS`, and optionally `patient` and `split`.

    Masks are used for stages that learn from masks, and for scores. They have the names of their
    images, possibly with an ending such as `_mask`, and are below a folder `masks`, `ground_truth`,
    `labels` or similar, or next to the image. In a folder of a class, such as `masks/crack/`, they
    are masks of that class, else of the class of their image. If a class has several mask files for
    an image, none is used, with a warning.

    Folders `train`, `val` and `test` are splits, unless `split` defines them. The name of a case is
    that of its file, or its path below the folder if file names repeat.

    Example:
        >>> from tempfile import mkdtemp
        >>> from wsseg.components.folder import Folder
        >>> root = Path(mkdtemp())
        >>> for place in ("good/1.png", "crack/2.png"):
        ...     (root / place).parent.mkdir()
        ...     (root / place).touch()
        >>> [(case.name, case.tags) for case in Folder(path=root).cases()]
        [('2', {'crack': True}), ('1', {'crack': False})]
    """

    path: Path
    """The folder."""
    tags: Path | None = None
    """A CSV file of tags; null: the folders of classes."""
    columns: Mapping[str, str] = {}
    """The columns of `tags` by their names in the file, such as {defect: class}; an empty name
    leaves a column out."""
    classes: Mapping[str, tuple[str, ...]] = {}
    """Classes that replace those of folders or tags: {defect: [crack, hole]} joins two, and leaves
    all others out. Empty: each name is a class, except `background`."""
    background: tuple[str, ...] | None = None
    """The names that mean no class; null: those usual for it, such as good, normal and free."""
    class_name: str = "object"
    """The class of masks if nothing else names a class."""
    mask_values: Mapping[str, tuple[int, ...]] = {}
    """For each class the values in its mask files that belong to it. The default is 1, or 255."""
    split: Mapping[Literal["val", "test"], Part] = {}
    """The share of patients in a split, such as {test: 0.2}, or a regular expression that is found
    in the paths of its images; empty: as folders or the table say."""
    seed: int = 0
    """The seed of splits by share."""
    group: Pattern | None = None
    """A regular expression whose groups are the patient (or object) that an image shows, searched
    in its path below the folder; null: each image shows another one."""
    group_gap: PositiveInt | None = None
    """Patients whose numbers, from `group` or the table, differ by at most this from the next one
    are one patient, such as exposures that follow one another; null: each number is a patient."""
    leave_out: tuple[str, ...] = ()
    """The names of images that are not used, without their suffix."""

    def cases(self) -> list[Case]:
        """List the cases in the order of their paths.

        Raises:
            InputError: The folder has no images, a row of `tags` is invalid, or a patient is in
                several splits.
        """
        cases, problems = self.read()
        if problems:
            raise problems[0][1]
        for patient, splits in splits_by_patient(cases).items():
            if len(splits) > 1:
                names = " and ".join(sorted(split or "none" for split in splits))
                raise InputError(
                    f"{self.path}: patient {patient} is in the splits {names}. Correct `group` or "
                    "`split`, so that all images of a patient are in the same split"
                )
        return cases

    def read(self) -> tuple[list[Case], list[Problem]]:
        """Return the cases, and the problems of rows of `tags` with the names of their images.

        Raises:
            InputError: The folder has no images, or `tags` cannot be read.
        """
        labelled, problems = self._labelled()
        labelled = [each for each in labelled if each.image.stem not in self.leave_out]
        merged = [replace(each, tags=self._merged(each.tags)) for each in self._joined(labelled)]
        splits = self._splits(merged)
        names = image_names([each.image for each in merged])
        if repeated := repeated_names(Case(name, name, self.path) for name in names):
            raise InputError(f"{self.path}: two images are both named {repeated[0]}; rename one")
        if unfit := [name for name in names if not fits_file_names(name)]:
            raise InputError(
                f"{self.path}: {unfit[0]!r} cannot be a file name everywhere; rename it"
            )
        classes = tuple(dict.fromkeys(name for each in merged for name in each.tags))
        cases = [
            Case(
                name=name,
                patient=each.patient or name,
                image=each.image.path,
                split=split,
                masks=(masks := self._masks(each, classes)),
                mask_values={c: self.mask_values[c] for c in masks if c in self.mask_values},
                tags=each.tags,
            )
            for name, each, split in zip(names, merged, splits, strict=True)
        ]
        return cases, problems

    def _images(self) -> list[FoundImage]:
        if not self.path.is_dir():
            raise InputError(f"{self.path}: is not a folder. Give the folder that has the images")
        images = find_images(self.path)
        if not images:
            raise InputError(
                f"{self.path}: has no images; possible: {', '.join(SUFFIXES)}, .nii, .nii.gz"
            )
        names = {each.stem for each in images}
        if unknown := [name for name in self.leave_out if name not in names]:
            raise InputError(
                f"{self.path}: leave_out: no image has the name {unknown[0]!r}; "
                f"{known_words(unknown[0], names)}"
            )
        return images

    def _labelled(self) -> tuple[list[_Labelled], list[Problem]]:
        images = self._images()
        if self.tags is None:
            classes = self._known(each.folders[0] for each in images if each.folders)
            return [self._by_folder(each, classes) for each in images], []
        rows, problems = read_tag_file(self.tags, self.columns, images)
        classes = self._known(name for each in rows for name in each.classes or ())
        labelled = list[_Labelled]()
        for row in sorted(rows, key=lambda row: row.image.place):
            try:
                labelled.append(self._by_row(row, classes))
            except InputError as error:
                problems.append((row.image.stem, error))
        return labelled, problems

    def _known(self, names: Iterable[str]) -> list[str]:
        """Return the names that are classes."""
        found = sorted(set(names))
        if self.background is not None:
            if missing := [name for name in self.background if name not in found]:
                raise InputError(
                    f"{self.path}: background: no image is {missing[0]!r}; "
                    f"{known_words(missing[0], found)}"
                )
            return [name for name in found if name not in self.background]
        return [name for name in found if name.lower() not in BACKGROUND]

    def _by_folder(self, image: FoundImage, classes: Collection[str]) -> _Labelled:
        own = image.folders[:1]
        tags = {name: name in own for name in classes} if own else dict.fromkeys(classes)
        return _Labelled(image, tags, self._patient(image), image.split)

    def _by_row(self, row: TagRow, classes: Collection[str]) -> _Labelled:
        known = row.classes is not None
        tags: dict[str, Tag] = {
            name: name in (row.classes or ()) if known else None for name in classes
        }
        split = row.row.get("split") or row.image.split
        if split not in SPLITS:
            words = known_words(split, SPLITS[:-1])
            raise InputError(f"{row.row.place}: unknown split {split!r}; {words}, or an empty cell")
        patient = row.row.name("patient") or self._patient(row.image)
        return _Labelled(row.image, tags | dict(row.tags), patient, split)

    def _merged(self, tags: Tags) -> dict[str, Tag]:
        if not self.classes:
            return dict(tags)
        merged: dict[str, Tag] = {}
        for name, parts in self.classes.items():
            if unknown := [part for part in parts if part not in tags]:
                raise InputError(
                    f"{self.path}: classes.{name}: no image has the class {unknown[0]!r}; "
                    f"{known_words(unknown[0], tags)}"
                )
            own = [tags[part] for part in parts]
            merged[name] = True if True in own else None if None in own else False
        return merged

    def _patient(self, image: FoundImage) -> str:
        if self.group is None:
            return ""
        found = re.search(self.group, image.place)
        if found is None:
            raise InputError(
                f"{self.path}: group {self.group} is not found in {image.place}; write a regular "
                "expression that is found in the path of each image"
            )
        return "-".join(filter(None, found.groups())) if found.groups() else found[0]

    def _joined(self, labelled: Sequence[_Labelled]) -> list[_Labelled]:
        """Merge patients whose numbers differ by at most `group_gap`; the lowest one names them."""
        if self.group_gap is None:
            return list(labelled)
        if words := [each.patient for each in labelled if not each.patient.isdecimal()]:
            raise InputError(
                f"{self.path}: group_gap: patient {words[0]!r} is not a number; write a regular "
                "expression in `group` whose group is a number"
            )
        first: dict[int, int] = {}
        before = None
        for number in sorted({int(each.patient) for each in labelled}):
            follows = before is not None and number - before <= self.group_gap
            first[number] = first[before] if follows and before is not None else number
            before = number
        return [replace(each, patient=str(first[int(each.patient)])) for each in labelled]

    def _splits(self, labelled: Sequence[_Labelled]) -> list[str]:
        if not self.split:
            return [each.split for each in labelled]
        patterns = {name: part for name, part in self.split.items() if isinstance(part, str)}
        shares = {name: part for name, part in self.split.items() if not isinstance(part, str)}
        splits = [
            next((s for s, p in patterns.items() if re.search(p, each.image.place)), "train")
            for each in labelled
        ]
        for name, pattern in patterns.items():
            if name not in splits:
                raise InputError(
                    f"{self.path}: split.{name}: {pattern} is found in no path, such as "
                    f"{labelled[0].image.place}"
                )
        patients = [each.patient or each.image.place for each in labelled]
        for name, share in shares.items():
            present: dict[str, set[str]] = defaultdict(set)
            for each, patient, split in zip(labelled, patients, splits, strict=True):
                if split == "train":
                    present[patient].update(c for c, tag in each.tags.items() if tag)
            drawn = draw_patients(present, share, self.seed)
            splits = [name if p in drawn else s for p, s in zip(patients, splits, strict=True)]
        return splits

    def _masks(self, labelled: _Labelled, classes: Sequence[str]) -> dict[str, Path]:
        """Return the masks of an image, by class; of a class with several files, none."""
        masks: dict[str, list[Path]] = {}
        for mask in labelled.image.masks:
            name = self._class_of(mask.folders, labelled.tags, classes)
            if name:
                masks.setdefault(name, []).append(mask.path)
        for name, paths in masks.items():
            if len(paths) > 1:
                _warn_of_several_masks(labelled.image.place, name, len(paths))
        return {name: paths[0] for name, paths in masks.items() if len(paths) == 1}

    def _class_of(self, folders: Sequence[str], tags: Tags, classes: Sequence[str]) -> str:
        """Return the class of a mask: that of its folder, of its image, or the only one."""
        parts = {part: name for name, parts in self.classes.items() for part in parts}
        own = [parts.get(folder, folder) for folder in folders]
        if own:
            return own[0] if own[0] in classes or not classes else ""
        present = [name for name, tag in tags.items() if tag] or list(classes)
        if not present:
            return self.class_name
        return present[0] if len(present) == 1 else ""


@lru_cache(maxsize=4096)
def _warn_of_several_masks(place: str, name: str, number: int) -> None:
    """Log a warning about an image, once per process."""
    log.warning(
        "%s: has %d masks of %s, of which none is used. Join them to one file", place, number, name
    )
