"""A simulated cohort of many cases: small scans, half of them with a mask and a positive tag."""

from pathlib import Path

import nibabel as nib
import numpy as np

SMALL = (16, 16, 3)  # voxels of a scan where only the number of scans matters
SPACING_MM = (5.0, 5.0, 5.0)
AIR_HU, LESION_HU = -900, 0

RECIPE = """\
cohort: {{use: table, path: {table}}}
input: {{slices: 1, size: 16, fill: -1024, offset: -1000, scale: 500}}
regions: {{all: {{use: everything}}}}
stages:
  lesion:
    learn: masks
    classes: [lesion]
    region: all
    backbone: {{use: additive-unet, width: 2}}
    loss: {{use: smooth-dice}}
    epochs: 1
    batch_size: 16
    optimizer: {{use: adam, lr: 1.0e-3}}
"""
SUITE = """\
recipes: {{lesion: {recipe}}}
seeds: [0, 1, 2]
folds: 5
"""


def write_scans(folder: Path, cases: int, shape: tuple[int, int, int] = SMALL) -> None:
    """Write an uncompressed image and mask for each case; every second one has a lesion."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    affine = np.diag([*SPACING_MM, 1.0])
    for number in range(cases):
        image = noise.integers(AIR_HU, AIR_HU + 100, shape, np.int16)
        mask = np.zeros(shape, np.uint8)
        if number % 2:
            mask[4:9, 4:9, 1] = 1
            image[mask == 1] = LESION_HU
        for name, voxels in (("image", image), ("mask", mask)):
            nib.save(nib.Nifti1Image(voxels, affine), folder / f"{number}-{name}.nii")


def write_table(folder: Path, cases: int, *, with_test: bool = True) -> Path:
    """Write the table of the first `cases` scans of a folder; return a recipe that uses it.

    Every fifth case is for testing, or none.
    """
    lines = ["case,patient,split,image,mask.lesion,tag.lesion"]
    for number in range(cases):
        split = "test" if with_test and number % 5 == 0 else "train"
        files = f"{number}-image.nii,{number}-mask.nii"
        lines.append(f"case-{number},patient-{number},{split},{files},{number % 2}")
    table = folder / f"cohort-{cases}.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe, suite = table.with_suffix(".yaml"), folder / f"suite-{cases}.yaml"
    recipe.write_text(RECIPE.format(table=table.name), encoding="utf-8")
    suite.write_text(SUITE.format(recipe=recipe.name), encoding="utf-8")
    return recipe
