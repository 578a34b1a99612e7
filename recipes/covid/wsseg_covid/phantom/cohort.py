"""Phantom scans as NIfTI files with masks and a cohort.csv, and the cohort lung-phantom."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, final

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from wsseg import Case, Grid, InputError, Synthetic, Table
from wsseg.tools import atomic_folder, cache_folder, fingerprint, lease, write_nifti, write_text
from wsseg_covid.phantom.patient import Phantom, Protocol, phantom
from wsseg_covid.phantom.scanner import SCANNERS

VERSION = 3  # of the drawing code; a change invalidates cached files
THICK_MM, THIN_MM = 5.0, (1.5, 2.0, 2.5)
MAX_PROCESSES = 8  # about 300 MB each
log = logging.getLogger("wsseg")


@final
class LungPhantom(Synthetic):
    """Synthetic chest CTs with COVID-19 pneumonia, drawn on first use and cached.

    Two thirds of the cases are for training, except `validation` of them. In each split, half of
    the cases have consolidation. The masks are `lung`, `infection`, `consolidation` and
    `ground-glass`; all but `lung` are also tags.
    """

    count: PositiveInt = Field(default=24, alias="cases", examples=[4])
    """Number of cases; a recipe writes `cases`."""
    seed: NonNegativeInt = 0
    """Seed of the random generator."""
    size: int = Field(default=256, ge=16, examples=[64])
    """Width and height of a slice in pixels."""
    slices: int = Field(default=40, ge=2, examples=[12])
    """Number of slices of each scan."""
    validation: NonNegativeInt = 0
    """Number of cases for validation, at most a third of all."""

    @model_validator(mode="after")
    def _has_cases_for_validation(self) -> Self:
        if self.validation > (most := len(range(0, self.count, 3))):
            raise ValueError(
                f"validation is {self.validation}; with {self.count} cases, it can be at most "
                f"{most}"
            )
        return self

    def cases(self) -> list[Case]:
        """Return the cases; on first use, drawing each of them takes about a second."""
        key = fingerprint([VERSION, self.seed, self.count, self.size, self.slices])
        folder = cache_folder() / "phantom" / key
        lease(folder)
        if not folder.is_dir():
            log.info("drawing %d phantom cases into the cache", self.count)
            write_cohort(self, folder)
        cases = Table(path=folder / "cohort.csv").cases()
        return [replace(case, split=split_of(self, i)) for i, case in enumerate(cases)]

    def write(self, folder: Path, progress: Callable[[str], object]) -> None:
        """Write all cases and `cohort.csv` into a new folder; report each case to `progress`.

        Raises:
            InputError: The folder is not empty.
        """
        write_cohort(self, folder, progress)


@dataclass(frozen=True)
class Plan:
    """The properties of a case that depend only on its index.

    The periods are chosen such that tag, split, site, slice thickness and orientation are not
    confounded.
    """

    index: int

    @property
    def name(self) -> str:
        """Name of the case."""
        return f"phantom-{self.index:03d}"

    @property
    def consolidation(self) -> bool:
        """Whether the case has consolidation, as every second case does."""
        return self.index % 2 == 0

    def protocol(self, size: int, slices: int) -> Protocol:
        """Return the scan protocol; two of five cases have thin slices."""
        scanner = SCANNERS[(self.index + self.index // 6) % len(SCANNERS)]
        thin_mm = THIN_MM[self.index // 5 % len(THIN_MM)]
        return Protocol(scanner, size, slices, thin_mm if self.index % 5 in (1, 4) else THICK_MM)

    def grid(self, drawn: Phantom) -> Grid:
        """Return the grid of the files, centred on the patient; half of them are RAS, half LPS."""
        z, y, x = drawn.image.shape
        slice_mm, row_mm, column_mm = drawn.spacing_mm
        sign = -1 if self.index % 4 in (0, 3) else 1
        affine = np.diag([sign * column_mm, sign * row_mm, slice_mm, 1.0])
        affine[:3, 3] = affine[:3, :3] @ (np.array([x, y, z]) - 1) / -2
        return Grid((x, y, z), affine)


def split_of(cohort: LungPhantom, index: int) -> str:
    """Return the split of case `index`.

    The third of three cases is for testing, and the first one for validation as long as there are
    too few: of these, too, every second one has consolidation.
    """
    if index % 3 == 2:  # noqa: PLR2004 - the third of three
        return "test"
    return "val" if index % 3 == 0 and index // 3 < cohort.validation else "train"


def draw(cohort: LungPhantom, index: int) -> Phantom:
    """Draw case `index`, which does not depend on the number of cases."""
    plan, rng = Plan(index), np.random.default_rng([cohort.seed, index])
    protocol = plan.protocol(cohort.size, cohort.slices)
    return phantom(rng, protocol, consolidation=plan.consolidation)


def write_cohort(
    cohort: LungPhantom, folder: Path, progress: Callable[[str], object] = lambda _: None
) -> None:
    """Write all cases and `cohort.csv` into a new folder, atomically.

    `progress` is called with the name of each case when it is written.

    Raises:
        InputError: The folder is not empty.
    """
    import joblib  # imported here because only drawing needs it
    import pandas as pd
    from joblib.externals.loky import get_reusable_executor

    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(
            f"{folder}: already exists and is not an empty folder. Choose another folder."
        )
    processes = min(cohort.count, joblib.cpu_count(), MAX_PROCESSES)
    with atomic_folder(folder) as temporary:
        work = joblib.Parallel(processes, return_as="generator")(
            joblib.delayed(write_case)(cohort, index, temporary) for index in range(cohort.count)
        )
        rows = []
        try:
            for row in work:
                rows.append(row)
                progress(row["case"])
        finally:  # idle workers would prevent a child process from exiting
            get_reusable_executor().shutdown()
        write_text(temporary / "cohort.csv", pd.DataFrame(rows).to_csv(index=False))


def write_case(cohort: LungPhantom, index: int, folder: Path) -> dict[str, str]:
    """Draw a case, write its files below `folder` and return its row of cohort.csv."""
    plan, drawn = Plan(index), draw(cohort, index)
    grid = plan.grid(drawn)
    row = {
        "case": plan.name,
        "patient": f"patient-{index:03d}",
        "site": plan.protocol(cohort.size, cohort.slices).scanner.site,
        "split": split_of(cohort, index),
        "image": f"{plan.name}/image.nii.gz",
    }
    write_nifti(folder / row["image"], grid.to_file(drawn.image), grid.affine)
    masks = {
        "lung": drawn.lung,
        "infection": drawn.infection,
        "consolidation": drawn.consolidation,
        "ground-glass": drawn.infection & ~drawn.consolidation,
    }
    for name, mask in masks.items():
        row[f"mask.{name}"] = f"{plan.name}/{name}.nii.gz"
        write_nifti(folder / row[f"mask.{name}"], grid.to_file(mask.astype(np.uint8)), grid.affine)
    for name in ("infection", "consolidation", "ground-glass"):
        row[f"tag.{name}"] = str(int(masks[name].any()))
    return row
