"""Checks of what a recipe requires of its cohort."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.data.checks.hospital import SHAPE, Hospital
from tests.data.checks.mistakes import add_column, exchanged_classes, padded

if TYPE_CHECKING:
    from tests.conftest import Wsseg


def test_padding_is_not_found_if_the_recipe_clips_it(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    padded(hospital)
    assert wsseg("data", "check", recipe).out == "7 scans: no problems found\n"
    unclipped = wsseg("data", "check", recipe, "--set", "input.clip=null")
    assert "padding" in unclipped.out


def test_swapped_classes_of_a_single_case_are_found_by_the_regions_of_the_recipe(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    lines = hospital.table.read_text().splitlines()
    hospital.table.write_text("\n".join([lines[0], lines[3]]) + "\n")
    exchanged_classes(hospital)
    assert "classes-swapped" not in wsseg("data", "check", hospital.table).out
    assert "classes-swapped" in wsseg("data", "check", recipe).out


def test_a_mask_outside_its_region_is_a_warning(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[0:3, 0:3, 2] = 1
    hospital.save("c-lesion", lesion)
    ended = wsseg("data", "check", recipe)
    assert ended.code == 0
    assert "0 % of mask.lesion lies in mask.lung, its region" in ended.out


def test_an_image_with_a_single_value_is_refused_in_any_unit(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    hospital.save("c", np.full(SHAPE, -1000, np.int16))
    ended = wsseg("data", "check", recipe, "--set", "input.unit=any")
    assert ended.code == 1
    assert "every voxel is -1000" in ended.out


def test_shares_that_no_estep_uses_are_noted(
    wsseg: "Wsseg", hospital: Hospital, recipe: Path
) -> None:
    add_column(hospital, "share.lesion", "c", "<50 %")
    weak = ("--set", "stages.lesion.estep={use: hard}")
    ended = wsseg("data", "check", recipe, "--json", *weak)
    assert "share.lesion of 1 cases is not used" in ended.out
    ended = wsseg("data", "check", recipe, "--set", "stages.lesion.estep={use: adapt, share: 0}")
    assert "unused-share" not in ended.out
