"""Invalid scans, masks and tables: one clear error with exit code 2, and no output."""

import gzip
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tests.conftest import Wsseg

SHAPE = (12, 10, 4)
AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use a cache folder of the test, in which no temporary file may remain."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("WSSEG_CACHE", str(folder))
    yield folder
    hidden = {path.name for path in folder.rglob("*") if path.name.startswith(".")}
    assert hidden <= {".in-use"}  # the list of who reads here


@pytest.fixture
def cohort(toy_cohort: Path, tmp_path: Path) -> Path:
    """Return the cohort.csv of a copy of the toy cohort, which tests may damage."""
    return Path(shutil.copytree(toy_cohort.parent, tmp_path / "toy")) / toy_cohort.name


@pytest.fixture
def recipe(cohort: Path, toy_cohort: Path, toy_text: str, tmp_path: Path) -> Path:
    """Return the toy recipe for that copy."""
    path = tmp_path / "recipe.yaml"
    path.write_text(toy_text.replace(str(toy_cohort), str(cohort)))
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the trained run, which tests may damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def save(path: Path, array: NDArray[Any], affine: NDArray[np.float64] = AFFINE) -> None:
    nib.save(nib.Nifti1Image(array, affine), path)


def noise(low: float = -1000, high: float = 100, shape: tuple[int, ...] = SHAPE) -> NDArray[Any]:
    return np.random.default_rng(0).integers(int(low), int(high), shape).astype(np.int16)


# Single scans, given to `wsseg predict`.


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    save(path, noise(shape=(64, 64, 16)))
    path.write_bytes(path.read_bytes()[:20_000])


def not_gzip(path: Path) -> None:
    path.write_bytes(b"<html>404 not found</html>" * 40)


def text_in_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(b"case,image\n" * 100))


def four_d(path: Path) -> None:
    save(path, noise(shape=(*SHAPE, 3)))


def one_d(path: Path) -> None:
    save(path, noise(shape=SHAPE[:1]))


def with_nan(path: Path) -> None:
    array = noise().astype(np.float32)
    array[3, 3, 3] = np.nan
    save(path, array)


def with_infinity(path: Path) -> None:
    array = noise().astype(np.float32)
    array[3, 3, 3] = -np.inf
    save(path, array)


def complex_voxels(path: Path) -> None:
    save(path, noise().astype(np.complex64))


def singular(path: Path) -> None:
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    affine[:3, 1] = affine[:3, 0]
    save(path, noise(), affine)


def slices_of_half_a_metre(path: Path) -> None:
    save(path, noise(), np.diag([2.0, 2.0, 500.0, 1.0]))


def immense(path: Path) -> None:
    """Write a header of 10^12 voxels followed by a few bytes."""
    header = nib.Nifti1Header()
    header.set_data_shape((10_000, 10_000, 10_000))
    header.set_data_dtype(np.int16)
    header.set_sform(AFFINE, code="scanner")
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4 + 1000)))


SCANS: dict[Callable[[Path], None], tuple[str, str]] = {
    empty: ("x.nii.gz", "is empty"),
    truncated: ("x.nii.gz", "is truncated"),
    not_gzip: ("x.nii.gz", "cannot be read as NIfTI"),
    text_in_gzip: ("x.nii.gz", "cannot be read as NIfTI"),
    four_d: ("x.nii.gz", "is 4-D (12 × 10 × 4 × 3)"),
    one_d: ("x.nii.gz", "is 1-D"),
    with_nan: ("x.nii.gz", "NaN or infinite values"),
    with_infinity: ("x.nii", "NaN or infinite values"),
    complex_voxels: ("x.nii.gz", "must be one real number"),
    singular: ("x.nii.gz", "singular"),
    slices_of_half_a_metre: ("x.nii", "mm; possible"),
    immense: ("x.nii.gz", "10000 × 10000 × 10000 voxels"),
}


@pytest.mark.parametrize("write", SCANS, ids=lambda write: write.__name__)
def test_predict_refuses_an_invalid_scan_and_writes_nothing(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    name, words = SCANS[write]
    write(tmp_path / name)
    ended = wsseg("predict", trained, tmp_path / name, "--out", tmp_path / "out")
    ended.refused("case x: ", name, words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["none.nii.gz", "scan.dcm"])
def test_predict_refuses_a_missing_file_and_a_file_that_is_not_a_scan(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "scan.dcm").write_bytes(b"DICM")
    wsseg("predict", trained, tmp_path / name, "--out", tmp_path / "out").refused(name)
    assert not (tmp_path / "out").exists()


# A cohort with one invalid file, given to `wsseg train`.


@pytest.mark.parametrize("write", SCANS, ids=lambda write: write.__name__)
def test_an_invalid_scan_of_a_cohort_is_refused_before_training(
    wsseg: "Wsseg", cohort: Path, recipe: Path, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    name, words = SCANS[write]
    write(cohort.parent / name)
    cohort.write_text(cohort.read_text().replace("3-image.nii.gz", name))
    ended = wsseg("train", recipe, "--out", tmp_path / "out")
    ended.refused("case case-3: ", name, words)
    assert not (tmp_path / "out").exists()


def test_a_missing_scan_is_reported_with_its_line_in_cohort_csv(
    wsseg: "Wsseg", cohort: Path, recipe: Path, tmp_path: Path
) -> None:
    (cohort.parent / "3-image.nii.gz").unlink()
    ended = wsseg("train", recipe, "--out", tmp_path / "out")
    ended.refused("cohort.csv, line 5: case case-3, image: there is no file")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("low", "high", "looks"),
    [(0, 256, "8-bit"), (0, 3000, "rescale intercept"), (-1, 2, "normalised")],
)
def test_a_scan_that_is_not_in_hu_is_refused_if_the_recipe_requires_hu(
    wsseg: "Wsseg", cohort: Path, recipe: Path, tmp_path: Path, low: int, high: int, looks: str
) -> None:
    save(cohort.parent / "3-image.nii.gz", noise(low, high, (40, 36, 5)))
    words = ("train", recipe, "--out", tmp_path / "out")
    wsseg(*words, "--set", "input.unit=HU").refused("case case-3: ", "is not in HU", looks)
    assert not (tmp_path / "out").exists()


def mask() -> NDArray[np.uint8]:
    return np.ones((40, 36, 5), np.uint8)


@pytest.mark.parametrize(
    ("array", "affine", "words"),
    [
        (mask()[1:], AFFINE, "its shape is (39, 36, 5), but its image has (40, 36, 5)"),
        (mask(), AFFINE + np.outer([3, 0, 0, 0], [0, 0, 0, 1]), "affines differ"),
        (mask(), np.diag([2.0, 2.0, 4.0, 1.0]), "affines differ"),
        (mask() * 3, AFFINE, "unknown labels 3"),
    ],
)
def test_a_mask_with_another_grid_or_unknown_labels_is_refused_before_training(
    wsseg: "Wsseg",
    cohort: Path,
    recipe: Path,
    tmp_path: Path,
    array: NDArray[np.uint8],
    affine: NDArray[np.float64],
    words: str,
) -> None:
    save(cohort.parent / "3-infection.nii.gz", array, affine)
    ended = wsseg("train", recipe, "--out", tmp_path / "out")
    ended.refused("case case-3: ", "3-infection.nii.gz", words)
    assert not (tmp_path / "out").exists()


def test_an_invalid_mask_of_a_later_stage_is_refused_before_the_first_stage(
    wsseg: "Wsseg", cohort: Path, recipe: Path, tmp_path: Path
) -> None:
    save(cohort.parent / "3-consolidation.nii.gz", mask() * 3)
    later = "stages.consolidation={learn: masks, classes: [consolidation], start: infection, "
    later += "loss: {use: batch-dice}, epochs: 1, optimizer: {lr: 0.1}}"
    ended = wsseg("train", recipe, "--out", tmp_path / "out", "--set", later)
    ended.refused("case case-3: ", "3-consolidation.nii.gz")
    assert not (tmp_path / "out").exists()


def test_score_refuses_an_invalid_mask_of_a_test_case(
    wsseg: "Wsseg", cohort: Path, toy_cohort: Path, run: Path
) -> None:
    own = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(own.replace(str(toy_cohort), str(cohort)))
    save(cohort.parent / "7-consolidation.nii.gz", mask() * 3)
    wsseg("score", run).refused("case case-7: ", "7-consolidation.nii.gz", "unknown labels 3")
    assert not (run / "scores.csv").exists()


def test_an_empty_column_of_tags_is_refused_before_training(
    wsseg: "Wsseg", cohort: Path, recipe: Path, tmp_path: Path
) -> None:
    lines = cohort.read_text().splitlines()
    rows = [line.rpartition(",")[0] + "," for line in lines[1:]]
    cohort.write_text("\n".join([lines[0], *rows]))
    ended = wsseg("train", recipe, "--out", tmp_path / "out")
    ended.refused(
        "stage consolidation: none of the 6 training cases has a value in tag.consolidation"
    )
    assert not (tmp_path / "out").exists()


def test_a_table_without_the_masks_is_refused_before_training(
    wsseg: "Wsseg", cohort: Path, recipe: Path, tmp_path: Path
) -> None:
    cohort.write_text(cohort.read_text().replace("mask.infection", "mask.lesion"))
    ended = wsseg("train", recipe, "--out", tmp_path / "out")
    ended.refused("stage infection: none of the 6 training cases has a value in mask.infection")
    assert not (tmp_path / "out").exists()


def test_a_corrected_cohort_is_trained_with_the_same_command(
    wsseg: "Wsseg", cohort: Path, recipe: Path, tmp_path: Path
) -> None:
    words = ("train", recipe, "--out", tmp_path / "out", "--set", "stages.infection.epochs=1")
    image = cohort.parent / "3-image.nii.gz"
    image.rename(tmp_path / "kept")
    assert wsseg(*words).code == 2
    (tmp_path / "kept").rename(image)
    assert wsseg(*words).code == 0
