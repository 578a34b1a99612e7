"""A recipe for a user's images, inferred from their folder or table and from pixel values."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from os.path import relpath
from pathlib import Path
from shlex import quote
from typing import Any, TypeAlias

from wsseg.components.tag_file import KINDS
from wsseg.config.found_images import FoundImages, find_images
from wsseg.config.image_values import ImageValues, class_contrast, measure_images
from wsseg.config.recipe_files import check_recipe
from wsseg.config.settings import Settings
from wsseg.core.case import Case
from wsseg.data.csv_table import column_names
from wsseg.data.tag_contrast import TagContrast
from wsseg.runtime import yaml12

Part: TypeAlias = dict[str, Any]

STEPS = 1200  # of the optimizer
EPOCHS = (5, 120)  # the fewest and the most
BATCH_SIZE = 16
UNCLEAR_AUC = 0.65  # below, the contrast says little about the tags
FILLED = 0.2  # of each box
GUESSED_SHARE = 0.05  # of tagged images, if the contrast says little


def new_recipe(path: Path, folder: Path) -> str:
    """Return a commented recipe for the images at a path, whose paths are relative to `folder`.

    Classes come from folders and labels; several become one if there are images without any.
    Tags and values of training images alone decide the prior and the share of the class, masks
    never do; images whose masks contradict their tags are left out. A region is used only for scans
    without a unit, which need one to be standardized.

    Raises:
        InputError: There are no images or no labels, or images differ in their channels.
    """
    found = find_images(path)
    training = [_tagged(case) for case in found.cases if case.is_for_training]
    values = measure_images(training)
    input_settings, regions = _input(values)
    contrasts = [
        class_contrast(name, training, input_settings, regions, found.advice)
        for name in _contrasted(found.classes, training)
    ]
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


def _contrasted(classes: Sequence[str], training: Sequence[Case]) -> Sequence[str]:
    """Return the classes if EM learns them from images with and without each of them."""
    tags = {name: {case.tags.get(name) for case in training} for name in classes}
    if any(_is_marked(name, training) for name in classes):
        return classes if all({True, False} <= each for each in tags.values()) else ()
    return classes if any(True in each for each in tags.values()) else ()


def _is_marked(name: str, cases: Sequence[Case]) -> bool:
    """Return whether scribbles or boxes show where a class is."""
    return any(name in case.scribbles or case.boxes.get(name) for case in cases)


def _tagged(case: Case) -> Case:
    """Return a case whose boxes and shares above 0 are tags, too."""
    present = [name for name, boxes in case.boxes.items() if boxes]
    present += [name for name, (low, _) in case.shares.items() if low > 0]
    known = {name: tag for name, tag in case.tags.items() if tag is not None}
    return replace(case, tags={**case.tags, **dict.fromkeys(present, True), **known})


def _input(values: ImageValues) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of `input` and of `regions`."""
    settings: dict[str, Any] = {"slices": 3 if values.is_stack else 1}
    settings["size"] = values.size[0] if values.size[0] == values.size[1] else list(values.size)
    if not values.keeps_ratio:
        settings["fit"] = "pad"
    if values.is_part:
        settings["channels"] = list(values.channels)
    if values.lacks_unit:
        channel = {} if len(values.channels) == 1 else {"channel": values.channels[0]}
        body = {"use": "foreground", **channel}
        return settings | {"standardize": "body", "mask": "body"}, {"body": body}
    if not values.is_picture:
        settings["unit"] = values.unit
    offset, scale = ([_rounded(x) for x in each] for each in (values.mean, values.sd))
    one = len(offset) == 1
    return settings | {
        "offset": offset[0] if one else offset,
        "scale": scale[0] if one else scale,
    }, {}


def _header(path: Path, found: FoundImages, values: ImageValues) -> Iterator[str]:
    number = {split: sum(c.split == split for c in found.cases) for split in ("val", "test")}
    kind = "pictures" if values.is_picture else "scans"
    channels = "grey" if len(values.channels) == 1 else ", ".join(values.channels)
    yield f"# {' and '.join(found.classes)}: learnt from {len(found.cases)} {kind} ({channels})"
    yield "#"
    yield f"# Written by `wsseg init {quote(str(path))}`."
    yield "# Check every line that has a comment, then:"
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
        for label in ("scribbles", "boxes", "shares"):
            if number_of := sum(bool(getattr(c, label).get(name)) for c in found.cases):
                yield f"# {name}: {label} of {number_of}"
    masks = sum(case.split == "test" and bool(case.masks) for case in found.cases)
    yield (
        f"# {number['test']} are for testing, {masks} of them with masks; "
        f"{number['val']} are for validation"
    )


def _cohort_lines(found: FoundImages, folder: Path) -> Iterator[str]:
    comments = {
        "classes": "merged; to separate them, list each here and in the stage's classes"
        if found.joined
        else "",
        "split": "the share for testing, or a pattern of paths such as ^test/",
        "leave_out": "their masks contradict their tags",
        "mask_values": "the masks have no other values but 0",
    }
    if found.without:
        yield f"# taken as images without a class: {', '.join(found.without)}"
    for key, value in found.settings.items():
        shown = _relative(value, folder) if isinstance(value, Path) else value
        comment = comments.get(key)
        yield f"{key}: {_flow(shown)}" + (f"  # {comment}" if comment else "")
    if unused := _unused_columns(found):
        yield f"# not used: {unused}; to name the patient or object, add {{COLUMN: patient}}"
    if len(found.classes) > 1 and all(True in case.tags.values() for case in found.cases):
        yield "# background: [NAME]  # each image has a class; name the one that means none"
    if found.settings["use"] == "folder":
        yield "# group: '^(.*)_'  # the part of a path that names the patient or object"


def _unused_columns(found: FoundImages) -> str:
    """Return the names of the columns of a table of tags that the cohort does not use."""
    if "tags" not in found.settings:
        return ""
    used = {*found.settings["columns"], "split"}
    names = column_names(found.settings["tags"])
    return ", ".join(each for each in names if each not in used and each.split(".")[0] not in KINDS)


def _input_lines(settings: Mapping[str, Any]) -> Iterator[str]:
    comments = {
        "channels": "  # grey pictures in a format for colours: all channels are equal",
        "size": "  # rows and columns; larger: finds smaller objects, takes longer",
        "fit": "  # images keep their aspect ratio; the rest of the grid is padded",
        "offset": "  # (x - offset) / scale: the mean and the standard deviation of the images",
        "standardize": "  # mean 0 and standard deviation 1 in the region, as there is no unit",
    }
    for key, value in settings.items():
        yield f"{key}: {_flow(value)}{comments.get(key, '')}"


def _stage(
    found: FoundImages,
    training: Sequence[Case],
    values: ImageValues,
    contrasts: Sequence[TagContrast],
) -> Iterator[str]:
    weakly = bool(contrasts) or any(_is_marked(name, training) for name in found.classes)
    yield f"learn: {'em' if weakly else 'masks'}"
    yield f"classes: {_flow(list(found.classes))}"
    if values.lacks_unit:
        yield "region: body"
    yield "backbone: {use: smp, architecture: unet, encoder: resnet18}"
    yield "# An encoder that was trained on photographs often needs fewer images:"
    yield "# backbone: {use: smp, encoder: mobilenet_v2, weights: {use: mobilenet-v2}}"
    if weakly:
        yield from _em(found, training, values, contrasts)
    yield "loss: {use: " + ("cross-entropy" if weakly else "smooth-dice") + "}"
    yield f"epochs: {_epochs(found, training)}"
    yield f"batch_size: {BATCH_SIZE}"
    yield "optimizer: {use: adam, lr: {start: 1.0e-3, end: 1.0e-5}}"
    if contrasts:
        yield "sampling: alternating  # images with and without the tag in turn"
    yield "augment: {rotate_deg: 15, zoom: [0.9, 1.1], flip: [left-right, front-back]}"


def _em(
    found: FoundImages,
    training: Sequence[Case],
    values: ImageValues,
    contrasts: Sequence[TagContrast],
) -> Iterator[str]:
    """Yield the lines of the prior and the E-step."""
    prior, estep = yield from _from_contrasts(contrasts, values) if contrasts else _from_marks()
    yield f"prior: {_flow(prior)}"
    if contrasts:
        yield "# The share of tagged images that the class covers; change it if you know better"
    if any(case.boxes.get(name) for case in training for name in found.classes):
        yield "# At least this share of each box has the class; outside boxes, nothing has it"
        estep = {"use": "fill-boxes", "share": FILLED, "estep": estep}
    yield f"estep: {_flow(estep)}"


def _from_marks() -> Generator[str, None, tuple[Part, Part]]:
    """Yield a comment, and return the prior and the E-step that know only marks and boxes."""
    yield "# Without images that are known to lack the class, only scribbles and boxes are evidence"
    return {"use": "tag-odds", "share": 0.5}, {"use": "soft"}


def _from_contrasts(
    contrasts: Sequence[TagContrast], values: ImageValues
) -> Generator[str, None, tuple[Part, Part]]:
    """Yield comments, and return the prior and the E-step for the contrast of each class."""
    for each in contrasts:
        where = {"bright": "brighter", "dark": "darker", "both": "brighter or darker"}
        yield (
            f"# In tagged images, more pixels are {where[each.polarity]} than their neighbourhood "
            f"(AUC {each.auc:.2f})"
        )
        if each.auc < UNCLEAR_AUC:
            yield (
                "# This is weak evidence, so the prior uses only the tag, and the share is a "
                "guess. Other priors: `wsseg plugins list --kind prior`"
            )
    priors = [_prior(each, values) for each in contrasts]
    shares = [_share(each) for each in contrasts]
    prior = priors[0] if len(priors) == 1 else {"use": "per-class", "priors": priors}
    return prior, {"use": "proportion", "share": shares[0] if len(shares) == 1 else shares}


def _share(contrast: TagContrast) -> float:
    return GUESSED_SHARE if contrast.auc < UNCLEAR_AUC else _rounded(contrast.share)


def _prior(contrast: TagContrast, values: ImageValues) -> dict[str, Any]:
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


def _epochs(found: FoundImages, training: Sequence[Case]) -> int:
    """Return the number of epochs with about `STEPS` steps."""
    name = found.classes[0]
    tags = [case.tags.get(name) for case in training]
    slices = max(2 * max(tags.count(True), tags.count(False)), len(training))
    fewest, most = EPOCHS
    return min(max(round(STEPS * BATCH_SIZE / slices), fewest), most)


def _stage_name(found: FoundImages) -> str:
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
