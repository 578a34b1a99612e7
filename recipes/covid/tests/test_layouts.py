"""The public data sets: files in their official layouts, written from a phantom and read back."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from wsseg import Grid, Input, InputError, PublicDataset, SourceFile
from wsseg.cli import app
from wsseg.data.prepare import prepare
from wsseg.testing import check_cohort
from wsseg.tools import read_case, read_case_mask, write_nifti
from wsseg_covid.covid20 import CORONACASES, RADIOPAEDIA, Covid20
from wsseg_covid.medseg import MedSeg9, MedSeg100
from wsseg_covid.mosmed import MosMed
from wsseg_covid.phantom.patient import Phantom, Protocol, phantom
from wsseg_covid.phantom.scanner import SCANNERS
from wsseg_ct import HounsfieldUnits

SIZE, SLICES = 64, 12


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def drawn() -> Phantom:
    protocol = Protocol(SCANNERS[0], SIZE, SLICES, 15.0)
    return phantom(np.random.default_rng(0), protocol, consolidation=True)


def labels(drawn: Phantom) -> np.ndarray:
    return drawn.infection.astype(np.uint8) + drawn.consolidation


def grid(drawn: Phantom, signs: tuple[int, int]) -> Grid:
    """Return a grid whose x axis points right (1) or left and y axis to the front (1) or back."""
    z_mm, row_mm, column_mm = drawn.spacing_mm
    affine = np.diag([signs[0] * column_mm, signs[1] * row_mm, z_mm, 1.0])
    return Grid((SIZE, SIZE, SLICES), affine)


def save(path: Path, voxels: np.ndarray, lies: Grid) -> None:
    write_nifti(path, lies.to_file(voxels), lies.affine)


def medseg9(root: Path, drawn: Phantom) -> None:
    for number in range(1, 10):
        lies, file = grid(drawn, (-1, 1) if number % 2 else (-1, -1)), f"{number}.nii.gz"
        save(root / "rp_im" / file, drawn.image, lies)
        save(root / "rp_msk" / file, labels(drawn), lies)
        save(root / "rp_lung_msk" / file, drawn.lung.astype(np.uint8), lies)


def medseg100(root: Path, drawn: Phantom) -> None:
    """Write stacks (column, row, slice) of upright images, with the identity as affine."""
    for name, voxels in (("tr_im", drawn.image), ("tr_mask", labels(drawn))):
        write_nifti(root / f"{name}.nii.gz", voxels.transpose(2, 1, 0).copy(), np.eye(4))


def covid20(root: Path, drawn: Phantom) -> None:
    picture = np.rint((np.clip(drawn.image, -1250.0, 250) + 1250) * 255 / 1500).astype(np.int16)
    left = np.arange(SIZE) >= SIZE // 2  # of the patient, on the right of the image
    sides = np.where(drawn.lung, np.where(left, 1, 2), 0).astype(np.uint8)
    for name in (*CORONACASES, *RADIOPAEDIA):
        lies, file = grid(drawn, (1, 1) if name in CORONACASES else (-1, -1)), f"{name}.nii.gz"
        image = picture if name in RADIOPAEDIA else drawn.image
        save(root / "COVID-19-CT-Seg_20cases" / file, image, lies)
        save(root / "Lung_Mask" / file, sides, lies)
        save(root / "Infection_Mask" / file, drawn.infection.astype(np.uint8), lies)


def mosmed(root: Path, drawn: Phantom) -> None:
    lies = grid(drawn, (-1, -1))
    for number, grade in ((1, 0), (255, 1), (300, 2), (400, 3), (1110, 4)):
        name = f"study_{number:04d}"
        save(root / "studies" / f"CT-{grade}" / f"{name}.nii.gz", drawn.image, lies)
    mask = drawn.infection.astype(np.uint8)
    save(root / "masks" / "study_0255_mask.nii.gz", mask, lies)


def test_medseg_9_files_are_read_as_the_phantom_that_was_written(
    tmp_path: Path, drawn: Phantom
) -> None:
    medseg9(tmp_path, drawn)
    cohort = MedSeg9(root=tmp_path)
    check_cohort(cohort)
    for case in cohort.cases():
        volume = read_case(case)
        assert np.array_equal(volume.channel(), drawn.image)
        for name in ("infection", "consolidation", "lung"):
            found = read_case_mask(case, name, volume.grid)
            assert np.array_equal(found, getattr(drawn, name)), name


def test_medseg_100_slices_are_read_as_the_phantom_that_was_written(
    tmp_path: Path, drawn: Phantom
) -> None:
    medseg100(tmp_path, drawn)
    cohort = MedSeg100(root=tmp_path, neighbours=4)
    check_cohort(cohort)
    cases = cohort.cases()
    assert len(cases) == SLICES
    for z, case in enumerate(cases):
        volume = read_case(case)
        assert np.array_equal(volume.channel()[0], drawn.image[z])
        truth = {name: getattr(drawn, name)[z] for name in ("infection", "consolidation")}
        truth["ground-glass"] = truth["infection"] & ~truth["consolidation"]
        assert case.tags == {name: bool(mask.any()) for name, mask in truth.items()}
        for name, mask in truth.items():
            assert np.array_equal(read_case_mask(case, name, volume.grid)[0], mask)


def test_covid_20_files_are_read_in_hu_as_the_phantom_that_was_written(
    tmp_path: Path, drawn: Phantom
) -> None:
    covid20(tmp_path, drawn)
    cohort = Covid20(root=tmp_path)
    check_cohort(cohort)
    cases = cohort.cases()
    assert len(cases) == 20
    for case in cases:
        volume = read_case(case)
        if case.name in CORONACASES:
            assert np.array_equal(volume.channel(), drawn.image)
        else:  # steps of 1500 / 255 HU inside the window
            difference = volume.channel() - np.clip(drawn.image, -1250, 250)
            assert np.abs(difference).max() <= 1500 / 255 / 2 + 0.01
        for name in ("infection", "lung"):
            found = read_case_mask(case, name, volume.grid)
            assert np.array_equal(found, getattr(drawn, name)), (case.name, name)
        prepare(case, Input(size=32, slices=1, unit=HounsfieldUnits()))  # must be accepted as HU


def test_covid_20_scans_of_the_same_case_have_the_same_patient(
    tmp_path: Path, drawn: Phantom
) -> None:
    covid20(tmp_path, drawn)
    patients = [case.patient for case in Covid20(root=tmp_path).cases()]
    assert len(set(patients)) == 18
    assert patients.count("radiopaedia_10") == patients.count("radiopaedia_29") == 2


def test_a_radiopaedia_scan_in_hu_is_not_windowed_twice(tmp_path: Path, drawn: Phantom) -> None:
    covid20(tmp_path, drawn)
    path = tmp_path / "COVID-19-CT-Seg_20cases" / "radiopaedia_4_85506_1.nii.gz"
    save(path, drawn.image, grid(drawn, (-1, -1)))
    with pytest.raises(InputError, match=r"case radiopaedia_4_85506_1: .*8-bit picture"):
        read_case(Covid20(root=tmp_path).cases()[10])


def test_an_8_bit_image_without_a_window_is_refused(tmp_path: Path, drawn: Phantom) -> None:
    covid20(tmp_path, drawn)
    case = replace(Covid20(root=tmp_path).cases()[10], window=None)
    with pytest.raises(InputError, match=r"not in HU: .*8-bit picture"):
        prepare(case, Input(size=32, slices=1, unit=HounsfieldUnits()))


def test_the_grade_folders_of_mosmed_become_tags(tmp_path: Path, drawn: Phantom) -> None:
    mosmed(tmp_path, drawn)
    cohort = MosMed(root=tmp_path)
    check_cohort(cohort)
    cases = cohort.cases()
    assert [case.name for case in cases] == [
        "study_0001", "study_0255", "study_0300", "study_0400", "study_1110"
    ]  # fmt: skip
    assert [sum(bool(tag) for tag in case.tags.values()) for case in cases] == [0, 1, 2, 3, 4]
    assert cases[2].tags == {
        "infection": True,
        "over-25-percent": True,
        "over-50-percent": False,
        "over-75-percent": False,
    }
    assert [case.shares.get("infection") for case in cases] == [
        None, (0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)
    ]  # fmt: skip
    assert [list(case.masks) for case in cases] == [[], ["infection"], [], [], []]
    assert [case.split for case in cases] == ["train", "test", "train", "train", "train"]
    volume = read_case(cases[1])
    assert np.array_equal(volume.channel(), drawn.image)
    assert np.array_equal(read_case_mask(cases[1], "infection", volume.grid), drawn.infection)


GRADES = """\
cohort: {use: mosmed, root: .}
regions: {lung: {use: lung-threshold}}
input: {slices: 1, size: 32, unit: HU}
stages:
  infection:
    learn: em
    classes: [infection]
    region: lung
    backbone: {use: additive-unet, width: 2}
    prior: {use: hu-sigmoid, midpoint_hu: -500, width_hu: 100}
    estep: {use: adapt, share: 0}
    loss: {use: cross-entropy}
    epochs: 1
    optimizer: {use: adam, lr: {start: 1.0e-3, end: 1.0e-5}}
"""


def test_a_network_is_trained_from_the_grades_of_mosmed_and_scored_on_its_masks(
    tmp_path: Path, drawn: Phantom
) -> None:
    mosmed(tmp_path, drawn)
    (tmp_path / "grades.yaml").write_text(GRADES)
    run = tmp_path / "run"
    train = ["train", tmp_path / "grades.yaml", "--out", run, "--accept", "duplicate-scan"]
    for words in (train, ["score", run]):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
    manifest = json.loads((run / "manifest.json").read_text())
    shares = [each["shares"] for each in manifest["weak_labels"]["infection"].values()]
    assert [each["infection"] for each in shares] == [[0.25, 0.5], [0.5, 0.75], [0.75, 1.0]]
    assert not any("mask" in each["use"] for each in manifest["files"])
    assert list(pd.read_csv(run / "scores.csv")["case"]) == ["study_0255"]


def test_missing_files_are_reported_with_their_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"coronacases_001.nii.gz: .*was not found.*3757476"):
        Covid20(root=tmp_path).cases()
    with pytest.raises(InputError, match=r"studies: no folders CT-0 to CT-4"):
        MosMed(root=tmp_path).cases()


@pytest.mark.parametrize(
    ("name", "make", "cohort", "count"),
    [
        ("medseg-9", medseg9, MedSeg9, 9),
        ("medseg-100", medseg100, MedSeg100, SLICES),
        ("covid-20", covid20, Covid20, 20),
    ],
)
def test_data_fetch_reads_downloaded_files_from_a_folder(
    tmp_path: Path,
    drawn: Phantom,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    make: Callable[[Path, Phantom], None],
    cohort: type[PublicDataset],
    count: int,
) -> None:
    made, here = tmp_path / "made", tmp_path / "here"
    make(made, drawn)
    here.mkdir()
    files = []
    for file in cohort.source.files:
        path = here / file.name
        if path.suffix == ".zip":
            with ZipFile(path, "w") as archive:
                for scan in sorted((made / path.stem).iterdir()):
                    archive.write(scan, f"{path.stem}/{scan.name}" if "rp" in name else scan.name)
        else:
            (made / file.name).rename(path)
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        files.append(SourceFile(file.name, file.url, f"md5:{digest}"))
    monkeypatch.setattr(cohort, "source", replace(cohort.source, files=tuple(files)))
    done = CliRunner().invoke(
        app, ["data", "fetch", name, "--out", str(tmp_path / "out"), "--from", str(here)]
    )
    assert done.exit_code == 0, done.output
    assert f"{count} cases" in done.output
    assert "licence: " in done.output
    assert "cite: " in done.output
    assert len(cohort(root=tmp_path / "out").cases()) == count


@pytest.mark.parametrize("cohort", [MedSeg9, MedSeg100, Covid20])
def test_sources_have_page_licence_citation_and_distinct_urls(cohort: type[PublicDataset]) -> None:
    source = cohort.source
    assert source.page.startswith("https://doi.org/10.")
    assert source.licence
    assert source.citation
    assert all(file.url.startswith("https://") for file in source.files)
    assert len({file.url for file in source.files}) == len(source.files)
