"""Fixtures for the tests of the checks: a cohort of tiny CT scans, and a recipe for it."""

from pathlib import Path

import pytest

from tests.data.checks.hospital import Hospital, write_hospital

RECIPE = """\
cohort: {{use: table, path: {cohort}}}
input: {{slices: 1, size: 16, unit: HU, clip: [-1024, 300], offset: -1000, scale: 500, thick: null}}
regions: {{lung: {{use: file, mask: lung}}}}
stages:
  lesion:
    learn: em
    classes: [lesion]
    region: lung
    backbone: {{use: additive-unet, width: 2}}
    prior: {{use: threshold, hu: -300}}
    estep: {{use: hard}}
    loss: {{use: batch-dice}}
    epochs: 1
    batch_size: 8
    optimizer: {{lr: 1.0e-3}}
"""


@pytest.fixture
def hospital(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    """Write a cohort without errors, and use a cache of its own."""
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    return write_hospital(tmp_path / "hospital")


@pytest.fixture
def recipe(hospital: Hospital) -> Path:
    path = hospital.folder / "recipe.yaml"
    path.write_text(RECIPE.format(cohort=hospital.table))
    return path
