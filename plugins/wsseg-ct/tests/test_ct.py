from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from wsseg import Case, Grid, InputError, Volume, load_recipe
from wsseg.core.input import Input
from wsseg.data.prepare import prepare
from wsseg.data.validation import check_unit as check_values
from wsseg.testing import check_unit
from wsseg_ct import HounsfieldUnits

HU = HounsfieldUnits()


def volume(*values: float) -> Volume:
    voxels = np.array(values, np.float32).reshape(1, 1, -1)
    return Volume(voxels[None], Grid((len(values), 1, 1), np.eye(4)))


def test_hu_keeps_the_contract_of_units() -> None:
    check_unit(HU)


@pytest.mark.parametrize(
    ("image", "instead"),
    [
        (volume(0, 128, 255), "8-bit picture"),
        (volume(-3, 258), "8-bit picture"),
        (volume(0, 24, 1100, 2500), "without its rescale intercept"),
        (
            volume(-2000, 0, 1100),
            "without its rescale intercept",
        ),  # -2000: outside the field of view
        (volume(0, 1), "normalised"),
        (volume(-1000, -1000), "normalised or nearly constant"),
        (volume(-2000, -2000), "normalised or nearly constant"),
    ],
)
def test_an_image_that_is_not_in_hu_is_refused_and_the_message_names_its_likely_kind(
    image: Volume, instead: str
) -> None:
    with pytest.raises(
        InputError, match=rf"^scan.nii.gz: the image is not in HU: .* like .*{instead}"
    ):
        check_values(image.channel(), HU, "scan.nii.gz")


@pytest.mark.parametrize(
    "image", [volume(-1024, -860, 40, 1200), volume(-2048, -1000, 300), volume(-120, 60)]
)
def test_ct_with_air_with_padding_and_without_air_is_accepted(image: Volume) -> None:
    check_values(image.channel(), HU, "scan.nii.gz")


def scan(folder: Path, voxels: np.ndarray) -> Case:
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / "scan.nii.gz")
    return Case("p1", "p1", folder / "scan.nii.gz")


def test_prepared_images_are_whole_hu_in_int16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    array = np.linspace(-1000, 100, 32 * 32).reshape(32, 32, 1).astype(np.float32)
    image = prepare(scan(tmp_path, array), Input(size=32, unit=HU)).image
    assert image.dtype == np.int16
    assert np.abs(image - array[::-1, ::-1].T).max() <= 0.5


def test_an_8_bit_picture_is_not_prepared_and_its_case_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    case = scan(tmp_path, np.arange(256, dtype=np.uint8).reshape(16, 16, 1))
    with pytest.raises(InputError, match=r"^case p1: .*8-bit picture"):
        prepare(case, Input(size=16, unit=HU))
    assert prepare(replace(case, name="p2"), Input(size=16)).image.max() == 255


def test_a_standardized_image_is_not_in_hu() -> None:
    with pytest.raises(ValueError, match="standardized images are no longer in the unit HU"):
        Input(unit=HU, standardize="lung")


def test_the_unit_sets_fill_and_window_where_the_recipe_does_not() -> None:
    assert Input(unit=HU).fixed_fills(1) == (-1024,)
    assert Input(unit=HU, fill=0).fixed_fills(1) == (0,)
    recipe = load_recipe("covid/phi2")
    assert recipe.display_window == (-1350, 150)
    assert load_recipe("covid/phi2", ["window=[-160, 240]"]).display_window == (-160, 240)
