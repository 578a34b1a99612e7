"""Reading and writing of PNG, JPEG, BMP and GIF pictures with Pillow.

A picture is read as a viewer shows it: rotated by its EXIF orientation, colours as red, green and
blue, and a palette of grey levels as grey. The alpha channel of an opaque picture is dropped.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from wsseg.data.voxels import check_memory
from wsseg.errors import InputError
from wsseg.runtime.files import atomic_write

FORMATS = ("PNG", "JPEG", "BMP", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
LOSSY = ("JPEG", "MPO")
SEVERAL_PICTURES = "MPO"  # a JPEG with a second view or a preview, as phones write
GREY = ("1", "L", "I", "I;16", "I;16B", "I;16L")
DEEP = ";16B"  # end of Pillow's name of a PNG with 16 bits per colour
MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 2**27  # Pillow's limit against bombs
BYTES_PER_PIXEL = 16  # a pixel while it is decoded
WHITE = 255
BETWEEN = (64, 192)  # grey levels that are neither black nor white, even after JPEG compression
MAX_BETWEEN = 0.01  # of the pixels of a JPEG mask, where the compression blurred its outline

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # refused here


def picture_shape(path: Path) -> tuple[int, int, int]:
    """Return the size of a picture as (1, H, W), without decoding its pixels if possible.

    Raises:
        InputError: The file is not a readable picture.
    """
    with _opened(path) as picture:
        width, height = picture.size
        turned = picture.getexif().get(0x0112, 1) >= 5  # noqa: PLR2004 - EXIF: rows are columns
    return (1, width, height) if turned else (1, height, width)


def picture_channels(path: Path) -> int:
    """Return the number of channels of a picture, from its header: 1 if it is grey, else 3.

    Raises:
        InputError: The file is not a readable picture.
    """
    with _opened(path) as picture:
        return 1 if _is_grey(picture) else 3


def read_picture(path: Path) -> NDArray[Any]:
    """Read a picture as (C, 1, H, W), with C = 1 if it is grey and 3 if it is coloured.

    Raises:
        InputError: The file is not a picture, is damaged, has transparent pixels, or has an
            unsupported colour space, such as CMYK.
    """
    with _opened(path) as picture:
        upright = ImageOps.exif_transpose(picture)
        colours = np.asarray(_in_colours(path, upright))
    return _planes(colours)


def read_picture_labels(path: Path) -> NDArray[Any]:
    """Read a mask as (1, 1, H, W): grey levels, or the indices of a palette.

    The labels of a JPEG are rounded to 0 or 255, because compression changes them.

    Raises:
        InputError: As for `read_picture`, or the file has colours, or is a JPEG with other labels.
    """
    with _opened(path) as picture:
        upright = ImageOps.exif_transpose(picture)
        if upright.mode in ("P", *GREY):
            labels = _planes(np.asarray(upright).astype(np.int32))
        else:
            labels = one_of_equal_channels(path, _planes(np.asarray(_in_colours(path, upright))))
        lossy = picture.format in LOSSY
    return _black_and_white(path, labels) if lossy else labels


def write_picture_labels(path: Path, labels: NDArray[np.uint8]) -> None:
    """Write labels, (1, H, W), as a grey PNG whose grey levels are the labels."""
    with atomic_write(path) as temporary:
        Image.fromarray(labels[0]).save(temporary, format=FORMATS[0])


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture; errors of Pillow become `InputError`s."""
    if not path.exists():
        raise InputError(f"{path}: file not found")
    try:
        with Image.open(path, formats=FORMATS) as picture:
            _check(path, picture)
            yield picture
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(
            f"{path}: the file is damaged, or not a {' or '.join(FORMATS)} picture; copy or export "
            "it again"
        ) from None
    except Image.DecompressionBombError:
        raise InputError(f"{path}: {_too_large()}") from None
    except MemoryError:
        raise InputError(f"{path}: the picture does not fit into memory") from None
    except Exception as error:  # a decoder may raise anything on invalid bytes
        raise InputError(
            f"{path}: the file is truncated or damaged, or cannot be read "
            f"({type(error).__name__}); copy or export it again"
        ) from error


def _check(path: Path, picture: Image.Image) -> None:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != SEVERAL_PICTURES:
        raise InputError(
            f"{path}: the picture is animated ({frames} frames), but must be a single image. Save "
            "each frame as a picture, or all as the pages of a TIFF file"
        )
    if picture.width * picture.height > MAX_PIXELS:
        raise InputError(
            f"{path}: the picture has {picture.width} × {picture.height} pixels; {_too_large()}"
        )
    tiles = getattr(picture, "tile", ())  # how the decoder of the format reads the pixels
    if picture.mode not in GREY and any(str(tile[3]).endswith(DEEP) for tile in tiles):
        raise InputError(
            f"{path}: the picture has 16 bits per colour, but only 8 of them could be read. Save "
            "it as TIFF"
        )
    check_memory(path, picture.width * picture.height * BYTES_PER_PIXEL)


def _too_large() -> str:
    return f"a picture has at most {MAX_PIXELS:,} pixels. Crop it or reduce its size"


def _in_colours(path: Path, picture: Image.Image) -> Image.Image:
    """Return a picture in grey or in red, green and blue, without alpha channel and palette."""
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode in GREY and "transparency" not in picture.info:
        return picture
    if picture.mode not in ("L", "P", "RGB", "LA", "PA", "RGBA"):
        raise InputError(
            f"{path}: its colour mode is {picture.mode}; possible: greyscale and RGB. Convert it "
            "to RGB"
        )
    grey = _is_grey(picture)
    if "transparency" in picture.info or picture.mode in ("LA", "PA", "RGBA"):
        picture = picture.convert("RGBA")
        check_opaque(path, np.asarray(picture.getchannel("A")))
    return picture.convert("L" if grey else "RGB")


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode not in ("P", "PA"):
        return picture.mode in (*GREY, "LA")
    colours = picture.getpalette("RGB")
    return colours is not None and colours[0::3] == colours[1::3] == colours[2::3]


def check_opaque(path: Path, alpha: NDArray[Any]) -> None:
    """Raise an `InputError` if a pixel is transparent: its colour depends on what is behind it."""
    if alpha.size and (share := float((alpha < alpha.dtype.type(_opaque(alpha))).mean())):
        raise InputError(
            f"{path}: {100 * share:.3g} % of its pixels are transparent. Save it without "
            "transparency (alpha channel)"
        )


def _opaque(alpha: NDArray[Any]) -> float:
    return 1.0 if alpha.dtype.kind in "fb" else float(np.iinfo(alpha.dtype).max)


def _planes(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return (H, W) or (H, W, C) as (C, 1, H, W)."""
    channels = pixels[..., None] if pixels.ndim == 2 else pixels  # noqa: PLR2004 - (H, W)
    return np.moveaxis(channels, -1, 0)[:, None]


def one_of_equal_channels(path: Path, planes: NDArray[Any]) -> NDArray[Any]:
    """Return the first of equal channels, (1, Z, H, W), such as those of a mask saved as RGB.

    Raises:
        InputError: The channels differ.
    """
    if (planes != planes[:1]).any():
        raise InputError(
            f"{path}: the mask is in colour. Convert it to greyscale, or to a palette whose "
            "indices are the labels"
        )
    return planes[:1]


def _black_and_white(path: Path, labels: NDArray[Any]) -> NDArray[Any]:
    between = float(((labels > BETWEEN[0]) & (labels < BETWEEN[1])).mean())
    if between > MAX_BETWEEN:
        raise InputError(
            f"{path}: {100 * between:.3g} % of its pixels are neither black nor white, but JPEG "
            "alters other labels. Save masks as PNG"
        )
    return np.where(labels >= WHITE / 2, WHITE, 0)
