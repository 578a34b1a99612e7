"""One HTML file that tells how good a run or a suite is, and opens without a network."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd

from wsseg.errors import InputError
from wsseg.evaluation.comparison import (
    DIFFERENCE_COLUMNS,
    GAP_COLUMNS,
    gap_closed,
    paired_differences,
)
from wsseg.evaluation.method_labels import MARK, MARK_NOTE
from wsseg.evaluation.published import PublishedResults
from wsseg.evaluation.summary import rows_differ, summarise
from wsseg.report import comparison_tables as against
from wsseg.report import tables
from wsseg.report.formatting import interval, number, percent, percent_interval
from wsseg.runtime.files import write_text
from wsseg.training.log import Records, warnings

if TYPE_CHECKING:
    from wsseg.report.figures.em_targets import TargetPlanes
    from wsseg.report.figures.overlay import Overlay

SIGNIFICANT = 0.05
MOST_METHODS, NAMED = 6, 3  # that a sentence can name with a number, and without


@dataclass(frozen=True)
class Page:
    """What a report is made from: a run is one method, a suite is several."""

    title: str
    rows: pd.DataFrame
    curves: Mapping[str, Records] = field(default_factory=dict)  # by method
    overlays: Sequence["Overlay"] = ()
    provenance: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
    target: str = "the target"  # the class that the plain columns are of
    baseline: str | None = None  # the method that others are compared with; None: the first
    metric: str = "dice"  # what they are compared by; nothing is, where rows lack it
    ceiling: str | None = None  # the method that ends the way from the baseline
    published: PublishedResults | None = None
    labels: Sequence[Mapping[str, str]] = ()  # which each stage of a method saw, by head
    targets: Sequence["TargetPlanes"] = ()
    failures: Mapping[str, str] = field(default_factory=dict)  # of jobs, by folder: why


def write_page(path: Path, page: Page) -> None:
    """Write the report, whole or not at all."""
    write_text(path, html(page))


def html(page: Page) -> str:
    """Return the report as HTML; every text from outside is escaped."""
    from wsseg.report.figures import sections as pictures  # late: it loads matplotlib

    if page.rows.empty:
        raise InputError(f"{page.title}: there are no rows to report; has every method failed?")
    script = (resources.files("wsseg.report") / "page.js").read_text(encoding="utf-8")
    found = summarise(page.rows)
    methods = [str(method) for method in found["method"]]
    compared, way = _compared(page, methods), _covered(page)
    published = page.published
    return _template().render(
        page=page,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        sentence=sentence(page, found, compared, way),
        unequal=against.unequal_rows(found),
        left_out_of={
            "compared": against.left_out(compared),
            "covered": against.left_out(way),
        },
        marked=MARK_NOTE if any(MARK in method for method in methods) else "",
        results=tables.results(ranked(found)),
        published=against.published(found, published.methods if published else {}),
        others={name: tables.results(found, f"{name}.") for name in tables.other_classes(found)},
        compared=against.comparisons(compared),
        covered=against.covered(way),
        labels=against.labels_seen(page.labels),
        empty=tables.empty_masks(found, page.target),
        cases=tables.cases(page.rows),
        left_out=max(0, len(page.rows) - tables.SHOWN_ROWS),
        overlap=pictures.overlap(page.rows, found, page.target, published),
        settings=pictures.of_settings(page.rows, found, page.target, published),
        errors=pictures.of_errors(page.rows, found, page.target, published),
        overlays=pictures.of_cases(page.overlays),
        score_table=tables.scores(found),
        scores=pictures.of_scores(page.rows, found, published),
        training=pictures.of_training(page.curves, pictures.leading(found)),
        targets=pictures.of_targets(page.targets),
        warnings=warnings(page.curves),
    )


def ranked(found: pd.DataFrame) -> pd.DataFrame:
    """Return a summary with the method first whose mean Dice over the rows of all is highest."""
    return found.sort_values("dice_shared", ascending=False, kind="stable")


def sentence(page: Page, found: pd.DataFrame, compared: pd.DataFrame, way: pd.DataFrame) -> str:
    """Say in a sentence what came out."""
    best_first = ranked(found.dropna(subset="dice"))
    if best_first.empty:
        return f"No annotation of {page.target} to compare with: there are scores only."
    text = _means(page.target, best_first)
    if len(found) == 1:
        only = best_first.iloc[0]
        within = interval(only["dice_low"], only["dice_high"], 2)
        pooled = number(only["dice_pooled"], 2)
        return f"{text}{f' (95 % interval {within})' if within else ''}; pooled {pooled}."
    if compared["p_holm"].isna().all():
        return f"{text}.{_of_the_way(way)}"
    apart = compared.loc[compared["p_holm"] < SIGNIFICANT, "method"].tolist()
    named = " and ".join(apart) or "no method"
    which = named if len(apart) <= NAMED else f"{len(apart)} of {len(compared)} methods"
    return (
        f"{text}. Compared with {compared['baseline'].iloc[0]} by {page.metric}, {which} differed "
        f"significantly (paired Wilcoxon test, Holm-corrected, p < {SIGNIFICANT})."
        f"{_of_the_way(way)}"
    )


def _means(target: str, best_first: pd.DataFrame) -> str:
    """List the mean Dice of methods over rows that all of them have."""
    fewest, most = best_first["dice_n"].min(), best_first["dice_n"].max()
    over = (
        "1 case"
        if most == 1
        else f"{most} cases"
        if fewest == most
        else f"{fewest} to {most} cases"
    )
    if rows_differ(best_first):
        best_first = best_first.dropna(subset="dice_shared")
        over = "the cases, seeds and folds that every method has"
        if best_first.empty:
            return f"No mean Dice of {target} over {over}: the methods cannot be ranked"
    shown = best_first.head(MOST_METHODS)
    means = [
        f"{m} {number(dice, 2)}"
        for m, dice in zip(shown["method"], shown["dice_shared"], strict=True)
    ]
    more = f" and {len(best_first) - len(shown)} more" if len(best_first) > len(shown) else ""
    return f"Mean Dice of {target} over {over}: {', '.join(means)}{more}"


def _of_the_way(way: pd.DataFrame) -> str:
    """Say how far the best method comes on the way from the baseline to the ceiling."""
    known = way.dropna(subset="mean")
    if known.empty:
        return ""
    best = known.sort_values("mean").iloc[-1]
    within = percent_interval(best["mean_low"], best["mean_high"])
    return (
        f" Of the way from {best['baseline']} to {best['ceiling']} in mean Dice, {best['method']} "
        f"covers {percent(best['mean'])}{f' (95 % interval {within})' if within else ''}."
    )


def _compared(page: Page, methods: Sequence[str]) -> pd.DataFrame:
    if page.metric not in page.rows:  # nothing was annotated
        return pd.DataFrame(columns=[*DIFFERENCE_COLUMNS])
    return paired_differences(page.rows, page.metric, page.baseline or methods[0])


def _covered(page: Page) -> pd.DataFrame:
    if page.ceiling is None or page.baseline is None or "dice" not in page.rows:
        return pd.DataFrame(columns=[*GAP_COLUMNS])
    return gap_closed(page.rows, page.baseline, page.ceiling)


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wsseg", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")
