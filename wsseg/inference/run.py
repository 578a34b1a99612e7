"""Uses a finished run: masks in a scan's own geometry, and scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsseg.components.cohorts import Table
from wsseg.components.metrics import MM3_PER_ML
from wsseg.config.recipe import Recipe, load_recipe
from wsseg.core.case import Case
from wsseg.core.volume import Volume, VoxelMask
from wsseg.data.batches import read_map
from wsseg.data.dicom_series import is_series
from wsseg.data.prepare import Prepared, prepare, to_scan_grid
from wsseg.data.reading import read_case_grid, write_mask
from wsseg.errors import InputError
from wsseg.inference.checkpoint import Trained, load_stage
from wsseg.inference.stage_inputs import Regions
from wsseg.runtime.device import open_fabric

SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Prediction:
    """What a run sees in a scan, on the scan's own grid."""

    case: Case
    mask: Volume  # uint8: 0 background, k + 1 the recipe's class k; later classes lie on top
    masks: Mapping[str, VoxelMask]  # by class and by region
    scores: Mapping[str, float]  # the recipe's, and a volume in ml a class and region

    def save(self, folder: Path) -> Path:
        """Write the mask as NIfTI with the scan's own shape, affine and orientation."""
        path = mask_path(folder, self.case)
        write_mask(path, self.mask.voxels, self.mask.grid)
        return path


@dataclass(frozen=True)
class Run:
    """A trained recipe."""

    folder: Path
    recipe: Recipe
    regions: Regions  # with every stage

    def predict(self, scan: str | Path | Case) -> Prediction:
        """Segment a scan.

        Raises:
            InputError: It is not a scan that can be read, or a region needs a file it has not got.
        """
        case = scan if isinstance(scan, Case) else case_of(Path(scan))
        prepared = self.prepare(case)
        self.infer(prepared)
        return self.finish(prepared)

    def prepare(self, case: Case) -> Prepared:
        """Bring a case to the network's grid and find its regions, into the cache: no network."""
        regions = self.recipe.regions
        return prepare(case, self.recipe.input, regions, find=regions)

    def infer(self, prepared: Prepared) -> None:
        """Run the networks of all stages on a prepared case, into the cache."""
        for name in self.recipe.stages:
            self.regions.predict(name, prepared)

    def finish(self, prepared: Prepared) -> Prediction:
        """Bring what the cache has of a case to the scan's own grid, and score it."""
        masks = self._masks(prepared)
        labels = np.zeros(prepared.grid.canonical_shape, np.uint8)
        for value, name in enumerate(self.recipe.classes, 1):
            labels[masks[name]] = value
        mask = Volume(labels, prepared.grid)
        return Prediction(prepared.case, mask, masks, self._scores(masks, mask))

    def _masks(self, prepared: Prepared) -> dict[str, VoxelMask]:
        masks: dict[str, VoxelMask] = {}
        for name in self.recipe.regions:
            found = self.regions.find(name, prepared)
            assert found is not None, "a named region has a map"  # noqa: S101
            masks[name] = to_scan_grid(prepared, read_map(found) > 0)
        for name, stage in self.recipe.stages.items():
            planes: NDArray[np.uint8] = read_map(self.regions.predict(name, prepared))
            own = {c: to_scan_grid(prepared, planes[k] > 0) for k, c in enumerate(stage.classes)}
            masks |= own | ({} if name in own else {name: np.any(list(own.values()), axis=0)})
        return masks

    def _scores(self, masks: Mapping[str, VoxelMask], mask: Volume) -> dict[str, float]:
        scores = {name: score(masks) for name, score in self.recipe.scores.items()}
        voxel_ml = float(np.prod(mask.spacing_mm)) / MM3_PER_ML
        return scores | {
            f"{name}_ml": float(found.sum()) * voxel_ml for name, found in masks.items()
        }


def load_run(folder: str | Path) -> Run:
    """Open what `train` left in a folder, wherever it was copied to.

    Raises:
        InputError: The folder holds no finished run, or a file of it is damaged.
    """
    folder = Path(folder)
    if not (folder / "recipe.yaml").exists():
        raise InputError(f"{folder}: holds no run (no recipe.yaml); name a folder that train wrote")
    recipe = load_recipe(folder / "recipe.yaml")
    fabric, stages = open_fabric(recipe.precision), dict[str, Trained]()
    for name in recipe.stages:
        if not (folder / "stages" / name / "stage.json").exists():
            raise InputError(
                f"{folder}: stage {name} is not finished; go on with: wsseg train "
                f"{folder / 'recipe.yaml'} --out {folder} --resume"
            )
        stages[name] = load_stage(folder / "stages" / name)
    return Run(folder, recipe, Regions(recipe.regions, stages, recipe.input, fabric))


def case_of(path: Path) -> Case:
    """Return a scan as a case of its own, named after its file or folder."""
    name = path.resolve().name if path.is_dir() else path.name
    ending = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    name = name[: len(name) - len(ending)]
    return Case(name=name, patient=name, image=path)


def check_scans(cases: Sequence[Case], out: Path) -> None:
    """Check before the first prediction what can be checked quickly.

    Raises:
        InputError: A file's header is wrong, or masks could not lie in `out`, or would replace a
            scan or what is a run's.
    """
    if next(each for each in (out, *out.absolute().parents) if each.exists()).is_file():
        raise InputError(f"{out}: is, or lies below, a file; name a folder")
    if (out / "stages").is_dir():
        raise InputError(
            f"{out}: is a run, whose scores.csv this would replace; name another --out"
        )
    for case in cases:
        read_case_grid(case)
        if realpath(mask_path(out, case)) == realpath(case.image):  # also where links go in circles
            raise InputError(
                f"{case.image}: its mask would be written over it; choose another --out than its "
                "folder"
            )


def mask_path(folder: Path, case: Case) -> Path:
    """Return where the mask of a case is kept."""
    return folder / f"{case.name}.nii.gz"


def cases_of(paths: list[Path]) -> list[Case]:
    """Return the scans that paths name: NIfTI files, DICOM folders, folders of these, and tables.

    A table is a cohort's, cohort.csv.

    Raises:
        InputError: A folder has no scan, or two scans have one name.
    """
    cases: dict[str, Case] = {}
    for path in paths:
        for case in _cases_at(path):
            if case.name in cases:
                raise InputError(
                    f"{case.image} and {cases[case.name].image} would both be called {case.name}; "
                    "predict them into two folders"
                )
            cases[case.name] = case
    return list(cases.values())


def _cases_at(path: Path) -> list[Case]:
    if path.suffix.lower() == ".csv":
        return Table(path=path).cases()
    if not path.is_dir():
        return [case_of(path)]
    inside = sorted(p for p in path.iterdir() if p.name.lower().endswith(SUFFIXES) or is_series(p))
    if not inside and not is_series(path):
        raise InputError(
            f"{path}: has no scan in it; a scan is a file .nii.gz or .nii, or a folder with DICOM"
        )
    return list(map(case_of, inside or [path]))
