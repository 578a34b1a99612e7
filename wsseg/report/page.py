"""The report of a run or a suite as one HTML file that needs no network."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from wsseg.errors import InputError
from wsseg.evaluation.class_columns import other_classes
from wsseg.evaluation.comparison import (
    DIFFERENCE_COLUMNS,
    GAP_COLUMNS,
    gap_closed,
    gap_problem,
    paired_differences,
)
from wsseg.evaluation.health import health_notes
from wsseg.evaluation.method_labels import MARK, MARK_NOTE
from wsseg.evaluation.published import PublishedResults
from wsseg.evaluation.reliability import Reliability
from wsseg.evaluation.rows import warnings_by_case
from wsseg.evaluation.statistics import smallest_signed_rank_p
from wsseg.evaluation.summary import ranked, rows_differ, summarise
from wsseg.report import comparison_tables, result_tables
from wsseg.report.columns import RowKey, merge_equal_rows
from wsseg.report.formatting import SIGNIFICANCE, interval, number, percent, percent_interval
from wsseg.report.templates import template
from wsseg.runtime.files import write_text
from wsseg.training.log import Records, warnings

if TYPE_CHECKING:
    from wsseg.report.figures.panels import PanelRow

MAX_MEANS = 6  # methods whose mean Dice the lead gives
MAX_NAMES = 3  # methods with a significant difference that the lead names


@dataclass(frozen=True)
class Page:
    """The content of a report; a run has the rows of one method, a suite those of several."""

    title: str
    rows: pd.DataFrame
    facts: Mapping[str, str] = field(default_factory=dict)  # cohort, date, version, device
    curves: Mapping[str, Records] = field(default_factory=dict)  # epochs by method
    logs: Mapping[str, Records] = field(default_factory=dict)  # with warnings, by run
    examples: Sequence["PanelRow"] = ()  # one per case
    provenance: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
    target: str = "the target"  # the class of the columns without prefix
    baseline: str | None = None  # None: the first method
    metric: str = "dice"  # no comparison if the rows have no such column
    ceiling: str | None = None
    published: PublishedResults | None = None
    labels: Sequence[Mapping[str, str]] = ()  # a row per method and stage, by heading
    chosen: Sequence[Mapping[str, str]] = ()  # a row per run and chosen setting, by heading
    targets: Sequence["PanelRow"] = ()  # of EM, one per stage
    failures: Mapping[str, str] = field(default_factory=dict)  # reasons by the job's folder
    views: Mapping[RowKey, str] = field(default_factory=dict)  # addresses of pages of cases
    reliability: Mapping[str, Mapping[str, Reliability]] = field(
        default_factory=dict
    )  # by method and class


def write_page(path: Path, page: Page) -> None:
    """Write the report as HTML, atomically."""
    write_text(path, html(page))


def html(page: Page) -> str:
    """Return the report as HTML in which all text of the page's content is escaped.

    Raises:
        InputError: The page has no rows.
    """
    from wsseg.report.figures import sections  # imports matplotlib

    if page.rows.empty:
        raise InputError(f"{page.title}: there are no rows to report; has every method failed?")
    script = (resources.files("wsseg.report") / "page.js").read_text(encoding="utf-8")
    summary = ranked(summarise(page.rows))
    methods = [str(method) for method in summary["method"]]
    by_rank = page.rows["method"].map({method: rank for rank, method in enumerate(methods)})
    rows = page.rows.iloc[by_rank.argsort(kind="stable")]
    baseline = page.baseline or str(page.rows["method"].iloc[0])
    differences, gap = _differences(page, rows, baseline), _gap(page, rows, summary)
    published = page.published
    return template("page.html.j2").render(
        page=page,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        lead=lead(page, summary, differences, gap),
        health_notes=health_notes(summary),
        mark_note=MARK_NOTE if any(MARK in method for method in methods) else "",
        facts=_facts(page),
        baseline=baseline,
        results=merge_equal_rows(result_tables.results_table(summary)),
        unequal_rows_note=comparison_tables.unequal_rows_note(summary),
        dice_figures=sections.dice_figures(rows, summary, page.target, published),
        other_classes={
            name: merge_equal_rows(result_tables.results_table(summary, class_name=name))
            for name in other_classes(summary)
        },
        published=comparison_tables.published_table(
            summary, published.methods if published else {}
        ),
        differences=comparison_tables.differences_table(differences),
        differences_notes=comparison_tables.left_out_notes(differences),
        gap=comparison_tables.gap_table(gap),
        gap_notes=comparison_tables.left_out_notes(gap),
        gap_problem=_gap_problem(page, summary),
        settings_figures=sections.settings_figures(rows, summary, page.target, published),
        error_figures=sections.error_figures(rows, summary, page.target, published),
        examples=sections.picture_rows(page.examples),
        scores=result_tables.scores_table(summary),
        score_figures=sections.score_figures(rows, summary, published),
        reliability=result_tables.reliability_table(page.reliability),
        reliability_figures=sections.reliability_figures(page.reliability),
        training_figures=sections.training_figures(page.curves, summary),
        targets=sections.picture_rows(page.targets),
        warnings=warnings(page.logs),
        cases=result_tables.cases_table(rows, page.views),
        scan_warnings=warnings_by_case(page.rows),
        cases_left_out=max(0, len(page.rows) - result_tables.MAX_CASE_ROWS),
        empty_masks=result_tables.empty_masks_table(summary, page.target),
        labels=comparison_tables.labels_table(page.labels),
        chosen=comparison_tables.texts_table(page.chosen),
    )


def lead(page: Page, summary: pd.DataFrame, differences: pd.DataFrame, gap: pd.DataFrame) -> str:
    """Return the main results in a few sentences."""
    best_first = ranked(summary.dropna(subset="dice"))
    if best_first.empty and summary["absent_n"].any():
        return f"No case has {page.target}, so there is no Dice; see the correctly empty cases."
    if best_first.empty:
        return f"No case has an annotation of {page.target}, so there are only scores."
    means = _means(page.target, best_first)
    if len(summary) == 1:
        only = best_first.iloc[0]
        within = interval(only["dice_low"], only["dice_high"], 2)
        pooled = number(only["dice_pooled"], 2)
        return f"{means}{f' (95 % interval {within})' if within else ''}. Pooled Dice: {pooled}."
    sentences = (f"{means}.", _significant_differences(page, differences), _largest_share(gap))
    return " ".join(filter(None, sentences))


def _means(target: str, best_first: pd.DataFrame) -> str:
    """Return a sentence with the mean Dice of each method over the rows that all have.

    The mean is over the cases where the class is present.
    """
    if rows_differ(best_first):
        best_first = best_first.dropna(subset="dice_shared")
        if best_first.empty:
            return f"No case with {target} is in the rows of all methods, which cannot be ranked"
        cases = f"{_cases(best_first['dice_shared_n'])} that every method has"
    else:
        cases = f"{_cases(best_first['dice_n'])} where it is present"
    shown = best_first.head(MAX_MEANS)
    means = [
        f"{method} {number(dice, 2)}"
        for method, dice in zip(shown["method"], shown["dice_shared"], strict=True)
    ]
    more = f" and {len(best_first) - len(shown)} more" if len(best_first) > len(shown) else ""
    return f"Mean Dice of {target} over {cases}: {', '.join(means)}{more}"


def _cases(numbers: pd.Series) -> str:
    """Return "the 8 cases", or "the 5 to 8 cases" if the methods differ in their number."""
    fewest, most = numbers.min(), numbers.max()
    if most == 1:
        return "the case"
    return f"the {most:.0f} cases" if fewest == most else f"the {fewest:.0f} to {most:.0f} cases"


def _significant_differences(page: Page, differences: pd.DataFrame) -> str:
    """Return a sentence that names the methods with a significant difference to the baseline."""
    if differences["p_holm"].isna().all():
        return ""
    most = int((differences["patients"] - differences["equal_patients"]).max())
    if smallest_signed_rank_p(most) >= SIGNIFICANCE:
        pairs = f"{most} pair{'s' * (most != 1)}"
        return f"No difference can be shown with {pairs} of patients (Wilcoxon test)."
    methods = differences.loc[differences["p_holm"] < SIGNIFICANCE, "method"].tolist()
    if not methods:
        which = "No method differs"
    elif len(methods) > MAX_NAMES:
        which = f"{len(methods)} of {len(differences)} methods differ"
    else:
        which = f"{' and '.join(methods)} differ{'s' if len(methods) == 1 else ''}"
    baseline = differences["baseline"].iloc[0]
    return (
        f"{which} significantly from {baseline} in {page.metric} "
        f"(paired Wilcoxon test, Holm-corrected, p < {SIGNIFICANCE})."
    )


def _largest_share(gap: pd.DataFrame) -> str:
    """Return a sentence about the method that closes most of the gap to the ceiling."""
    defined = gap.dropna(subset="mean")
    if defined.empty:
        return ""
    best = defined.sort_values("mean").iloc[-1]
    within = percent_interval(best["mean_low"], best["mean_high"])
    return (
        f"{best['method']} closes {percent(best['mean'])}"
        f"{f' (95 % interval {within})' if within else ''} of the gap in mean Dice between "
        f"{best['baseline']} and {best['ceiling']} (n = {best['n']})."
    )


def _facts(page: Page) -> dict[str, str]:
    """Return what the rows are about, in words by heading."""
    count = page.rows["method"].nunique()
    methods = f"{count} methods" if count > 1 else str(page.rows["method"].iloc[0])
    compared = [
        f"{role} {name}"
        for role, name in (("baseline", page.baseline), ("ceiling", page.ceiling))
        if name is not None
    ]
    seeds = ", ".join(map(str, sorted(page.rows["seed"].unique())))
    folds = page.rows["fold"].nunique()
    return {
        "Class": page.target,
        "Compared" if count > 1 else "Method": ", ".join([methods, *compared]),
        "Seeds": f"{seeds}, {folds} folds" if folds > 1 else seeds,
        **page.facts,
    }


def _differences(page: Page, rows: pd.DataFrame, baseline: str) -> pd.DataFrame:
    if page.metric not in rows:  # nothing is annotated
        return pd.DataFrame(columns=[*DIFFERENCE_COLUMNS])
    return paired_differences(rows, page.metric, baseline)


def _gap(page: Page, rows: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    if page.ceiling is None or page.baseline is None or "dice" not in rows:
        return pd.DataFrame(columns=[*GAP_COLUMNS])
    if _gap_problem(page, summary):
        return pd.DataFrame(columns=[*GAP_COLUMNS])
    return gap_closed(rows, page.baseline, page.ceiling)


def _gap_problem(page: Page, summary: pd.DataFrame) -> str:
    if page.ceiling is None or page.baseline is None:
        return ""
    return gap_problem(summary, page.baseline, page.ceiling)
