from multiprocessing import get_context
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydantic import ValidationError

from wsseg import Case, InputError, Table
from wsseg.testing import check_cohort
from wsseg.tools import read_case, read_case_grid, read_case_mask
from wsseg_covid.phantom.cohort import LungPhantom, Plan, draw, split_of, write_cohort

SMALL = LungPhantom(cases=8, size=64, slices=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "cohort"
    write_cohort(SMALL, folder)
    return folder


@pytest.fixture(scope="module")
def cases(folder: Path) -> list[Case]:
    return Table(path=folder / "cohort.csv").cases()


def test_each_split_has_cases_with_and_without_consolidation(cases: list[Case]) -> None:
    found = {(case.split, case.tags["consolidation"]) for case in cases}
    assert found == {(split, tag) for split in ("train", "test") for tag in (True, False)}
    assert all(case.tags["infection"] for case in cases)


def test_tags_agree_with_the_masks(cases: list[Case]) -> None:
    for case in cases:
        for name in ("infection", "consolidation", "ground-glass"):
            mask = read_case_mask(case, name, read_case_grid(case))
            assert case.tags[name] == mask.any(), (case.name, name)


def test_infection_is_ground_glass_or_consolidation(cases: list[Case]) -> None:
    names = ("infection", "consolidation", "ground-glass")
    infection, dense, glass = (
        read_case_mask(cases[0], name, read_case_grid(cases[0])) for name in names
    )
    assert np.array_equal(infection, dense | glass)
    assert not (dense & glass).any()


def test_files_in_both_orientations_are_read_as_drawn(cases: list[Case]) -> None:
    for index in (0, 1):
        drawn, read = draw(SMALL, index), read_case(cases[index])
        assert np.array_equal(read.channel(), drawn.image)
        assert read.spacing_mm == pytest.approx(drawn.spacing_mm, rel=1e-6)
        lung = read_case_mask(cases[index], "lung", read.grid)
        assert np.array_equal(lung, drawn.lung)


def test_half_of_the_files_are_ras_and_half_lps(cases: list[Case]) -> None:
    codes = ["".join(nib.aff2axcodes(read_case_grid(case).affine)) for case in cases]
    assert codes == ["LPS", "RAS", "RAS", "LPS", "LPS", "RAS", "RAS", "LPS"]


def test_the_centre_of_each_scan_is_the_origin(cases: list[Case]) -> None:
    for case in cases[:2]:
        grid = read_case_grid(case)
        middle = (np.array(grid.shape) - 1) / 2
        assert grid.affine @ [*middle, 1] == pytest.approx([0, 0, 0, 1], abs=1e-3)


def test_two_of_five_cases_have_thin_slices(cases: list[Case]) -> None:
    thickness = [read_case_grid(case).spacing_mm[0] for case in cases]
    assert thickness == pytest.approx([5, 1.5, 5, 5, 1.5, 5, 2, 5])


def test_split_site_thickness_and_orientation_do_not_predict_the_tag() -> None:
    """In 60 cases, about half of each group have the tag."""
    cohort, plans = LungPhantom(cases=60, validation=12), [Plan(index) for index in range(60)]
    seen: dict[tuple[object, ...], list[bool]] = {}
    for plan in plans:
        protocol, split = plan.protocol(64, 12), split_of(cohort, plan.index)
        traits: tuple[tuple[object, ...], ...] = (
            ("split", split),
            ("site", protocol.scanner.site),
            ("thin", protocol.slice_mm < 3),
            ("site in split", split, protocol.scanner.site),
            ("lps", plan.index % 4 in (0, 3)),
        )
        for trait in traits:
            seen.setdefault(trait, []).append(plan.consolidation)
    for trait, tags in seen.items():
        assert 0.35 <= np.mean(tags) <= 0.65, trait
    splits = [split_of(cohort, plan.index) for plan in plans]
    assert {each: splits.count(each) for each in splits} == {"val": 12, "train": 28, "test": 20}


def test_cases_for_validation_are_taken_from_the_training_cases_and_not_drawn_again() -> None:
    plain = LungPhantom(cases=8, size=32, slices=4).cases()
    some = LungPhantom(cases=8, size=32, slices=4, validation=2).cases()
    assert [case.image for case in some] == [case.image for case in plain]
    assert {c.name for c in some if c.split == "val"} == {"phantom-000", "phantom-003"}
    assert [c.name for c in some if c.split == "test"] == [
        c.name for c in plain if c.split == "test"
    ]


def test_written_scans_have_the_validation_split_in_their_table(tmp_path: Path) -> None:
    write_cohort(LungPhantom(cases=3, size=32, slices=4, validation=1), tmp_path / "new")
    assert [case.split for case in Table(path=tmp_path / "new" / "cohort.csv").cases()] == [
        "val",
        "train",
        "test",
    ]


def test_more_than_a_third_of_the_cases_for_validation_are_refused() -> None:
    assert LungPhantom(cases=4, validation=2).validation == 2
    with pytest.raises(ValidationError, match="validation is 3; with 4 cases, it can be at most 2"):
        LungPhantom(cases=4, validation=3)


def test_progress_reports_every_case_once(tmp_path: Path) -> None:
    done: list[str] = []
    write_cohort(LungPhantom(cases=3, size=32, slices=4), tmp_path / "new", done.append)
    assert done == ["phantom-000", "phantom-001", "phantom-002"]


def test_a_folder_with_files_is_not_overwritten(folder: Path) -> None:
    with pytest.raises(InputError, match="already exists"):
        write_cohort(SMALL, folder)


def test_the_component_keeps_the_contract_and_draws_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path))
    cohort = LungPhantom(cases=2, seed=3, size=32, slices=4)
    check_cohort(cohort)
    [made] = (tmp_path / "phantom").iterdir()
    before = (made / "cohort.csv").stat().st_mtime_ns
    assert [case.name for case in cohort.cases()] == ["phantom-000", "phantom-001"]
    assert (made / "cohort.csv").stat().st_mtime_ns == before


def test_phantoms_of_another_seed_are_different_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path))
    first, second = (
        LungPhantom(cases=1, seed=seed, size=32, slices=4).cases()[0] for seed in (0, 1)
    )
    assert first.image.read_bytes() != second.image.read_bytes()


@pytest.mark.parametrize("wrong", [{"cases": 0}, {"seed": -1}, {"size": 0}, {"patients": 3}])
def test_wrong_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        LungPhantom.model_validate(wrong)


@pytest.mark.slow
def test_a_process_that_drew_phantoms_in_other_processes_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    cohort = LungPhantom(cases=2, size=32, slices=4)
    process = get_context("spawn").Process(target=write_cohort, args=(cohort, tmp_path / "drawn"))
    process.start()
    process.join(timeout=60)
    ended = process.exitcode
    process.kill()
    assert ended == 0
    assert len(Table(path=tmp_path / "drawn" / "cohort.csv").cases()) == 2
