"""A recipe for a user's images, inferred from their folder or table and from their values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.components.found_cohort import found_cohort
from wsseg.components.registry import registry
from wsseg.config.recipe_files import check_recipe
from wsseg.config.settings import Settings
from wsseg.core.case import Case
from wsseg.core.contracts import cases_of
from wsseg.core.image_unit import ImageUnit
from wsseg.core.input import Input
from wsseg.core.interfaces import Cohort, Region
from wsseg.data.image_files import stem_of
from wsseg.data.prepare import prepare
from wsseg.data.reading import read_case, read_case_grid, read_case_mask
from wsseg.data.tag_contrast import TagContrast, tag_contrast
from wsseg.errors import InputError
from wsseg.runtime import yaml12

TEST_SHARE = 0.2  # of the patients, if nothing says which images are for testing
SAMPLE = 100  # images with and without a class that are measured
VALUES_SAMPLE = 30  # images whose values are measured
SLICES_SAMPLE = 5  # slices of a scan that are measured
LARGEST_SIZE, SIZE_STEP = 256, 32  # rows and columns
STRETCH = 1.15  # of one side against the other; images that need more are padded
STEPS = 1200  # of the optimizer
EPOCHS = (5, 120)  # the fewest and the most
BATCH_SIZE = 16
UNCLEAR_AUC = 0.65  # below, the contrast says little about the tags
GUESSED_SHARE = 0.05  # of tagged images, if the contrast says little
JOINED = "object"  # the name of several classes together


@dataclass(frozen=True)
class _Found:
    """What names of files and tables say about the images."""

    settings: Mapping[str, Any]  # of the cohort
    cases: Sequence[Case]
    classes: Sequence[str]
    joined: Sequence[str]  # the names that the only class joins, if there are several


@dataclass(frozen=True)
class _Values:
    """A summary of the values of the images."""

    channels: tuple[str, ...]  # that differ
    is_part: bool  # whether there are others, equal to these
    is_picture: bool
    is_stack: bool
    unit: str  # of the values; '': unknown
    mean: tuple[float, ...]  # of each channel
    sd: tuple[float, ...]
    size: tuple[int, int]  # rows and columns of the network's grid
    keeps_ratio: bool  # whether the images have the ratio of sides of that grid

    @property
    def lacks_unit(self) -> bool:
        """Whether values of different images cannot be compared, as those of most MRI."""
        return not self.is_picture and not self.unit


def new_recipe(path: Path, folder: Path) -> str:
    """Return a commented recipe for the images at a path, whose paths are relative to `folder`.

    Classes come from folders, tags or masks; several become one if there are images without any.
    Tags and values of training images alone decide the prior and the share of the class, masks
    never do; images whose masks contradict their tags are left out. A region is used only for scans
    without a unit, which need one to be standardized.

    Raises:
        InputError: There are no images, no tags and no masks, or images differ in their channels.
    """
    found = _find(path)
    training = [case for case in found.cases if case.is_for_training]
    values = _measure(training)
    input_settings, regions = _input(values)
    learns_tags = any(True in case.tags.values() for case in training)
    contrasts = (
        [_contrast(name, training, input_settings, regions) for name in found.classes]
        if learns_tags
        else []
    )
    lines = [
        *_header(path, found, values),
        *_section("cohort", _cohort_lines(found, folder)),
        *_section("input", _input_lines(input_settings)),
        *_section("regions", [f"{name}: {_flow(each)}" for name, each in regions.items()]),
        "stages:",
        f"  {_stage_name(found)}:",
        *(f"    {line}" for line in _stage(found, training, values, contrasts)),
    ]
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    check_recipe(Settings(yaml12.load(text)))
    return text


def _find(path: Path) -> _Found:
    settings = found_cohort(path)
    cases = cases_of(_cohort(settings))
    names = sorted({name for case in cases for name in (*case.tags, *case.masks)})
    if not names:
        raise InputError(
            f"{path}: its images have neither tags nor masks. Put images with and without the "
            "class into two folders, such as crack and good, or add a CSV file with the columns "
            "image and class"
        )
    joined: list[str] = []
    if settings["use"] == "folder":
        has_background = any(case.tags and True not in case.tags.values() for case in cases)
        if len(names) > 1 and has_background:
            joined = [name for name in names if any(name in case.tags for case in cases)]
            names = [JOINED]
            settings["classes"] = {names[0]: joined}
        elif any("." in name for name in names) and all(case.tags for case in cases):
            settings["classes"] = {name.replace(".", "_"): [name] for name in names}
            names = list(settings["classes"])
        if not any(case.split for case in cases) or _tags_are_only_tested(cases):
            settings["split"] = {"test": TEST_SHARE}
        if contradictory := _contradictory(cases_of(_cohort(settings))):
            settings["leave_out"] = contradictory
    return _Found(settings, cases_of(_cohort(settings)), names, joined)


def _contradictory(cases: Sequence[Case]) -> list[str]:
    """Return the names of the images whose masks contradict their tags."""
    names = []
    for case in cases:
        tagged = [name for name in case.masks if case.tags.get(name) is not None]
        grid = read_case_grid(case) if tagged else None
        if grid is not None and any(
            read_case_mask(case, name, grid).any() != case.tags[name] for name in tagged
        ):
            names.append(stem_of(case.image))
    return names


def _tags_are_only_tested(cases: Sequence[Case]) -> bool:
    """Return whether classes occur in test images alone, as in sets for detectors of anomalies."""
    present = {case.is_for_training for case in cases if True in case.tags.values()}
    return present == {False}


def _cohort(settings: Mapping[str, Any]) -> Cohort:
    made: Cohort = registry().make(Cohort, **settings)
    return made


def _measure(cases: Sequence[Case]) -> _Values:
    """Read some images and summarise their values."""
    if not cases:
        raise InputError("no image is for training: the split of each is val or test")
    volumes = [read_case(case) for case in _some(cases, VALUES_SAMPLE)]
    by_channels = {volume.channels: volume for volume in volumes}
    if len(by_channels) > 1:
        listed = "; ".join(", ".join(channels) for channels in by_channels)
        raise InputError(
            f"the images have different channels: {listed}. Convert them, for example all to grey"
        )
    (channels,) = by_channels
    planes = [
        np.concatenate([volume.voxels[k].ravel() for volume in volumes])
        for k in range(len(channels))
    ]
    is_grey = all(np.array_equal(plane, planes[0]) for plane in planes)
    used = 1 if is_grey else len(channels)
    channels, planes = channels[:used], planes[:used]
    planes_of_files = [read_case_grid(case).canonical_shape[1:] for case in _some(cases, SAMPLE)]
    return _Values(
        channels=channels,
        is_part=len(channels) < len(volumes[0].channels),
        is_picture=volumes[0].grid.unit == "px",
        is_stack=max(volume.grid.canonical_shape[0] for volume in volumes) > 1,
        unit=_unit(min(float(plane.min()) for plane in planes)),
        mean=tuple(float(plane.mean(dtype=np.float64)) for plane in planes),
        sd=tuple(float(plane.std(dtype=np.float64)) or 1.0 for plane in planes),
        **_grid(np.array(planes_of_files)),
    )


def _unit(lowest: float) -> str:
    """Return the unit that images with this lowest value have for certain, or ''."""
    context = registry()
    units = (context.make(ImageUnit, name) for name in context.names(ImageUnit))
    limits = {each.name: each.certain_below for each in units}
    return next((name for name, x in limits.items() if x is not None and lowest < x), "")


def _grid(planes: NDArray[np.intp]) -> dict[str, Any]:
    """Return the network's grid for images with these rows and columns, (N, 2)."""
    median = np.median(planes, axis=0)
    scaled = median * min(1.0, LARGEST_SIZE / float(median.max()))
    rows, columns = (int(np.ceil(side / SIZE_STEP)) * SIZE_STEP for side in scaled)
    ratios = planes[:, 0] / planes[:, 1] / (rows / columns)
    return {
        "size": (rows, columns),
        "keeps_ratio": bool(np.abs(np.log(ratios)).max() <= np.log(STRETCH)),
    }


def _input(values: _Values) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of `input` and of `regions`."""
    settings: dict[str, Any] = {"slices": 3 if values.is_stack else 1}
    settings["size"] = values.size[0] if values.size[0] == values.size[1] else list(values.size)
    if not values.keeps_ratio:
        settings["fit"] = "pad"
    if values.is_part:
        settings["channels"] = list(values.channels)
    if values.lacks_unit:
        return settings | {"standardize": "body", "mask": "body"}, {"body": {"use": "foreground"}}
    if not values.is_picture:
        settings["unit"] = values.unit
    offset, scale = ([_rounded(x) for x in each] for each in (values.mean, values.sd))
    one = len(offset) == 1
    return settings | {
        "offset": offset[0] if one else offset,
        "scale": scale[0] if one else scale,
    }, {}


def _contrast(
    name: str,
    cases: Sequence[Case],
    settings: Mapping[str, Any],
    regions: Mapping[str, Any],
) -> TagContrast:
    """Return the contrast of a class, from its tags and the slices on the network's grid."""
    context = registry()
    input = Input.model_validate(settings, context=context)
    parts = {key: context.make(Region, **each) for key, each in regions.items()}
    groups: dict[bool, list[NDArray[Any]]] = {True: [], False: []}
    for tag, planes in groups.items():
        having = [case for case in cases if _has(case, name, tag)]
        for case in _some(having, SAMPLE):
            prepared = prepare(case, input, parts)
            rows, columns = prepared.placement.box
            slices = [z for z, n in enumerate(prepared.slice_of) if case.tag(name, n) is tag]
            for z in _some(slices, SLICES_SAMPLE):
                planes.append(np.asarray(prepared.image[:, z, rows, columns]))
    for tag, planes in groups.items():
        if not planes:
            word = "with" if tag else "without"
            raise InputError(
                f"no training image is tagged as {word} {name}, but EM learns from the difference. "
                "Add such images, or a column of tags"
            )
    return tag_contrast(groups[True], groups[False])


def _has(case: Case, name: str, tag: bool) -> bool:  # noqa: FBT001 - the value that is searched
    return case.tags.get(name) is tag or any(
        tags.get(name) is tag for tags in case.slice_tags.values()
    )


def _some(items: Sequence[Any], number: int) -> list[Any]:
    """Return at most `number` items, evenly spread."""
    if len(items) <= number:
        return list(items)
    return [items[round(i)] for i in np.linspace(0, len(items) - 1, number)]


def _header(path: Path, found: _Found, values: _Values) -> Iterator[str]:
    number = {split: sum(c.split == split for c in found.cases) for split in ("val", "test")}
    kind = "pictures" if values.is_picture else "scans"
    channels = "grey" if len(values.channels) == 1 else ", ".join(values.channels)
    yield f"# {' and '.join(found.classes)}: learnt from {len(found.cases)} {kind} ({channels})"
    yield "#"
    yield f"# Written by `wsseg init {path}`. Check every line that has a comment, then:"
    yield "#   wsseg data check THIS-FILE"
    yield "#   wsseg train THIS-FILE --out runs/first"
    yield "#   wsseg predict runs/first IMAGES --out masks --overlays"
    yield "# A quick trial: --set stages." + f"{_stage_name(found)}.epochs=1"
    for name in found.classes:
        tags = [case.tags.get(name) for case in found.cases]
        yield (
            f"# {name}: {tags.count(True)} with it, {tags.count(False)} without, "
            f"{tags.count(None)} unknown; masks of {sum(name in c.masks for c in found.cases)}"
        )
    yield f"# {number['test']} are for testing, {number['val']} for validation"


def _cohort_lines(found: _Found, folder: Path) -> Iterator[str]:
    for key, value in found.settings.items():
        shown = _relative(value, folder) if isinstance(value, Path) else value
        comment = {
            "classes": "  # merged; to separate them, list each here and in the stage's classes",
            "split": "  # the share for testing; a pattern in paths is possible, such as ^test/",
            "leave_out": "  # their masks contradict their tags",
        }.get(key, "")
        yield f"{key}: {_flow(shown)}{comment}"
    if found.settings["use"] == "folder":
        yield "# group: '^(.*)_'  # the part of a path that names the patient or object"


def _input_lines(settings: Mapping[str, Any]) -> Iterator[str]:
    comments = {
        "channels": "  # grey pictures in a format for colours: all channels are equal",
        "size": "  # rows and columns; larger: finds smaller objects, takes longer",
        "fit": "  # images keep the ratio of their sides; the rest of the grid is filled",
        "offset": "  # (x - offset) / scale: the mean and the standard deviation of the images",
        "standardize": "  # mean 0 and standard deviation 1 in the region, since there is no unit",
    }
    for key, value in settings.items():
        yield f"{key}: {_flow(value)}{comments.get(key, '')}"


def _stage(
    found: _Found,
    training: Sequence[Case],
    values: _Values,
    contrasts: Sequence[TagContrast],
) -> Iterator[str]:
    yield f"learn: {'em' if contrasts else 'masks'}"
    yield f"classes: {_flow(list(found.classes))}"
    if values.lacks_unit:
        yield "region: body"
    yield "backbone: {use: smp, architecture: unet, encoder: resnet18}"
    yield "# An encoder that was trained on photographs often needs fewer images:"
    yield "# backbone: {use: smp, encoder: mobilenet_v2, weights: {use: mobilenet-v2}}"
    if contrasts:
        yield from _em(contrasts, values)
    yield "loss: {use: " + ("cross-entropy" if contrasts else "smooth-dice") + "}"
    yield f"epochs: {_epochs(found, training)}"
    yield f"batch_size: {BATCH_SIZE}"
    yield "optimizer: {use: adam, lr: {start: 1.0e-3, end: 1.0e-5}}"
    if contrasts:
        yield "sampling: alternating  # images with and without the tag in turn"
    yield "augment: {rotate_deg: 15, zoom: [0.9, 1.1], flip: [left-right, front-back]}"


def _em(contrasts: Sequence[TagContrast], values: _Values) -> Iterator[str]:
    """Yield the lines of the prior and the E-step."""
    for each in contrasts:
        where = {"bright": "brighter", "dark": "darker", "both": "brighter or darker"}
        yield (
            f"# In tagged images, more pixels are {where[each.polarity]} than their neighbourhood "
            f"(AUC {each.auc:.2f})"
        )
        if each.auc < UNCLEAR_AUC:
            yield (
                "# That is little, so the prior is the tag alone, and the share a guess. Other "
                "priors: `wsseg plugins list --kind prior`"
            )
    priors = [_prior(each, values) for each in contrasts]
    shares = [_share(each) for each in contrasts]
    if len(contrasts) == 1:
        yield f"prior: {_flow(priors[0])}"
    else:
        yield f"prior: {_flow({'use': 'per-class', 'priors': priors})}"
    share = shares[0] if len(shares) == 1 else shares
    yield "# The share of tagged images that the class covers; correct it if you know better"
    yield f"estep: {_flow({'use': 'proportion', 'share': share})}"


def _share(contrast: TagContrast) -> float:
    return GUESSED_SHARE if contrast.auc < UNCLEAR_AUC else _rounded(contrast.share)


def _prior(contrast: TagContrast, values: _Values) -> dict[str, Any]:
    if contrast.auc < UNCLEAR_AUC:
        return {"use": "tag-odds", "share": GUESSED_SHARE}
    channel = {} if len(values.channels) == 1 else {"channel": values.channels[contrast.channel]}
    return {
        "use": "local-contrast",
        **channel,
        "sigma_px": contrast.sigma_px,
        "polarity": contrast.polarity,
        "midpoint": _rounded(contrast.midpoint),
        "width": _rounded(max(contrast.width, 1e-3)),
    }


def _epochs(found: _Found, training: Sequence[Case]) -> int:
    """Return the number of epochs with about `STEPS` steps."""
    name = found.classes[0]
    tags = [case.tags.get(name) for case in training]
    slices = max(2 * max(tags.count(True), tags.count(False)), len(training))
    fewest, most = EPOCHS
    return int(np.clip(round(STEPS * BATCH_SIZE / slices), fewest, most))


def _stage_name(found: _Found) -> str:
    return (
        "classes"
        if len(found.classes) > 1
        else "".join(
            letter if letter.isalnum() or letter in "_-" else "_" for letter in found.classes[0]
        )
    )


def _section(name: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    """Yield a map of the recipe; nothing if it has no lines."""
    indented = [f"  {line}" for line in lines]
    yield from [f"{name}:", *indented] if indented else []


def _relative(path: Path, folder: Path) -> str:
    """Return a path relative to `folder` if it lies below it, else absolute."""
    absolute = path.absolute()
    below = absolute.is_relative_to(folder.absolute())
    return relpath(absolute, folder.absolute()) if below else str(absolute)


def _flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    text = yaml12.dump(
        value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False
    )
    return text.removesuffix("...\n").strip()


def _rounded(value: float) -> float:
    """Return a number with three significant digits."""
    return float(f"{value:.3g}")
