"""The cohort that reads its cases from the names of folders and files."""

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, final

from pydantic import AfterValidator, Field, PositiveInt

from wsseg.components.cohorts import with_boxes
from wsseg.components.scribble_files import scribbles_of
from wsseg.components.tag_file import TagRow, read_tag_file
from wsseg.core.case import SPLITS, Case, fits_file_names, repeated_names, splits_by_patient
from wsseg.core.interfaces import Cohort
from wsseg.core.weak_labels import Bounds, Box, ScribbleValues, Tag
from wsseg.data.coco import boxes_of_file, check_images_match, read_coco_boxes
from wsseg.data.image_files import FoundImage, FoundMask, find_images, image_names
from wsseg.data.picture_formats import SUFFIXES
from wsseg.data.split import draw_patients
from wsseg.errors import InputError, known_words

log = logging.getLogger("wsseg")
BACKGROUND = frozenset(
    {"good", "normal", "free", "ok", "none", "no", "negative", "healthy", "background", "clean"}
    | {"control", "controls", "absent", "intact", "uninfected", "undamaged", "uncracked", "0"}
    | {"nofinding"}
)
WITHOUT = frozenset({"no", "without", "ok"})  # as the first word of a name
WORD_END = re.compile(r"[ _.-]+")

Tags: TypeAlias = Mapping[str, Tag]
Boxes: TypeAlias = Mapping[str, tuple[Box, ...]]
Part: TypeAlias = Annotated[float, Field(gt=0, lt=1)] | str
Problem: TypeAlias = tuple[str, InputError]


def _is_regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a valid regular expression: {error}") from None
    return text


Pattern: TypeAlias = Annotated[str, AfterValidator(_is_regular_expression)]


def means_background(name: str) -> bool:
    """Return whether the name of a folder or tag means that no class is present.

    Example:
        >>> from wsseg.components.folder import means_background
        >>> [name for name in ("Good", "no_crack", "crack-free", "crack") if means_background(name)]
        ['Good', 'no_crack', 'crack-free']
    """
    first, *others = WORD_END.split(name.lower())
    return name.lower() in BACKGROUND or (
        bool(others) and (first in WITHOUT or others[-1] == "free")
    )


@dataclass(frozen=True)
class _Labelled:
    """An image with its known classes, before classes are merged."""

    image: FoundImage
    tags: Tags
    patient: str
    split: str
    boxes: Boxes = field(default_factory=dict)
    shares: Mapping[str, Bounds] = field(default_factory=dict)


@final
class Folder(Cohort):
    """A cohort of the images below a folder: pictures (PNG, JPEG, BMP, GIF, TIFF, .npy) or NIfTI.

    Tags come from one of two places:

    - the folders of classes, such as `good/` and `crack/`: an image below `crack` has the class
      crack and no other, and an image below `good` has none;
    - a table, `tags`, with a row for each case. Its columns are `image`, `class` (one, or several
      with `|` between them) or `tag.CLASS`, and optionally `patient` and `split`. Boxes are in
      `box.CLASS` and shares in `share.CLASS`, in the form of the cohort `table`.

    Masks are used for stages that learn from masks, and for scores. They have the names of their
    images, possibly with an ending such as `_mask`, and are below a folder `masks`, `ground_truth`,
    `labels` or similar, or next to the image. In a folder of a class, such as `masks/crack/`, they
    are masks of that class, else of the class of their image. If a class has several mask files for
    an image, none is used, with a warning. Files of `scribbles` are named in the same way.

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
    """A CSV file of tags, boxes and shares; null: the folders of classes."""
    columns: Mapping[str, str] = {}
    """Columns of `tags` to rename, by their names in the file, such as {defect: class}; an empty
    name drops a column."""
    classes: Mapping[str, tuple[str, ...]] = {}
    """Classes that replace those of folders or tags: {defect: [crack, hole]} merges two and drops
    all others. Empty: each name is a class, except `background`."""
    background: tuple[str, ...] | None = None
    """The names that mean no class; null: common ones, such as good, control, no_crack and
    crack-free."""
    class_name: str = "object"
    """The class of masks if nothing else names a class."""
    mask_values: Mapping[str, tuple[int, ...]] = {}
    """The values that belong to each class in its mask files. The default is 1, or 255."""
    scribbles: Path | None = None
    """A folder of scribbles, named like their images, that label some pixels: 1 for the class, 2
    for its absence and 0 for unknown (see `scribble_values`)."""
    scribble_values: Mapping[str, ScribbleValues] = {}
    """The meaning of values in the scribble files of each class, such as {crack: {present: [1],
    absent: [0], unknown: [4]}}."""
    boxes: Path | None = None
    """A COCO file (JSON) with boxes. Images are matched by the end of their paths, classes by the
    names of categories. If an image in the file has no box of a class, the class is absent."""
    split: Mapping[Literal["val", "test"], Part] = {}
    """The share of patients in a split, such as {test: 0.2}, or a regular expression that matches
    part of the path of its images; empty: the splits of folders or of the table. Shares are drawn
    stratified by the classes of patients and by whether they have masks."""
    seed: int = 0
    """The seed of splits by share."""
    group: Pattern | None = None
    """A regular expression, searched in the path below the folder, whose groups identify the
    patient (or object) of an image; null: each image shows a different one."""
    group_gap: PositiveInt | None = None
    """Consecutive patient numbers, from `group` or the table, that differ by at most this are one
    patient, such as successive exposures; null: each number is a patient."""
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
        coco = {} if self.boxes is None else read_coco_boxes(self.boxes)
        categories = {name for boxes in coco.values() for name in boxes}
        merged = [self._merged(each, categories) for each in self._joined(labelled)]
        splits = self._splits(merged)
        names = image_names([each.image for each in merged])
        if repeated := repeated_names(Case(name, name, self.path) for name in names):
            raise InputError(
                f"{self.path}: two images are called {repeated[0]}; rename one of them"
            )
        if unfit := [name for name in names if not fits_file_names(name)]:
            raise InputError(
                f"{self.path}: {unfit[0]!r} is not a valid file name on every system; rename it"
            )
        images = [each.image for each in merged]
        if self.boxes is not None:
            check_images_match(coco, self.boxes, [image.path for image in images])
        scribbles = {} if self.scribbles is None else scribbles_of(images, self.scribbles)
        cases = [
            with_boxes(
                Case(
                    name=name,
                    patient=each.patient or name,
                    image=each.image.path,
                    split=split,
                    tags=each.tags,
                    boxes=each.boxes,
                    shares=each.shares,
                ),
                self._joined_boxes(boxes_of_file(coco, each.image.path)),
            )
            for name, each, split in zip(names, merged, splits, strict=True)
        ]
        classes = dict.fromkeys(
            name for case in cases for name in (*case.tags, *case.boxes, *case.shares)
        )
        for i, image in enumerate(images):
            masks, drawn = (
                self._one_of_each_class(cases[i], image.place, files, list(classes))
                for files in (image.masks, scribbles.get(image.path, ()))
            )
            cases[i] = replace(
                cases[i],
                masks=masks,
                mask_values={c: v for c, v in self.mask_values.items() if c in masks},
                scribbles=drawn,
                scribble_values={c: v for c, v in self.scribble_values.items() if c in drawn},
            )
        return cases, problems

    def _images(self) -> list[FoundImage]:
        if not self.path.is_dir():
            raise InputError(f"{self.path}: not a folder. Give the folder that contains the images")
        images = find_images(self.path)
        if self.scribbles is not None:
            drawn = self.scribbles.absolute()
            images = [each for each in images if not each.path.absolute().is_relative_to(drawn)]
        if not images:
            raise InputError(
                f"{self.path}: no images found; possible: {', '.join(SUFFIXES)}, .nii, .nii.gz"
            )
        names = {each.stem for each in images}
        if unknown := [name for name in self.leave_out if name not in names]:
            raise InputError(
                f"{self.path}: leave_out: no image is called {unknown[0]!r}; "
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
                    f"{self.path}: background: no image has the class {missing[0]!r}; "
                    f"{known_words(missing[0], found)}"
                )
            return [name for name in found if name not in self.background]
        return [name for name in found if not means_background(name)]

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
            raise InputError(
                f"{row.row.place}: unknown split {split!r} (an empty cell means train); {words}"
            )
        patient = row.row.name("patient") or self._patient(row.image)
        tags |= dict(row.tags)
        return _Labelled(row.image, tags, patient, split, row.boxes, row.shares)

    def _merged(self, labelled: _Labelled, categories: Collection[str]) -> _Labelled:
        """Return the labels of an image after classes are merged; some have only boxes."""
        if not self.classes:
            return labelled
        tags: dict[str, Tag] = {}
        for name, parts in self.classes.items():
            known = {*labelled.tags, *categories}
            if unknown := [part for part in parts if part not in known]:
                raise InputError(
                    f"{self.path}: classes.{name}: no image has the class {unknown[0]!r}; "
                    f"{known_words(unknown[0], known)}"
                )
            own = [labelled.tags.get(part) for part in parts]
            tags[name] = True if True in own else None if None in own else False
        boxes, shares = self._joined_boxes(labelled.boxes), dict[str, Bounds]()
        for part, share in labelled.shares.items():
            name = self._merged_name(part)
            if name and name != part and len(self.classes[name]) > 1:
                raise InputError(
                    f"{self.tags}: share.{part} is the share of only a part of class {name}. Give "
                    f"the share of the whole class as share.{name}"
                )
            if name:
                shares[name] = share
        return replace(labelled, tags=tags, boxes=boxes, shares=shares)

    def _merged_name(self, part: str) -> str:
        """Return the name that a class has after merging; "" if it is left out."""
        if not self.classes or part in self.classes:
            return part
        return next((name for name, parts in self.classes.items() if part in parts), "")

    def _joined_boxes(self, boxes: Boxes) -> dict[str, tuple[Box, ...]]:
        joined: dict[str, tuple[Box, ...]] = {}
        for part, each in boxes.items():
            if name := self._merged_name(part):
                joined[name] = (*joined.get(name, ()), *each)
        return joined

    def _patient(self, image: FoundImage) -> str:
        if self.group is None:
            return ""
        found = re.search(self.group, image.place)
        if found is None:
            raise InputError(
                f"{self.path}: group: {self.group} does not match {image.place}; write a regular "
                "expression that matches the path of each image"
            )
        return "-".join(filter(None, found.groups())) if found.groups() else found[0]

    def _joined(self, labelled: Sequence[_Labelled]) -> list[_Labelled]:
        """Merge patients whose numbers differ by at most `group_gap`, under the lowest number."""
        if self.group_gap is None:
            return list(labelled)
        if words := [each.patient for each in labelled if not each.patient.isdecimal()]:
            raise InputError(
                f"{self.path}: group_gap: patient {words[0]!r} is not a number; change the regular "
                "expression in `group` so that its group matches a number"
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
                    f"{self.path}: split.{name}: {pattern} matches no path; the first path is "
                    f"{labelled[0].image.place}"
                )
        patients = [each.patient or each.image.place for each in labelled]
        for name, share in shares.items():
            known: dict[str, set[str]] = defaultdict(set)  # by patient, as columns of a table
            for each, patient, split in zip(labelled, patients, splits, strict=True):
                if split == "train":
                    known[patient].update(f"tag.{name}" for name, tag in each.tags.items() if tag)
                    known[patient].update(["mask"] * bool(each.image.masks))
            drawn = draw_patients(known, share, self.seed)
            splits = [name if p in drawn else s for p, s in zip(patients, splits, strict=True)]
        return splits

    def _one_of_each_class(
        self, case: Case, place: str, files: Sequence[FoundMask], classes: Sequence[str]
    ) -> dict[str, Path]:
        """Return the masks or scribbles of an image, by class; of a class with several, none."""
        paths: dict[str, list[Path]] = defaultdict(list)
        for file in files:
            if name := self._class_of(file.folders, case.tags, classes):
                paths[name].append(file.path)
        for name, several in paths.items():
            if len(several) > 1:
                _warn_of_several_files(place, name, len(several))
        return {name: several[0] for name, several in paths.items() if len(several) == 1}

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
def _warn_of_several_files(place: str, name: str, number: int) -> None:
    """Log a warning about an image, once per process."""
    log.warning(
        "%s: has %d files of %s, of which none is used. Join them to one file", place, number, name
    )
