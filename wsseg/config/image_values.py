"""The values of a user's images: their size, unit, mean and SD, and how they depend on tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.components.registry import registry
from wsseg.core.case import Case
from wsseg.core.image_unit import ImageUnit
from wsseg.core.input import Input
from wsseg.core.interfaces import Region
from wsseg.data.prepare import prepare
from wsseg.data.reading import read_case, read_case_grid
from wsseg.data.tag_contrast import TagContrast, tag_contrast
from wsseg.errors import InputError

SAMPLE = 100  # images with and without a class that are measured
VALUES_SAMPLE = 30  # images whose values are measured
SLICES_SAMPLE = 5  # slices of a scan that are measured
LARGEST_SIZE, SIZE_STEP = 256, 32  # rows and columns
STRETCH = 1.15  # of one side against the other; images that need more are padded


@dataclass(frozen=True)
class ImageValues:
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
        """Whether values of different images are not comparable, as in most MRI."""
        return not self.is_picture and not self.unit


def measure_images(cases: Sequence[Case]) -> ImageValues:
    """Read some images and summarise their values.

    Raises:
        InputError: There are no images, or they differ in their channels.
    """
    if not cases:
        raise InputError("there are no training images: the split of each image is val or test")
    sample = _some(cases, VALUES_SAMPLE)
    volumes = [read_case(case) for case in sample]
    by_channels = {v.channels: case.image for v, case in zip(volumes, sample, strict=True)}
    if len(by_channels) > 1:
        listed = "; ".join(f"{', '.join(names)} ({file})" for names, file in by_channels.items())
        raise InputError(
            f"the images have different channels: {listed}. Convert them, for example all to "
            "greyscale"
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
    return ImageValues(
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
    """Return the unit that images with this lowest value certainly have, or ''."""
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


def class_contrast(
    name: str,
    cases: Sequence[Case],
    settings: Mapping[str, Any],
    regions: Mapping[str, Any],
    advice: str,
) -> TagContrast:
    """Return the contrast of a class, from its tags and the slices on the network's grid.

    Args:
        name: The class.
        cases: The training images.
        settings: The settings of `input`.
        regions: The settings of each region.
        advice: What to do if all images or none have the class.

    Raises:
        InputError: No image has the tag, or none is without it.
    """
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
            word = "has" if tag else "is without"
            raise InputError(
                f"no training image {word} {name}, but EM learns from the difference between "
                f"images with and without it. {advice}"
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
