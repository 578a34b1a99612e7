"""Tables of the results of each method: agreement with the annotation, scores, and all cases."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from wsseg.config.columns import IDENTITY
from wsseg.evaluation.class_columns import other_classes
from wsseg.evaluation.health import is_result
from wsseg.evaluation.reliability import Reliability
from wsseg.evaluation.summary import rows_differ
from wsseg.report.columns import (
    METHOD,
    Cell,
    Column,
    Row,
    RowKey,
    Table,
    as_text,
    count_in,
    decimal_interval,
    decimals,
    make_table,
    merge_equal_rows,
    merge_equal_rows_by,
    no_text,
    over_count,
    u_test_p,
)
from wsseg.report.formatting import UNDEFINED
from wsseg.training.target_health import NOT_A_RESULT

MAX_CASE_ROWS = 2000  # of the table of all cases: more would make the page too large


def _patients_and_seeds(row: Row, _: str) -> str:
    """Return the number of patients if it differs from that of cases, and of several seeds."""
    patients = f"{row['patients']} patients" if row["patients"] != row["cases"] else ""
    seeds = f"{row['seeds']} seeds" if row["seeds"] > 1 else ""
    return ", ".join(filter(None, (patients, seeds)))


def _why_not_a_result(row: Row, key: str) -> str:
    """Return why a method is not a result, or a dash."""
    return f"{row[key]}: {NOT_A_RESULT}" if row[key] else UNDEFINED


def _not_a_result(row: Row, _: str) -> str:
    return NOT_A_RESULT if row["health"] else ""


def _correctly_empty(row: Row, key: str) -> str:
    """Return a count such as "3 of 4", or "2.7 of 4" for a mean over several seeds."""
    absent = row["absent_n"]
    return f"{round(row[key], 1):g} of {absent:.0f}" if absent else UNDEFINED


def _in_thousands(row: Row, key: str) -> str:
    """Return a number with commas: "10,240"."""
    return f"{row[key]:,}"


CASES = Column("cases", "Cases", "seeds are averaged first", decimals(0), _patients_and_seeds)
HEALTH = Column("health", "Health", "why a method is not a result", _why_not_a_result, is_text=True)
MEAN_DICE = Column(
    "dice",
    "Dice where present (n)",
    "mean over the n cases where the class is present",
    over_count(3, "dice_n"),
    decimal_interval(3),
    better="higher",
    count_key="dice_n",
)
CORRECTLY_EMPTY = Column(
    "correctly_empty",
    "Correctly empty",
    "of the cases without the class, those in which none is predicted; mean over seeds",
    _correctly_empty,
)
SHARED_DICE = Column(
    "dice_shared",
    "Dice, shared",
    "mean over the n cases where the class is present, in the rows that all methods have",
    over_count(3, "dice_shared_n"),
    better="higher",
    count_key="dice_shared_n",
)
SD_CASES = Column(
    "dice_sd_cases", "SD, cases", "standard deviation of the Dice over cases, seeds averaged"
)
SD_SEEDS = Column("dice_sd_seeds", "SD, seeds", "standard deviation of the mean Dice over seeds")
POOLED_DICE = Column(
    "dice_pooled",
    "Dice, pooled",
    "over the voxels of all cases together",
    note=decimal_interval(3),
    better="higher",
)
TPR = Column(
    "tpr",
    "TPR",
    "true positive rate (sensitivity) inside the region, over the voxels of all cases",
    note=decimal_interval(3),
)
FPR = Column(
    "fpr",
    "FPR",
    "false positive rate inside the region, over the voxels of all cases",
    note=decimal_interval(3),
)
HD95 = Column(
    "hd95_mm",
    "HD95, mm (n)",
    "95th percentile of the surface distances, median over the n cases in which it is defined",
    over_count(1, "hd95_n"),
    better="lower",
    count_key="hd95_n",
)
VOLUME_ERROR = Column(
    "volume_error_ml",
    "|ΔV|, ml (n)",
    "absolute volume error, mean over the n annotated cases",
    over_count(1, "volume_error_n"),
    decimal_interval(1),
    count_key="volume_error_n",
)
HD95_PX = replace(HD95, key="hd95_px", heading="HD95, px (n)")
AREA_ERROR = replace(
    VOLUME_ERROR,
    key="area_error_px",
    heading="|ΔA|, px (n)",
    explanation="absolute error of the area, mean over the n annotated pictures",
)
METHOD_AND_HEALTH = replace(METHOD, note=_not_a_result)
RESULTS = (
    *(METHOD_AND_HEALTH, CASES, MEAN_DICE, CORRECTLY_EMPTY, SHARED_DICE, SD_CASES, SD_SEEDS),
    *(POOLED_DICE, TPR, FPR, HD95, HD95_PX, VOLUME_ERROR, AREA_ERROR),
)

CASE_HEADINGS = {  # of columns of rows, as in the table of results
    "dice": "Dice",
    "tpr": "TPR",
    "fpr": "FPR",
    "hd95_mm": "HD95, mm",
    "hd95_px": "HD95, px",
    "volume_ml": "Volume, ml",
    "volume_true_ml": "True volume, ml",
    "area_px": "Area, px",
    "area_true_px": "True area, px",
}

PEARSON_R = Column(
    "r",
    "Pearson's r",
    "correlation of the predicted with the annotated score",
    note=count_in("r_n"),
)
U_TEST_P = Column("u_p", "p", "two-sided Mann-Whitney U test, present against absent", u_test_p(""))
SCORES = (
    PEARSON_R,
    Column(
        "present", "Present", "median of the cases with the tag", decimals(4), count_in("present_n")
    ),
    Column(
        "absent", "Absent", "median of the cases without the tag", decimals(4), count_in("absent_n")
    ),
    Column(
        "auc",
        "AUC",
        "probability that a case with the tag has a higher score than one without",
    ),
    U_TEST_P,
)
RELIABILITY = (
    Column("cases", "Cases", "with a mask of the class", decimals(0)),
    Column("pixels", "Pixels", "of these cases, in the region of the class", _in_thousands),
    Column(
        "pixel_auc",
        "Pixel AUROC",
        "of the pixels of all cases together; 0.5: no better than chance",
        decimals(3),
    ),
    Column("ece", "ECE", "expected calibration error, without temperature", decimals(4)),
    Column("temperature", "Temperature", "fitted on validation cases"),
    Column(
        "calibrated_ece",
        "ECE, calibrated",
        "the same with log-odds divided by the temperature",
        decimals(4),
    ),
)
EMPTY_MASKS = (
    Column("empty_both", "Both empty", "correctly empty", decimals(0)),
    Column("empty_truth", "Only truth empty", "the class is marked by mistake", decimals(0)),
    Column(
        "empty_prediction", "Only prediction empty", "Dice is 0, HD95 is not defined", decimals(0)
    ),
    Column("dice_n", "Class present", "number of cases, over which Dice is averaged", decimals(0)),
    Column("absent_n", "Class absent", "number of cases", decimals(0)),
    Column("hd95_n", "HD95 defined", "number of cases", decimals(0)),
)


def results_table(
    summary: pd.DataFrame, columns: Sequence[Column] = RESULTS, class_name: str = ""
) -> Table:
    """Return the agreement of each method with the annotation of a class, "" for the target.

    Columns without any number are left out, and so is `HEALTH` where every method is a result.
    `SHARED_DICE` is shown only if the methods' rows differ and is then the only column in which
    methods are ranked.
    """
    values = without_prefix(summary, f"{class_name}.") if class_name else summary
    shown = [column for column in columns if values[column.key].notna().any()]
    if is_result(summary).all():
        shown = [c for c in shown if c.key != HEALTH.key]
    if rows_differ(summary):
        shown = [c if c.key == SHARED_DICE.key else replace(c, better=None) for c in shown]
    else:
        shown = [c for c in shown if c.key != SHARED_DICE.key]
    return make_table(values, shown)


def scores_table(summary: pd.DataFrame) -> Table:
    """Return how each score correlates with its annotation, and differs between groups of a tag."""
    keys = [str(name) for name in summary if str(name).endswith(("_r", "_u_p"))]
    scores = dict.fromkeys(key.removesuffix("_r").removesuffix("_u_p") for key in keys)
    columns = [METHOD, Column("score", "Score", text=as_text, is_text=True), *SCORES]
    rows: list[Sequence[Cell]] = []
    for score in scores:
        values = without_prefix(summary, f"{score}_").assign(score=_words(score))
        rows += merge_equal_rows(make_table(values, columns)).rows
    return Table(columns, rows)


def reliability_table(reliability: Mapping[str, Mapping[str, Reliability]]) -> Table:
    """Return the calibration error of each method and class, by class and method."""
    rows = [
        {
            "method": method,
            "class_name": name,
            "cases": each.cases,
            "pixels": sum(each.uncalibrated.pixels),
            "pixel_auc": math.nan if each.pixel_auc is None else each.pixel_auc,
            "ece": each.uncalibrated.ece,
            "temperature": math.nan if each.temperature is None else each.temperature,
            "calibrated_ece": math.nan if each.calibrated is None else each.calibrated.ece,
        }
        for method, classes in reliability.items()
        for name, each in classes.items()
    ]
    name = Column("class_name", "Class", text=as_text, is_text=True)
    columns = [METHOD, name, *RELIABILITY]
    keys = [column.key for column in columns]
    return merge_equal_rows_by(make_table(pd.DataFrame(rows, columns=keys), columns), 1)


def empty_masks_table(summary: pd.DataFrame, target: str) -> Table:
    """Return how often masks were empty, by method and class."""
    ordered = summary.reset_index(drop=True)
    classes = [ordered.assign(class_name=target)]
    classes += [
        without_prefix(ordered, f"{name}.").assign(class_name=name)
        for name in other_classes(ordered)
    ]
    rows = pd.concat(classes).sort_index(kind="stable")  # by method, then by class
    name = Column("class_name", "Class", text=as_text, is_text=True)
    return merge_equal_rows_by(make_table(rows, [METHOD, name, *EMPTY_MASKS]), 1)


def cases_table(rows: pd.DataFrame, links: Mapping[RowKey, str] | None = None) -> Table:
    """Return the rows themselves; if there are too many, those with the lowest Dice.

    `links` has the pages to which the names of cases link, by method, seed, fold and case.
    """
    if len(rows) > MAX_CASE_ROWS:
        rows = (rows.sort_values("dice") if "dice" in rows else rows).head(MAX_CASE_ROWS)
    names = [name for name in IDENTITY if name == "case" or rows[name].nunique() > 1]
    names = [name for name in names if name != "patient" or (rows[name] != rows["case"]).any()]
    columns = map(str, rows.select_dtypes(["number", "bool"]))
    numbers = [name for name in columns if name not in IDENTITY and _is_shown(name)]
    numbers = [name for name in numbers if rows[name].notna().any()]
    linked = links or {}

    def link(row: Row, _: str) -> str:
        return linked.get((row["method"], row["seed"], row["fold"], row["case"]), "")

    return make_table(
        rows,
        [
            *(
                Column(
                    name,
                    _heading(name),
                    text=as_text,
                    link=link if name == "case" else no_text,
                    is_text=True,
                )
                for name in names
            ),
            *(Column(name, _heading(name), text=decimals(_digits(name))) for name in numbers),
        ],
    )


def without_prefix(summary: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Return a summary whose columns with a prefix replace the columns of the same name without."""
    return summary.assign(
        **{
            name.removeprefix(prefix): summary[name]
            for name in map(str, summary)
            if name.startswith(prefix)
        }
    )


def _is_shown(name: str) -> bool:
    """Return whether the table of all cases shows a column: not voxel counts, one per class."""
    if name.endswith(("_voxels", "volume_error_ml", "area_error_px")):
        return False
    return "." not in name or name.startswith("tag.") or name.endswith(".dice")


def _digits(name: str) -> int:
    if name.startswith("tag."):
        return 0
    return 1 if name.endswith(("_mm", "_ml", "_px")) else 3


def _heading(name: str) -> str:
    """Return the heading of a column of rows: "Dice", "lesion: Dice", "tag: lesion"."""
    group, dot, key = name.rpartition(".")
    words = CASE_HEADINGS.get(key, _words(key) if dot else _words(key).capitalize())
    return f"{group}: {words}" if dot else words


def _words(name: str) -> str:
    return name.replace("_", " ").replace(".", " ")
