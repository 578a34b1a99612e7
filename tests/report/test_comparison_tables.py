from collections.abc import Callable

import pandas as pd

from wsseg.evaluation.comparison import gap_closed, paired_differences
from wsseg.evaluation.summary import summarise
from wsseg.report import comparison_tables
from wsseg.report.columns import Cell, Table

Suite = Callable[..., pd.DataFrame]


def cell(table: Table, row: int, heading: str) -> Cell:
    return table.rows[row][[column.heading for column in table.columns].index(heading)]


def without_seed_1(rows: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the rows of a suite in which the method's job of seed 1 failed."""
    return rows[(rows["method"] != method) | (rows["seed"] != 1)]


def test_the_baseline_has_no_difference_to_itself(suite: Suite) -> None:
    table = comparison_tables.differences_table(paired_differences(suite(), "dice", "threshold"))
    assert [row[0].text for row in table.rows] == ["phi2"]


def test_patients_without_a_difference_are_noted() -> None:
    """Three patients; the methods are equal in the first."""
    rows = pd.DataFrame(
        [
            {"method": method, "seed": 0, "fold": "", "case": name, "patient": name, "dice": dice}
            for method, values in {"a": (0.1, 0.2, 0.3), "b": (0.1, 0.3, 0.5)}.items()
            for name, dice in zip("xyz", values, strict=True)
        ]
    )
    table = comparison_tables.differences_table(paired_differences(rows, "dice", "a"))
    assert (cell(table, 0, "Patients").text, cell(table, 0, "Patients").note) == ("3", "1 equal")
    assert cell(table, 0, "Difference (n)").text == "0.100 (3)"


def test_the_share_of_the_gap_is_a_percentage_with_its_interval(suite: Suite) -> None:
    rows = suite(methods=("threshold", "phi2", "supervised"))
    gap = gap_closed(rows, "threshold", "supervised")
    table = comparison_tables.gap_table(gap)
    share = cell(table, 0, "Dice where present (n)")
    assert share.text == f"{100 * gap['mean'][0]:.0f} % (6)"
    assert share.note == f"{100 * gap['mean_low'][0]:.0f}–{100 * gap['mean_high'][0]:.0f} %"


def test_seeds_and_a_note_show_which_rows_a_comparison_leaves_out(suite: Suite) -> None:
    complete = paired_differences(suite(), "dice", "threshold")
    assert cell(comparison_tables.differences_table(complete), 0, "Seeds").text == "0, 1"
    assert comparison_tables.left_out_notes(complete) == []
    incomplete = paired_differences(without_seed_1(suite(), "phi2"), "dice", "threshold")
    assert cell(comparison_tables.differences_table(incomplete), 0, "Seeds").text == "0, not 1"
    (note,) = comparison_tables.left_out_notes(incomplete)
    assert note == (
        "phi2 and threshold are compared over the seeds that they share: 0, not 1. Rows "
        "whose case, seed and fold are missing for one of them are left out: 8."
    )


def test_methods_without_a_common_seed_are_not_compared_and_a_note_states_why(
    suite: Suite,
) -> None:
    rows = suite().query("(method == 'phi2') == (seed == 1)")
    differences = paired_differences(rows, "dice", "threshold")
    assert comparison_tables.left_out_notes(differences) == [
        "phi2 and threshold have no case, seed and fold in common, so they are not compared."
    ]
    table = comparison_tables.differences_table(differences)
    assert cell(table, 0, "Seeds").text == "none"
    assert [cell(table, 0, heading).text for heading in ("Difference (n)", "p")] == ["–", "–"]


def test_a_note_counts_the_rows_of_each_method_if_they_differ(suite: Suite) -> None:
    note = comparison_tables.unequal_rows_note(summarise(without_seed_1(suite(), "phi2")))
    assert "(rows: threshold 16, phi2 8)" in note
    assert "mean Dice over the 8 rows that all of them have" in note
    assert comparison_tables.unequal_rows_note(summarise(suite())) == ""


def test_published_numbers_are_next_to_those_of_the_suite_which_are_over_n_cases(
    suite: Suite,
) -> None:
    """Of 8 cases, 6 have the target; a pooled number is over all 8."""
    summary = summarise(suite())
    published = {
        "phi2": {"dice_pooled": 0.628, "dice": 0.6, "infection.hd95_mm": 9, "severity_r": 0.8},
        "threshold": {"tpr": 0.7},
        "other": {"tpr": 0.9},
    }
    table = comparison_tables.published_table(summary, published)
    assert [row[0].text for row in table.rows] == ["phi2", "threshold", "other"]
    pooled = cell(table, 0, "Dice, pooled (n)")
    assert (pooled.text, pooled.note) == (f"{summary['dice_pooled'][1]:.3g} (8)", "published 0.628")
    assert cell(table, 0, "Dice where present (n)").text == f"{summary['dice'][1]:.3g} (6)"
    assert cell(table, 0, "infection: HD95, mm (n)").text == "–"  # the rows have no such column
    assert cell(table, 0, "severity r (n)").text.endswith(" (8)")
    assert (cell(table, 0, "TPR (n)").text, cell(table, 0, "TPR (n)").note) == ("", "")
    assert cell(table, 1, "TPR (n)").text == "0.5 (8)"
    assert (cell(table, 2, "TPR (n)").text, cell(table, 2, "TPR (n)").note) == (
        "–",
        "published 0.9",
    )


def pairs(number: int) -> pd.DataFrame:
    """Return the rows of two methods, of which b is better in every one of so many patients."""
    return pd.DataFrame(
        [
            {
                "method": method,
                "seed": 0,
                "fold": "",
                "case": f"{k}",
                "patient": f"{k}",
                "dice": dice,
            }
            for k in range(number)
            for method, dice in {"a": 0.1, "b": 0.2 + k / 100}.items()
        ]
    )


def test_no_p_value_is_shown_for_few_pairs_because_none_can_be_small() -> None:
    """The smallest p of n pairs is 2 / 2^n: 0.125 of 4 pairs, 0.031 of 6 pairs."""
    few, many = (
        comparison_tables.differences_table(paired_differences(pairs(number), "dice", "a"))
        for number in (4, 6)
    )
    assert cell(few, 0, "p").text == "cannot be shown with 4 pairs"
    assert cell(few, 0, "p, Holm").text == "–"
    assert cell(many, 0, "p").text == cell(many, 0, "p, Holm").text == "0.031"


def test_patients_without_a_difference_are_not_counted_as_pairs() -> None:
    rows = pairs(6)
    rows.loc[rows["case"].isin(["0", "1"]), "dice"] = 0.5
    table = comparison_tables.differences_table(paired_differences(rows, "dice", "a"))
    assert cell(table, 0, "p").text == "cannot be shown with 4 pairs"


def test_a_stage_with_the_same_labels_for_all_methods_is_one_row() -> None:
    shared = [{"Method": name, "Stage": "first", "Tags": "none"} for name in "ab"]
    own = [{"Method": name, "Stage": "second", "Tags": f"of {name}"} for name in "ab"]
    only = [{"Method": "a", "Stage": "third", "Tags": "none"}]
    table = comparison_tables.labels_table([*shared, *own, *only])
    texts = [[each.text for each in row] for row in table.rows]
    assert texts == [
        ["all methods, the same", "first", "none"],
        ["a", "second", "of a"],
        ["b", "second", "of b"],
        ["a", "third", "none"],
    ]
