"""The figures of each section of a report, with their captions and alternative texts."""

import base64
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from wsseg.evaluation.class_columns import dice_where_present
from wsseg.evaluation.health import is_result
from wsseg.evaluation.method_labels import recipe_name
from wsseg.evaluation.published import FigureName, PublishedResults
from wsseg.evaluation.reliability import Reliability
from wsseg.evaluation.summary import (
    annotated_scores,
    rankable_dice,
    rows_differ,
    tagged_scores,
)
from wsseg.report.figures import methods, sweeps, training
from wsseg.report.figures.errors import draw_error_locations, error_locations
from wsseg.report.figures.panels import PANEL_PX, PanelRow, draw_row, tints
from wsseg.report.figures.rates import (
    draw_dilated_rates,
    draw_rates,
    rates_by_dilation,
    rates_by_recipe,
)
from wsseg.report.figures.reliability import draw_reliability
from wsseg.report.figures.style import NARROW_IN, WIDTH_IN, full_names, svg
from wsseg.report.formatting import counted, significant
from wsseg.training.log import Records

CSS_PX_PER_IN = 96
HALF_IN = WIDTH_IN / 2
MAX_METHODS = 6  # in a figure with a panel or a line for each method
TRAINING_CAPTIONS = {  # by the quantity that is drawn
    "target_share": (
        "Targets: the share of the region in tagged slices that the E-step labels as the class. "
        "Flipped: the share whose target changed since the previous epoch. Both are over a fixed "
        "set of slices. A triangle marks the first epoch in which the targets fill "
        "the region (pointing up) or have collapsed (pointing down)."
    ),
    "found_share": "Found: the share of the region in tagged slices with the predicted class.",
}


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, with its alternative text and caption."""

    uri: str
    alt: str
    caption: str
    width_px: float
    narrow_uri: str = ""  # a variant for phones; "": the image is shown at every width


@dataclass(frozen=True)
class PictureRow:
    """Pictures that are shown next to each other, and the colours of the classes in them."""

    heading: str
    pictures: Sequence[Picture]
    colours: Mapping[str, str]


def leading_methods(summary: pd.DataFrame) -> list[str]:
    """Return all methods, or the best setting of each recipe if there are more than `MAX_METHODS`.

    The best setting has the highest mean Dice over the rows that all methods have, and is a result
    (see `wsseg.evaluation.health`). It is chosen on the test cases, for illustration only.
    """
    if len(summary) <= MAX_METHODS:
        return _methods(summary)
    best: dict[str, int] = {}
    dice = rankable_dice(summary).fillna(-1)
    for row, value in enumerate(dice):
        recipe = recipe_name(str(summary["method"].iloc[row]))
        if recipe not in best or value > dice.iloc[best[recipe]]:
            best[recipe] = row
    return [str(summary["method"].iloc[row]) for row in sorted(best.values())]


def drawn_methods(summary: pd.DataFrame) -> list[str]:
    """Return the leading methods that are a result, or all of them if none is.

    A collapsed method would set the scale of a figure, and flatten all others.
    """
    leading = leading_methods(summary)
    health = dict(zip(summary["method"], is_result(summary), strict=True))
    return [method for method in leading if health[method]] or leading


def methods_with_scans(summary: pd.DataFrame, preferred: Collection[str | None]) -> list[str]:
    """Return up to `MAX_METHODS` leading methods: the preferred ones, then the best.

    Pictures of scans are large, and a report should be small enough for an email.
    """
    candidates = leading_methods(summary)
    dice = rankable_dice(summary.set_index("method")).fillna(-1)
    order = sorted(candidates, key=lambda method: (method not in preferred, -dice[method]))
    return [method for method in candidates if method in order[:MAX_METHODS]]


def dice_figures(
    rows: pd.DataFrame,
    summary: pd.DataFrame,
    target: str,
    published: PublishedResults | None = None,
) -> list[Picture]:
    """Return the figure of the Dice of all methods, if any Dice is defined."""
    if "dice" not in rows or not dice_where_present(rows)["dice"].notna().any():
        return []
    alt = f"Dice of {target} by method: points are cases, boxes are quartiles, diamonds are means"
    caption = (
        f"Cases where {target} is present. Boxes: quartiles and median over cases, seeds averaged. "
        f"Whiskers: smallest and largest value.{_differing_rows(summary)}"
        f"{full_names(summary['method'])}"
    )
    draw = partial(methods.draw_dice, rows, summary, target, published)
    return [_chart(draw, alt, caption)]


def settings_figures(
    rows: pd.DataFrame,
    summary: pd.DataFrame,
    target: str,
    published: PublishedResults | None = None,
) -> list[Picture]:
    """Return the figures of Dice over a varied setting, and of the prior's contribution."""
    sweep = sweeps.find_sweep(map(str, summary["method"]))
    pictures = []
    if sweep is not None and "dice" in rows:
        caption = (
            f"Dice over {sweep.key} with 95 % intervals over patients: mean over the "
            f"{_present(rows)} cases where {target} is present, and pooled over all {_cases(rows)}."
            f"{' Dashed lines: methods without this setting.' if sweep.fixed else ''}"
            f"{_differing_rows(summary)}{_published_note(published, 'settings')}"
            f"{full_names(summary['method'])}"
        )
        draw = partial(sweeps.draw_sweep, summary, sweep, target)
        pictures.append(_chart(draw, f"Dice of {target} over {sweep.key}", caption))
    if "prior_dice" in rows and rows["prior_dice"].notna().any():
        caption = (
            "Test cases are segmented as if they had the tag, by the prior alone (φ > ½), by the "
            "network alone (the prediction), and by both (logit f + logit φ > 0); "
            f"n = {_counted_cases(rows)}.{_differing_rows(summary)}{full_names(summary['method'])}"
        )
        if sweep is not None and sweeps.has_prior(rows, sweep):
            draw = partial(sweeps.draw_sources_over_setting, rows, sweep, target)
        else:
            draw = partial(sweeps.draw_sources, rows, target)
        alt = f"pooled Dice of {target} by the prior alone, the network alone, and both"
        pictures.append(_chart(draw, alt, caption))
    return pictures


def error_figures(
    rows: pd.DataFrame,
    summary: pd.DataFrame,
    target: str,
    published: PublishedResults | None = None,
) -> list[Picture]:
    """Return the figures of TPR and FPR, of false positives by dilation, and of error locations."""
    pictures = []
    n = f"n = {_counted_cases(rows)}"
    differing = _left_out(summary) + _differing_rows(summary)
    results, names = _results(rows, summary), full_names(summary["method"])
    order = _methods(summary)
    if "fpr" in rows and rates_by_recipe(results):
        caption = (
            f"TPR and FPR over all voxels inside the predicted region, {n}; each point is a "
            "setting and seed. Lines: TPR = FPR^γ, fitted by least squares to the points of a "
            "recipe, if it has at least three."
            f"{differing}{_published_note(published, 'rates', 'tpr', 'fpr')}{names}"
        )
        alt = f"true positive rate against false positive rate of {target}, by recipe"
        draw = partial(draw_rates, results, published, order)
        pictures.append(_chart(draw, alt, caption, HALF_IN))
    shown = rows[rows["method"].isin(drawn_methods(summary))]
    if rates := rates_by_dilation(shown):
        caption = (
            f"False positive rate in the annotated region outside the dilated truth, {n}. Errors "
            "at the border disappear after a few dilations; the remaining ones are elsewhere."
            f"{differing}{_published_note(published, 'dilation')}{names}"
        )
        alt = f"false positive rate of {target} by dilation of the truth"
        draw = partial(draw_dilated_rates, rates, order)
        pictures.append(_chart(draw, alt, caption, HALF_IN))
    if len(locations := error_locations(shown)):
        caption = (
            f"Errors in % of the true voxels, {n}. Border: within border_mm of the true border. "
            "Thin: away from the border, in parts of the prediction narrower than thin_mm. "
            f"Elsewhere: all other errors. The recipe sets both distances.{differing}{names}"
        )
        draw = partial(draw_error_locations, locations, target)
        pictures.append(_chart(draw, f"errors of {target} by their location", caption))
    return pictures


def score_figures(
    rows: pd.DataFrame, summary: pd.DataFrame, published: PublishedResults | None = None
) -> list[Picture]:
    """Return the figures of each score: against its annotation, and by the tag of its class."""
    rows = rows[rows["method"].isin(drawn_methods(summary))]
    differing = _left_out(summary) + _differing_rows(summary)
    names = full_names(summary["method"])
    order = _methods(summary)
    pictures = [
        _chart(
            partial(methods.draw_agreement, rows, score, order),
            f"{_words(score)}: predicted against annotated, a point per case",
            f"{_words(score).capitalize()}, a point per case. Line: identity. r: Pearson's "
            "correlation."
            f"{differing}{_published_note(published, 'agreement', f'{score}_r')}{names}",
        )
        for score in annotated_scores(rows)
        if rows[[score, f"{score}_true"]].notna().all(axis=1).any()
    ]
    return pictures + [
        _chart(
            partial(methods.draw_groups, rows, score, tag, order),
            f"{_words(score)} of cases with and without the tag {tag}",
            f"{_words(score).capitalize()} by the case's tag. p: two-sided Mann-Whitney U test; "
            "with few cases, no p can be small. "
            "AUC: probability that a case with the tag has a higher score than one without."
            + differing
            + _published_note(
                published, "groups", f"{score}_present", f"{score}_absent", f"{score}_u_p"
            )
            + names,
        )
        for score, tag in tagged_scores(rows).items()
        if rows[f"tag.{tag}"].notna().any()
    ]


def reliability_figures(
    reliability: Mapping[str, Mapping[str, Reliability]],
) -> list[Picture]:
    """Return the reliability diagram of each class and method; equal diagrams are drawn once."""
    pictures = []
    for name in dict.fromkeys(name for classes in reliability.values() for name in classes):
        found = {
            method: classes[name]
            for method, classes in reliability.items()
            if name in classes and any(classes[name].uncalibrated.pixels)
        }
        for names, each in methods.group_equal(found, lambda own: own).items():
            label = f"{name} ({methods.joint_label(names, len(reliability))})"
            pixels = sum(each.uncalibrated.pixels)
            caption = f"{label}: {counted(each.cases, 'case')}, {counted(pixels, 'pixel')}."
            if each.temperature is not None:
                caption += f" Temperature {significant(each.temperature)}."
            draw = partial(draw_reliability, each)
            alt = f"reliability diagram of {label}"
            pictures.append(_chart(draw, alt, caption + full_names(names), HALF_IN))
    return pictures


def training_figures(curves: Mapping[str, Records], summary: pd.DataFrame) -> list[Picture]:
    """Return the figure of the training curves of leading methods, if anything was trained."""
    shown, order = leading_methods(summary), _methods(summary)
    collapsed = [str(method) for method in summary.loc[~is_result(summary), "method"]]
    curves = {method: records for method, records in curves.items() if method in shown}
    stages = training.by_stage(curves)
    if not stages:
        return []
    quantities = {name for own in stages.values() for name in training.quantities(own)}
    sentences = [text for name, text in TRAINING_CAPTIONS.items() if name in quantities]
    if 0 < len(collapsed) < len(summary):
        sentences.append(
            f"The scales are those of the other methods, without {', '.join(collapsed)}."
        )
    caption = (" ".join(sentences) + full_names([*stages, *curves])).strip()
    alt = f"training curves of the stages {', '.join(stages)}"
    return [_chart(partial(training.draw_training, curves, order, collapsed), alt, caption)]


def picture_rows(rows: Sequence[PanelRow]) -> list[PictureRow]:
    """Return the pictures of rows of slices with tinted masks."""
    return [PictureRow(row.heading, list(_row_pictures(row)), tints(row.classes)) for row in rows]


def _row_pictures(row: PanelRow) -> Iterator[Picture]:
    for panel, content in zip(row.panels, draw_row(row), strict=True):
        alt = f"{row.heading}: {panel.caption}"
        yield Picture(_uri("image/webp", content), alt, panel.caption, PANEL_PX)


def _published_note(published: PublishedResults | None, figure: FigureName, *columns: str) -> str:
    """Return a sentence with the published numbers of these columns and the note on a figure."""
    if published is None:
        return ""
    numbers = [
        f"{method} {', '.join(f'{_words(name)} {significant(values[name])}' for name in known)}"
        for method, values in published.methods.items()
        if (known := [name for name in columns if name in values])
    ]
    notes = [*numbers, *([published.notes[figure]] if figure in published.notes else [])]
    return f" Published ({published.source}): {'; '.join(notes)}." if notes else ""


def _methods(summary: pd.DataFrame) -> list[str]:
    """Return all methods, in the order of their colours."""
    return [str(method) for method in summary["method"]]


def _cases(rows: pd.DataFrame) -> int:
    return int(rows["case"].nunique())


def _counted_cases(rows: pd.DataFrame) -> str:
    return counted(_cases(rows), "case")


def _present(rows: pd.DataFrame) -> int:
    """Return the number of cases where the target is present."""
    return _cases(dice_where_present(rows).dropna(subset="dice"))


def _results(rows: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of methods that are a result, or all rows if none is."""
    results = summary.loc[is_result(summary), "method"]
    return rows[rows["method"].isin(results)] if len(results) else rows


def _left_out(summary: pd.DataFrame) -> str:
    """Return a sentence that names the collapsed methods that a figure leaves out."""
    collapsed = [str(method) for method in summary.loc[~is_result(summary), "method"]]
    if not collapsed or len(collapsed) == len(summary):
        return ""
    return f" Not drawn, because not a result: {', '.join(collapsed)}."


def _differing_rows(summary: pd.DataFrame) -> str:
    """Return a warning that the methods of a figure cannot be ranked, if their rows differ."""
    return " The methods differ in cases, seeds or folds." if rows_differ(summary) else ""


def _chart(
    draw: Callable[..., Figure], alt: str, caption: str, width_in: float = WIDTH_IN
) -> Picture:
    """Return the picture of a figure and its narrow variant; `draw` has a parameter `width_in`."""
    wide, narrow = draw(width_in=width_in), draw(width_in=NARROW_IN)
    uri, narrow_uri = (_uri("image/svg+xml", svg(each).encode()) for each in (wide, narrow))
    return Picture(uri, alt, caption, wide.get_figwidth() * CSS_PX_PER_IN, narrow_uri)


def _uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _words(score: str) -> str:
    return score.replace("_", " ")
