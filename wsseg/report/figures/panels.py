"""Small pictures of slices with tinted masks, in rows whose pictures show the same part."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from wsseg.core.channels import displayed_channels
from wsseg.core.volume import Volume

Plane: TypeAlias = NDArray[np.bool_]  # (H, W)
Picture: TypeAlias = NDArray[np.uint8]  # (H, W, 3)
Box: TypeAlias = tuple[slice, slice]  # rows and columns

# Orange and blue differ for all kinds of colour vision. The last class, the target, is orange.
TINTS = ("#ff9d1e", "#3fa2ff", "#ff85cf", "#fff04d")
WHITE, GREY = 255, 2  # the highest value of a colour, the axes of a grey image
OPACITY = 0.5  # of a tint
HALF = 0.5  # of a pixel
DIMMED = 0.45  # brightness outside the region
PANEL_PX = 320  # of the longer side: sharp at the size at which a report shows it
MARGIN = 0.12  # around the masks, as a share of their longer side
LEAST_SHARE = 0.4  # of the image's shorter side: smaller masks are shown with their surroundings
QUALITY = 85  # of the WebP images


@dataclass(frozen=True)
class Panel:
    """A slice with masks by class; `region`, if given, is brighter than the rest."""

    caption: str
    image: NDArray[Any]  # (H, W), in the unit of the scan, or (H, W, 3) in colours
    masks: Mapping[str, Plane]
    region: Plane | None = None


@dataclass(frozen=True)
class PanelRow:
    """Panels that are shown next to each other; all show the same part of the slice."""

    heading: str
    panels: Sequence[Panel]
    window: tuple[float, float] | None = None  # black and white; None: percentiles 1 and 99

    @property
    def classes(self) -> list[str]:
        """The classes of all panels, the target last."""
        return list(dict.fromkeys(name for panel in self.panels for name in panel.masks))


def tints(classes: Sequence[str]) -> dict[str, str]:
    """Return the colour of each class; that of the last one, the target, is orange."""
    colours = {name: TINTS[number % len(TINTS)] for number, name in enumerate(reversed([*classes]))}
    return {name: colours[name] for name in classes}


def draw_row(row: PanelRow) -> list[bytes]:
    """Return the panels of a row as WebP images."""
    box = box_around(_extents(row.panels))
    shades = tints(row.classes)
    return [
        _webp(draw_panel(panel, box, row.window or percentile_window(panel.image), shades))
        for panel in row.panels
    ]


def draw_panel(
    panel: Panel,
    box: Box,
    window: tuple[float, float],
    colours: Mapping[str, str],
    side_px: int = PANEL_PX,
) -> Picture:
    """Return the part of a panel in a box, with its longer side scaled to `side_px`."""
    image = in_colours(panel.image, window)[box]
    height, width = image.shape[:2]
    scale = side_px / max(height, width)
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    scaled = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    masks = {name: _resized(mask[box], size) for name, mask in panel.masks.items()}
    if panel.region is not None:
        outside = ~_resized(panel.region[box], size)
        scaled = np.where(outside[..., None], scaled * DIMMED, scaled).astype(np.uint8)
    return tinted(scaled, masks, colours)


def tinted(image: Picture, masks: Mapping[str, Plane], colours: Mapping[str, str]) -> Picture:
    """Return an image with tinted masks; where masks overlap, the tint is that of the last one."""
    drawn = image.copy()
    for name, mask in masks.items():
        tint = np.array(to_rgb(colours[name])) * WHITE
        drawn[mask] = np.rint((1 - OPACITY) * image[mask] + OPACITY * tint)
    return drawn


def box_around(shown: Plane) -> Box:
    """Return the square around a mask with a margin, or all of an empty mask.

    Its side is at least `LEAST_SHARE` of the image's shorter side. It is not square where the image
    is too narrow.
    """
    if not shown.any():
        return slice(0, shown.shape[0]), slice(0, shown.shape[1])
    ends = [np.flatnonzero(shown.any(axis=1 - axis))[[0, -1]] for axis in (0, 1)]
    longest = max(last - first + 1 for first, last in ends)
    side = max(round((1 + 2 * MARGIN) * longest), round(LEAST_SHARE * min(shown.shape)))
    rows, columns = (
        _centred(int(first + last + 1) // 2, side, length)
        for (first, last), length in zip(ends, shown.shape, strict=True)
    )
    return rows, columns


def in_colours(image: NDArray[Any], window: tuple[float, float]) -> Picture:
    """Return an image, (H, W) or (H, W, 3), as colours between black and white of the window."""
    low, high = window
    shares = (np.asarray(image, np.float32) - low) / max(high - low, 1e-6)
    levels = np.rint(shares.clip(0, 1) * WHITE).astype(np.uint8)
    return levels if levels.ndim > GREY else np.stack([levels] * 3, axis=-1)


def percentile_window(image: NDArray[Any]) -> tuple[float, float]:
    """Return the 1st and the 99th percentile of an image."""
    low, high = np.percentile(image, [1, 99])
    return float(low), float(high)


def displayed(volume: Volume) -> NDArray[Any]:
    """Return what is shown of a scan: its colours, (Z, H, W, 3), or a channel, (Z, H, W)."""
    planes = volume.voxels[list(displayed_channels(volume.channels))]
    return np.moveaxis(planes, 0, -1) if len(planes) > 1 else planes[0]


def _extents(panels: Iterable[Panel]) -> Plane:
    """Return what every panel of a row must show: the regions, or all masks without a region."""
    shown = [
        plane
        for panel in panels
        for plane in ([*panel.masks.values()] if panel.region is None else [panel.region])
    ]
    first = next(iter(panels)).image
    return np.any(shown, axis=0) if shown else np.zeros(first.shape[:2], bool)


def _centred(centre: int, side: int, length: int) -> slice:
    """Return a range of `side` around a centre, moved into an axis of this length."""
    start = max(0, min(centre - side // 2, length - side))
    return slice(start, min(start + side, length))


def _resized(mask: Plane, size: tuple[int, int]) -> Plane:
    """Return a mask of another size, (width, height).

    A pixel of a smaller mask is inside if any of its pixels is, so that thin findings stay visible.
    """
    image, shrinks = Image.fromarray(mask.astype(np.float32)), size[0] < mask.shape[1]
    scaled = image.resize(size, Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR)
    return np.asarray(scaled) > (0 if shrinks else HALF)


def _webp(image: Picture) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format="WEBP", quality=QUALITY)
    return buffer.getvalue()
