"""Reading of PNG, JPEG, BMP and GIF pictures: the same values as a viewer shows, or an error."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from wsseg.data.pictures import (
    MAX_PIXELS,
    picture_shape,
    read_picture,
    read_picture_labels,
    write_picture_labels,
)
from wsseg.errors import InputError

GREY = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)
COLOURS = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)
ORIENTATION = 0x0112  # the tag of EXIF


def save(path: Path, pixels: NDArray[np.generic], orientation: int = 1) -> Path:
    picture = Image.fromarray(pixels)
    if orientation == 1:
        picture.save(path)
        return path
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture.save(path, exif=exif)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif", "a.PNG"])
def test_a_grey_picture_has_one_channel(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, GREY)
    assert picture_shape(path) == (1, 2, 3)
    assert np.array_equal(read_picture(path), GREY[None, None])


@pytest.mark.parametrize("name", ["a.png", "a.bmp"])
def test_a_coloured_picture_has_red_green_and_blue(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, COLOURS)
    assert np.array_equal(read_picture(path), COLOURS.transpose(2, 0, 1)[:, None])


@pytest.mark.parametrize("pixels", [np.full((8, 8), 90, np.uint8), np.full((8, 8, 3), 90, "u1")])
def test_a_jpeg_has_the_channels_that_it_was_saved_with(
    tmp_path: Path, pixels: NDArray[np.uint8]
) -> None:
    planes = read_picture(save(tmp_path / "a.jpg", pixels))
    assert planes.shape == (3 if pixels.ndim == 3 else 1, 1, 8, 8)
    assert np.abs(planes.astype(int) - 90).max() <= 2


def test_a_png_of_16_bits_keeps_its_values(tmp_path: Path) -> None:
    pixels = np.array([[0, 1, 40_000, 65_535]], np.uint16)
    planes = read_picture(save(tmp_path / "a.png", pixels))
    assert planes[0, 0].tolist() == [[0, 1, 40_000, 65_535]]


def test_a_black_and_white_picture_has_0_and_255_as_an_image_and_0_and_1_as_a_mask(
    tmp_path: Path,
) -> None:
    path = save(tmp_path / "a.png", np.array([[True, False]]))
    assert read_picture(path)[0, 0].tolist() == [[255, 0]]
    assert read_picture_labels(path)[0, 0].tolist() == [[1, 0]]


def palette(colours: list[int], indices: NDArray[np.uint8]) -> Image.Image:
    picture = Image.fromarray(indices).convert("P")
    picture.putdata(indices.ravel().tolist())
    picture.putpalette(colours)
    return picture


def test_a_palette_gives_its_colours_as_an_image_and_its_indices_as_a_mask(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    indices = np.array([[0, 1, 2]], np.uint8)
    palette([0, 0, 0, 255, 0, 0, 0, 255, 0], indices).save(path)
    assert read_picture(path)[:, 0, 0].T.tolist() == [[0, 0, 0], [255, 0, 0], [0, 255, 0]]
    assert read_picture_labels(path)[0, 0].tolist() == [[0, 1, 2]]


def test_a_palette_of_grey_levels_gives_a_grey_image(tmp_path: Path) -> None:
    palette([9, 9, 9, 200, 200, 200], np.array([[0, 1]], np.uint8)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png")[:, 0, 0].tolist() == [[9, 200]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_read_as_its_exif_orientation_shows_it(
    tmp_path: Path, orientation: int
) -> None:
    shown: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.T,
        6: lambda x: x[::-1].T,  # a quarter turn clockwise
        7: lambda x: x[::-1, ::-1].T,
        8: lambda x: x[:, ::-1].T,
    }
    path = save(tmp_path / "a.png", GREY, orientation)
    expected = shown[orientation](GREY)
    assert np.array_equal(read_picture(path)[0, 0], expected)
    assert np.array_equal(read_picture_labels(path)[0, 0], expected)
    assert picture_shape(path) == (1, *expected.shape)


def test_an_opaque_alpha_channel_is_left_out(tmp_path: Path) -> None:
    alpha = np.full((2, 3, 1), 255, np.uint8)
    path = save(tmp_path / "a.png", np.concatenate([COLOURS, alpha], axis=-1))
    assert np.array_equal(read_picture(path), COLOURS.transpose(2, 0, 1)[:, None])


def transparent(path: Path) -> None:
    alpha = np.array([[[255], [255], [0]], [[255], [255], [255]]], np.uint8)
    save(path, np.concatenate([COLOURS, alpha], axis=-1))


def transparent_colour(path: Path) -> None:
    Image.fromarray(COLOURS).save(path, transparency=tuple(COLOURS[0, 0].tolist()))


def cmyk(path: Path) -> None:
    Image.fromarray(COLOURS).convert("CMYK").save(path, format="JPEG")


def animated(path: Path) -> None:
    frames = [Image.fromarray(GREY + np.uint8(k)) for k in range(3)]
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:])


def empty(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("image,tag\n" * 50)


def absent(path: Path) -> None:
    assert not path.exists()


def truncated(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    save(path, noise)
    path.write_bytes(path.read_bytes()[:2000])


def flipped_byte(path: Path) -> None:
    save(path, np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def declare_size(path: Path, width: int, height: int) -> None:
    """Write a PNG whose header declares another size."""
    save(path, GREY)
    data = path.read_bytes()
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    path.write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])


def bomb(path: Path) -> None:
    declare_size(path, MAX_PIXELS // 1000, 1001)


def larger_bomb(path: Path) -> None:
    declare_size(path, 200_000, 200_000)


def deep_colours(path: Path) -> None:
    import cv2

    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint16))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (transparent, r"16.7 % of its pixels are transparent"),
        (transparent_colour, "are transparent. Save it without transparency"),
        (cmyk, "its colour mode is CMYK; possible: greyscale and RGB"),
        (animated, r"is animated \(3 frames\)"),
        (empty, "not a PNG or JPEG"),
        (text, "not a PNG or JPEG"),
        (absent, "file not found"),
        (truncated, "is truncated or damaged, or cannot be read"),
        (flipped_byte, "is truncated or damaged, or cannot be read"),
        (bomb, r"a picture has at most 89,\d+,\d+ pixels"),
        (larger_bomb, r"a picture has at most 89,\d+,\d+ pixels"),
        (deep_colours, "16 bits per colour, but only 8 of them could be read. Save it as TIFF"),
    ],
)
@pytest.mark.parametrize("read", [read_picture, read_picture_labels])
def test_a_picture_that_cannot_be_read_faithfully_is_refused(
    tmp_path: Path,
    read: Callable[[Path], NDArray[np.generic]],
    write: Callable[[Path], None],
    message: str,
) -> None:
    write(tmp_path / "a.png")
    with pytest.raises(InputError, match=rf"a\.png: .*{message}"):
        read(tmp_path / "a.png")


def test_a_mask_saved_as_equal_red_green_and_blue_is_grey(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2]], np.uint8)
    path = save(tmp_path / "a.png", np.stack([labels] * 3, axis=-1))
    assert read_picture_labels(path)[0, 0].tolist() == [[0, 1, 2]]


def test_a_coloured_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the mask is in colour"):
        read_picture_labels(save(tmp_path / "a.png", COLOURS))


def test_a_black_and_white_jpeg_mask_has_the_labels_0_and_255(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 8:40] = 255
    path = tmp_path / "a.jpg"
    Image.fromarray(mask).save(path, quality=60)
    assert np.array_equal(read_picture_labels(path)[0, 0], mask)


def test_a_jpeg_mask_with_other_labels_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.full((16, 16), 100, np.uint8))
    with pytest.raises(InputError, match="100 % of its pixels are neither black nor white"):
        read_picture_labels(path)


@given(labels=arrays.arrays(np.uint8, st.tuples(st.just(1), st.integers(1, 9), st.integers(1, 9))))
def test_labels_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, labels: NDArray[np.uint8]
) -> None:
    path = tmp_path_factory.mktemp("png") / "a.png"
    write_picture_labels(path, labels)
    assert np.array_equal(read_picture_labels(path), labels[None])
    assert picture_shape(path) == labels.shape
