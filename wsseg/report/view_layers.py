"""What the page of a case shows: its image, its masks and its probabilities, on one small grid."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wsseg.core.case import Case
from wsseg.core.volume import Spacing, VoxelMask
from wsseg.data.mask_files import mask_suffix
from wsseg.data.reading import read_volume
from wsseg.inference.folders import RunFolder
from wsseg.inference.probabilities import NOT_IN_NAMES
from wsseg.inference.run import Prediction, Run
from wsseg.report.case_numbers import case_numbers
from wsseg.report.figures.key_cases import key_slice
from wsseg.report.figures.panels import percentile_window
from wsseg.report.predicted_case import predicted_case

MAX_VOXELS = 8_000_000  # of each layer; the page of a large scan then has about 10 MB
MARGIN = 10  # voxels around the regions to which a large scan is cropped
WHITE = 255  # the grey level that is a probability of 1 in a picture
PREDICTED = ("#ff8c1a", "#ffd23f", "#ff5d8f", "#c77dff")
ANNOTATED = ("#3fa7ff", "#35d0ba", "#7d8cff", "#a3e635")
PALE = "#c9d1d9"

Kind: TypeAlias = Literal["image", "predicted", "annotated", "probability", "region"]


@dataclass(frozen=True)
class Layer:
    """The values of an image, a mask or a probability."""

    kind: Kind
    voxels: NDArray[Any]  # (Z, H, W), or (Z, H, W, 3) in colours
    name: str = ""  # of the class or region
    colour: str = ""  # #rrggbb; the image has none
    is_shown: bool = False  # when the page opens


@dataclass(frozen=True)
class View:
    """The layers of a case on one grid; the first is the image."""

    case: str
    layers: Sequence[Layer]
    spacing: Spacing  # in mm; 1 for pictures
    is_picture: bool
    window: tuple[float, float]  # the values shown as black and white
    key_slice: int  # the slice in which the page opens
    numbers: Mapping[str, str]  # sizes and scores in words
    is_cropped: bool = False
    block: tuple[int, int, int] = (1, 1, 1)  # voxels (z, y, x) of the scan per voxel shown


def view_of(run: Run, case: Case) -> View:
    """Return what is shown of a case that a run predicts.

    A scan of more than `MAX_VOXELS` voxels is cropped to its regions, if the recipe has any. If it
    is still larger, blocks of voxels are merged: images and probabilities are averaged, and a block
    has a class if any of its voxels has it, so that small findings stay visible.

    Raises:
        InputError: The image or an annotation cannot be read.
    """
    shown = predicted_case(run, case)
    prediction, grid, target = shown.prediction, shown.prediction.mask.grid, shown.target
    view = View(
        case=case.name,
        layers=[
            Layer("image", shown.image, is_shown=True),
            *_masks("predicted", prediction.masks, shown.classes),
            *_masks("annotated", shown.true, shown.classes),
            *_probabilities(run, prediction),
            *(Layer("region", prediction.masks[n], n, PALE) for n in run.recipe.regions),
        ],
        spacing=grid.spacing_mm,
        is_picture=grid.unit == "px",
        window=shown.window or percentile_window(shown.image),
        key_slice=key_slice(prediction.masks[target], shown.true.get(target)),
        numbers=case_numbers(prediction, shown.true),
    )
    return merged(cropped(view))


def cropped(view: View) -> View:
    """Return a view without what surrounds its masks, if it is too large and has regions."""
    masks = [layer.voxels for layer in view.layers if layer.kind not in ("image", "probability")]
    has_regions = any(layer.kind == "region" and layer.voxels.any() for layer in view.layers)
    if not has_regions or np.prod(_shape(view)) <= MAX_VOXELS:
        return view
    inside = np.logical_or.reduce(masks)
    box = tuple(_range(inside.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    layers = [replace(layer, voxels=layer.voxels[box]) for layer in view.layers]
    key = view.key_slice - box[0].start  # is inside the box, as a mask with voxels there is
    return replace(view, layers=layers, key_slice=max(key, 0), is_cropped=True)


def merged(view: View) -> View:
    """Return a view in which blocks of voxels are merged until it has at most `MAX_VOXELS`."""
    shape, spacing = np.array(_shape(view)), np.array(view.spacing)
    block = np.ones(3, np.intp)
    while np.prod(-(-shape // block)) > MAX_VOXELS:
        lengths = np.where(shape > block, spacing * block, np.inf)
        block[lengths == lengths.min()] += 1
    if (block == 1).all():
        return view
    z, row, column = map(int, block)
    layers = [replace(each, voxels=_blocks(each, (z, row, column))) for each in view.layers]
    sizes = view.spacing[0] * z, view.spacing[1] * row, view.spacing[2] * column
    key = view.key_slice // z
    return replace(view, layers=layers, spacing=sizes, key_slice=key, block=(z, row, column))


def _blocks(layer: Layer, block: tuple[int, int, int]) -> NDArray[Any]:
    """Return the mean of each block, or whether any of its voxels is in the mask.

    The last block along an axis may be smaller.
    """
    voxels = layer.voxels
    for axis, size in enumerate(block):
        starts = np.arange(0, voxels.shape[axis], size)
        if voxels.dtype == np.bool_:
            voxels = np.logical_or.reduceat(voxels, starts, axis=axis)
        else:
            counts = np.diff([*starts, voxels.shape[axis]])
            sums = np.add.reduceat(voxels, starts, axis=axis, dtype=np.float32)
            voxels = sums / np.expand_dims(counts, [n for n in range(sums.ndim) if n != axis])
    return voxels


def _shape(view: View) -> tuple[int, ...]:
    return view.layers[0].voxels.shape[:3]


def _range(found: NDArray[np.bool_]) -> slice:
    """Return the range of indices that are found, with a margin."""
    first, last = np.flatnonzero(found)[[0, -1]]
    return slice(max(0, int(first) - MARGIN), int(last) + 1 + MARGIN)


def _masks(kind: Kind, masks: Mapping[str, VoxelMask], classes: Sequence[str]) -> Iterator[Layer]:
    """Yield a layer for each class that has a mask; that of the last class is shown."""
    colours = cycle(PREDICTED if kind == "predicted" else ANNOTATED)
    for name, colour in zip(reversed(classes), colours, strict=False):
        if name in masks:
            yield Layer(kind, masks[name], name, colour, is_shown=name == classes[-1])


def _probabilities(run: Run, prediction: Prediction) -> Iterator[Layer]:
    """Yield a layer for each class whose probability is saved in the run."""
    grid, folder = prediction.mask.grid, RunFolder(run.folder).predictions
    for value, name in enumerate(run.recipe.classes, 1):
        label = f"{value}-{NOT_IN_NAMES.sub('-', name)}"
        path = folder.probability(prediction.case.name, label, mask_suffix(grid))
        if path.exists():
            saved = read_volume(path, axes=grid.axes).channel()
            yield Layer("probability", saved / WHITE if grid.unit == "px" else saved, name, PALE)
