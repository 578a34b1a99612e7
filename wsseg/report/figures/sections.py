"""The pictures of a page: figures as data URIs, with the words that stand for them."""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from wsseg.evaluation.method_labels import recipe_name
from wsseg.evaluation.published import FigureName, PublishedResults
from wsseg.evaluation.summary import annotated_scores, rows_differ, tagged_scores
from wsseg.report.figures import methods as figures
from wsseg.report.figures import training as curves
from wsseg.report.figures.em_targets import TargetPlanes, draw_targets
from wsseg.report.figures.errors import places, where_errors_lie
from wsseg.report.figures.overlay import Overlay, draw
from wsseg.report.figures.rates import against_each_other, by_dilation, dilated, rates
from wsseg.report.figures.style import svg, webp
from wsseg.report.figures.sweeps import over_setting, sources, sources_over_setting, varied
from wsseg.training.log import Records

CSS_PX_PER_IN = 96
SCAN_PX = 800
MOST_METHODS = 6  # in a figure with a panel or a line for each


@dataclass(frozen=True)
class Picture:
    """An image that needs no file of its own."""

    uri: str
    alt: str
    caption: str
    width_px: float


def leading(summary: pd.DataFrame) -> list[str]:
    """Return the methods that a figure has room for: where they are many, a setting a recipe.

    It is that of the highest mean Dice over the rows of all methods: to be looked at, not to be
    claimed.
    """
    if len(summary) <= MOST_METHODS:
        return [str(method) for method in summary["method"]]
    best: dict[str, int] = {}
    of_rows = summary["dice_shared"].fillna(-1)
    for row, dice in enumerate(of_rows):
        recipe = recipe_name(str(summary["method"].iloc[row]))
        if recipe not in best or dice > of_rows.iloc[best[recipe]]:
            best[recipe] = row
    return [str(summary["method"].iloc[row]) for row in sorted(best.values())]


def pictured(summary: pd.DataFrame, kept: Collection[str | None]) -> list[str]:
    """Return the methods whose scans are shown: of the leading ones `kept`, then the best.

    A picture of a scan is large, and a page is sent by mail.
    """
    first = leading(summary)
    dice = summary.set_index("method")["dice_shared"].fillna(-1)
    best = sorted(first, key=lambda method: (method not in kept, -dice[method]))[:MOST_METHODS]
    return [method for method in first if method in best]


def overlap(
    rows: pd.DataFrame,
    summary: pd.DataFrame,
    target: str,
    published: PublishedResults | None = None,
) -> list[Picture]:
    """Show the Dice of every method, if there is any."""
    if "dice" not in rows or not rows["dice"].notna().any():
        return []
    alt = f"Dice of {target} by method: points are cases, boxes quartiles, diamonds means"
    caption = "Box: quartiles and median over cases, whiskers to the extremes; seeds averaged."
    caption += _differ(summary)
    return [_chart(figures.dice_by_method(rows, summary, target, published), alt, caption)]


def of_settings(
    rows: pd.DataFrame,
    summary: pd.DataFrame,
    target: str,
    published: PublishedResults | None = None,
) -> list[Picture]:
    """Show Dice over a setting that the suite varies, and what prior and network each say."""
    found = varied(map(str, summary["method"]))
    shown = []
    if found is not None and "dice" in rows:
        caption = f"Dice over {found.key}, 95 % intervals over patients; n = {_cases(rows)} cases. "
        caption += "Dashed: methods without it." if found.fixed else ""
        caption += _differ(summary) + _beside(published, "settings")
        alt = f"Dice of {target} over {found.key}"
        shown.append(_chart(over_setting(summary, found, target), alt, caption))
    if "prior_dice" in rows and rows["prior_dice"].notna().any():
        caption = (
            "What each says of a new scan, as if it had the tag: the prior alone (φ > ½), the "
        )
        caption += "network alone (what is predicted), and both (logit f + logit φ > 0). "
        caption += f"n = {_cases(rows)} cases.{_differ(summary)}"
        told = found is not None and any(
            set(points.values()) & set(rows.loc[rows["prior_dice"].notna(), "method"])
            for points in found.lines.values()
        )
        figure = (
            sources_over_setting(rows, found, target)
            if found is not None and told
            else sources(rows, target)
        )
        alt = f"pooled Dice of {target} by the prior alone, the network alone, and both"
        shown.append(_chart(figure, alt, caption))
    return shown


def of_errors(
    rows: pd.DataFrame,
    summary: pd.DataFrame,
    target: str,
    published: PublishedResults | None = None,
) -> list[Picture]:
    """Show rates against each other, false positives by dilation, and where errors lie."""
    shown = []
    n = f"n = {_cases(rows)} cases"
    if "fpr" in rows and rates(rows):
        caption = f"TPR against FPR over all voxels inside the predicted region, {n}; a point is a "
        caption += "setting and seed. Lines: TPR = FPR^γ, fitted by least squares."
        caption += _differ(summary) + _beside(published, "rates", "tpr", "fpr")
        alt = f"sensitivity against false positive rate of {target}, by recipe"
        shown.append(_chart(against_each_other(rows, published), alt, caption))
    few = rows[rows["method"].isin(leading(summary))]
    if found := dilated(few):
        caption = (
            f"FPR in the annotated region less the truth dilated so often, {n}. Errors at the "
        )
        caption += "border vanish after few dilations; those that stay lie elsewhere."
        caption += _differ(summary) + _beside(published, "dilation")
        shown.append(_chart(by_dilation(found), "false positive rate by dilation", caption))
    if len(lie := places(few)):
        caption = f"Errors in % of the true voxels, {n}. Border: near the true border (3 mm unless "
        caption += "the recipe says otherwise). Thin: away from it, where what is predicted is "
        caption += "narrow (6 mm), as vessels and fissures are; masks cannot tell these apart."
        caption += _differ(summary)
        shown.append(_chart(where_errors_lie(lie, target), "where errors lie", caption))
    return shown


def of_scores(
    rows: pd.DataFrame, summary: pd.DataFrame, published: PublishedResults | None = None
) -> list[Picture]:
    """Show each score: against the labelled one, and between the groups of its class's tag."""
    rows = rows[rows["method"].isin(leading(summary))]
    shown = [
        _chart(
            figures.agreement(rows, score),
            f"{_words(score)}: predicted against labelled, a point a case",
            f"{_words(score).capitalize()}, a point a case. Line: identity. r: Pearson."
            + _differ(summary)
            + _beside(published, "agreement", f"{score}_r"),
        )
        for score in annotated_scores(rows)
        if rows[[score, f"{score}_true"]].notna().all(axis=1).any()
    ]
    return shown + [
        _chart(
            figures.groups(rows, score, of),
            f"{_words(score)} of cases whose tag says {of} is absent or present",
            f"{_words(score).capitalize()} by the case's tag. p: Mann-Whitney U, two-sided. "
            "AUC: the chance that a present case has the higher score."
            + _differ(summary)
            + _beside(published, "groups", f"{score}_present", f"{score}_absent", f"{score}_u_p"),
        )
        for score, of in tagged_scores(rows).items()
        if rows[f"tag.{of}"].notna().any()
    ]


def of_training(records: Mapping[str, Records], methods: Sequence[str]) -> list[Picture]:
    """Show the curves of all stages, if anything was trained."""
    records = {method: found for method, found in records.items() if method in methods}
    if not curves.by_stage(records):
        return []
    stages = ", ".join(curves.by_stage(records))
    caption = "Targets / region: the part of the tagged slices' region that the E-step takes for "
    caption += "foreground. Flipped: the part whose target changed since the epoch before, on a "
    caption += "fixed set of slices. A triangle marks the epoch from which targets fill the region "
    caption += "(upright) or have collapsed (upside down)."
    alt = f"training curves of the stages {stages}"
    return [_chart(curves.training(records, methods), alt, caption)]


def of_targets(shown: Sequence[TargetPlanes]) -> list[Picture]:
    """Show what an EM stage was trained on, from before its first epoch to its last."""
    return [
        Picture(
            _uri("image/webp", webp(draw_targets(each))),
            f"targets of {each.caption}, by epoch",
            f"{each.caption}: what the E-step takes for {each.target}, in a few training slices. "
            "Grey line: the region.",
            SCAN_PX,
        )
        for each in shown
    ]


def of_cases(overlays: Sequence[Overlay]) -> dict[str, list[Picture]]:
    """Show slices with their contours, by what they have in common."""
    shown: dict[str, list[Picture]] = {}
    for each in overlays:
        of = f"annotated and predicted contours of {', '.join(each.predicted)}"
        alt = ": ".join(filter(None, (of, each.group, each.caption)))
        picture = Picture(_uri("image/webp", webp(draw(each))), alt, each.caption, SCAN_PX)
        shown.setdefault(each.group, []).append(picture)
    return shown


def _beside(published: PublishedResults | None, figure: FigureName, *columns: str) -> str:
    """Say what was published of a figure: its numbers by method, and the note on it."""
    if published is None:
        return ""
    numbers = [
        f"{method} {', '.join(f'{_words(name)} {values[name]:.3g}' for name in known)}"
        for method, values in published.methods.items()
        if (known := [name for name in columns if name in values])
    ]
    told = [*numbers, *([published.notes[figure]] if figure in published.notes else [])]
    return f" Published ({published.source}): {'; '.join(told)}." if told else ""


def _cases(rows: pd.DataFrame) -> int:
    return int(rows["case"].nunique())


def _differ(summary: pd.DataFrame) -> str:
    """Say that a figure's methods cannot be ranked by it, where their rows differ."""
    return " The methods differ in cases, seeds or folds." if rows_differ(summary) else ""


def _chart(figure: Figure, alt: str, caption: str) -> Picture:
    uri = _uri("image/svg+xml", svg(figure).encode())
    return Picture(uri, alt, caption, figure.get_figwidth() * CSS_PX_PER_IN)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _words(score: str) -> str:
    return score.replace("_", " ")
