"""From prepared cases to what one stage sees of them: region, tags and, if it may, labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray

from wsseg.components.registry import registry
from wsseg.config.stages import Learning, MasksStage, Stage
from wsseg.core.input import Input
from wsseg.core.interfaces import Region
from wsseg.data.batches import Scan, read_map
from wsseg.data.prepare import Prepared, prepare_mask, prepare_region
from wsseg.errors import InputError
from wsseg.inference.checkpoint import Trained
from wsseg.inference.stage_prediction import stage_masks
from wsseg.runtime.files import atomic_write, fingerprint


@dataclass(frozen=True)
class Regions:
    """Finds regions by name: components, or the predictions of finished stages.

    Everything found is kept beside the prepared image, under a name that says what made it; so
    runs and suites that share a stage predict each case once.
    """

    components: Mapping[str, Region]
    trained: Mapping[str, Trained]
    input: Input
    fabric: Fabric

    def find(self, name: str | None, prepared: Prepared) -> Path | None:
        """Return the file of a region's map, (Z, H, W); None is everywhere."""
        if name is None:
            return None
        if name in self.components:
            return _file(prepare_region(prepared, self.components[name]))
        return self.predict(name, prepared).with_suffix(".region.npy")

    def predict(self, stage: str, prepared: Prepared) -> Path:
        """Return the file of a finished stage's masks, (K, Z, H, W)."""
        path = prepared.folder / f"stage-{self.digest(stage)}.npy"
        if not path.with_suffix(".region.npy").exists():
            trained = self.trained[stage]
            masks = stage_masks(trained, self.scan(trained.stage, prepared), self.fabric)
            _save(path, masks)
            _save(
                path.with_suffix(".region.npy"), np.logical_or.reduce(masks)
            )  # last: a sign of both
        return path

    def scan(self, stage: Stage, prepared: Prepared) -> Scan:
        """Return a case as a stage predicts it: every slice that has region, any tag possible."""
        region = self.find(stage.region, prepared)
        tags = np.ones((prepared.shape[0], len(stage.classes)), np.bool_)
        return Scan(
            name=prepared.case.name,
            image=_file(prepared.image),
            inside=self.find(self.input.mask, prepared),
            region=region,
            tags=tags,
            slices=_slices_in(region, len(tags), self.input),
        )

    def digest(self, name: str | None) -> str:
        """Return a digest of all that shapes a region."""
        if name is None:
            return ""
        if name in self.components:
            return fingerprint(registry().describe(self.components[name]))
        trained = self.trained[name]
        upstream = [self.digest(trained.stage.region), self.digest(self.input.mask)]
        return fingerprint([trained.key, upstream, self.fabric._precision.precision])  # noqa: SLF001


def require_labels(stages: Mapping[str, Stage], cases: Sequence[Prepared]) -> None:
    """Raise `InputError`, naming the columns, where no case has what a stage learns from."""
    for name, stage in stages.items():
        if isinstance(stage, Learning) and not any(_known(stage, case).any() for case in cases):
            what = "mask" if isinstance(stage, MasksStage) else "tag"
            columns = " and ".join(f"{what}.{each}" for each in stage.classes)
            raise InputError(
                f"stage {name}: none of {len(cases)} training cases has {columns}.\n"
                f"Fill {columns} in the cohort's table"
            )


def scans_to_learn(
    name: str, stage: Stage, cases: Sequence[Prepared], regions: Regions
) -> list[Scan]:
    """Return the cases that `stage` can learn from, as it sees them.

    A supervised stage needs the masks of its classes; a weak one needs tags, and gets no mask: nor
    do the regions that it works in. Cases and slices where those are unknown are left out.

    Raises:
        InputError: None is left.
    """
    if not isinstance(stage, MasksStage):
        cases = [replace(each, case=each.case.without_masks(stage.classes)) for each in cases]
    known = [(case, slices) for case in cases if (slices := _known(stage, case)).any()]
    scans = [scan for case, slices in known if (scan := _scan(stage, case, regions, slices)).slices]
    if not scans:
        raise InputError(
            f"stage {name}: none of {len(cases)} training cases has a slice to learn from in the "
            f"region {stage.region_in_training or stage.region!r}"
        )
    return scans


def describe_scans(stage: Learning, scans: Sequence[Scan], cases: int) -> str:
    """Say in a line what a stage learns from."""
    slices = sum(len(scan.slices) for scan in scans)
    text = f"{len(scans)} cases, {slices} slices"
    for k, name in enumerate(stage.classes):
        tagged = sum(int(scan.tags[list(scan.slices), k].sum()) for scan in scans)
        text += f", {tagged} of them with {name}"
    left_out = cases - len(scans)
    return text + (f"; {left_out} cases left out: nothing known or no region" if left_out else "")


def _known(stage: Stage, prepared: Prepared) -> NDArray[np.bool_]:
    """Return for each slice, (Z,), whether all that `stage` learns from is known of it."""
    case = prepared.case
    if isinstance(stage, MasksStage):
        return np.full(prepared.shape[0], all(name in case.masks for name in stage.classes))
    return np.array([None not in tags for tags in _tags(stage, prepared)])


def _tags(stage: Stage, prepared: Prepared) -> list[list[bool | None]]:
    return [[prepared.case.tag(name, z) for name in stage.classes] for z in prepared.slice_of]


def _scan(stage: Stage, prepared: Prepared, regions: Regions, known: NDArray[np.bool_]) -> Scan:
    region = regions.find(stage.region_in_training or stage.region, prepared)
    labels, tags = [], np.array(_tags(stage, prepared), np.bool_)
    if isinstance(stage, MasksStage):
        labels = [prepare_mask(prepared, name) for name in stage.classes]
        tags = np.stack([label.any(axis=(1, 2)) for label in labels], axis=1)
    return Scan(
        name=prepared.case.name,
        image=_file(prepared.image),
        inside=regions.find(regions.input.mask, prepared),
        region=region,
        tags=tags,
        slices=tuple(z for z in _slices_in(region, len(tags), regions.input) if known[z]),
        labels=tuple(_file(label) for label in labels),
    )


def _slices_in(region: Path | None, number: int, input: Input) -> tuple[int, ...]:
    margin = input.slices // 2 if input.edges == "drop" else 0
    inner = range(margin, number - margin)
    if region is None:
        return tuple(inner)
    some = np.logical_or.reduce(read_map(region), axis=(1, 2))
    return tuple(z for z in inner if some[z])


def _file(array: NDArray[Any]) -> Path:
    """Return the file that a memory map shows."""
    return Path(str(getattr(array, "filename")))  # noqa: B009 - numpy's types do not know it


def _save(path: Path, masks: NDArray[np.bool_]) -> None:
    with atomic_write(path) as temporary:
        np.save(temporary, masks.astype(np.uint8), allow_pickle=False)
