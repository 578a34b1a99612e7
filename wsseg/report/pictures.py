"""The pictures of a page: figures as data URIs, with the words that stand for them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from wsseg.report import curves, figures
from wsseg.report.log import Records
from wsseg.report.overlay import Overlay, draw
from wsseg.report.style import svg, webp
from wsseg.stats import scores, tagged_scores

CSS_PX_PER_IN = 96
SCAN_PX = 800


@dataclass(frozen=True)
class Picture:
    """An image that needs no file of its own."""

    uri: str
    alt: str
    caption: str
    width_px: float


def overlap(rows: pd.DataFrame, summary: pd.DataFrame, target: str) -> list[Picture]:
    """Show the Dice of every method, if there is any."""
    if "dice" not in rows or not rows["dice"].notna().any():
        return []
    alt = f"Dice of {target} by method: points are cases, boxes quartiles, diamonds means"
    caption = "Box: quartiles and median over cases, whiskers to the extremes; seeds averaged."
    return [_chart(figures.dice_by_method(rows, summary, target), alt, caption)]


def of_scores(rows: pd.DataFrame) -> list[Picture]:
    """Show each score: against the labelled one, and between the groups of its class's tag."""
    shown = [
        _chart(
            figures.agreement(rows, score),
            f"{_words(score)}: predicted against labelled, a point a case",
            f"{_words(score).capitalize()}, a point a case. Line: identity. r: Pearson.",
        )
        for score in scores(rows)
        if rows[[score, f"{score}_true"]].notna().all(axis=1).any()
    ]
    return shown + [
        _chart(
            figures.groups(rows, score, of),
            f"{_words(score)} of cases whose tag says {of} is absent or present",
            f"{_words(score).capitalize()} by the case's tag. p: Mann-Whitney U, two-sided. "
            "AUC: the chance that a present case has the higher score.",
        )
        for score, of in tagged_scores(rows).items()
        if rows[f"tag.{of}"].notna().any()
    ]


def of_training(records: Mapping[str, Records], methods: Sequence[str]) -> list[Picture]:
    """Show the curves of all stages, if anything was trained."""
    if not curves.by_stage(records):
        return []
    stages = ", ".join(curves.by_stage(records))
    caption = "Targets / region: the part of the tagged slices' region that the E-step takes for "
    caption += "foreground. Flipped: the part whose target changed since the epoch before, on a "
    caption += "fixed set of slices. A triangle marks a warning."
    alt = f"training curves of the stages {stages}"
    return [_chart(curves.training(records, methods), alt, caption)]


def of_cases(overlays: Sequence[Overlay]) -> list[Picture]:
    """Show slices with their contours."""
    return [
        Picture(
            _uri("image/webp", webp(draw(shown))),
            f"annotated and predicted contours of {', '.join(shown.predicted)}: {shown.caption}",
            shown.caption,
            SCAN_PX,
        )
        for shown in overlays
    ]


def _chart(figure: Figure, alt: str, caption: str) -> Picture:
    uri = _uri("image/svg+xml", svg(figure).encode())
    return Picture(uri, alt, caption, figure.get_figwidth() * CSS_PX_PER_IN)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _words(score: str) -> str:
    return score.replace("_", " ")
