"""Two exclusive classes, a ring and its core, learnt from patient tags with the command line."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from wsseg.data.nifti import open_nifti

if TYPE_CHECKING:
    from tests.conftest import Wsseg

RECIPE = """\
cohort: {{use: table, path: {cohort}}}
input: {{slices: 1, size: 32, fill: -1024, offset: -1000, scale: 500}}
regions: {{disc: {{use: file, mask: infection}}}}
metrics: {{dice: {{use: dice}}}}
stages:
  opacities:
    learn: em
    classes: [ring, consolidation]
    labels: exclusive
    region: disc
    backbone: {{use: additive-unet, width: 4}}
    prior:
      use: per-class
      priors:
        - {{use: hu-sigmoid, midpoint_hu: -350, width_hu: -100}}
        - {{use: hu-sigmoid, midpoint_hu: -150, width_hu: 100}}
    estep: {estep}
    loss: {{use: batch-dice}}
    epochs: {epochs}
    batch_size: 4
    optimizer: {{use: adam, lr: {{start: 1.0e-2, end: 1.0e-4}}}}
"""
ESTEPS = [
    "{use: hard}",
    "{use: soft}",
    "{use: adapt, share: 0.05, most: 0.95}",
    "{use: scheduled, first: {use: soft}, then: {use: hard}, at: 0.5}",
    (
        "{use: smoothed, inner: {use: hard}, spatial_weight: 0.5, spatial_sd_px: 1, radius_px: 2, "
        "bilateral_weight: 0.5, bilateral_sd_px: 2, bilateral_sd_intensity: 100}"
    ),
]


@pytest.fixture(scope="session")
def opacities(toy_cohort: Path) -> Path:
    """Return the toy cohort with another mask and tag: the disc without its core, the ring."""
    rows = list(csv.DictReader(toy_cohort.open(newline="")))
    for row in rows:
        files = [toy_cohort.parent / row[f"mask.{name}"] for name in ("infection", "consolidation")]
        disc, core = (open_nifti(file) for file in files)
        ring = np.asanyarray(disc.dataobj) - np.asanyarray(core.dataobj)
        row["mask.ring"] = row["image"].replace("image", "ring")
        row["tag.ring"] = "1"
        nib.save(nib.Nifti1Image(ring, disc.affine), toy_cohort.parent / row["mask.ring"])
    path = toy_cohort.with_name("opacities.csv")
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def trained(wsseg: "Wsseg", cohort: Path, folder: Path, estep: str, epochs: int) -> Path:
    (folder / "recipe.yaml").write_text(RECIPE.format(cohort=cohort, estep=estep, epochs=epochs))
    for words in (
        ("train", folder / "recipe.yaml", "--out", folder / "run"),
        ("score", folder / "run"),
    ):
        ended = wsseg(*words)
        assert ended.code == 0, ended.err
    return folder / "run"


def scores(run: Path) -> list[dict[str, str]]:
    with (run / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_voxel_is_predicted_to_have_at_most_one_class(
    wsseg: "Wsseg", opacities: Path, tmp_path: Path
) -> None:
    run = trained(wsseg, opacities, tmp_path, ESTEPS[0], epochs=2)
    for row in scores(run):
        voxels = np.asanyarray(open_nifti(run / f"predictions/{row['case']}.nii.gz").dataobj)
        assert set(np.unique(voxels)) <= {0, 1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("estep", ESTEPS)
def test_every_estep_learns_to_distinguish_ring_and_core(
    wsseg: "Wsseg", opacities: Path, tmp_path: Path, estep: str
) -> None:
    with_core, without = scores(trained(wsseg, opacities, tmp_path, estep, epochs=12))
    assert float(with_core["dice"]) > 0.8
    assert float(with_core["ring.dice"]) > 0.9
    assert float(without["ring.dice"]) > 0.9
