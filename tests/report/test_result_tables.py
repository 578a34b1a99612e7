from collections.abc import Callable

import pandas as pd

from wsseg.evaluation.summary import summarise
from wsseg.report import result_tables
from wsseg.report.columns import Cell, Table, merge_equal_rows

Suite = Callable[..., pd.DataFrame]


def cell(table: Table, row: int, heading: str) -> Cell:
    return table.rows[row][[column.heading for column in table.columns].index(heading)]


def test_a_result_has_its_value_and_interval_and_the_best_method_is_emphasised(
    suite: Suite,
) -> None:
    summary = summarise(suite())
    table = result_tables.results_table(summary)
    best = cell(table, 1, "Dice where present (n)")
    assert best.text == f"{summary['dice'][1]:.3f} (6)"
    assert best.note == f"{summary['dice_low'][1]:.3f}–{summary['dice_high'][1]:.3f}"
    assert best.is_best
    assert not cell(table, 0, "Dice where present (n)").is_best


def test_only_dice_and_hd95_are_emphasised(suite: Suite) -> None:
    rows = suite().astype({"volume_error_ml": float})
    is_threshold = rows["method"] == "threshold"
    rows.loc[is_threshold, ["tpr", "fpr", "volume_error_ml"]] = (0.6, 0.05, 0.1)
    rows.loc[is_threshold, "hd95_mm"] /= 2
    table = result_tables.results_table(summarise(rows))
    best = {
        column.heading: row[0].text
        for row in table.rows
        for column, each in zip(table.columns, row, strict=True)
        if each.is_best
    }
    assert best == {
        "Dice where present (n)": "phi2",
        "Dice, pooled": "phi2",
        "HD95, mm (n)": "threshold",
    }
    scores = result_tables.scores_table(summarise(rows))
    assert not any(each.is_best for row in scores.rows for each in row)


def test_a_collapsed_method_is_never_the_best(suite: Suite) -> None:
    rows = suite(methods=("threshold", "em", "phi2"))
    rows["run.health"] = [
        "targets fill the region" if method == "phi2" else "" for method in rows["method"]
    ]
    table = result_tables.results_table(summarise(rows))
    best = [cell(table, row, "Dice where present (n)").is_best for row in range(3)]
    assert best == [False, True, False]
    assert cell(table, 2, "Method").note == "not a result"
    assert cell(table, 0, "Method").note == ""


def test_values_over_different_numbers_of_cases_are_not_ranked(suite: Suite) -> None:
    """phi2 has the lower HD95, but over 5 of 6 cases: it missed the class in one."""
    rows = suite()
    rows.loc[rows["method"] == "phi2", "hd95_mm"] = 1.0
    rows.loc[(rows["method"] == "phi2") & (rows["case"] == "case 1"), "hd95_mm"] = float("nan")
    rows.loc[rows["case"].isin(["case 0", "case 4"]), "hd95_mm"] = float("nan")
    table = result_tables.results_table(summarise(rows))
    assert [cell(table, row, "HD95, mm (n)").text for row in (0, 1)] == ["4.0 (6)", "1.0 (5)"]
    assert not any(cell(table, row, "HD95, mm (n)").is_best for row in (0, 1))


def test_cases_without_the_class_are_correctly_empty_or_not(suite: Suite) -> None:
    rows = suite()
    table = result_tables.results_table(summarise(rows))
    assert cell(table, 0, "Correctly empty").text == "1 of 2"
    one_seed = (rows["case"] == "case 4") & (rows["seed"] == 0)
    rows.loc[one_seed, ["fp_voxels", "dice"]] = (0, float("nan"))
    assert (
        cell(result_tables.results_table(summarise(rows)), 0, "Correctly empty").text == "1.5 of 2"
    )
    present = result_tables.results_table(summarise(suite()), class_name="infection")
    assert cell(present, 0, "Correctly empty").text == "–"


def test_cases_are_counted_with_their_patients_and_seeds(suite: Suite) -> None:
    table = result_tables.results_table(summarise(suite()))
    assert cell(table, 0, "Cases").text == "8"
    assert cell(table, 0, "Cases").note == "4 patients, 2 seeds"
    rows = suite().query("seed == 0").assign(patient=lambda rows: rows["case"])
    assert cell(result_tables.results_table(summarise(rows)), 0, "Cases").note == ""


def test_equal_rows_of_all_methods_are_merged_into_one(suite: Suite) -> None:
    table = result_tables.results_table(summarise(suite()), class_name="infection")
    assert len(table.rows) == 2
    merged = merge_equal_rows(table)
    assert [row[0].text for row in merged.rows] == ["all methods, the same"]
    assert cell(merged, 0, "Dice where present (n)").text == "0.700 (8)"


def test_different_rows_are_not_merged(suite: Suite) -> None:
    table = result_tables.results_table(summarise(suite()))
    assert merge_equal_rows(table) is table


def test_a_single_method_is_not_emphasised_as_the_best(suite: Suite) -> None:
    table = result_tables.results_table(summarise(suite(methods=("phi2",))))
    assert not any(cell.is_best for cell in table.rows[0])


def test_columns_without_numbers_are_left_out(suite: Suite) -> None:
    one_seed = summarise(suite().query("seed == 0").drop(columns="volume_error_ml"))
    headings = [column.heading for column in result_tables.results_table(one_seed).columns]
    assert "SD, cases" in headings
    assert not {"SD, seeds", "|ΔV|, ml (n)"} & set(headings)


def test_only_the_mean_over_shared_rows_is_ranked_if_the_methods_rows_differ(suite: Suite) -> None:
    rows = suite()
    incomplete = rows[(rows["method"] != "phi2") | (rows["seed"] != 1)]
    table = result_tables.results_table(summarise(incomplete))
    assert cell(table, 1, "Dice, shared").is_best
    assert [each.is_best for each in table.rows[1]].count(True) == 1
    complete = result_tables.results_table(summarise(rows))
    assert "Dice, shared" not in [column.heading for column in complete.columns]


def test_scores_without_a_tag_have_dashes_for_the_groups(suite: Suite) -> None:
    table = result_tables.scores_table(summarise(suite()))
    assert [row[1].text for row in table.rows] == ["severity", *["consolidation score"] * 2]
    assert cell(table, 0, "Pearson's r").text == "1.000"
    assert cell(table, 0, "AUC").text == "–"
    assert cell(table, 1, "AUC").text == "1.000"
    assert cell(table, 1, "Absent").note == "n = 2"


def test_empty_masks_are_counted_by_class_if_all_methods_are_equal(suite: Suite) -> None:
    table = result_tables.empty_masks_table(summarise(suite()), "consolidation")
    assert [(row[0].text, row[1].text) for row in table.rows] == [
        ("all methods, the same", "consolidation"),
        ("all methods, the same", "infection"),
    ]
    assert cell(table, 0, "Both empty").text == "2"  # case 0, two seeds
    assert cell(table, 0, "Only truth empty").text == "2"  # case 4
    assert cell(table, 0, "Class present").text == "6"
    assert cell(table, 0, "Class absent").text == "2"


def test_the_table_of_empty_masks_has_the_methods_in_the_order_of_the_summary(
    suite: Suite,
) -> None:
    summary = summarise(suite(methods=("a", "b", "c"))).iloc[::-1]
    table = result_tables.empty_masks_table(
        summary.assign(empty_both=range(len(summary))), "consolidation"
    )
    assert [row[0].text for row in table.rows] == ["c", "b", "a", "all methods, the same"]


def test_the_table_of_cases_leaves_out_voxel_counts_and_constant_names(suite: Suite) -> None:
    headings = [column.heading for column in result_tables.cases_table(suite()).columns]
    assert headings[:4] == ["Method", "Seed", "Case", "Patient"]
    assert "tp voxels" not in headings
    assert "site" not in headings  # the same in all rows


def test_the_table_of_cases_is_cut_to_the_rows_with_the_lowest_dice(suite: Suite) -> None:
    rows = suite(cases=600)
    table = result_tables.cases_table(rows)
    lowest = rows["dice"].sort_values().head(result_tables.MAX_CASE_ROWS)
    assert len(rows) == 2400
    assert len(table.rows) == 2000
    assert cell(table, -1, "Dice").text == f"{lowest.iloc[-1]:.3f}"
