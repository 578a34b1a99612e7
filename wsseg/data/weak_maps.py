"""The weak labels of a scan other than its tags, for a stage and for its batches.

In shapes, Z is the number of slices of the scan and K the number of classes of the stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsseg.core.augment import Planes
from wsseg.data.maps import MapSource, open_map, read_map

BoxPlace: TypeAlias = tuple[slice, slice, slice]  # of slices, rows and columns


@dataclass(frozen=True)
class WeakMaps:
    """The weak labels of a scan other than its tags. They are not true masks."""

    known: tuple[MapSource | None, ...]  # of each class, (Z, H, W) int8 of 1, -1 and 0
    boxes: tuple[tuple[BoxPlace, ...], ...]  # of each class
    tag_probability: NDArray[np.float32]  # (Z, K); NaN where it is unknown
    bounds: NDArray[np.float32]  # (Z, K, 2), shares of the support; NaN where they are unknown
    case_bounds: NDArray[np.float32]  # (K, 2), of the region in all slices together; NaN: unknown

    @property
    def in_doubt(self) -> NDArray[np.bool_]:
        """Which tags have a probability between 0 and 1, (Z, K)."""
        found: NDArray[np.bool_] = (self.tag_probability > 0) & (self.tag_probability < 1)
        return found

    def boxes_in(self, k: int, z: int) -> list[BoxPlace]:
        """Return the boxes of a class that include a slice."""
        return [box for box in self.boxes[k] if box[0].start <= z < box[0].stop]

    def in_memory(self) -> "WeakMaps":
        """Return these labels with all maps read."""
        read = tuple(None if each is None else read_map(each) for each in self.known)
        return replace(self, known=read)


class WeakSample(NamedTuple):
    """The weak labels of one drawn slice. Arrays that the stage does not use are empty."""

    known: NDArray[np.int8]  # (H, W, K)
    boxes: NDArray[np.bool_]  # (H, W, K, N)
    bounds: NDArray[np.float32]  # (K, 2)
    tag_probability: NDArray[np.float32]  # (K,); NaN: that of the tag, 0 or 1


@dataclass(frozen=True)
class WeakLayout:
    """Which weak labels the batches of a stage have; it is the same for all of them."""

    classes: int
    known: bool
    boxes: int  # N, the largest number of boxes of a class in a slice
    bounds: bool
    tag_probability: bool

    @classmethod
    def of(cls, scans: Sequence[WeakMaps | None]) -> "WeakLayout | None":
        """Return the layout for scans; None if no scan has weak labels other than tags."""
        some = [maps for maps in scans if maps is not None]
        if not some:
            return None
        boxes = [
            len(maps.boxes_in(k, z))
            for maps in some
            for k in range(len(maps.boxes))
            if maps.boxes[k]
            for z in range(len(maps.bounds))
        ]
        return cls(
            classes=len(some[0].boxes),
            known=bool(boxes) or any(each is not None for maps in some for each in maps.known),
            boxes=max(boxes, default=0),
            bounds=any(not np.isnan(maps.bounds).all() for maps in some),
            tag_probability=any(bool(maps.in_doubt.any()) for maps in some),
        )

    def planes(self, maps: WeakMaps | None, z: int, shape: tuple[int, ...]) -> list[Planes]:
        """Return masks of 0 and 1, (H, W), that are augmented together with an image.

        They mark the pixels known to have each class, those known not to have it, and the
        boxes.
        """
        known = np.zeros((self.classes if self.known else 0, *shape), np.int8)
        boxes = np.zeros((self.classes, self.boxes, *shape), np.uint8)
        for k in range(self.classes if maps is not None else 0):
            assert maps is not None, "checked by the range"  # noqa: S101
            if (scribbles := maps.known[k]) is not None:
                known[k] = open_map(scribbles)[z]
            for n, (_, rows, columns) in enumerate(maps.boxes_in(k, z)):
                boxes[k, n, rows, columns] = 1
            if maps.boxes[k]:
                known[k][~boxes[k].any(0)] = -1
        signs = np.concatenate([known > 0, known < 0]).astype(np.uint8)
        return [*signs, *boxes.reshape(-1, *shape)]

    def sample(self, maps: WeakMaps | None, z: int, planes: Planes) -> WeakSample:
        """Return the weak labels of a slice, with the augmented `planes`, (H, W, P)."""
        number = self.classes if self.known else 0
        present, absent, boxes = np.split(planes, (number, 2 * number), axis=2)
        unknown = np.full((self.classes, 3), np.nan, np.float32)
        bounds = unknown[:, :2] if maps is None else maps.bounds[z]
        probability = unknown[:, 2] if maps is None else maps.tag_probability[z]
        return WeakSample(
            known=present.astype(np.int8) - absent.astype(np.int8),
            boxes=boxes.reshape(*planes.shape[:2], self.classes, self.boxes) > 0,
            bounds=bounds if self.bounds else bounds[:0],
            tag_probability=probability if self.tag_probability else probability[:0],
        )


def batch_fields(samples: Sequence[WeakSample], tags: Tensor) -> dict[str, Any]:
    """Return the fields of a `Batch` that samples have; `tags` are those of the batch."""
    known, boxes, bounds, probability = (
        torch.from_numpy(np.stack(arrays)) for arrays in zip(*samples, strict=True)
    )
    probability = (
        probability.where(~probability.isnan(), tags) if probability.numel() else probability
    )
    fields = {
        "known": known.permute(0, 3, 1, 2),
        "boxes": boxes.permute(0, 3, 4, 1, 2),
        "bounds": bounds,
        "tag_probability": probability,
    }
    return {name: each for name, each in fields.items() if each.numel()}
