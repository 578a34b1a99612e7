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
from wsseg.files import write_text
from wsseg.report import tables
from wsseg.report.log import Records, warnings
from wsseg.report.numbers import interval, number
from wsseg.stats import COMPARISON, compare, summary

if TYPE_CHECKING:
    from wsseg.report.overlay import Overlay

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


def write_page(path: Path, page: Page) -> None:
    """Write the report, whole or not at all."""
    write_text(path, html(page))


def html(page: Page) -> str:
    """Return the report as HTML; every text from outside is escaped."""
    from wsseg.report import pictures  # late: it loads matplotlib

    if page.rows.empty:
        raise InputError(f"{page.title}: there are no rows to report; has every method failed?")
    script = (resources.files("wsseg.report") / "page.js").read_text(encoding="utf-8")
    found = summary(page.rows)
    methods = [str(method) for method in found["method"]]
    compared = _compared(page, methods)
    return _template().render(
        page=page,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        sentence=sentence(page, found, compared),
        results=tables.results(found),
        others={name: tables.results(found, f"{name}.") for name in tables.other_classes(found)},
        compared=tables.comparisons(compared),
        empty=tables.empty_masks(found, page.target),
        cases=tables.cases(page.rows),
        left_out=max(0, len(page.rows) - tables.SHOWN_ROWS),
        overlap=pictures.overlap(page.rows, found, page.target),
        overlays=pictures.of_cases(page.overlays),
        score_table=tables.scores(found),
        scores=pictures.of_scores(page.rows),
        training=pictures.of_training(page.curves, methods),
        warnings=warnings(page.curves),
    )


def sentence(page: Page, found: pd.DataFrame, compared: pd.DataFrame) -> str:
    """Say in a sentence what came out."""
    ranked = found.dropna(subset="dice").sort_values("dice", ascending=False, kind="stable")
    if ranked.empty:
        return f"No annotation of {page.target} to compare with: there are scores only."
    fewest, most = ranked["dice_n"].min(), ranked["dice_n"].max()
    cases = (
        "1 case"
        if most == 1
        else f"{most} cases"
        if fewest == most
        else f"{fewest} to {most} cases"
    )
    shown = ranked.head(MOST_METHODS)
    means = [
        f"{m} {number(dice, 2)}" for m, dice in zip(shown["method"], shown["dice"], strict=True)
    ]
    more = f" and {len(ranked) - len(shown)} more" if len(ranked) > len(shown) else ""
    text = f"Mean Dice of {page.target} over {cases}: {', '.join(means)}{more}"
    if len(found) == 1:
        only = ranked.iloc[0]
        within = interval(only["dice_low"], only["dice_high"], 2)
        pooled = number(only["dice_pooled"], 2)
        return f"{text}{f' (95 % interval {within})' if within else ''}; pooled {pooled}."
    if compared["p_holm"].isna().all():
        return f"{text}."
    apart = compared.loc[compared["p_holm"] < SIGNIFICANT, "method"].tolist()
    named = " and ".join(apart) or "no method"
    which = named if len(apart) <= NAMED else f"{len(apart)} of {len(compared)} methods"
    return (
        f"{text}. Compared with {compared['baseline'].iloc[0]} by {page.metric}, {which} differed "
        f"significantly (paired Wilcoxon test, Holm-corrected, p < {SIGNIFICANT})."
    )


def _compared(page: Page, methods: Sequence[str]) -> pd.DataFrame:
    if page.metric not in page.rows:  # nothing was annotated
        return pd.DataFrame(columns=[*COMPARISON])
    return compare(page.rows, page.metric, page.baseline or methods[0])


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wsseg", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")
