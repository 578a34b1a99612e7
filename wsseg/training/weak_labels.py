"""The weak labels of a case as a stage uses them: tags, scribbles, boxes and shares."""

from collections.abc import Sequence
from dataclasses import replace
from math import isnan
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsseg.config.stages import EmStage, MasksStage, Stage
from wsseg.core.case import Case
from wsseg.core.contracts import check_probability
from wsseg.core.input import Input
from wsseg.core.interfaces import Prior
from wsseg.core.weak_labels import Bounds, Tag, certain
from wsseg.data.batches import SliceDraw, Slices, StageScan, collate
from wsseg.data.maps import open_map
from wsseg.data.prepare import Prepared, prepare_box, prepare_scribble
from wsseg.data.weak_maps import WeakMaps
from wsseg.inference.pipeline import file_of

UNKNOWN: Bounds = (np.nan, np.nan)


def weak_labels_of(stage: Stage, case: Case) -> dict[str, Any]:
    """Return the weak labels of a case, except tags, that a stage uses, as JSON-like values.

    `scribbles` lists classes, `boxes` has the number of boxes by class, and `shares` and
    `slice_shares` have bounds by class. Labels that the case does not have are left out.
    """
    if isinstance(stage, MasksStage):
        return {}
    found: dict[str, Any] = {
        "scribbles": [name for name in stage.classes if name in case.scribbles],
        "boxes": {name: len(case.boxes[name]) for name in stage.classes if case.boxes.get(name)},
    }
    if isinstance(stage, EmStage) and stage.estep.takes_bounds:
        shares = {int(z): _of_classes(stage, each) for z, each in case.slice_shares.items()}
        found["shares"] = _of_classes(stage, case.shares)
        found["slice_shares"] = {z: each for z, each in shares.items() if each}
    return {kind: labels for kind, labels in found.items() if labels}


def _of_classes(stage: Stage, shares: Any) -> dict[str, list[float]]:
    return {name: list(map(float, shares[name])) for name in stage.classes if name in shares}


def tags_of(stage: Stage, prepared: Prepared) -> list[list[Tag]]:
    """Return the tag of each class in each prepared slice; None if it is unknown.

    In a case with boxes of a class, only slices with a box have the class. If scribbles mark the
    class anywhere in a case, all of its slices without a tag count as tagged. Otherwise, a slice
    without a tag counts as tagged if any of its pixels is scribbled, even as not of the class,
    since the slice may contain it. Stages without EM treat an uncertain tag as unknown.
    """
    columns = [_tags_of_class(stage, prepared, name) for name in stage.classes]
    return [list(row) for row in zip(*columns, strict=True)]


def _tags_of_class(stage: Stage, prepared: Prepared, name: str) -> list[Tag]:
    case = prepared.case
    tags = [case.tag(name, z) for z in prepared.slice_of]
    if isinstance(stage, MasksStage):
        return tags
    if name in case.scribbles and None in tags:
        known = prepare_scribble(prepared, name)
        has_class = bool((known > 0).any())
        tags = [
            True if tag is None and (has_class or known[z].any()) else tag
            for z, tag in enumerate(tags)
        ]
    if case.boxes.get(name):
        boxes = [prepare_box(prepared, box)[0] for box in case.boxes[name]]
        boxed = [any(box.start <= z < box.stop for box in boxes) for z in range(len(tags))]
        tags = [some and (tag is None or tag) for tag, some in zip(tags, boxed, strict=True)]
    if isinstance(stage, EmStage):
        return tags
    return [certain(tag) for tag in tags]


def weak_maps(stage: Stage, prepared: Prepared, tags: Sequence[Sequence[Tag]]) -> WeakMaps | None:
    """Return the weak labels of a case, except certain tags, that an EM stage uses, if any.

    `tags` are those of `tags_of`.
    """
    if not isinstance(stage, EmStage):
        return None
    case, probability = prepared.case, np.array(tags, np.float32)
    in_doubt = ((probability > 0) & (probability < 1)).any()
    used = weak_labels_of(stage, case)
    if not (used or in_doubt):
        return None
    shares, of_slices = used.get("shares", {}), used.get("slice_shares", {})
    return WeakMaps(
        known=tuple(
            file_of(prepare_scribble(prepared, name)) if name in case.scribbles else None
            for name in stage.classes
        ),
        boxes=tuple(
            tuple(prepare_box(prepared, box) for box in case.boxes.get(name, ()))
            for name in stage.classes
        ),
        tag_probability=probability,
        bounds=np.array(
            [
                [of_slices.get(z, {}).get(name, UNKNOWN) for name in stage.classes]
                for z in prepared.slice_of
            ],
            np.float32,
        ),
        case_bounds=np.array([shares.get(name, UNKNOWN) for name in stage.classes], np.float32),
    )


def with_bounds_of_slices(scan: StageScan, prior: Prior, input: Input) -> StageScan:
    """Return a scan whose bounds on the share of a class in the case are bounds of its slices.

    The bounds l and u of a case limit the share of the class among the N pixels of the region in
    all slices. Slices are drawn one by one, so each needs its own bounds: the shares of its pixels
    that are among the l N, and among the u N, pixels of the case with the highest phi. The fitted
    prior's phi thus determines where the class is expected, and the bounds determine its size. The
    pixel counts of all slices add up to those of the case. If phi is constant, each slice has the
    bounds of the case. A slice with bounds of its own keeps them.
    """
    if scan.weak is None or np.isnan(scan.weak.case_bounds).all():
        return scan
    slices, used = Slices([scan], input), list(scan.slices)
    phi: list[list[Tensor]] = [[] for _ in scan.weak.case_bounds]  # of each class and slice
    for z in used:
        batch = collate([slices[SliceDraw(0, z)]])[0]
        found = check_probability(prior, prior(batch), batch)[0]
        for k, inside in enumerate(batch.support[0]):
            phi[k].append(found[k][inside])
    bounds, region = scan.weak.bounds.copy(), _region_pixels(scan)
    for k, of_case in enumerate(scan.weak.case_bounds):
        own = bounds[used, k]
        shares = [shares_of_slices(phi[k], float(share) * region) for share in of_case]
        bounds[used, k] = np.where(np.isnan(own), np.transpose(shares), own)
    return replace(scan, weak=replace(scan.weak, bounds=bounds))


def shares_of_slices(phi: Sequence[Tensor], pixels: float) -> list[float]:
    """Return the share of each slice that is among the `pixels` most probable pixels of all slices.

    Pixels tied at the limit count in proportion, equally in all slices. NaN if `pixels` is NaN.

    Args:
        phi: For each slice, the probabilities of the pixels in its support, (N_z,).
        pixels: The number of most probable pixels; it need not be an integer.
    """
    together = torch.cat(list(phi))
    if isnan(pixels) or not len(together):
        return [pixels if isnan(pixels) else 0.0 for _ in phi]
    limit = together.sort(descending=True).values[min(int(pixels), len(together) - 1)]
    above, equal = float((together > limit).sum()), float((together == limit).sum())
    part = min((pixels - above) / equal, 1.0)
    return [
        float((each > limit).sum() + part * (each == limit).sum()) / max(len(each), 1)
        for each in phi
    ]


def _region_pixels(scan: StageScan) -> int:
    """Return the number of pixels of the region in all slices of a scan."""
    if scan.region is None:
        return int(np.prod(open_map(scan.image).shape[-3:]))
    return int((open_map(scan.region) > 0).sum())
