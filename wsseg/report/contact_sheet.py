"""Contact sheets: one picture of a case, with slices through its largest findings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wsseg.core.case import Case
from wsseg.core.volume import VoxelMask
from wsseg.inference.folders import PredictionFolder
from wsseg.inference.run import Run
from wsseg.report.case_numbers import case_numbers
from wsseg.report.figures.key_cases import finding_slices
from wsseg.report.figures.panels import (
    PANEL_PX,
    Panel,
    Picture,
    Plane,
    box_around,
    draw_panel,
    percentile_window,
    tints,
)
from wsseg.report.figures.style import INK, MUTED
from wsseg.report.predicted_case import PredictedCase, predicted_case
from wsseg.runtime.files import atomic_write

MOST_SLICES = 4
SLICES_PER_ROW = 2
PAPER, ALERT = "#ffffff", "#b3261e"
BORDER, GAP, SWATCH, LEAST_WIDTH = 24, 8, 14, 640  # in pixels
TITLE_PX, TEXT_PX = 24, 15  # sizes of the font
LINE_HEIGHT, LETTER_WIDTH = 1.5, 0.62  # per size of the font


@dataclass(frozen=True)
class Line:
    """A line of text; `tint` is the colour of the class that it is about."""

    text: str
    size: int = TEXT_PX
    colour: str = INK
    tint: str = ""

    @property
    def height(self) -> int:
        """The height in pixels."""
        return round(LINE_HEIGHT * self.size)


def write_contact_sheet(run: Run, case: Case, folder: PredictionFolder) -> Path:
    """Draw what a run predicts for a case, and return the path of the PNG.

    Raises:
        InputError: The image or an annotation cannot be read, or an annotation does not match it.
    """
    drawn = contact_sheet(predicted_case(run, case))
    with atomic_write(folder.picture(case.name)) as temporary:
        Image.fromarray(drawn).save(temporary, format="PNG")
    return folder.picture(case.name)


def contact_sheet(case: PredictedCase) -> Picture:
    """Return a picture with up to `MOST_SLICES` slices through the largest findings.

    The findings are those of the target, predicted or annotated; if there are none, those of the
    class before it. Each slice is shown without masks, with the annotation, if there is one, and
    with the prediction. All slices are cropped to the same part, with all masks and regions. Above
    them are the name of the case, its sizes and scores, and its warnings.
    """
    slices = finding_slices(_findings(case), MOST_SLICES)
    panels = [panel for z in slices for panel in _panels(case, z)]
    in_a_row = min(len(slices), SLICES_PER_ROW)
    side = PANEL_PX * SLICES_PER_ROW // in_a_row
    box = box_around(_shown(case, slices))
    window = case.window or percentile_window(case.image[slices])
    colours = tints(case.classes)
    pictures = {panel.caption: draw_panel(panel, box, window, colours, side) for panel in panels}
    return composed(list(_lines(case, colours)), pictures, len(panels) // len(slices) * in_a_row)


def composed(lines: Sequence[Line], pictures: Mapping[str, Picture], columns: int) -> Picture:
    """Return a picture with lines of text above pictures of the same size, by caption."""
    height, width = next(iter(pictures.values())).shape[:2]
    across, down = width + GAP, height + Line("").height + GAP
    total = max(LEAST_WIDTH, 2 * BORDER + columns * across - GAP)
    text = [part for line in lines for part in _wrapped(line, total - 2 * BORDER)]
    top = BORDER + sum(line.height for line in text) + GAP
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (total, top + rows * down - GAP + BORDER), PAPER)
    draw, y = ImageDraw.Draw(sheet), BORDER
    for line in text:
        _write(draw, (BORDER, y), line)
        y += line.height
    for place, (caption, picture) in enumerate(pictures.items()):
        row, column = divmod(place, columns)
        left, above = BORDER + column * across, top + row * down
        sheet.paste(Image.fromarray(picture), (left, above))
        _write(draw, (left, above + height), Line(caption, colour=MUTED))
    return np.asarray(sheet)


def _findings(case: PredictedCase) -> VoxelMask:
    """Return what is predicted or annotated as the last class with a voxel; empty if none has."""
    found = {name: mask | case.true.get(name, mask) for name, mask in case.predicted.items()}
    return next((found[name] for name in reversed(found) if found[name].any()), found[case.target])


def _shown(case: PredictedCase, slices: Sequence[int]) -> Plane:
    """Return the pixels that are in a mask or a region in any of some slices."""
    masks = [*case.prediction.masks.values(), *case.true.values()]
    shown: Plane = np.any([mask[z] for mask in masks for z in slices], axis=0)
    return shown


def _panels(case: PredictedCase, z: int) -> Iterator[Panel]:
    """Yield a slice without masks, with the annotation if there is one, and with the prediction."""
    image, name = case.image[z], f"slice {z + 1}"
    count = f"{name} of {len(case.image)}" if len(case.image) > 1 else "image"
    yield Panel(count, image, {})
    where = f", {name}" if len(case.image) > 1 else ""
    for words, masks in (("annotated", case.true), ("predicted", case.predicted)):
        if masks:
            yield Panel(words + where, image, {each: mask[z] for each, mask in masks.items()})


def _lines(case: PredictedCase, colours: Mapping[str, str]) -> Iterator[Line]:
    """Yield the name of a case, the numbers of its classes, the other ones, and its warnings."""
    numbers = case_numbers(case.prediction, case.true)
    yield Line(case.prediction.case.name, TITLE_PX)
    for name in case.classes:
        yield Line(f"{name}: {numbers.pop(name)}", tint=colours[name])
    if numbers:
        yield Line(" · ".join(f"{name}: {text}" for name, text in numbers.items()), colour=MUTED)
    for text in case.prediction.warnings:
        yield Line(text, colour=ALERT)


def _wrapped(line: Line, width: int) -> Iterator[Line]:
    """Yield the lines of a text that is too long for one; only the first has the tint."""
    letters = int(width / (LETTER_WIDTH * line.size))
    for place, text in enumerate(wrap(line.text, letters) or [""]):
        yield replace(line, text=text, tint=line.tint if place == 0 else "")


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], line: Line) -> None:
    """Write a line of text below and to the right of a place."""
    x, y = place
    middle = y + line.height // 2
    if line.tint:
        draw.rectangle((x, middle - SWATCH // 2, x + SWATCH, middle + SWATCH // 2), line.tint)
        x += SWATCH + GAP
    draw.text((x, middle), line.text, line.colour, _font(line.size), anchor="lm")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font of matplotlib's figures, which has more letters than that of Pillow."""
    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
