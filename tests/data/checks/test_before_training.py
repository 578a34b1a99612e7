"""Training and suites check their cohort first, without the masks that they must not see."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.data.checks.hospital import Hospital
from tests.data.checks.mistakes import copied, fewer
from wsseg.components.cohorts import Table
from wsseg.config.recipe_files import load_recipe
from wsseg.core.case import Case
from wsseg.data.checks.findings import case_with_accepted
from wsseg.data.checks.measurements import CaseFacts, measure_case
from wsseg.data.reading import read_case_grid, read_case_mask
from wsseg.runtime.console import SilentDisplay
from wsseg.training.preflight import collect_findings
from wsseg.training.run import split_of

if TYPE_CHECKING:
    from tests.conftest import Wsseg

UNTRAINED = "{learn: nothing, classes: [lesion], region: lung, prior: {use: threshold, hu: -300}}"


def train(wsseg: "Wsseg", recipe: Path, *words: object) -> Any:
    change = f"stages.lesion={UNTRAINED}"
    return wsseg("train", recipe, "--out", recipe.parent / "run", "--set", change, *words)


def test_training_stops_at_an_error_and_names_the_option_that_accepts_it(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    copied(hospital)
    refused = train(wsseg, recipe)
    refused.refused("case a, d: the same scan has 2 names", "--accept duplicate-scan")
    assert not (hospital.folder / "run").exists()
    assert train(wsseg, recipe, "--accept", "duplicate-scan").code == 0
    about = json.loads((hospital.folder / "run" / "manifest.json").read_text())
    assert about["accepted"] == ["duplicate-scan"]


def test_an_accepted_mask_with_another_affine_is_used_voxel_by_voxel(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    for case in "cg":  # of a test case too, which scoring reads
        affine = np.diag([1.0, 1.0, 1.0, 1.0])
        hospital.save(f"{case}-lung", hospital.voxels(f"{case}-lung"), affine)
    train(wsseg, recipe).refused("case c: c-lung.nii.gz: lies up to", "--accept affine-shift")
    assert train(wsseg, recipe, "--accept", "affine-shift").code == 0
    assert wsseg("score", hospital.folder / "run").code == 0
    third = Table(path=hospital.table).cases()[2]
    mask = read_case_mask(
        case_with_accepted(third, ["affine-shift"]), "lung", read_case_grid(third)
    )
    assert np.array_equal(mask, hospital.voxels("c-lung").transpose(2, 1, 0) > 0)


def test_the_check_before_training_opens_no_mask_of_a_weakly_learnt_class(
    hospital: Hospital, recipe: Path
) -> None:
    for case in "abcdef":
        hospital.file(f"{case}-lesion").write_bytes(b"nobody may look at this")
    loaded = load_recipe(recipe)
    assert collect_findings(loaded, split_of(loaded), (), SilentDisplay()) == []


def test_warnings_are_printed_before_training(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    fewer(hospital)
    copied(hospital)
    ended = wsseg("train", recipe, "--out", hospital.folder / "run")
    ended.refused("the same scan")
    assert "warning: 3 of 6 training cases have lesion" in ended.err
    assert "[few-positives]" in ended.err


@pytest.mark.usefixtures("undrawn_figures")
def test_a_suite_checks_its_cohort_once(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def counted(case: Case, lowest_measured: float) -> CaseFacts:
        measured.append(case.name)
        return measure_case(case, lowest_measured)

    monkeypatch.setattr("wsseg.data.checks.run.measure_case", counted)
    suite = hospital.folder / "suite.yaml"
    change = f"{{extends: {recipe.name}, stages: {{lesion: {UNTRAINED}}}}}"
    suite.write_text(f"recipes: {{prior: {change}}}\nseeds: [0, 1]\n")
    copied(hospital)
    words = ("bench", "run", suite, "--out", hospital.folder / "suite")
    wsseg(*words).refused("the same scan", "--accept duplicate-scan")
    assert sorted(measured) == list("abcdefg")
    assert wsseg(*words, "--accept", "duplicate-scan").code == 0
    assert sorted(measured) == sorted("abcdefg" * 2)  # once in each of the two commands
