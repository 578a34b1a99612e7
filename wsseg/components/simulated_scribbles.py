"""Scribbles drawn at random in masks, to measure the benefit of scribbles without an annotator."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from wsseg.core.case import Case
from wsseg.core.interfaces import Cohort
from wsseg.core.volume import VoxelMask
from wsseg.data.file_digests import file_digest
from wsseg.data.mask_files import NIFTI, TIFF, write_mask
from wsseg.data.picture_formats import is_picture_name
from wsseg.data.reading import read_case_grid, read_case_mask
from wsseg.errors import InputError
from wsseg.runtime.cache_leases import lease
from wsseg.runtime.files import atomic_folder, cache_folder, fingerprint

VERSION = 1  # of the drawing code; a change invalidates cached files
PRESENT, ABSENT = 1, 2  # values of a file of scribbles


@final
class SimulatedScribbles(Cohort):
    """Another cohort whose training cases have scribbles that are drawn at random in their masks.

    Each slice that has a class gets `strokes` strokes in its mask and as many outside it. A stroke
    is a straight line between two random pixels of the mask, without its pixels outside the mask.
    Strokes outside the mask are drawn in the same way. Slices without the class get none, because
    their tag contains the same information.

    **The scribbles are derived from true masks**, so results with them show what scribbles would
    achieve, not what was achieved without masks. They are written into the cache on first use, and
    the manifest lists them as scribbles.

    Strokes that people draw differ from these (Lin et al. 2016, "ScribbleSup: scribble-supervised
    convolutional networks for semantic segmentation").
    """

    cohort: Cohort
    """The cohort that has the masks."""
    of: Annotated[tuple[str, ...], Field(min_length=1)]
    """The classes that get scribbles."""
    strokes: PositiveInt = 1
    """The number of strokes for the class, and for its absence, in a slice."""
    width_px: PositiveInt = 3
    """The width of a stroke."""
    seed: NonNegativeInt = 0
    """The seed of the strokes."""

    def cases(self) -> list[Case]:
        """List the cases in the order of the wrapped cohort.

        Raises:
            InputError: A mask cannot be read, or no training case has one.
        """
        cases = self.cohort.cases()
        drawn = {(case.name, name): case for case in cases for name in self._classes_of(case)}
        if not drawn:
            raise InputError(
                f"simulated-scribbles: no training case has a mask of {' or '.join(self.of)}"
            )
        folder = self._folder(drawn)
        files = [(case, name, folder / _file_name(case, name)) for (_, name), case in drawn.items()]
        scribbles: dict[str, dict[str, Path]] = defaultdict(dict)
        for case, name, path in files:
            if path.is_file():  # else the mask is empty
                scribbles[case.name][name] = path
        return [
            replace(case, scribbles={**case.scribbles, **scribbles[case.name]}) for case in cases
        ]

    def _classes_of(self, case: Case) -> Iterator[str]:
        return (name for name in self.of if name in case.masks and case.is_for_training)

    def _folder(self, drawn: dict[tuple[str, str], Case]) -> Path:
        """Return the folder of the cache that has the scribbles; draw them on first use."""
        masks = [
            [*key, file_digest(case.masks[key[1]]), case.mask_values.get(key[1])]
            for key, case in drawn.items()
        ]
        settings = [VERSION, self.strokes, self.width_px, self.seed]
        folder = cache_folder() / "scribbles" / fingerprint([settings, masks])
        lease(folder)
        if not folder.is_dir():
            with atomic_folder(folder) as temporary:
                for (_, name), case in drawn.items():
                    self._draw(case, name, temporary / _file_name(case, name))
        return folder

    def _draw(self, case: Case, name: str, path: Path) -> None:
        """Write the scribbles of a case, unless its mask is empty."""
        if case.frame is not None:
            raise InputError(
                f"case {case.name}: it is a single slice of {case.image}, for which scribbles "
                "cannot be simulated. Save each slice as a file"
            )
        grid = read_case_grid(case)
        mask = read_case_mask(case, name, grid)
        if not mask.any():
            return
        key = int(fingerprint([case.name, name])[:8], 16)
        random = np.random.default_rng([self.seed, key])
        scribbles = np.zeros(mask.shape, np.uint8)
        for z in np.flatnonzero(mask.any((1, 2))):
            for value, inside in ((PRESENT, mask[z]), (ABSENT, ~mask[z])):
                for _ in range(self.strokes):
                    scribbles[z][stroke(inside, self.width_px, random)] = value
        write_mask(path, scribbles, grid)


def stroke(inside: VoxelMask, width_px: int, random: np.random.Generator) -> VoxelMask:
    """Return a line between two random pixels of a mask, (H, W), without its part outside it."""
    pixels = np.argwhere(inside)
    drawn: NDArray[np.uint8] = np.zeros(inside.shape, np.uint8)
    if len(pixels):
        start, end = (
            tuple(map(int, pixels[i][::-1])) for i in random.integers(len(pixels), size=2)
        )
        cv2.line(drawn, start, end, 1, width_px)
    return (drawn > 0) & inside


def _file_name(case: Case, name: str) -> str:
    return f"{name}/{case.name}{TIFF if is_picture_name(case.image) else NIFTI}"
