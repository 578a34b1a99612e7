"""Trained runs, which predict scans."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsseg.components.metrics import mask_size
from wsseg.config.recipe import Recipe
from wsseg.config.recipe_files import recipe_of_run
from wsseg.core.case import Case
from wsseg.core.channels import ONE_CHANNEL, RGB
from wsseg.core.contracts import score_value
from wsseg.core.volume import LabelMap, VoxelMask
from wsseg.data.checks.geometry import geometry_findings, measure_geometry
from wsseg.data.checks.regions import region_findings
from wsseg.data.maps import read_map
from wsseg.data.mask_files import mask_suffix, write_mask
from wsseg.data.prepare import Prepared, prepare
from wsseg.data.reading import read_case_channels
from wsseg.data.scan_grid import to_scan_grid
from wsseg.errors import InputError
from wsseg.inference.checkpoint import TrainedStage, load_stage
from wsseg.inference.folders import PredictionFolder
from wsseg.inference.packed_run import run_folder
from wsseg.inference.pipeline import Pipeline
from wsseg.inference.scans import case_of
from wsseg.runtime.device import open_fabric


@dataclass(frozen=True)
class Prediction:
    """The masks and scores that a run predicts for a scan, on the scan's own grid.

    Example:
        >>> from pathlib import Path
        >>> from wsseg import load_run
        >>> prediction = load_run("runs/first").predict("scan.nii.gz")
        >>> prediction.mask.voxels.shape, sorted(prediction.masks), sorted(prediction.scores)
        ((4, 24, 24), ['tumour'], ['tumour_ml'])
        >>> prediction.save(Path("masks")).name
        'scan.nii.gz'
    """

    case: Case
    mask: (
        LabelMap  # uint8: 0 background, k + 1 the recipe's class k; later classes overwrite earlier
    )
    masks: Mapping[str, VoxelMask]  # by class and by region
    scores: Mapping[str, float]  # the recipe's, and each class's and region's volume in ml, or px
    warnings: tuple[str, ...] = ()  # about geometry and regions, as `wsseg data check` prints them

    def save(self, folder: Path) -> Path:
        """Write the mask with the scan's own shape and orientation, and return its path.

        The file is NIfTI with the scan's affine, PNG for a picture, or TIFF for a stack of
        pictures, whose grey levels are the values of `mask`.
        """
        path = PredictionFolder(folder).mask(self.case.name, mask_suffix(self.mask.grid))
        write_mask(path, self.mask.voxels, self.mask.grid)
        return path


@dataclass(frozen=True)
class Run:
    """A trained recipe.

    Example:
        >>> from wsseg import load_run
        >>> run = load_run("runs/first")
        >>> run.recipe.classes
        ['tumour']
        >>> run.predict("scan.nii.gz").masks["tumour"].shape
        (4, 24, 24)
    """

    folder: Path
    recipe: Recipe
    pipeline: Pipeline  # with every stage

    def predict(self, scan: str | Path | Case) -> Prediction:
        """Segment a scan.

        Raises:
            InputError: The scan cannot be read, or lacks a file that a region needs.
        """
        case = scan if isinstance(scan, Case) else case_of(Path(scan))
        prepared = self.prepare(case)
        self.infer(prepared)
        return self.finish(prepared)

    def prepare(self, case: Case) -> Prepared:
        """Resample a case to the network's grid and find its regions; cached.

        Raises:
            InputError: The image cannot be read, or lacks a channel that the run was trained on.
        """
        named, regions = self._named(case), self.recipe.regions
        settings = self.recipe.input.model_copy(update={"channels": self.channels})
        return prepare(named, settings, regions, find=regions)

    def infer(self, prepared: Prepared) -> None:
        """Run the networks of all stages on a prepared case; cached."""
        for name in self.recipe.stages:
            self.pipeline.predict(name, prepared)

    def finish(self, prepared: Prepared) -> Prediction:
        """Return the cached masks of a case on the scan's own grid, with their scores."""
        case, masks = prepared.case, self._masks(prepared)
        labels = np.zeros(prepared.grid.canonical_shape, np.uint8)
        for value, name in enumerate(self.recipe.classes, 1):
            labels[masks[name]] = value
        mask = LabelMap(labels, prepared.grid)
        geometry = measure_geometry(case, prepared.grid)
        found = region_findings(prepared, self.recipe.regions)
        findings = (*geometry_findings(case, geometry), *found)
        warnings = tuple(f"{each.text} [{each.name}]" for each in findings)
        return Prediction(case, mask, masks, self._scores(masks, mask), warnings)

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels that the run was trained on."""
        return next(iter(self.pipeline.stages.values())).channels

    def _named(self, case: Case) -> Case:
        """Return a case whose channels have the names of the run's channels.

        A single unnamed file becomes the run's only channel.
        """
        expected, own = self.channels, read_case_channels(case)
        if own == ONE_CHANNEL and len(expected) == 1 and expected != ONE_CHANNEL:
            return replace(case, images={expected[0]: case.image})
        if missing := [name for name in expected if name not in own]:
            columns = ", ".join(f"image.{name}" for name in expected)
            raise InputError(
                f"case {case.name}: its image has no channel {missing[0]}; this run was trained on "
                f"{', '.join(expected)}, but the image has {', '.join(own)}"
                + (
                    ""
                    if expected in (ONE_CHANNEL, RGB)
                    else f"\nGive a table of cases, cohort.csv, with the columns case, {columns}"
                )
            )
        return case

    def _masks(self, prepared: Prepared) -> dict[str, VoxelMask]:
        masks: dict[str, VoxelMask] = {}
        for name in self.recipe.regions:
            found = self.pipeline.region_map(name, prepared)
            assert found is not None, "only a region without a name has no map"  # noqa: S101
            masks[name] = to_scan_grid(prepared, read_map(found) > 0)
        for name, stage in self.recipe.stages.items():
            planes: NDArray[np.uint8] = read_map(self.pipeline.predict(name, prepared))
            own = {c: to_scan_grid(prepared, planes[k] > 0) for k, c in enumerate(stage.classes)}
            masks |= own | ({} if name in own else {name: np.any(list(own.values()), axis=0)})
        return masks

    def _scores(self, masks: Mapping[str, VoxelMask], mask: LabelMap) -> dict[str, float]:
        recipe = self.recipe
        scores = {name: score_value(s, s(masks)) for name, s in recipe.scores.items()}
        unit = "px" if mask.grid.unit == "px" else "ml"
        return scores | {f"{n}_{unit}": mask_size(found, mask.grid) for n, found in masks.items()}


def load_run(folder: str | Path) -> Run:
    """Load a run from the folder that `train` wrote, from a copy of it, or from a packed run.

    Raises:
        InputError: The folder holds no finished run, a file is damaged, or a package is missing.

    Example:
        >>> from wsseg import load_run
        >>> list(load_run("runs/first").recipe.stages)
        ['tumour']
    """
    files = run_folder(Path(folder))
    if not files.recipe.exists():
        raise InputError(
            f"{folder}: not the folder of a run ({files.recipe.name} is missing); give a folder "
            "that wsseg train wrote"
        )
    recipe = recipe_of_run(files.recipe)
    fabric, stages = open_fabric(recipe.precision), dict[str, TrainedStage]()
    for name in recipe.stages:
        if not files.stage(name).record.exists():
            raise InputError(
                f"{folder}: stage {name} is not finished; resume training: wsseg train "
                f"{files.recipe} --out {folder} --resume"
            )
        stages[name] = load_stage(files.stage(name))
    return Run(files.path, recipe, Pipeline(recipe.regions, stages, recipe.input, fabric))
