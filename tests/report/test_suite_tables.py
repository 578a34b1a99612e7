"""The Markdown tables of the READMEs are written from the same columns as the report's."""

from collections.abc import Callable

import pandas as pd

from benchmarks.suite_tables import gap_table, results_table
from wsseg.evaluation.comparison import gap_closed
from wsseg.evaluation.summary import summarise

Suite = Callable[..., pd.DataFrame]


def first_row(table: str) -> dict[str, str]:
    """Return the first row of a Markdown table by heading."""
    headings, _, first, *_ = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
    )
    return dict(zip(headings, first, strict=True))


def test_standard_deviations_over_cases_and_over_seeds_are_two_columns(suite: Suite) -> None:
    rows = suite().query("case == 'case 1' or case == 'case 2'")
    rows["dice"] = [0.2, 0.4, 0.4, 0.6] * 2  # cases 0.3 and 0.5, seeds 0.3 and 0.5
    first = first_row(results_table(summarise(rows)))
    assert first["Dice where present (n)"].startswith("0.400 (2) [")
    assert first["SD, cases"] == first["SD, seeds"] == "0.141"


def test_a_single_seed_has_no_standard_deviation_over_seeds(suite: Suite) -> None:
    assert "SD, seeds" not in first_row(results_table(summarise(suite().query("seed == 0"))))


def test_a_table_of_another_class_has_the_numbers_of_that_class(suite: Suite) -> None:
    first = first_row(results_table(summarise(suite()), "infection"))
    assert first["Dice where present (n)"].startswith("0.700 (8)")


def test_a_collapsed_method_is_not_shown_as_a_result_in_the_tables_of_the_readmes(
    suite: Suite,
) -> None:
    rows = suite()
    rows["run.health"] = "targets are empty"
    assert first_row(results_table(summarise(rows)))["Health"] == "targets are empty: not a result"
    assert "Health" not in first_row(results_table(summarise(suite())))


def test_shared_seeds_and_the_shared_mean_are_shown_only_if_a_job_is_missing(
    suite: Suite,
) -> None:
    complete = suite(methods=("threshold", "phi2", "supervised"))
    rows = complete[(complete["method"] != "phi2") | (complete["seed"] != 1)]
    first = first_row(gap_table(gap_closed(rows, "threshold", "supervised")))
    assert first["Share of the gap between threshold and supervised"] == "phi2"
    assert first["Seeds"] == "0, not 1"
    assert "Dice, shared" in first_row(results_table(summarise(rows)))
    assert "Seeds" not in first_row(gap_table(gap_closed(complete, "threshold", "supervised")))
    assert "Dice, shared" not in first_row(results_table(summarise(complete)))
