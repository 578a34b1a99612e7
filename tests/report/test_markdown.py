from collections.abc import Callable

import pandas as pd

from wsseg.evaluation.comparison import gap_closed
from wsseg.evaluation.summary import summarise
from wsseg.report.markdown import markdown_covered, markdown_table

Suite = Callable[..., pd.DataFrame]


def first_row(rows: pd.DataFrame) -> dict[str, str]:
    heads, _, first, *_ = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown_table(summarise(rows)).splitlines()
    )
    return dict(zip(heads, first, strict=True))


def test_spread_over_cases_and_over_seeds_are_two_columns(suite: Suite) -> None:
    rows = suite().query("case == 'case 1' or case == 'case 2'")
    rows["dice"] = [0.2, 0.4, 0.4, 0.6] * 2  # cases 0.3 and 0.5, seeds 0.3 and 0.5
    first = first_row(rows)
    assert first["Dice, mean of cases"].startswith("0.400")
    assert first["SD, cases"] == first["SD, seeds"] == "0.141"


def test_one_seed_has_no_spread_over_seeds(suite: Suite) -> None:
    assert "SD, seeds" not in first_row(suite().query("seed == 0"))


def test_markdown_tables_name_the_seeds_and_the_shared_mean_where_a_job_is_missing(
    suite: Suite,
) -> None:
    complete = suite(methods=("threshold", "phi2", "supervised"))
    rows = complete[(complete["method"] != "phi2") | (complete["seed"] != 1)]
    heads, _, line = markdown_covered(gap_closed(rows, "threshold", "supervised")).splitlines()
    assert heads.endswith("| seeds |")
    assert line.endswith("| 0 of 0, 1 |")
    assert markdown_table(summarise(rows)).splitlines()[0].endswith("| Dice, shared rows |")
    assert "seeds |" not in markdown_covered(gap_closed(complete, "threshold", "supervised"))
    assert "shared" not in markdown_table(summarise(complete))
