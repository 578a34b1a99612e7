"""Reading of TIFF files: the usual kinds of pixels and compression, and pages as slices."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from wsseg.data.tiff import read_tiff, read_tiff_labels, tiff_shape, write_tiff_labels
from wsseg.errors import InputError

GREY = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)
COLOURS = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)
STACK = np.arange(4 * 2 * 3, dtype=np.uint16).reshape(4, 2, 3) * 1000


def save(path: Path, values: NDArray[Any], **options: Any) -> Path:
    tifffile.imwrite(path, values, **options)
    return path


@given(
    values=arrays.arrays(
        st.sampled_from(["u1", "u2", "i2", "i4", "f4"]),
        st.tuples(st.integers(1, 5), st.integers(2, 5), st.integers(2, 5)),
        elements={"min_value": 0, "max_value": 100},
    )
)
def test_a_stack_of_grey_pages_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[Any]
) -> None:
    path = save(tmp_path_factory.mktemp("tiff") / "a.tif", values, photometric="minisblack")
    assert tiff_shape(path) == values.shape
    assert np.array_equal(read_tiff(path), values[None])
    assert np.array_equal(read_tiff_labels(path), values[None])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("pages", [1, 2])
def test_coloured_pages_have_red_green_and_blue(tmp_path: Path, dtype: type, pages: int) -> None:
    values = np.stack([COLOURS.astype(dtype) * dtype(k + 1) for k in range(pages)])
    path = save(tmp_path / "a.tif", values, photometric="rgb")
    assert tiff_shape(path) == (pages, 2, 3)
    assert np.array_equal(read_tiff(path), values.transpose(3, 0, 1, 2))


def test_colours_in_separate_planes_are_the_same_as_interleaved_ones(tmp_path: Path) -> None:
    planes = np.ascontiguousarray(COLOURS.transpose(2, 0, 1))
    path = save(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_tiff(path), planes[:, None])


def test_channels_of_a_microscope_become_channels(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)  # Z, C, Y, X
    path = save(tmp_path / "a.tif", values, imagej=True, metadata={"axes": "ZCYX"})
    assert tiff_shape(path) == (2, 4, 5)
    assert np.array_equal(read_tiff(path), values.transpose(1, 0, 2, 3))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("values", [GREY, COLOURS, GREY > 100], ids=["grey", "colours", "bits"])
def test_the_compression_does_not_change_the_values(
    tmp_path: Path, compression: str | None, values: NDArray[Any]
) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path, compression=compression)
    expected = values.transpose(2, 0, 1) if values.ndim == 3 else values[None]
    assert np.array_equal(read_tiff(path)[:, 0], expected)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_the_pages_of_a_compressed_file_are_its_slices(
    tmp_path: Path, compression: str | None
) -> None:
    first, *others = [Image.fromarray(page) for page in STACK]
    path = tmp_path / "a.tif"
    first.save(path, save_all=True, append_images=others, compression=compression)
    assert tiff_shape(path) == STACK.shape
    assert np.array_equal(read_tiff(path), STACK[None])


def test_a_jpeg_in_a_tiff_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((16, 16, 3), (90, 120, 30), np.uint8)).save(path, compression="jpeg")
    assert np.abs(read_tiff(path)[:, 0, 0, 0].astype(int) - (90, 120, 30)).max() <= 3


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_white_as_zero_is_inverted(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(GREY).save(path, compression=compression, tiffinfo={262: 0})
    stored = tifffile.TiffFile(path).pages.first
    assert stored.photometric == 0
    if compression is None:
        assert np.array_equal(read_tiff(path)[0, 0], 255 - stored.asarray())


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_palette_gives_its_colours_as_an_image_and_its_indices_as_a_mask(
    tmp_path: Path, compression: str | None
) -> None:
    picture = Image.fromarray(np.zeros((1, 3), np.uint8)).convert("P")
    picture.putdata([0, 1, 2])
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    path = tmp_path / "a.tif"
    picture.save(path, compression=compression)
    assert read_tiff(path)[:, 0, 0].T.tolist() == [[0, 0, 0], [255, 0, 0], [0, 255, 0]]
    assert read_tiff_labels(path)[0, 0].tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_read_as_its_orientation_shows_it(
    tmp_path: Path, compression: str | None, orientation: int
) -> None:
    shown: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.T,
        6: lambda x: x[::-1].T,
        7: lambda x: x[::-1, ::-1].T,
        8: lambda x: x[:, ::-1].T,
    }
    path = tmp_path / "a.tif"
    Image.fromarray(GREY).save(path, compression=compression, tiffinfo={274: orientation})
    expected = shown[orientation](GREY)
    assert tiff_shape(path) == (1, *expected.shape)
    assert np.array_equal(read_tiff(path)[0, 0], expected)


def test_an_opaque_alpha_channel_is_left_out(tmp_path: Path) -> None:
    alpha = np.full((2, 3, 1), 255, np.uint8)
    Image.fromarray(np.concatenate([COLOURS, alpha], axis=-1)).save(tmp_path / "a.tif")
    assert np.array_equal(read_tiff(tmp_path / "a.tif")[:, 0], COLOURS.transpose(2, 0, 1))


def transparent(path: Path) -> None:
    Image.fromarray(np.zeros((2, 3, 4), np.uint8)).save(path)


def cmyk(path: Path) -> None:
    Image.fromarray(COLOURS).convert("CMYK").save(path)


def pages_of_two_sizes(path: Path) -> None:
    pages = [Image.fromarray(GREY), Image.fromarray(GREY.T)]
    pages[0].save(path, save_all=True, append_images=pages[1:])


def film_of_volumes(path: Path) -> None:
    save(path, np.zeros((2, 3, 4, 5), np.uint8), imagej=True, metadata={"axes": "TZYX"})


def text(path: Path) -> None:
    path.write_text("image,tag\n" * 50)


def empty(path: Path) -> None:
    path.touch()


def absent(path: Path) -> None:
    assert not path.exists()


def truncated(path: Path) -> None:
    save(path, np.zeros((64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:1000])


def truncated_and_compressed(path: Path) -> None:
    save(path, np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8), compression="zlib")
    path.write_bytes(path.read_bytes()[:3000])


def bomb(path: Path) -> None:
    """Write a header that declares a million rows."""
    save(path, np.zeros((9, 1000), np.uint8), compression="zlib", rowsperstrip=9)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["ImageLength"].overwrite(10**6)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (transparent, "100 % of its pixels are transparent"),
        (cmyk, "its colour mode is SEPARATED; possible: greyscale, RGB and a palette"),
        (pages_of_two_sizes, "its 2 pages differ in size or type"),
        (film_of_volumes, "has more axes than .*: T 2, Z 3"),
        (text, "the file is damaged, or not a TIFF file"),
        (empty, "the file is damaged, or not a TIFF file"),
        (absent, "file not found"),
        (truncated, "is truncated"),
        (truncated_and_compressed, "is truncated or damaged, or cannot be read"),
        (bomb, r"is truncated: \d+ bytes cannot hold 1000000 × 1000 values"),
    ],
)
@pytest.mark.parametrize("read", [read_tiff, read_tiff_labels])
def test_a_file_that_cannot_be_read_faithfully_is_refused(
    tmp_path: Path,
    read: Callable[[Path], NDArray[Any]],
    write: Callable[[Path], None],
    message: str,
) -> None:
    write(tmp_path / "a.tif")
    with pytest.raises(InputError, match=rf"a\.tif: .*{message}"):
        read(tmp_path / "a.tif")


def test_a_coloured_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the mask is in colour"):
        read_tiff_labels(save(tmp_path / "a.tif", COLOURS, photometric="rgb"))


@given(labels=arrays.arrays(np.uint8, st.tuples(*(st.integers(1, 5) for _ in range(3)))))
def test_labels_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, labels: NDArray[np.uint8]
) -> None:
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    write_tiff_labels(path, labels)
    assert np.array_equal(read_tiff_labels(path), labels[None])
    assert tiff_shape(path) == labels.shape
