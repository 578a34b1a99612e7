"""The cases and slices that a stage learns from, with their labels or tags."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wsseg.config.stages import MasksStage, NetworkStage, Stage
from wsseg.data.batches import StageScan
from wsseg.data.prepare import Prepared, prepare_mask
from wsseg.errors import InputError
from wsseg.inference.pipeline import Pipeline, file_of, slices_in
from wsseg.training.weak_labels import tags_of, weak_maps


def require_labels(stages: Mapping[str, Stage], cases: Sequence[Prepared]) -> None:
    """Raise `InputError`, with the columns to fill, if no case has the labels a stage needs."""
    for name, stage in stages.items():
        if isinstance(stage, NetworkStage) and not any(_known(stage, case).any() for case in cases):
            what = "mask" if isinstance(stage, MasksStage) else "tag"
            columns = " and ".join(f"{what}.{each}" for each in stage.classes)
            raise InputError(
                f"stage {name}: none of the {len(cases)} training cases has a value in {columns}.\n"
                f"Fill in {columns} in the cohort's table"
            )


def training_scans(
    name: str, stage: Stage, cases: Sequence[Prepared], pipeline: Pipeline
) -> list[StageScan]:
    """Return the scans that a stage is trained on.

    A supervised stage needs the masks of its classes. A weakly supervised stage needs tags or other
    weak labels; masks of its classes are hidden from it and from the regions that it works in.
    Cases and slices without known labels are left out.

    Raises:
        InputError: No case is left.
    """
    if not isinstance(stage, MasksStage):
        cases = [replace(each, case=each.case.without_masks(stage.classes)) for each in cases]
    known = [(case, slices) for case in cases if (slices := _known(stage, case)).any()]
    scans = [
        scan for case, slices in known if (scan := _scan(stage, case, pipeline, slices)).slices
    ]
    if not scans:
        raise InputError(
            f"stage {name}: none of the {len(cases)} training cases has a labelled slice with "
            f"voxels in the region {stage.region_in_training or stage.region!r}"
        )
    return scans


def summary_of(classes: Sequence[str], scans: Sequence[StageScan]) -> str:
    """Return the numbers of cases, of slices, and of slices with each class, as a line of text."""
    slices = sum(len(scan.slices) for scan in scans)
    text = f"{len(scans)} cases, {slices} slices"
    for k, name in enumerate(classes):
        tagged = sum(int(scan.tags[list(scan.slices), k].sum()) for scan in scans)
        text += f", {tagged} of them with {name}"
    return text


def _known(stage: Stage, prepared: Prepared) -> NDArray[np.bool_]:
    """Return whether each slice, (Z,), has all labels that the stage needs."""
    case = prepared.case
    if isinstance(stage, MasksStage):
        return np.full(prepared.shape[0], all(name in case.masks for name in stage.classes))
    return np.array([None not in tags for tags in tags_of(stage, prepared)])


def _scan(
    stage: Stage, prepared: Prepared, pipeline: Pipeline, known: NDArray[np.bool_]
) -> StageScan:
    region = pipeline.region_map(stage.region_in_training or stage.region, prepared)
    own = tags_of(stage, prepared)
    labels, tags = [], np.array(own, np.bool_)  # an uncertain tag is true
    if isinstance(stage, MasksStage):
        labels = [prepare_mask(prepared, name) for name in stage.classes]
        tags = np.stack([label.any(axis=(1, 2)) for label in labels], axis=1)
    return StageScan(
        name=prepared.case.name,
        image=file_of(prepared.image),
        inside=pipeline.region_map(pipeline.input.mask, prepared),
        region=region,
        tags=tags,
        slices=tuple(z for z in slices_in(region, len(tags), pipeline.input) if known[z]),
        labels=tuple(file_of(label) for label in labels),
        weak=weak_maps(stage, prepared, own),
        channels=prepared.channels,
    )
