"""Pictures as volumes: their channels, grid and masks, for every format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.dicom_files import SHAPE, series
from wsseg import Case, InputError
from wsseg.data.mask_files import mask_suffix, write_mask
from wsseg.data.reading import read_channels, read_grid, read_mask, read_volume
from wsseg.data.validation import grid_mismatch
from wsseg.inference.scans import case_of

GREY = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)
COLOURS = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)
RGB = ("red", "green", "blue")


def grey_palette(path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    picture.putpalette([9, 9, 9, 200, 200, 200])
    picture.save(path)


def coloured_palette(path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.save(path)


@pytest.mark.parametrize(
    ("name", "write", "channels"),
    [
        ("a.png", lambda path: Image.fromarray(GREY).save(path), ("image",)),
        ("a.png", lambda path: Image.fromarray(GREY > 99).save(path), ("image",)),
        ("a.png", lambda path: Image.fromarray(np.uint16(GREY)).save(path), ("image",)),
        ("a.png", lambda path: Image.fromarray(COLOURS).save(path), RGB),
        ("a.jpg", lambda path: Image.fromarray(COLOURS).save(path), RGB),
        ("a.gif", lambda path: Image.fromarray(GREY).save(path), ("image",)),
        ("a.png", grey_palette, ("image",)),
        ("a.png", coloured_palette, RGB),
        ("a.tif", grey_palette, ("image",)),
        ("a.tif", coloured_palette, RGB),
        ("a.tif", lambda path: Image.fromarray(COLOURS).save(path), RGB),
        (
            "a.tif",
            lambda path: tifffile.imwrite(
                path, np.zeros((2, 5, 4, 4), np.uint8), imagej=True, metadata={"axes": "ZCYX"}
            ),
            tuple(f"channel-{number}" for number in range(1, 6)),
        ),
        ("a.npy", lambda path: np.save(path, COLOURS), RGB),
        ("a.npy", lambda path: np.save(path, GREY), ("image",)),
    ],
)
def test_headers_name_the_channels_that_the_image_has(
    tmp_path: Path, name: str, write: Callable[[Path], None], channels: tuple[str, ...]
) -> None:
    write(tmp_path / name)
    volume = read_volume(tmp_path / name)
    assert read_channels(tmp_path / name) == volume.channels == channels
    assert volume.voxels.shape[1:] == read_grid(tmp_path / name).canonical_shape
    assert volume.voxels.dtype == np.int16


def test_a_picture_is_measured_in_pixels_and_matches_any_grid_of_its_shape(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY.T).save(tmp_path / "b.png")
    grid, other = read_grid(tmp_path / "a.png"), read_grid(tmp_path / "b.png")
    assert (grid.unit, grid.spacing_mm, grid.canonical_shape) == ("px", (1, 1, 1), (1, 2, 3))
    assert grid_mismatch(grid, grid) == ""
    assert "its shape is" in grid_mismatch(other, grid)


@pytest.mark.parametrize(("shape", "suffix"), [((1, 2, 3), ".png"), ((4, 2, 3), ".tif")])
def test_masks_of_pictures_are_pictures(
    tmp_path: Path, shape: tuple[int, int, int], suffix: str
) -> None:
    values = np.arange(np.prod(shape)).reshape(shape)
    tifffile.imwrite(tmp_path / "a.tif", values.astype(np.uint8), photometric="minisblack")
    grid = read_grid(tmp_path / "a.tif")
    assert mask_suffix(grid) == suffix
    path = tmp_path / f"mask{suffix}"
    write_mask(path, (values % 3).astype(np.uint8), grid)
    assert np.array_equal(read_mask(path, grid, (1,)), values % 3 == 1)
    assert np.array_equal(read_mask(path, grid, (2,)), values % 3 == 2)


@pytest.mark.parametrize("frame", [0, 1])
def test_a_frame_of_a_tiff_file_is_one_of_its_pages(tmp_path: Path, frame: int) -> None:
    pages = np.stack([GREY, 255 - GREY])
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    assert np.array_equal(read_volume(tmp_path / "a.tif", frame).voxels[0, 0], pages[frame])
    with pytest.raises(InputError, match="there is no frame 2; possible: 0 to 1"):
        read_volume(tmp_path / "a.tif", 2)


def test_a_picture_is_a_case_whose_mask_may_have_another_format(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "a.jpg")
    np.save(tmp_path / "a.npy", GREY > 99)
    case = Case("a", "a", tmp_path / "a.jpg", masks={"spot": tmp_path / "a.npy"})
    grid = read_grid(case.image)
    assert np.array_equal(read_mask(case.masks["spot"], grid)[0], GREY > 99)


def test_an_array_with_nan_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((3, 3), np.nan))
    with pytest.raises(InputError, match="has NaN or infinite values"):
        read_volume(tmp_path / "a.npy")


def test_a_path_of_a_dicom_file_is_a_scan_of_that_file(tmp_path: Path) -> None:
    folder = series(tmp_path / "scan")
    volume = read_volume(folder / "a.dcm")
    assert volume.voxels.shape == (1, 1, *SHAPE)
    assert (volume.grid.unit, volume.spacing_mm[1:]) == ("mm", (0.75, 0.5))
    assert case_of(folder / "a.dcm").name == "a"
