"""Application of a recipe's regions and trained stages to prepared cases."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray

from wsseg.components.registry import registry
from wsseg.config.stages import Stage
from wsseg.core.code_digest import code_digest
from wsseg.core.input import Input
from wsseg.core.interfaces import Region
from wsseg.data.batches import StageScan
from wsseg.data.maps import read_map
from wsseg.data.prepare import Prepared, prepare_region
from wsseg.inference.checkpoint import TrainedStage
from wsseg.inference.stage_prediction import stage_masks
from wsseg.runtime.files import atomic_write, fingerprint


@dataclass(frozen=True)
class Pipeline:
    """Regions and trained stages by name; the region of a stage may be the prediction of another.

    Region maps and predicted masks are cached with the prepared image, under a digest of everything
    that determines them. Runs and suites that share a stage therefore predict each case only once.
    """

    regions: Mapping[str, Region]
    stages: Mapping[str, TrainedStage]
    input: Input
    fabric: Fabric

    def with_stage(self, trained: TrainedStage) -> "Pipeline":
        """Return the pipeline with a stage added, or replaced if it has the same name."""
        return replace(self, stages={**self.stages, trained.name: trained})

    def region_map(self, name: str | None, prepared: Prepared) -> Path | None:
        """Return the file of a region's map, (Z, H, W) uint8; None stands for the entire image."""
        if name is None:
            return None
        if name in self.regions:
            return file_of(prepare_region(prepared, self.regions[name]))
        return _union_path(self.predict(name, prepared))

    def predict(self, stage: str, prepared: Prepared) -> Path:
        """Return the file of a stage's predicted masks, (K, Z, H, W) uint8."""
        path = prepared.folder / f"stage-{self.digest(stage)}.npy"
        if not _union_path(path).exists():
            trained = self.stages[stage]
            masks = stage_masks(trained, self.scan(trained.stage, prepared), self.fabric)
            _save(path, masks)
            _save(_union_path(path), np.logical_or.reduce(masks))  # last: it marks both as written
        return path

    def scan(self, stage: Stage, prepared: Prepared) -> StageScan:
        """Return a case for prediction by a stage: all slices with region, all tags possible."""
        region = self.region_map(stage.region, prepared)
        tags = np.ones((prepared.shape[0], len(stage.classes)), np.bool_)
        return StageScan(
            name=prepared.case.name,
            image=file_of(prepared.image),
            inside=self.region_map(self.input.mask, prepared),
            region=region,
            tags=tags,
            slices=slices_in(region, len(tags), self.input),
            channels=prepared.channels,
        )

    def digest(self, name: str | None) -> str:
        """Return a digest of everything that determines a region or a stage's prediction."""
        if name is None:
            return ""
        if name in self.regions:
            region = self.regions[name]
            return fingerprint([registry().describe(region), code_digest(region)])
        trained = self.stages[name]
        upstream = [self.digest(trained.stage.region), self.digest(self.input.mask)]
        precision, code = computed_precision(self.fabric), code_digest(trained.stage)
        return fingerprint([trained.digest, upstream, precision, code])


def computed_precision(fabric: Fabric) -> str:
    """Return the precision of computations; that of a recipe may be "auto"."""
    return str(fabric._precision.precision)  # noqa: SLF001 - has no public name


def slices_in(region: Path | None, number: int, input: Input) -> tuple[int, ...]:
    """Return which of `number` slices contain part of the region and have a full window."""
    margin = input.slices // 2 if input.edges == "drop" else 0
    inner = range(margin, number - margin)
    if region is None:
        return tuple(inner)
    some = np.logical_or.reduce(read_map(region), axis=(1, 2))
    return tuple(z for z in inner if some[z])


def file_of(array: NDArray[Any]) -> Path:
    """Return the file of a memory map."""
    return Path(str(getattr(array, "filename")))  # noqa: B009 - missing in numpy's annotations


def _union_path(masks: Path) -> Path:
    """Return the file with the union of a stage's masks, (Z, H, W)."""
    return masks.with_suffix(".region.npy")


def _save(path: Path, masks: NDArray[np.bool_]) -> None:
    with atomic_write(path) as temporary:
        np.save(temporary, masks.astype(np.uint8), allow_pickle=False)
