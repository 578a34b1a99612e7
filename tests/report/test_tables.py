from collections.abc import Callable
from io import StringIO

import pandas as pd
from rich.console import Console

from wsseg.evaluation.comparison import gap_closed, paired_differences
from wsseg.evaluation.summary import summarise
from wsseg.report import comparison_tables as compared
from wsseg.report import tables
from wsseg.report.terminal import covered_table, terminal_table

Suite = Callable[..., pd.DataFrame]


def cell(table: tables.TableData, row: int, head: str) -> tables.Cell:
    return table.rows[row][[name for name, _ in table.heads].index(head)]


def test_results_show_the_number_its_interval_and_the_best(suite: Suite) -> None:
    found = summarise(suite())
    table = tables.results(found)
    better = cell(table, 1, "Dice, mean")
    assert better.text == f"{found['dice'][1]:.3f}"
    assert better.below == f"{found['dice_low'][1]:.3f}–{found['dice_high'][1]:.3f}"
    assert better.best
    assert not cell(table, 0, "Dice, mean").best
    assert cell(table, 0, "Cases × seeds").text == "8 × 2"
    assert cell(table, 0, "Cases × seeds").below == "4 patients"


def test_methods_without_a_difference_share_a_line(suite: Suite) -> None:
    table = tables.results(summarise(suite()), "infection.")
    assert [row[0].text for row in table.rows] == ["all methods, the same"]


def test_one_method_is_not_the_best_of_itself(suite: Suite) -> None:
    table = tables.results(summarise(suite(methods=("phi2",))))
    assert not any(cell.best for cell in table.rows[0])


def test_scores_have_a_line_each_and_dashes_where_there_is_no_tag(suite: Suite) -> None:
    table = tables.scores(summarise(suite()))
    assert [row[1].text for row in table.rows] == ["severity", *["consolidation score"] * 2]
    assert cell(table, 0, "Pearson's r").text == "1.000"
    assert cell(table, 0, "AUC").text == "–"
    assert cell(table, 1, "AUC").text == "1.000"
    assert cell(table, 1, "Absent").below == "n = 2"


def test_comparisons_leave_out_the_baseline(suite: Suite) -> None:
    table = compared.comparisons(paired_differences(suite(), "dice", "threshold"))
    assert [row[0].text for row in table.rows] == ["phi2"]


def test_empty_masks_are_counted_by_method_and_class(suite: Suite) -> None:
    table = tables.empty_masks(summarise(suite()), "consolidation")
    assert [(row[0].text, row[1].text) for row in table.rows[:2]] == [
        ("threshold", "consolidation"),
        ("threshold", "infection"),
    ]
    assert cell(table, 0, "Both empty").text == "2"  # case 0, two seeds
    assert cell(table, 0, "Only truth empty").text == "2"  # case 4
    assert cell(table, 0, "Dice defined").text == "7"


def test_cases_leave_out_columns_that_tell_nothing(suite: Suite) -> None:
    heads = [head for head, _ in tables.cases(suite()).heads]
    assert heads[:4] == ["method", "seed", "case", "patient"]
    assert "tp voxels" not in heads
    assert "site" not in heads  # the same everywhere


def test_too_many_rows_are_cut_to_the_worst(suite: Suite) -> None:
    table = tables.cases(suite(cases=600))
    assert len(table.rows) == tables.SHOWN_ROWS


def test_the_terminal_table_fits_100_columns(suite: Suite) -> None:
    console = Console(width=100, record=True, file=StringIO())
    console.print(
        terminal_table(summarise(suite(methods=("threshold", "supervised", "[red]x[/]"))))
    )
    text = console.export_text()
    assert "supervised" in text
    assert "[red]x[/]" in text  # markup of a name is shown, not obeyed
    assert "…" not in text
    assert "severity r" in text


def test_comparisons_name_the_seeds_that_both_methods_have(suite: Suite) -> None:
    rows = suite()
    complete = paired_differences(rows, "dice", "threshold")
    assert cell(compared.comparisons(complete), 0, "Seeds").text == "0, 1"
    assert compared.left_out(complete) == []
    half = paired_differences(without_seed_1(rows, "phi2"), "dice", "threshold")
    assert cell(compared.comparisons(half), 0, "Seeds").text == "0 of 0, 1"
    (sentence,) = compared.left_out(half)
    assert sentence == (
        "phi2 and threshold are compared over seeds 0 of 0, 1; left out are 8 rows whose case, "
        "seed and fold one of them lacks."
    )


def test_methods_without_a_common_seed_are_said_not_to_be_compared(suite: Suite) -> None:
    rows = suite().query("(method == 'phi2') == (seed == 1)")
    found = paired_differences(rows, "dice", "threshold")
    assert compared.left_out(found) == [
        "phi2 and threshold have no case, seed and fold in common, so they are not compared."
    ]
    table = compared.comparisons(found)
    assert cell(table, 0, "Seeds").text == "none of 0, 1"
    assert [cell(table, 0, head).text for head in ("Difference", "p")] == ["–", "–"]


def test_only_the_mean_over_shared_rows_is_ranked_where_rows_differ(suite: Suite) -> None:
    found = summarise(without_seed_1(suite(), "phi2"))
    table = tables.results(found)
    assert cell(table, 1, "Dice, shared").best
    assert [each.best for each in table.rows[1]].count(True) == 1
    assert "threshold 16, phi2 8 rows" in compared.unequal_rows(found)
    complete = summarise(suite())
    assert compared.unequal_rows(complete) == ""
    assert "Dice, shared" not in [head for head, _ in tables.results(complete).heads]


def test_the_terminal_names_shared_dice_and_seeds_where_rows_differ(suite: Suite) -> None:
    rows = without_seed_1(suite(methods=("threshold", "phi2", "supervised")), "phi2")
    console = Console(width=100, record=True, file=StringIO())
    console.print(terminal_table(summarise(rows)))
    console.print(covered_table(gap_closed(rows, "threshold", "supervised")))
    text = console.export_text()
    assert "shared" in text
    assert "0 of 0, 1" in text
    assert "…" not in text


def without_seed_1(rows: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the rows as they are where the method's job of seed 1 failed."""
    return rows[(rows["method"] != method) | (rows["seed"] != 1)]
