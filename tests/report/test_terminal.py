from collections.abc import Callable
from io import StringIO

import pandas as pd
from rich.console import Console, RenderableType

from wsseg.evaluation.comparison import Compare, gap_closed
from wsseg.evaluation.method_labels import MARK_NOTE, ChosenFrom, label_methods
from wsseg.evaluation.summary import summarise
from wsseg.report.terminal import (
    repeated_warnings,
    terminal_comparison,
    terminal_gap,
    terminal_results,
)

Suite = Callable[..., pd.DataFrame]


def printed(*tables: RenderableType, width: int = 100) -> str:
    console = Console(width=width, record=True, file=StringIO())
    for table in tables:
        console.print(table)
    return console.export_text()


def test_names_of_16_letters_fit_in_a_terminal_of_100_columns(suite: Suite) -> None:
    rows = suite(methods=("threshold-at-300", "supervised", "[red]x[/]"))
    text = printed(terminal_results(summarise(rows)))
    assert "threshold-at-300" in text
    assert "[red]x[/]" in text  # markup in a name is printed as it is
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_columns_that_do_not_fit_in_a_terminal_follow_below_with_the_names(suite: Suite) -> None:
    summary = summarise(suite(methods=("threshold-at-300", "supervised")))
    text = printed(terminal_results(summary), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("threshold-at-300") == text.count("supervised") == 2
    wide = printed(terminal_results(summary))
    assert {*text.replace("─", "").split()} == {*wide.replace("─", "").split()}


def test_a_result_in_the_terminal_has_its_interval_in_brackets(suite: Suite) -> None:
    summary = summarise(suite())
    value, low, high = (summary[f"dice{end}"][1] for end in ("", "_low", "_high"))
    text = printed(terminal_results(summary))
    assert f"{value:.3f} (6) [{low:.2f}–{high:.2f}]" in text  # the class is present in 6 of 8 cases


def test_cases_without_the_class_are_counted_in_their_own_column(suite: Suite) -> None:
    text = printed(terminal_results(summarise(suite())))
    assert "Correctly" in text
    assert "1 of 2" in text


def test_a_collapsed_method_is_named_below_the_table(suite: Suite) -> None:
    rows = suite()
    rows["run.health"] = [
        "targets fill the region" if method == "phi2" else "" for method in rows["method"]
    ]
    text = printed(terminal_results(summarise(rows)))
    assert text.splitlines()[-2] == "phi2: targets fill the region: not a result"
    assert "not a result" not in printed(terminal_results(summarise(suite())))


def test_a_suite_ends_with_its_results_then_the_gap_then_the_notes(suite: Suite) -> None:
    chosen: dict[str, ChosenFrom] = {"phi2": "test masks"}
    rows = label_methods(suite(methods=("threshold", "phi2", "supervised")), chosen)
    compare = Compare(baseline="threshold", ceiling="supervised")
    text = printed(terminal_comparison(rows, compare, chosen))
    title = "Share of the gap between threshold and supervised closed"
    assert (
        text.index("HD95") < text.index(title) < text.index("Dice, pooled") < text.index(MARK_NOTE)
    )
    assert text.endswith(f"{MARK_NOTE}\n")
    assert title not in printed(terminal_comparison(rows, None, chosen))


def test_a_gap_to_a_collapsed_ceiling_is_replaced_by_a_note(suite: Suite) -> None:
    rows = suite(methods=("threshold", "phi2", "supervised"))
    rows["run.health"] = ["targets are empty" * (each == "supervised") for each in rows["method"]]
    compare = Compare(baseline="threshold", ceiling="supervised")
    text = printed(terminal_comparison(rows, compare, {}), width=200)
    problem = "supervised is not a result (targets are empty)"
    assert text.endswith(f"No share of the gap between threshold and supervised: {problem}.\n")


def test_at_most_ten_warnings_are_repeated_each_once_and_those_of_scans_last(suite: Suite) -> None:
    rows = suite()
    rows["warnings"] = ["the lungs are small" if case == "a" else "" for case in rows["case"]]
    rows.loc[rows.index[0], ["case", "warnings"]] = ["a", "the lungs are small"]
    one = {"event": "warning", "text": "stage lesion, epoch 1: the targets have collapsed"}
    records = {"em/seed-0": [one, {"event": "epoch"}, one]}
    assert repeated_warnings(records, rows) == [
        "em/seed-0: stage lesion, epoch 1: the targets have collapsed",
        "case a: the lungs are small",
    ]
    many = {f"em/seed-{seed}": [one] for seed in range(13)}
    repeated = repeated_warnings(many, rows)
    assert len(repeated) == 11
    assert repeated[9].startswith("em/seed-9: ")
    assert repeated[10] == "4 more, in the log.jsonl of the runs and in the rows"


def test_the_first_score_of_each_kind_is_in_the_terminal(suite: Suite) -> None:
    text = printed(terminal_results(summarise(suite())))
    assert "severity" in text
    assert "U test p" in text
    assert "consolidation score" not in text


def test_the_terminal_shows_the_shared_dice_and_the_shared_seeds_if_rows_differ(
    suite: Suite,
) -> None:
    rows = suite(methods=("threshold", "phi2", "supervised"))
    rows = rows[(rows["method"] != "phi2") | (rows["seed"] != 1)]
    gap = gap_closed(rows, "threshold", "supervised")
    text = printed(terminal_results(summarise(rows)), terminal_gap(gap))
    assert "shared" in text
    assert "Share of the gap between threshold and supervised closed" in text
    assert "0, not 1" in text
    assert "…" not in text
